"""What the stages left behind, as frames; None stands for a file that its stage has not made yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Corpus:
    """The files of one corpus. `came`, `repaired`, `kept` are of records.SCHEMA and more; a light reading holds fewer columns."""

    name: str  # raw or generated
    came: pl.DataFrame | None = None
    quarantine: pl.DataFrame | None = None
    repaired: pl.DataFrame | None = None
    edits: pl.DataFrame | None = None
    signals: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    labels: pl.DataFrame | None = None
    kept: pl.DataFrame | None = None
    dropped: pl.DataFrame | None = None


@dataclass(frozen=True)
class Check:
    """What `curation audit` found for one stage; `problem` is None when its sums add up."""

    stage: str
    said: str
    problem: str | None


@dataclass(frozen=True)
class Run:
    """One run of the whole flow, as far as it went."""

    raw: Corpus
    generated: Corpus
    attempts: pl.DataFrame | None = None
    train: pl.DataFrame | None = None
    heldout: pl.DataFrame | None = None
    unused: pl.DataFrame | None = None
    manifest: Mapping[str, Any] | None = None
    consumed: pl.DataFrame | None = None
    history: pl.DataFrame | None = None  # step, name, value
    scores: Mapping[str, Any] | None = None
    scores_by_task: Mapping[str, Any] | None = None
    cases: tuple[Mapping[str, Any], ...] = ()
    gate: Mapping[str, Any] | None = None
    merges: Mapping[str, tuple[Any, Any]] = field(
        default_factory=dict
    )  # merged adapter → its scores overall, by task type
    interval: float = 0.95  # of the intervals in the scores
    truth: pl.DataFrame | None = None
    audit: tuple[Check, ...] = ()
    off: tuple[str, ...] = ()  # signals that score.off left out, of either corpus

    @property
    def corpora(self) -> tuple[Corpus, Corpus]:
        return self.raw, self.generated
