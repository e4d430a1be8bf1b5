"""The labeller: task type and subtype from the form of a row and the words of its request. No endpoint is needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from curation import records as rec
from curation.label.taxonomy import Taxonomy
from curation.progress import Progress, silent

Said = tuple[str, float, str, float]

# (task type, subtype, what the request says), tried in order; the first that is found names the row.
_REQUESTS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (kind, subtype, re.compile(pattern, re.IGNORECASE))
    for kind, subtype, pattern in (
        ("safety", "refusal", r"\b(bomb|poison|ransomware|phish|steal|kill|weapon|suicid)|炸弹|毒|自杀|诈骗|偷|杀"),
        ("translation", "zh_en", r"translat\w* .{0,60}\b(into|to) english|译成英|翻译成英|英译|into english"),
        ("translation", "en_zh", r"translat|翻译|译成"),
        ("summarization", "article", r"summar|\btl;?dr\b|总结|概括|摘要|提炼|归纳"),
        ("rewriting", "polish", r"rewrit|rephras|paraphras|polish|proofread|改写|润色|改成|扩写|缩写|修改(下|一下|这)"),
        ("code", "sql", r"\bsql\b|select .* from|数据库"),
        ("code", "write", r"```|\bpython\b|javascript|\bfunction\b|代码|函数|脚本|程序"),
        (
            "classification",
            "topic",
            r"classif|categor|which of the following|sentiment|label|分类|归类|判断.{0,12}(类|情感|态度|意图)|属于哪",
        ),
        ("extraction", "structured", r"extract|pull out|as json|提取|抽取|找出.{0,20}(名|时间|地点)"),
        ("role_play", "persona", r"pretend|role-?play|you are (a|an|the) |act as|扮演|假装|你是一(位|名|个)"),
        (
            "brainstorming",
            "ideas",
            r"brainstorm|\bideas?\b|suggest (some|a few|\w+) names|点子|主意|起.{0,6}名|列出.{0,8}个",
        ),
        (
            "math",
            "word_problem",
            r"\d.*\b(how many|how much|calculate|solve|equation|probability)\b|\d.*(多少|计算|求|方程|概率)",
        ),
        ("writing", "copywriting", r"^(please )?(write|compose|draft|create)\b|写(一|个|篇|封|首|段|份)|撰写|起草"),
        ("reasoning", "logic", r"\bwho (is|was)\b.*\bif\b|deduce|infer|logic|推理|推断|谁"),
    )
)


def assign(
    records: pl.DataFrame, signals: Mapping[str, pl.DataFrame], taxonomy: Taxonomy, progress: Progress = silent
) -> list[Said]:
    """(task type, confidence, subtype, confidence) for each record, in their order."""
    rows = rec.sides(records).select("kind", "text", "prompt", "tools", "messages", "source")
    return [_one(row) for row in rows.iter_rows(named=True)]


def _one(row: dict[str, object]) -> Said:
    if row["kind"] == "text":
        code = bool(
            re.search(
                r"^\s*(def |class |import |function |select |create table|#!|const )",
                str(row["text"]),
                re.MULTILINE | re.IGNORECASE,
            )
        )
        return ("text", 1.0, "code" if code else "prose", 0.9)
    if row["tools"]:
        calls = sum(bool(m["tool_calls"]) for m in row["messages"])  # type: ignore[attr-defined]
        return ("tool_use", 1.0, ("no_call", "single_call", "multi_step")[min(calls, 2)], 0.9)
    prompt = str(row["prompt"])
    for kind, subtype, pattern in _REQUESTS:
        if pattern.search(prompt):
            return (kind, 0.5, subtype, 0.3)
    return ("open_qa", 0.3, "factual", 0.2)
