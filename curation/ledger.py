"""Where rows went: the schemas of dropped, edited and quarantined rows, and the balance that every stage must keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

QUARANTINE: dict[str, Any] = {
    "id": pl.String,
    "source": pl.String,
    "file": pl.String,
    "line": pl.Int64,  # 1-based line where the record begins
    "reason": pl.String,  # stable snake_case
    "detail": pl.String,  # what was found, what is accepted
    "raw": pl.String,  # the record's text as it stood in the file
}
EDITS: dict[str, Any] = {
    "id": pl.String,
    "step": pl.Int64,  # 0, 1, … in the order applied to this record
    "rule": pl.String,
    "count": pl.Int64,  # how many places changed
    "hash_before": pl.String,
    "hash_after": pl.String,
    "detail": pl.String,  # never holds the value that was hidden
}
DROPPED: dict[str, Any] = {
    "id": pl.String,
    "stage": pl.String,
    "rule": pl.String,  # the first rule, in the order of the RULES table, that hit
    "value": pl.Float64,
    "limit": pl.Float64,
    "duplicate_of": pl.String,
    "detail": pl.String,
    "also": pl.List(pl.String),  # the other rules that would have dropped it
}


@dataclass(frozen=True)
class Break:
    """The first place where rows in and rows out disagree."""

    stage: str
    problem: str
    ids: tuple[str, ...]

    def sentence(self) -> str:
        shown = ", ".join(self.ids[:5]) + (f" and {len(self.ids) - 5} more" if len(self.ids) > 5 else "")
        return f"{self.stage}: {self.problem}: {shown}"


def balance(stage: str, came: Mapping[str, Iterable[str]], went: Mapping[str, Iterable[str]]) -> Break | None:
    """None when the ids in `came` (by name of the place) are exactly those in `went`, each once on each side."""
    arrived, left = _where(came), _where(went)
    for places, side in ((arrived, "came in"), (left, "went out")):
        twice = sorted(i for i, names in places.items() if len(names) > 1)
        if twice:
            return Break(stage, f"{side} more than once ({' and '.join(sorted(set(places[twice[0]])))})", tuple(twice))
    lost = sorted(arrived.keys() - left.keys())
    if lost:
        return Break(stage, f"in {arrived[lost[0]][0]}, but in none of {', '.join(went)}", tuple(lost))
    new = sorted(left.keys() - arrived.keys())
    if new:
        return Break(stage, f"in {left[new[0]][0]}, but in none of {', '.join(came)}", tuple(new))
    return None


def _where(places: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, ids in places.items():
        for i in ids:
            found.setdefault(i, []).append(name)
    return found


def chain(stage: str, before: Mapping[str, str], after: Mapping[str, str], edits: pl.DataFrame) -> Break | None:
    """None when, for each id, the edits lead without a gap from the hash in `before` to that in `after`."""
    steps: dict[str, list[tuple[int, str, str]]] = {}
    for i, step, old, new in edits.select("id", "step", "hash_before", "hash_after").iter_rows():
        steps.setdefault(i, []).append((step, old, new))
    stray = sorted(steps.keys() - before.keys())
    if stray:
        return Break(stage, "edited, but not among the rows that came in", tuple(stray))
    broken = []
    for i, start in before.items():
        current = start
        for number, (step, old, new) in enumerate(sorted(steps.get(i, []))):
            if step != number or old != current:
                current = ""
                break
            current = new
        if current != after.get(i):
            broken.append(i)
    return Break(stage, "changed without an entry in edits", tuple(sorted(broken))) if broken else None


def tally(dropped: pl.DataFrame) -> dict[str, int]:
    """Dropped rows by rule, most first."""
    return dict(Counter(dropped["rule"].to_list()).most_common())
