"""In which third of a long prompt the information stands that the answer uses (start, middle, end).

A model that finds it always at one end learns to read there only (Lost in the Middle, arXiv 2307.03172).
"""

from __future__ import annotations

import math
from collections import Counter

import polars as pl

from curation.clean.prose import units as length
from curation.health.limits import LIMITS, MIN_ROWS
from curation.health.result import ROWS_SHOWN, Alarm, Measure
from curation.health.units import content, spans

MIN_UNITS = 100  # Chinese characters and half words; shorter prompts have no middle worth the name
THIRDS = ("start", "middle", "end")


def thirds(prompt: str, answer: str, seen: Counter[str], prompts: int) -> dict[str, float]:
    """Weight of what the answer takes up, by third. A unit weighs ln(1 + prompts / prompts that have it), once a place.

    `seen`: prompts of the corpus by unit of content. Empty when prompt and answer share nothing.
    """
    shared = content(prompt) & content(answer)
    found = dict.fromkeys(THIRDS, 0.0)
    cuts = [0, *(_unit_at(prompt, len(prompt) * n // 3) for n in (1, 2)), len(prompt)]
    for number in range(3):
        there = content(prompt[cuts[number] : cuts[number + 1]]) & shared
        found[THIRDS[number]] = sum(math.log(1 + prompts / max(1, seen[u])) for u in sorted(there))
    return found if any(found.values()) else {}


def _unit_at(text: str, offset: int) -> int:
    """Where the first unit from `offset` on begins, so that no word is cut in two."""
    return next((start for _, start in spans(text) if start >= offset), len(text))


def measure(frame: pl.DataFrame) -> Measure:
    """Share of long prompts whose answer draws most on each third; `no_overlap`: rows where it draws on none."""
    long = frame.with_columns(
        pl.col("users").list.first().fill_null("").alias("first_prompt"),
        pl.col("answers").list.first().fill_null("").alias("first_answer"),
    )
    long = long.filter(length("first_prompt") >= MIN_UNITS)
    seen: Counter[str] = Counter()
    for prompt in long["first_prompt"]:
        seen.update(content(prompt))
    where, certain = [], []
    for prompt, answer in long.select("first_prompt", "first_answer").iter_rows():
        weights = thirds(prompt, answer, seen, long.height)
        best = max(THIRDS, key=lambda t: weights[t]) if weights else None
        where.append(best)
        certain.append(round(weights[best] / sum(weights.values()), 4) if best else 0.0)
    long = long.with_columns(
        pl.Series("where", where, dtype=pl.String), pl.Series("certain", certain, dtype=pl.Float64)
    )
    table = (
        long.group_by("task_type")
        .agg(
            pl.len().alias("long_prompts"),
            *((pl.col("where") == third).mean().round(4).fill_null(0.0).alias(third) for third in THIRDS),
            pl.col("where").is_null().sum().alias("no_overlap"),
        )
        .sort("task_type")
    )
    found = []
    for row in table.iter_rows(named=True):
        third = max(THIRDS, key=lambda t: row[t] or 0)
        judged = row["long_prompts"] - row["no_overlap"]
        if judged < MIN_ROWS or row[third] < LIMITS["key_information"]:
            continue
        mine = long.filter((pl.col("task_type") == row["task_type"]) & (pl.col("where") == third))
        found.append(
            Alarm(
                "key_information",
                row["task_type"],
                row[third],
                LIMITS["key_information"],
                f"In {row[third]:.0%} of {judged} long prompts the answer draws mostly on the {third} of the prompt.",
                "Move the deciding passage elsewhere in some of them, with other material around it.",
                tuple(mine.sort("certain", "id", descending=[True, False])["id"].head(ROWS_SHOWN)),
            )
        )
    return Measure(
        "key_information",
        table,
        tuple(found),
        f"first prompts of {MIN_UNITS} Chinese characters, or half as many words, and more",
    )
