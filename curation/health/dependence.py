"""Rows whose answer shows the system prompt: it obeys a demand, or uses words, that stand there and in no user turn.

Where answers would be the same without it, a model learns that system prompts can be ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl

from curation.health.limits import LIMITS, MIN_ROWS
from curation.health.marked import MARKED
from curation.health.result import ROWS_SHOWN, Alarm, Measure
from curation.health.units import script, units

_NUMBER = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|single|a)"
_THING = r"(?:words?|characters?|sentences?|lines?|items?|steps?|names?|bullet points?)"
_COUNT_ZH = r" ?[一二两三四五六七八九十百千\d]+"
_QUOTED = re.compile(r"“([^”]{1,40})”|\"([^\"]{1,40})\"|「([^」]{1,40})」|'([^']{2,40})'(?!\w)")
_TERM = re.compile(r"=\s*([^\n;；，。=]{1,40})")
Shows = Callable[[str, str], bool]  # user turns, answer → the answer keeps the demand


def _kept(users: str, answer: str) -> bool:
    """Cannot be told from the answer cheaply: most answers keep such a demand."""
    return True


def _in_other_script(users: str, answer: str) -> bool:
    return script(users) != script(answer)


def _in_steps(users: str, answer: str) -> bool:
    return bool(_STEPS.search(answer))


def _cited(users: str, answer: str) -> bool:
    return bool(_CITATION.search(answer))


def _for_a_child(users: str, answer: str) -> bool:
    return bool(_CHILDLIKE.search(answer)) and not _CHILDLIKE.search(users)


def _long(users: str, answer: str) -> bool:
    return len(units(answer)) >= 100


_STEPS = re.compile(r"\bstep (?:1|one)\b|步骤 ?[1一]|第一步|^1[.、)]", re.IGNORECASE)
_CITATION = re.compile(r"[\[【（(]\d+[\]】）)]")
_CHILDLIKE = re.compile(
    r"\bimagine\b|\blittle (?:buddy|friend|one)|\bbuddy\b|\bkiddo\b|like when you|just like|小朋友|小伙伴|想象|就像|"
    r"孩子们|伙计|[！!].*[！!]",
    re.IGNORECASE | re.DOTALL,
)
# Demands of a system prompt, and how an answer shows that it was kept. One that a user turn makes too is not counted.
DEMANDS: tuple[tuple[str, Shows], ...] = (
    # nothing but the thing asked for
    (r"\b(?:only|nothing (?:else|but)|no other text|no explanation)\b(?! when| if)", _kept),
    (r"[只仅](?:输出|回|给|用|写|能来自|依据|根据)|不加|不写|不解释|原样", _kept),
    # how much
    (rf"\b(?:at most|no more than|under|maximum(?: of)?|up to|within|fewer than|exactly|in|with) {_NUMBER} (?:\w+ )?{_THING}\b", _kept),
    (rf"\bmore than \w+ {_THING}\b|\bone at a time\b|\bone idea per\b", _kept),
    (rf"(?:不得?超过|最多|至多|控制在|限|恰好){_COUNT_ZH}|{_COUNT_ZH} ?个?[字句条步行](?:以内|之内)|一句话|短语|一次只", _kept),
    # in what form, in which order
    (r"\b(?:json|yaml|csv|xml|first line|last line|separated by|in order|start with|end (?:each|every)|lower case|upper case)\b", _kept),
    (r"\blabels?:|\bnumbered steps?\b|\bfirst output\b|\bbullet points?\b", _kept),
    (r"\bshort (?:sentences|paragraphs)\b|\b(?:house style|terminology):", _kept),
    (r"格式|开头|结尾|最后(?:用)?一行|逐行|隔开|连接|首行|[首先]先?(?:给出|写|输出|检索)|编号：|写成|术语表|解释其他", _kept),
    # what may not be
    (r"\b(?:do not|don't|never|avoid|may not|must not)\b|(?:^|[.,;:] |and )no \w+", _kept),
    (r"不要|不用|不得|不能出现|避免|勿|别用", _kept),
    # sources, steps, length
    (r"\bcite\b|\bcitation|引用|标注来源|注明|标出?处", _cited),
    (r"step[- ]?by[- ]?step|逐步|一步一步|分步", _in_steps),
    (r"\b(?:detailed and long|long and detailed)\b|详细且长", _long),
    # for whom, and who speaks
    (r"\b(?:four|five|six)[- ]year[- ]olds?|[四五六]岁", _for_a_child),
    (r"\d+ years old|\byour readers? (?:is|are)\b|\b(?:write )?for (?:a )?readers?\b|\breader has\b", _kept),
    (r"读者是|提问的人|岁以上|小学|初中", _kept),
    (r"\bleave (?:your|the) role|\b(?:stay|remain) in character\b|\bpretend\b|\b(?:act|speak) as\b|\b[Pp]lay (?:the|a|[A-Z])", _kept),
    (r"模拟|扮演|角色|的身份|你是[“「A-Z]", _kept),
    (r"(?-i:\b[Yy]ou are [A-Z][a-z]+,)", _kept),
    # in another language
    (r"\btranslat|翻译|译文|译成|英译", _in_other_script),
)  # fmt: skip
_DEMANDS = tuple((re.compile(pattern, re.IGNORECASE | re.MULTILINE), shows) for pattern, shows in DEMANDS)


def depends(system: str, users: str, answer: str) -> bool:
    """True when the answer keeps a demand, or gives back a term, of the system prompt that the user turns do not hold."""
    for pattern, shows in _DEMANDS:
        if pattern.search(system) and not pattern.search(users) and shows(users, answer):
            return True
    return any(term in answer and term not in users for term in _terms(system))


def _terms(system: str) -> list[str]:
    found = [next(filter(None, m.groups())) for m in _QUOTED.finditer(system)]
    found += [m.group(1).strip() for m in _TERM.finditer(system)]
    return [t for t in found if len(t) > 1]


def measure(frame: pl.DataFrame) -> Measure:
    """By task type: rows with a system prompt, and those whose answer shows it."""
    rows = frame.filter((pl.col("system") != "") & (pl.col("answer") != "")).sort("id")
    shown = [depends(s, p, a) for s, p, a in rows.select("system", "prompt", "answer").iter_rows()]
    rows = rows.with_columns(pl.Series("shows", shown, dtype=pl.Boolean))
    table = (
        rows.group_by("task_type")
        .agg(
            pl.len().alias("with_system"),
            pl.col("system").n_unique().alias("different"),
            pl.col("shows").sum().alias("depend"),
        )
        .with_columns((pl.col("depend") / pl.col("with_system")).round(4).alias("share"))
        .sort("task_type")
    )
    found = []
    for row in table.filter(
        (pl.col("with_system") >= MIN_ROWS) & (pl.col("share") < LIMITS["system_dependence"])
    ).iter_rows(named=True):
        mine = rows.filter((pl.col("task_type") == row["task_type"]) & ~pl.col("shows"))
        found.append(
            Alarm(
                "system_dependence",
                row["task_type"],
                row["share"],
                LIMITS["system_dependence"],
                f"Only {row['depend']} of {row['with_system']} answers show their system prompt: a model learns that it "
                f"can be ignored. {MARKED['system_dependence'].sentence()}",
                "Give the rows named a system prompt that asks for something, and answers that keep it.",
                tuple(mine["id"].head(ROWS_SHOWN)),
            )
        )
    return Measure("system_dependence", table, tuple(found), MARKED["system_dependence"].sentence())
