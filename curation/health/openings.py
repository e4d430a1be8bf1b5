"""What requests begin with: the verb and its object, in Chinese and English, as Self-Instruct plots them (arXiv 2212.10560)."""

from __future__ import annotations

import re

import polars as pl

from curation.health.limits import LIMITS, MIN_ROWS
from curation.health.result import ROWS_SHOWN, Alarm, Measure
from curation.health.units import script, units
from curation.label.words import NOUNS_ZH, VERBS, VERBS_ZH

START = {"zh": 4, "other": 3}  # units of a beginning that has no verb and object
# What stands before the request: politeness, and in Chinese the thing that it is about (用…, 根据…，).
_BEFORE = re.compile(
    r"^(?:\W+|(?:please|kindly|can you|could you|would you|will you|i want you to|i need you to|i'd like you to|help me(?: to)?|now|"
    r"hey|hi|hello|ok(?:ay)?|so|just|your task is to|(?:given|from|using|based on|for|imagine|suppose|according to|you are given)\b"
    r"[^.\n:;?]{2,110}?[,.:](?=\s))[\s,]*)+"
)
_BEFORE_ZH = re.compile(
    r"^(?:[\s“”\"，,。！!]+|请问?你?|麻烦你?|帮我们?|帮忙|你?能不能|你?能否|您?能|可以|给我|替我|我想要?|我需要|现在|"
    r"(?:给定|根据|按照|基于|关于|通过|使用|利用)[^，,。：:\n]{1,40}[，,：:])+"
)
# In the labeller's table of first words, but no verbs.
_NO_VERBS = frozenset(
    "a an the i he she it my we there is are am was were has have had do does did should would will could can what which who when "
    "where why how like one".split()
)
_NO_VERBS_ZH = frozenset(
    "我 他 她 你 这 那 有 在 为 对 从 将 把 让 当 根据 如果 假如 怎么 怎样 如何 为什么 为何 什么 谁 哪 哪些 哪个 多少 几 "
    "是否 今天 重新 简要 请问 用".split()
)
_VERBS_ZH = tuple(v for v in VERBS_ZH if v not in _NO_VERBS_ZH)
_ANY_VERB_ZH = re.compile("(?=" + "|".join(v for v in _VERBS_ZH if len(v) > 1) + ")")
_TOKEN = re.compile(r"[a-z0-9][a-z0-9'+#-]*|[,.:;?!\n()\"“”]")
_STOP = frozenset(
    ', . : ; ? ! \n ( ) " “ ” of for about that to in on with which from by who whose using where when as based into between and or at '
    "related explaining describing is are if whether why how what regarding like containing without after during given so so".split(
        " "
    )
)
_OBJECT_END = re.compile(r"[。，,：:；;？?！!\n（(“\"]")


def opening(prompt: str) -> str:
    """`write story`, `写 故事`; where there is no verb with an object the first units and an ellipsis, `I have a …`."""
    kind = script(prompt[:200])
    told = _chinese(prompt[:200]) if kind == "zh" else _english(prompt[:200].casefold())
    return told or ("" if kind == "zh" else " ").join(units(prompt)[: START[kind]]) + " …"


def _english(text: str) -> str | None:
    """The first word when it bids, and the last word before a preposition or stop: the head of its object."""
    tokens = _TOKEN.findall(_BEFORE.sub("", text, count=1))
    if not tokens or tokens[0] not in VERBS or tokens[0] in _NO_VERBS:
        return None
    thing = []
    for token in tokens[1:]:
        if token in _STOP:
            break
        thing.append(token)
    return f"{tokens[0]} {thing[-1]}" if thing else None


def _chinese(text: str) -> str | None:
    """The bidding verb at the beginning or after 把…, 根据…; the object ends the clause (一家面包店的 *名字*)."""
    bare = text
    for _ in range(3):
        cut = _BEFORE_ZH.sub("", bare, count=1)
        moved = re.match(r"(?:把|将|用|为|给|对|从|以|按|向|针对|重新|简要)", cut)
        if moved:
            verb = _ANY_VERB_ZH.search(cut[:40], moved.end())
            cut = cut[verb.start() :] if verb else cut
        if cut == bare:
            break
        bare = cut
    first = next((v for v in _VERBS_ZH if bare.startswith(v)), None)
    if first is None:
        return None
    clause = _OBJECT_END.split(bare[len(first) :], maxsplit=1)[0].strip(" 的了吧呢")
    thing = next((n for n in NOUNS_ZH if clause.endswith(n)), clause[-2:])
    return f"{first} {thing}" if thing else None


def measure(frame: pl.DataFrame) -> Measure:
    """The commonest opening of each task type, how many differ, and in how many rows verb and object are told."""
    asked = frame.filter(pl.col("prompt") != "").with_columns(
        pl.col("users").list.first().map_elements(opening, return_dtype=pl.String).alias("opening")
    )
    counts = (
        asked.group_by("task_type", "opening")
        .len()
        .sort("task_type", "len", "opening", descending=[False, True, False])
    )
    table = (
        asked.group_by("task_type")
        .agg(
            pl.len().alias("rows"),
            pl.col("opening").n_unique().alias("different"),
            (~pl.col("opening").str.ends_with("…")).mean().round(4).alias("verb_object"),
        )
        .join(counts.group_by("task_type", maintain_order=True).first(), on="task_type")
        .select(
            "task_type",
            "rows",
            "different",
            "verb_object",
            "opening",
            (pl.col("len") / pl.col("rows")).round(4).alias("share"),
        )
        .sort("task_type")
    )
    found = []
    judged = counts.join(table.select("task_type", "rows"), on="task_type", maintain_order="left")
    judged = judged.filter((pl.col("rows") >= MIN_ROWS) & (pl.col("len") >= LIMITS["opening"] * pl.col("rows")))
    for row in judged.iter_rows(named=True):
        mine = asked.filter((pl.col("task_type") == row["task_type"]) & (pl.col("opening") == row["opening"])).sort(
            "id"
        )
        share = round(row["len"] / row["rows"], 4)
        found.append(
            Alarm(
                "openings",
                row["task_type"],
                share,
                LIMITS["opening"],
                f"{share:.0%} of {row['rows']} requests begin alike: “{row['opening']}”.",
                "Ask the same things in other words, or keep fewer of these rows.",
                tuple(mine["id"].head(ROWS_SHOWN)),
            )
        )
    return Measure(
        "openings",
        table,
        tuple(found),
        "`opening` is the commonest; with … the first words, where no verb and object can be told",
    )
