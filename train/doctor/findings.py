"""What a check says: a failure of correctness (training refuses), a piece of advice, or a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["failure", "advice", "note"]


@dataclass(frozen=True)
class Finding:
    """One sentence: what was found, where, and how to mend it; `rows` are the first ids that it speaks of."""

    level: Level
    check: str  # a stable snake_case name; docs/training.md explains each
    said: str
    rows: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()  # checks that could not run because of it


def failure(check: str, said: str, rows: Sequence[str] = (), unreached: Sequence[str] = ()) -> Finding:
    return Finding("failure", check, said, tuple(rows[:5]), tuple(unreached))


def advice(check: str, said: str, rows: Sequence[str] = ()) -> Finding:
    return Finding("advice", check, said, tuple(rows[:5]))


def note(check: str, said: str) -> Finding:
    return Finding("note", check, said)


def first(rows: Sequence[str]) -> str:
    """How a sentence names rows: `3 rows (a, b, c)`, `9 rows (a, b, c, …)`."""
    named = ", ".join(rows[:3]) + (", …" if len(rows) > 3 else "")
    return f"{len(rows)} row{'s' if len(rows) != 1 else ''} ({named})"
