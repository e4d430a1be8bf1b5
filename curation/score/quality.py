"""One number for how good an answer is, given its prompt: 1 less what cheap heuristics find wrong with it, 0 at worst.

    quality = product over heuristics h of (1 - WEIGHTS[h] * fault_h),        fault_h in [0, 1]

A product, so that one bad fault outweighs any number of virtues, and none hides another. Faults of an assistant turn, judged
against the user turn before it; a conversation has the quality of its worst turn. A unit is a Chinese character or half a word.
docs/quality.md says when each fault is 1 and who measures it so.

Rows tagged `robustness:*` have bad prompts on purpose: what would blame the prompt (a demand for length, copied, apart, script,
surprise) is left out. What code may do (end anywhere, hold brackets and signs, repeat) is not held against code.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable

import polars as pl

from curation.score.codelike import is_code
from curation.score.quality_words import (
    BLANK,
    BLANK_ASKED,
    BOILERPLATE,
    BRACKETS,
    BRIEF,
    BROKEN,
    CODE,
    ENDED,
    GIVEN,
    HALF_WIDTH,
    HAN_ONE,
    LIST_LINE,
    LONG_FORM,
    MARKUP,
    MARKUP_ASKED,
    NUMBERED,
    PLAIN,
    PROSE,
    STOP,
    TOKENS,
    TONGUES,
    UNIT,
    VERSE,
)
from curation.score.repetition import duplicate_share, longest_run

WEIGHTS = {
    "empty": 1.0,
    "short": 0.6,
    "long": 0.4,
    "repetition": 0.8,
    "poor": 0.5,
    "unended": 0.4,
    "debris": 0.7,
    "balance": 0.3,
    "copied": 0.7,
    "apart": 0.3,
    "script": 0.7,
    "boilerplate": 0.6,
    "surprise": 0.4,
}
NGRAM = 6
_SPREAD, _MIN_ROWS, _MIN_TOKENS = 0.2, 20, 24  # as in clean/outliers.py


def faults(
    prompt: str, answer: str, *, code: bool = False, noisy: bool = False, safety: bool = False, text: bool = False
) -> dict[str, float]:
    """Fault by heuristic, 0…1, those of 0 left out. `code`: the task is code; `text`: a text for replay, with no prompt.

    `noisy`: the prompt is bad on purpose; `safety`: a refusal may be the right answer.
    """
    prose = CODE.sub(" ", answer).strip()
    units = UNIT.findall(prose.lower())
    han = len(HAN_ONE.findall(prose))
    size = han + 2 * (len(units) - han)
    if not answer.strip(" \t\r\n….—–_*#|>-\u200b\u3000"):
        return {"empty": 1.0}
    markup_asked = bool(MARKUP_ASKED.search(prompt))
    code = code or is_code(answer if markup_asked else MARKUP.sub(" ", answer))
    shown = code or "```" in answer or "~~~" in answer
    zh = 2 * han > size
    found = {
        "repetition": _repetition(answer, zh, shown),
        "poor": 0.0 if shown else _poor(units),
        "debris": _debris(prose, markup_asked, code),
    }
    if not text:
        found |= {
            "short": 0.0 if noisy or safety or shown or "`" in answer else _short(prompt, size),
            "long": min(1.0, max(0.0, math.log2(max(size, 1) / 2000))),
            "unended": float(not shown and size >= 24 and not VERSE.search(prompt) and _unended(prose, noisy)),
            "balance": _balance(answer, prose, code),
            "boilerplate": _boilerplate(prompt, prose, size, safety),
        }
    if not (text or noisy):
        asked = UNIT.findall(prompt.lower())
        whole = len(units) >= 6 and units[: len(asked)] == asked and len(units) <= 1.25 * len(asked)
        free = code or bool(TONGUES.search(prompt))
        found |= {
            "copied": 1.0 if whole else 0.0 if code or GIVEN.search(prompt) else _copied(asked, units),
            "apart": 0.0 if free or size < 24 or zh != _mostly_han(asked) else _apart(asked, units),
            "script": float(not free and size >= 16 and _other_script(asked, han, size)),
        }
    return {name: round(value, 4) for name, value in found.items() if value > 0}


def _short(prompt: str, size: int) -> float:
    wanted = 1
    if LONG_FORM.search(prompt):
        wanted = 120
    elif PROSE.search(prompt) and not BRIEF.search(prompt):
        wanted = 24
    return max(0.0, 1 - math.log1p(max(1, size)) / math.log1p(wanted))


def _repetition(answer: str, zh: bool, code: bool) -> float:
    share = duplicate_share(answer, NGRAM) / (0.5 if zh or code else 0.35)
    return min(1.0, max(share if share > 0.3 else 0.0, (longest_run(answer) - 20) / (40 if zh else 100)))


def _poor(units: list[str]) -> float:
    if len(units) < 30:
        return 0.0
    cuts = [units[i : i + 100] for i in range(0, max(1, len(units) - 50), 100)]
    distinct = min(len(set(cut)) / len(cut) for cut in cuts)
    return min(1.0, max(0.0, (0.45 - distinct) / 0.25))


def _unended(prose: str, noisy: bool) -> bool:
    lines = [line.strip() for line in prose.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    if not last or ENDED.search(last):
        return False
    return bool(re.search(r"[,，、:：(（]$", last)) or not (
        noisy or LIST_LINE.match(last) or len(UNIT.findall(last)) < 6
    )


def _debris(prose: str, markup_asked: bool, code: bool) -> float:
    broken = len(BROKEN.findall(prose)) / 2
    marks = 0.0 if markup_asked else len(MARKUP.findall(prose)) / 2
    tokens = 0 if markup_asked else len(TOKENS.findall(prose))
    odd = 1 - len(PLAIN.findall(prose)) / len(prose) if prose and not code else 0.0
    return min(1.0, broken + marks + tokens + max(0.0, odd - 0.04) / 0.16)


def _balance(answer: str, prose: str, code: bool) -> float:
    wrong = len(re.findall(r"^[ \t]*```", answer, re.MULTILINE)) % 2
    if not code:
        wrong += sum(prose.count(a) > prose.count(b) for a, b in BRACKETS) + prose.count("**") % 2
        numbers = [int(n) for n in NUMBERED.findall(prose)]
        wrong += sum(b - a > 1 for a, b in itertools.pairwise(numbers))
        wrong += min(2, len(HALF_WIDTH.findall(prose)))
    return min(1.0, wrong / 2)


def _boilerplate(prompt: str, prose: str, size: int, safety: bool) -> float:
    stock = not safety and BOILERPLATE.search(prose[:400]) and not BOILERPLATE.search(prompt)
    blank = BLANK.search(prose) and not BLANK_ASKED.search(prompt)
    return min(1.0, bool(stock) * (1.0 if size <= 120 else 0.8) + 0.8 * bool(blank))


def _copied(asked: list[str], units: list[str]) -> float:
    n = 4
    if len(units) < n + 2:
        return 0.0
    there = {tuple(asked[i : i + n]) for i in range(len(asked) - n + 1)}
    runs = [tuple(units[i : i + n]) in there for i in range(len(units) - n + 1)]
    return max(0.0, 2 * sum(runs) / len(runs) - 1)


def _apart(asked: list[str], units: list[str]) -> float:
    words = {u for u in asked if u not in STOP and (len(u) > 2 or HAN_ONE.match(u))}
    if len(words) < 2:
        return 0.0
    said = set(units) | {u[:4] for u in units}  # stems: cooking, cooked
    return float(not any(w in said or w[:4] in said for w in words))


def _mostly_han(units: list[str]) -> bool:
    return 3 * sum(bool(HAN_ONE.match(u)) for u in units) > len(units)


def _other_script(asked: list[str], han: int, size: int) -> bool:
    theirs = sum(bool(HAN_ONE.match(u)) for u in asked)
    if len(asked) < 4:
        return False
    return (theirs > 0.8 * len(asked) and han < 0.1 * size) or (theirs == 0 and han > 0.5 * size)


def surprise(z: float) -> float:
    """Fault of an nll that lies z robust deviations (median, 1.4826 × MAD) from its group's median."""
    return min(1.0, (z / 6) ** 2)


def combined(found: dict[str, float]) -> float:
    """The score of these faults: ∏ (1 - weight × fault), 4 decimals."""
    return round(math.prod(1 - WEIGHTS[name] * value for name, value in found.items()), 4)


def quality(records: pl.DataFrame, perplexity: pl.DataFrame | None = None) -> pl.DataFrame:
    """`content_hash`, `quality` (0…1) and `faults` (a struct with a number for each of WEIGHTS), one row a content hash, sorted.

    `perplexity`: sidecar of these rows; without it, or where it has no value, surprise is no fault. No model is loaded. Its groups
    are language and kind, of 20 rows or more.
    """
    rows = records.sort("content_hash", "id").unique("content_hash", keep="first", maintain_order=True)
    rows = rows.with_columns(_z(rows, perplexity))
    columns = ["content_hash", "kind", "messages", "text", "tags", "_z", "task_type", "bucket"]
    given = [c if c in rows.columns else pl.lit(None, pl.String).alias(c) for c in columns]
    found = []
    for content_hash, kind, messages, text, tags, z, task, bucket in rows.select(given).iter_rows():
        noisy = any(t.startswith("robustness:") for t in tags or ())
        safety = task == "safety" or bucket == "safety" or any(t.startswith("safety:") for t in tags or ())
        if kind == "text":
            turns = [faults("", text or "", text=True)]
        else:
            code = task == "code"
            turns = [faults(p, a, code=code, noisy=noisy, safety=safety) for p, a in _turns(messages or ())]
        worst = min(turns, key=combined, default={})
        if z is not None and not noisy and surprise(z):
            worst = worst | {"surprise": round(surprise(z), 4)}
        found.append((content_hash, combined(worst), {name: worst.get(name, 0.0) for name in WEIGHTS}))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "content_hash": pl.String,
        "quality": pl.Float64,
        "faults": pl.Struct(dict.fromkeys(WEIGHTS, pl.Float64)),
    }
    return pl.DataFrame(found, schema=schema, orient="row")


def _turns(messages: Iterable[dict[str, str | None]]) -> Iterable[tuple[str, str]]:
    """(request before it, words) of each assistant turn; turns that only call a tool are none."""
    asked = ""
    for turn in messages:
        if turn["role"] == "user":
            asked = turn["content"] or ""
        elif turn["role"] == "assistant" and not turn["tool_calls"]:
            yield asked, turn["content"] or ""


def _z(rows: pl.DataFrame, perplexity: pl.DataFrame | None) -> pl.Series:
    """Robust deviations of each row's nll from the median of its language and kind; null where it cannot be told."""
    if perplexity is None:
        return pl.Series("_z", [None] * rows.height, dtype=pl.Float64)
    group = ["language", "kind"]
    nll = pl.when(pl.col("scored_tokens") >= _MIN_TOKENS).then(pl.col("nll"))
    sidecar = perplexity.select("content_hash", nll.alias("_nll"))
    frame = rows.select("content_hash", *group).join(
        sidecar, on="content_hash", how="left", maintain_order="left", validate="1:1"
    )
    apart = pl.col("_nll") - pl.col("_nll").median().over(group)
    spread = pl.max_horizontal(1.4826 * apart.abs().median().over(group), pl.lit(_SPREAD))
    enough = pl.col("_nll").count().over(group) >= _MIN_ROWS
    return frame.select(pl.when(enough).then((apart / spread).round(3)).alias("_z"))["_z"]
