"""Repetition inside an answer: the share of it that says again what it said before."""

from __future__ import annotations

import re

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides
from curation.score.quality_words import UNIT


class RepetitionParams(Params):
    """`params.yaml: score.repetition`. Units are Chinese characters and words of other scripts."""

    ngram: int = Field(6, ge=2)


def duplicate_share(text: str, n: int) -> float:
    """Share of units that lie in an n-gram seen earlier in the text (Gopher, Rae et al. 2021, table A1, by units)."""
    units = UNIT.findall(text.lower())
    if len(units) <= n:
        return 0.0
    seen: set[tuple[str, ...]] = set()
    covered = [False] * len(units)
    for i in range(len(units) - n + 1):
        gram = tuple(units[i : i + n])
        if gram in seen:
            covered[i : i + n] = [True] * n
        seen.add(gram)
    return round(sum(covered) / len(units), 4)


def longest_run(text: str, longest_period: int = 40) -> int:
    """Characters in the longest stretch that repeats one piece of up to `longest_period` characters at least 3 times."""
    best = 0
    for match in re.finditer(rf"(.{{1,{longest_period}}}?)\1{{2,}}", text, re.DOTALL):
        if match.group(1).strip(" \t\n-=_*#.|+~"):  # rules, table borders and blanks repeat by nature
            best = max(best, match.end() - match.start())
    return best


def compute(
    records: pl.DataFrame,
    params: RepetitionParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`duplicate_share` (0…1) and `longest_run` (characters) of the longest-repeating assistant turn, or of the text."""
    from curation.score import distinct

    rows = sides(distinct(records)).select("content_hash", "answer", "kind", "messages")
    found = []
    for content_hash, answer, kind, messages in rows.iter_rows():
        turns = [answer] if kind == "text" else [m["content"] or "" for m in messages if m["role"] == "assistant"]
        shares = [duplicate_share(t, params.ngram) for t in turns] or [0.0]
        runs = [longest_run(t) for t in turns] or [0]
        found.append((content_hash, max(shares), max(runs)))
    schema = {"content_hash": pl.String, "duplicate_share": pl.Float64, "longest_run": pl.Int64}
    return pl.DataFrame(found, orient="row", schema=schema).with_columns(
        pl.lit(None, pl.String).alias("not_applicable")
    )
