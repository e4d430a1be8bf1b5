"""A language model's grade of a conversation's last answer, 1 (of no use) to 5 (correct and complete). Off by default.

One request a conversation, single-answer grading as in MT-Bench (Zheng et al. 2023, arXiv 2306.05685: a rubric, the reason,
then the grade in double brackets), the five grades as in AlpaGasus (Chen et al. 2023, arXiv 2307.08701), which asks for
accuracy on a scale of 5 and keeps 4.5 and above. The rubrics are prompts/judge.{en,zh}.txt. A reply without exactly one
grade at its end is `unreadable`: nothing is guessed.

The rows are hostile to a judge: they may ask for a grade, end the material early, or hold a template's own tokens. So they
stand between lines that bear a code which the text cannot hold, and tokens that open turns are taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
from pydantic import Field

from curation import records as rec
from curation.endpoint import EndpointParams
from curation.progress import Progress, silent
from curation.score.ends import ends

if TYPE_CHECKING:
    from curation.completion import Answer, Ask, Request

PROMPTS = Path(__file__).parent / "prompts"
SCHEMA: dict[str, Any] = {
    "content_hash": pl.String,
    "judge": pl.Int64,
    "judge_model": pl.String,
    "not_applicable": pl.String,
}

_TURN = re.compile(r"^\[(system|user)\]\n", re.MULTILINE)
_GRADE = re.compile(r"\[\[([1-5])\]\][\s.。*_]*\Z")
_STOP_TEXT = re.compile(r"(?:<\|[a-z_]+\|>|</s>)\s*\Z")  # some servers leave it at the end
# Where a token of a chat template begins (ChatML, Llama 2 and 3, Gemma, DeepSeek): servers read them in contents too.
_OPENS = re.compile(
    r"<(?=[|｜][^\s|｜<>]{1,40}[|｜]>|/?s>|<?/?SYS>|(?:start|end)_of_turn>|(?:bos|eos)>)|\[(?=/?INST\])", re.IGNORECASE
)


class JudgeParams(EndpointParams):
    """`params.yaml: score.judge`."""

    section: ClassVar[str] = "score.judge"

    enabled: bool = False
    max_tokens: int = Field(2_000_000, ge=0)  # prompt and completion together
    max_bytes: int = Field(6000, ge=64)  # what is read of the conversation, and of the answer
    reply_tokens: int = Field(160, ge=8)  # reason and grade


def compute(
    records: pl.DataFrame,
    params: JudgeParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """The sidecar as of `grade`, from the endpoint that params and environment name; nothing is asked unless `enabled`."""
    if not params.enabled:
        hashes = records.select("content_hash").unique()
        return hashes.select(
            "content_hash", *(pl.lit(None, t).alias(n) for n, t in SCHEMA.items() if n != "content_hash")
        ).with_columns(not_applicable=pl.lit("off"))
    from curation.endpoint import connect

    with connect(params) as model:
        return grade(records, params, model.ask, progress)


def grade(records: pl.DataFrame, params: JudgeParams, ask: Ask, progress: Progress = silent) -> pl.DataFrame:
    """`judge` (1…5), `judge_model` and `not_applicable`, one row a content hash, sorted by it.

    Reasons: `text` (for replay), `no_answer`, `personal_data` (tagged or to be dropped for it: never sent), `budget`,
    `request_failed`, `unreadable`. Rows are asked for by content hash, so a budget grades a sample that more budget adds to.
    """
    from curation.score import distinct

    rows = distinct(records)
    given = rows.select("kind", "messages", "tools", rec.tagged("pii").alias("private")).iter_rows(named=True)
    reasons = {i: reason for i, row in enumerate(given) if (reason := _unasked(row))}
    asked = [i for i in range(rows.height) if i not in reasons]
    grades: dict[int, int] = {}
    together = 4 * params.concurrency  # so many are out between two looks at the bar
    for start in range(0, len(asked), together):
        group = asked[start : start + together]
        answers = ask([request(rows["messages"][i].to_list(), rows["tools"][i], params) for i in group])
        for i, answer in zip(group, answers, strict=True):
            found = None if answer.failure else parse(answer)
            if found is None:
                reasons[i] = answer.failure or "unreadable"
            else:
                grades[i] = found
        if any(answer.failure == "budget" for answer in answers):  # then all that come after are beyond it as well
            reasons |= dict.fromkeys(asked[start + together :], "budget")
            progress("judge", len(asked), len(asked))
            break
        progress("judge", start + len(group), len(asked))
    found_rows = [
        (h, grades.get(i), params.model if i in grades else None, reasons.get(i))
        for i, h in enumerate(rows["content_hash"])
    ]
    return pl.DataFrame(found_rows, schema=SCHEMA, orient="row")


def parse(answer: Answer) -> int | None:
    """The grade at the end of a reply that holds no other double brackets, or None."""
    text = _STOP_TEXT.sub("", answer.text.strip())
    found = _GRADE.search(text)
    return int(found[1]) if found and text.count("[[") == 1 else None


def request(messages: Sequence[dict[str, Any]], tools: str | None, params: JudgeParams) -> Request:
    """What the judge is asked about the last answer of a conversation, greedily."""
    from curation.completion import Request

    at = _last(messages)
    before = [f"[{m['role']}]\n{_said(m)}" for m in messages[:at]]
    if tools:
        before.insert(0, f"[tools]\n{ends(tools, params.max_bytes // 4)}")
    material = {
        "conversation": _harmless(ends("\n\n".join(before), params.max_bytes)),
        "answer": _harmless(ends(_said(messages[at]), params.max_bytes)),
    }
    code = rec.hash16("\0".join(material.values()).encode())
    while any(code in text for text in material.values()):
        code = rec.hash16(code.encode())
    filled = material | {"code": code}
    language = "zh" if _chinese(messages, at) else "en"
    # In one pass: what a text holds of {answer} and the like stays as it is.
    turns = tuple(
        (role, re.sub(r"\{(code|conversation|answer)\}", lambda m: filled[m[1]], text))
        for role, text in _turns(language)
    )
    return Request(turns, params.reply_tokens)


def _unasked(row: dict[str, Any]) -> str | None:
    if row["kind"] == "text":
        return "text"
    if _last(row["messages"] or ()) < 0:
        return "no_answer"
    return "personal_data" if row["private"] else None


def _last(messages: Sequence[dict[str, Any]]) -> int:
    """Where the last assistant turn stands that says or calls something, or -1."""
    return max((i for i, m in enumerate(messages) if m["role"] == "assistant" and _said(m)), default=-1)


def _said(message: dict[str, Any]) -> str:
    """Content and tool calls; what a model thought before it spoke is not graded."""
    return "\n".join(part for part in ((message["content"] or "").strip(), message["tool_calls"]) if part)


def _harmless(text: str) -> str:
    return _OPENS.sub(lambda m: f"{m[0]} ", text)


def _chinese(messages: Sequence[dict[str, Any]], at: int) -> bool:
    """Whether the last request or the answer is in Chinese, or in Chinese mixed with another language."""
    from curation.score.language import HAN, identify

    asked = [m["content"] or "" for m in messages[:at] if m["role"] == "user"][-1:]
    for text in (*asked, messages[at]["content"] or ""):
        language = identify(text).language
        if language == "zh" or (language == "mul" and HAN.search(text)):
            return True
    return False


@lru_cache(maxsize=2)
def _turns(language: str) -> tuple[tuple[str, str], ...]:
    """(role, text) of prompts/judge.<language>.txt; a line `[user]` begins a turn."""
    parts = _TURN.split((PROMPTS / f"judge.{language}.txt").read_text(encoding="utf-8"))[1:]
    return tuple((role, text.strip()) for role, text in zip(parts[::2], parts[1::2], strict=True))
