"""Distinct-n of answers (Li et al. 2016, arXiv 1510.03055), by task type and script.

Distinct-n falls as text grows (Liu et al. 2022, arXiv 2202.13587), so every group is measured on equally many n-grams;
and a character is no word, so Chinese answers and others are measured apart.
"""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from curation.health.limits import CLOSED, LIMITS, MIN_ROWS
from curation.health.result import ROWS_SHOWN, Alarm, Measure
from curation.health.units import script, units

SAMPLE = 2000  # n-grams of a group, from its rows in the order of content_hash


def distinct(texts: list[list[str]], n: int) -> float | None:
    """Distinct n-grams ÷ n-grams among the first 2,000 of `texts` (lists of units); None when there are fewer."""
    found: list[tuple[str, ...]] = []
    for text in texts:
        found += [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        if len(found) >= SAMPLE:
            return round(len(set(found[:SAMPLE])) / SAMPLE, 4)
    return None


def measure(frame: pl.DataFrame) -> Measure:
    """`distinct_1` and `distinct_2` by task type and script; null where a group has too little text."""
    rows = frame.filter((pl.col("answer") != "") & ~pl.col("borrowed")).with_columns(
        pl.col("answer").map_elements(script, return_dtype=pl.String).alias("script")
    )
    table, found = [], []
    for (task_type, kind), mine in rows.group_by("task_type", "script"):
        mine = mine.sort("content_hash", "id")
        texts = [units(t) for t in mine["answer"]]
        one = (str(task_type), str(kind), mine.height, distinct(texts, 1), distinct(texts, 2))
        table.append(one)
        value = one[-1]
        if value is None or value >= LIMITS["distinct_2"] or mine.height < MIN_ROWS or task_type in CLOSED:
            continue
        found.append(
            Alarm(
                "distinct",
                one[0],
                value,
                LIMITS["distinct_2"],
                f"In answers that are {'' if kind == 'zh' else 'not '}in Chinese only {value:.0%} of pairs of neighbouring "
                f"{'characters' if kind == 'zh' else 'words'} are new: the same phrases come again and again.",
                "Look for boilerplate in the rows named.",
                _worst(mine, texts),
            )
        )
    schema = {
        "task_type": pl.String, "script": pl.String, "rows": pl.Int64, "distinct_1": pl.Float64, "distinct_2": pl.Float64,
    }  # fmt: skip
    return Measure(
        "distinct",
        pl.DataFrame(table, schema=schema, orient="row").sort("task_type", "script"),
        tuple(sorted(found, key=lambda a: (a.task_type, a.sentence))),
        f"of {SAMPLE:,} n-grams a group, Chinese characters or words; — where it has fewer",
    )


def _worst(mine: pl.DataFrame, texts: list[list[str]]) -> tuple[str, ...]:
    """Rows whose pairs of units stand in most other rows."""
    pairs = [set(pairwise(t)) for t in texts]
    counts: dict[tuple[str, str], int] = {}
    for own in pairs:
        for pair in own:
            counts[pair] = counts.get(pair, 0) + 1
    common = [sum(counts[p] - 1 for p in own) / len(own) if own else 0.0 for own in pairs]
    order = sorted(range(len(common)), key=lambda i: (-round(common[i], 9), mine["id"][i]))
    return tuple(mine["id"][i] for i in order[:ROWS_SHOWN])
