"""What came of the attempts to make rows, by recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from curation.report.makeup import count
from curation.report.rows import Hide, exchanged
from curation.report.run import Run


@dataclass(frozen=True)
class Example:
    """One attempt: `fate` as in Recipe.fates; `id` of the row that it made, or of the attempt."""

    id: str
    fate: str
    detail: str
    parents: tuple[str, ...]
    turns: list[list[str]]


@dataclass(frozen=True)
class Recipe:
    """Attempts of one recipe by what became of them: a reason for rejection, a rule of clean, or kept."""

    recipe: str
    attempts: int
    fates: Mapping[str, int]
    examples: tuple[Example, ...]


def recipes(
    run: Run, said: Mapping[str, Mapping[str, list[list[str]]]], hide: Hide, examples: int
) -> list[Recipe] | None:
    """By name; None before `synthesize` has run. `said`: id → the repaired row's `turns`; one example a fate, commonest first."""
    if run.attempts is None:
        return None
    fates = _fates(run)
    found = []
    for recipe in sorted(set(run.attempts["recipe"])):
        mine = fates.filter(pl.col("recipe") == recipe).sort("attempt")
        counts = count(mine["end"])
        chosen = [mine.filter(pl.col("end") == end).to_dicts()[0] for end in list(counts)[:examples]]
        shown = [
            Example(
                row["record"] or row["attempt"],
                row["end"],
                row["detail"] or "",
                (row["parent"],),
                said[row["record"]]["turns"] if row["record"] in said else exchanged(row["exchanges"], hide),
            )
            for row in chosen
        ]
        found.append(Recipe(recipe, mine.height, counts, tuple(shown)))
    return found


def _fates(run: Run) -> pl.DataFrame:
    """Attempts with `end`: where each stands after clean has judged what it made."""
    attempts = run.attempts
    assert attempts is not None
    dropped = run.generated.dropped
    rules = dict(dropped.select("id", "rule").iter_rows()) if dropped is not None else {}
    rule = (
        pl.col("record").replace_strict(rules, default=None, return_dtype=pl.String)
        if rules
        else pl.lit(None, pl.String)
    )
    end = (
        pl.when(pl.col("fate") != "kept")
        .then(pl.coalesce("reason", "fate"))
        .otherwise(pl.coalesce(rule, pl.lit("kept")))
    )
    return attempts.with_columns(end.alias("end"))
