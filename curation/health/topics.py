"""Conversations in which the user changes the topic: by words that say so, or by a new request that shares nothing with before."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from curation.health.limits import LIMITS, MIN_ROWS
from curation.health.marked import MARKED
from curation.health.result import ROWS_SHOWN, Alarm, Measure
from curation.health.units import content, script, units

# A user says that something else comes.
_ANNOUNCED = re.compile(
    r"\b(?:change of (?:topic|subject)|(?:to |let's )change (?:the )?(?:topic|subject)s?|different (?:thing|topic|subject|question)\b|"
    r"on another note|unrelated(?: question)?[,:]|something else entirely|now (?:for|to) something|by the way|btw|speaking of which|"
    r"other thing:|anyway, )|换个话题|换个问题|另一件事|话说|哦?对了[，,]|突然想|先不说|说正事|不说这个|题外话|言归正传|顺便问|插一句",
    re.IGNORECASE,
)
# A turn that leans on the one before: it cannot open a conversation.
_LEANS = re.compile(
    r"^(?:and|but|so|or|why|no|yes|yeah|what about|how about|also|then|instead|only|fair|neither|thank|sure|it|they|he|she)\b|"
    r"\b(?:it|its|that|this|these|those|they|them|their|he|she|him|her|his|one|ones|another|the (?:first|second|last|other|same)|"
    r"instead|again|shorter|longer|above|given|considering|too|second|third)\b|"
    r"^(?:那|再|还|可|但|所以|为什么|不|嗯?是|对$|他|她|它|这|把|只|改|谢)|^.{0,8}[他她]|它|这(?!里|几天|两天|周)|那(?!边)|接着|继续|下一|刚才|上面|第[一二三四五六]|再加|前面|呢[？?]?$",
    re.IGNORECASE,
)
# A turn that works on what was made before, wherever it says so.
_REVISES = re.compile(r"\bwhile you(?:'re| are) at it\b|\b(?:make|turn) it\b|改|再加|加一段|重写|压到", re.IGNORECASE)
_ASKS = re.compile(
    r"[?？]|^(?:write|explain|give|tell|help|list|name|make|what|how|can|could|please|i need|now i need)\b|帮|怎么|吗|什么|写|想",
    re.IGNORECASE,
)
_ACKNOWLEDGES = re.compile(
    r"^(?:(?:great|good|nice|ok(?:ay)?|sweet|lovely|perfect|done|thanks?(?: you)?|wow|cool|ha(?:ha)*|sure|alright|that's \w+|that is \w+|"
    r"that was \w+)\b[\s,.!]*)+|^(?:(?:对|好的?|行|嗯+|哈+|谢谢你?|太好了|好吃|明白了|算了|知道了|不错)[。，,！!…\s]*)+",
    re.IGNORECASE,
)
# The first turn hands out parts, or says what later turns will hold: what comes then is no change of topic.
_ARRANGED = re.compile(
    r"\bfrom now on\b|\bwhenever i\b|\bi(?:'ll| will) (?:send|paste|give|ask)|\bsimulate\b|\brole[- ]?play|\bplay (?:a|the)\b|\bact as\b|"
    r"\bmock \w+ ?interview|\bpractise\b|以后|接下来|后面让你|等下|一会儿|待会|扮演|模拟|你来?[演当]|练习?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s*")
MIN_CONTENT = {"zh": 4, "other": 2}  # pieces of content of a turn that can be a topic of its own


def switch(users: Sequence[str], answers: Sequence[str]) -> int | None:
    """Which user turn (from 1 for the second) first changes the topic; None when none does.

    `answers`: what the assistant said, turn by turn; the content of all that was said before counts.
    """
    before: set[str] = set()
    arranged = bool(users and _ARRANGED.search(users[0]))
    for number, text in enumerate(users):
        if number and (_ANNOUNCED.search(text) or (not arranged and _unconnected(text, before))):
            return number
        before |= content(text)
        before |= content(answers[number]) if number < len(answers) else set()
    return None


def _unconnected(text: str, before: set[str]) -> bool:
    bare = _ACKNOWLEDGES.sub("", text.strip(), count=1).strip()
    if (
        not bare
        or not _ASKS.search(bare)
        or _REVISES.search(bare)
        or _LEANS.search(_SENTENCE_END.split(bare, maxsplit=1)[0])
    ):
        return False
    own = content(bare)
    if len(own) < MIN_CONTENT[script(bare)] or len(units(bare)) < 4:
        return False
    return not own & before


def measure(frame: pl.DataFrame) -> Measure:
    """By task type: conversations of two user turns and more, and how many change their topic."""
    rows = frame.filter(pl.col("users").list.len() > 1).sort("id")
    turned = [switch(users, answers) for users, answers in rows.select("users", "answers").iter_rows()]
    rows = rows.with_columns(pl.Series("turned", turned, dtype=pl.Int64))
    table = (
        rows.group_by("task_type")
        .agg(pl.len().alias("conversations"), pl.col("turned").is_not_null().sum().alias("switch"))
        .with_columns((pl.col("switch") / pl.col("conversations")).round(4).alias("share"))
        .sort("task_type")
    )
    found = []
    for row in table.filter(
        (pl.col("conversations") >= MIN_ROWS) & (pl.col("share") >= LIMITS["topic_switches"])
    ).iter_rows(named=True):
        mine = rows.filter((pl.col("task_type") == row["task_type"]) & pl.col("turned").is_not_null())
        found.append(
            Alarm(
                "topic_switches",
                row["task_type"],
                row["share"],
                LIMITS["topic_switches"],
                f"{row['switch']} of {row['conversations']} conversations change their topic: what their later turns "
                f"teach is not this task type. {MARKED['topic_switches'].sentence()}",
                "Cut them where the topic changes, or add conversations that stay with their matter.",
                tuple(mine["id"].head(ROWS_SHOWN)),
            )
        )
    return Measure("topic_switches", table, tuple(found), MARKED["topic_switches"].sentence())
