"""What training, evaluation and merging wrote: loss curves, scores of the trained model beside its base, and of a merged one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.report import curve
from curation.report.run import Run

Points = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Curves:
    """(step, value) points; losses in nats a token."""

    loss: Points
    tasks: Mapping[str, Points]
    heldout: Points
    grad_norm: Points
    findings: tuple[curve.Finding, ...] = ()  # the curves in sentences

    @property
    def best(self) -> tuple[int, float] | None:
        """The step whose adapter was kept: the first with the lowest held-out loss."""
        return min(self.heldout, key=lambda p: (p[1], p[0]), default=None)


def curves(run: Run) -> Curves | None:
    """None before `train` has run."""
    if run.history is None or not run.history.height:
        return None

    def points(name: str) -> Points:
        return tuple(run.history.filter(pl.col("name") == name).sort("step").select("step", "value").iter_rows())  # type: ignore[union-attr]

    prefix = "train/task/"
    tasks = sorted({n for n in run.history["name"] if n.startswith(prefix)})
    return Curves(
        points("train/loss"),
        {n.removeprefix(prefix): points(n) for n in tasks},
        points("heldout/nll"),
        points("train/grad_norm"),
        tuple(curve.history(run.history, run.consumed)),
    )


@dataclass(frozen=True)
class Score:
    """One comparison on held-out rows. `difference`: trained minus base in nats a token, negative is better."""

    name: str
    rows: int
    tokens: int
    base: float | None
    trained: float | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: str


def heldout(run: Run) -> Score | None:
    """All held-out rows; None before `evaluate` has run."""
    return _score("all", run.scores["heldout"]) if run.scores else None


def by_task(run: Run) -> list[Score]:
    """Most tokens first."""
    found = [_score(name, said) for name, said in (run.scores_by_task or {}).items()]
    return sorted(found, key=lambda s: (-s.tokens, s.name))


def _score(name: str, said: Mapping[str, Any]) -> Score:
    return Score(
        name,
        said["rows"],
        said["tokens"],
        said["nll_base"],
        said["nll_trained"],
        said["difference"],
        said["low"],
        said["high"],
        said["verdict"],
    )


@dataclass(frozen=True)
class Task:
    """One benchmark task: shares of the items that are right."""

    name: str
    items: int
    base: float | None
    trained: float | None


def benchmark(run: Run) -> tuple[Task, ...]:
    """The whole first (its name is `all`), then each task."""
    if not run.scores:
        return ()
    said = run.scores["benchmark"]
    tasks = [(name, t) for name, t in sorted(said.items()) if isinstance(t, Mapping)]
    return tuple(Task(name, t["items"], t["base"], t["trained"]) for name, t in [("all", said), *tasks])


def cases(run: Run, most: int) -> dict[str, list[Mapping[str, Any]]]:
    """Items on which the models differ, then the others: `won`, `lost`, `both`, `neither`, up to `most` each."""
    found: dict[str, list[Mapping[str, Any]]] = {"won": [], "lost": [], "both": [], "neither": []}
    for case in run.cases:
        base, trained = bool(case["base_correct"]), bool(case["trained_correct"])
        found["both" if base and trained else "won" if trained else "lost" if base else "neither"].append(case)
    return {fate: sorted(listed, key=lambda c: (c["task"], c["key"]))[:most] for fate, listed in found.items()}


def fates(run: Run) -> dict[str, int]:
    """How many items each fate of `cases` has."""
    return {fate: len(listed) for fate, listed in cases(run, len(run.cases)).items()}


@dataclass(frozen=True)
class Merging:
    """A merged adapter beside its parents. `models`: base, parent_1, parent_2, …, merged, in this order."""

    name: str
    method: str
    norm_kept: float  # of the wanted change, by its squared norm; below 1 the rank was too small for all of it
    models: tuple[str, ...]
    parents: Mapping[str, Mapping[str, Any]]  # name, weight, heldout_read: rows of the exam that it learned, if known
    minus: Mapping[str, Mapping[str, Any]]  # merged minus a parent: difference, low, high, verdict
    losses: tuple[tuple[str, int, Mapping[str, float | None]], ...]  # group, rows, nats a token by model; `all` first
    benchmark: tuple[tuple[str, int, Mapping[str, float | None]], ...]  # task, items, share right by model; `all` first

    def called(self, model: str) -> str:
        """A parent's own name; `base` and `merged` as they are."""
        return str(self.parents[model]["name"]) if model in self.parents else model


def merges(run: Run) -> list[Merging]:
    """The merged adapters of a run, by name."""
    return [merge(name, *scores) for name, scores in sorted(run.merges.items())]


def merge(name: str, overall: Mapping[str, Any], by_task: Mapping[str, Any] | None) -> Merging:
    """From an adapter's overall scores and those by task type, as `pipelines.merge` writes them."""
    models, groups, tasks = overall["models"], by_task or {}, overall["benchmark"]
    whole = sum(said["rows"] for said in groups.values()), sum(said["items"] for said in tasks.values())
    return Merging(
        name,
        overall["method"],
        overall["norm_kept"],
        ("base", *overall["adapters"], "merged"),
        overall["adapters"],
        overall["merged_minus"],
        (
            ("all", whole[0], {who: said["nll"] for who, said in models.items()}),
            *sorted(((n, g["rows"], g) for n, g in groups.items()), key=lambda g: (-g[2]["tokens"], g[0])),
        ),
        (
            ("all", whole[1], {who: said["benchmark"] for who, said in models.items()}),
            *((name, said["items"], said) for name, said in sorted(tasks.items())),
        ),
    )
