"""The sums of a run: what came in, what left at each stage, what was asked of the mixture and what it became."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation import ledger
from curation.report.run import Corpus, Run

UNITS = ("rows", "tokens", "loss_tokens")


@dataclass(frozen=True)
class Step:
    """One stage's sum: parts that came in, parts that went out, each by a key of the dictionary; whether the ids agree."""

    stage: str
    came: tuple[tuple[str, int], ...]
    went: tuple[tuple[str, int], ...]
    balanced: bool
    problem: str | None = None
    notes: tuple[tuple[str, int], ...] = ()  # counts beside the sum, such as rows edited

    @property
    def total(self) -> int:
        return sum(n for _, n in self.came)


def funnel(run: Run) -> list[Step]:
    """The steps whose files are there, in the order of the flow; sums are checked id by id."""
    steps = [_ingest(run.raw), *_corpus(run.raw), _synthesize(run), *_corpus(run.generated), _mix(run), _train(run)]
    return [step for step in steps if step]


def _step(
    stage: str,
    came: Mapping[str, Iterable[str]],
    went: Mapping[str, Iterable[str]],
    notes: Iterable[tuple[str, int]] = (),
) -> Step:
    arrived, left = {k: list(v) for k, v in came.items()}, {k: list(v) for k, v in went.items()}
    broken = ledger.balance(stage, arrived, left)
    return Step(
        stage,
        tuple((k, len(v)) for k, v in arrived.items()),
        tuple((k, len(v)) for k, v in left.items()),
        broken is None,
        broken.sentence() if broken else None,
        tuple(notes),
    )


def _ingest(raw: Corpus) -> Step | None:
    if raw.came is None or raw.quarantine is None:
        return None
    good, bad = raw.came["id"].to_list(), raw.quarantine["id"].to_list()
    notes = [("sources", raw.came["source"].n_unique())]
    return _step("ingest", {"source_rows": good + bad}, {"records": good, "quarantined": bad}, notes)


def _corpus(corpus: Corpus) -> Iterable[Step | None]:
    at = f"@{corpus.name}"
    before, repaired = corpus.came, corpus.repaired
    if before is not None and repaired is not None and corpus.edits is not None:
        edited = set(corpus.edits["id"])
        ids = repaired["id"].to_list()
        went = {"edited": [i for i in ids if i in edited], "unchanged": [i for i in ids if i not in edited]}
        yield _step(f"repair{at}", {"records": before["id"]}, went, [("edits", corpus.edits.height)])
    if repaired is not None and corpus.labels is not None:
        notes = [("task_types", corpus.labels["task_type"].n_unique())]
        yield _step(f"label{at}", {"records": repaired["id"]}, {"labelled": corpus.labels["id"]}, notes)
    if repaired is not None and corpus.kept is not None and corpus.dropped is not None:
        notes = [("rules_hit", corpus.dropped["rule"].n_unique())]
        went = {"kept": corpus.kept["id"].to_list(), "dropped": corpus.dropped["id"].to_list()}
        yield _step(f"clean{at}", {"records": repaired["id"]}, went, notes)


def _synthesize(run: Run) -> Step | None:
    attempts, made = run.attempts, run.generated.came
    if attempts is None or made is None:
        return None
    named = attempts.with_columns(pl.coalesce("record", "attempt").alias("name"))
    rejected = named.filter(pl.col("fate") != "kept")["name"].to_list()
    notes = [("recipes", attempts["recipe"].n_unique())]
    return _step(
        "synthesize", {"attempts": named["name"]}, {"records": made["id"].to_list(), "rejected": rejected}, notes
    )


def _mix(run: Run) -> Step | None:
    if run.train is None or run.heldout is None or run.unused is None or run.raw.kept is None:
        return None
    came = {"kept_raw": run.raw.kept["id"].to_list()}
    if run.generated.kept is not None:
        came["kept_generated"] = run.generated.kept["id"].to_list()
    went = {
        "train": run.train.filter(pl.col("repeat") == 0)["id"],
        "heldout": run.heldout["id"],
        "unused": run.unused["id"],
    }
    repeats = run.train.filter(pl.col("repeat") > 0).height
    notes = [("tokens", total(run.train)["tokens"]), ("loss_tokens", total(run.train)["loss_tokens"])]
    return _step("mix", came, went, [*notes, ("repeats", repeats)] if repeats else notes)


def _train(run: Run) -> Step | None:
    if run.train is None or run.consumed is None:
        return None
    due = [f"{i}\x1f{r}" for i, r in run.train.select("id", "repeat").iter_rows()]
    read = [f"{i}\x1f{r}" for i, r in run.consumed.select("id", "repeat").unique(maintain_order=True).iter_rows()]
    notes = [
        ("steps", int(run.consumed["step"].max() or 0)),  # type: ignore[arg-type]
        ("tokens", int(run.consumed["tokens"].sum())),
        ("loss_tokens", int(run.consumed["label_tokens"].sum())),
    ]
    seen = set(read)
    return _step("train", {"train": due}, {"consumed": read, "unreached": [d for d in due if d not in seen]}, notes)


def total(rows: pl.DataFrame) -> dict[str, int]:
    """Rows, tokens and loss tokens, counted from the rows."""
    return {"rows": rows.height, "tokens": int(rows["tokens"].sum()), "loss_tokens": int(rows["loss_tokens"].sum())}


def drops(run: Run) -> list[tuple[str, dict[str, int]]]:
    """(rule, rows dropped by corpus), most first, then by name."""
    found: dict[str, dict[str, int]] = {}
    for corpus in run.corpora:
        for rule, n in ledger.tally(corpus.dropped).items() if corpus.dropped is not None else ():
            found.setdefault(rule, {})[corpus.name] = n
    return sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))


@dataclass(frozen=True)
class Share:
    """One bucket of the mixture, or part where `mix.parts` names some. Shares are of the whole, 0…1; amounts by unit."""

    bucket: str
    target: float | None
    achieved: dict[str, int]
    share: dict[str, float]


@dataclass(frozen=True)
class Mixture:
    """Asked and achieved; achieved is counted from train.parquet, asked stands in the manifest."""

    unit: str
    plan_hash: str | None
    buckets: tuple[Share, ...]
    whole: dict[str, int]
    heldout: dict[str, int]
    unused: tuple[tuple[str, dict[str, int]], ...]  # by reason
    made_of: dict[str, tuple[tuple[str, dict[str, int]], ...]]  # by column, then by value


def mixture(run: Run) -> Mixture | None:
    """None before `mix` has run."""
    if run.train is None:
        return None
    asked: Mapping[str, Any] = (run.manifest or {}).get("mixture", {})
    # Targets are by part; a part is a bucket unless `mix.parts` makes others.
    whole, by_part = total(run.train), amounts(run.train, "part" if "part" in run.train.columns else "bucket")
    buckets = []
    for bucket in [*asked, *sorted(set(by_part) - set(asked))]:
        achieved = by_part.get(bucket, dict.fromkeys(UNITS, 0))
        share = {u: achieved[u] / whole[u] if whole[u] else 0.0 for u in UNITS}
        buckets.append(Share(bucket, asked.get(bucket, {}).get("target_share"), achieved, share))
    none = dict.fromkeys(UNITS, 0)
    keys = ("task_type", "source", "origin", "language")
    return Mixture(
        unit=str((run.manifest or {}).get("unit", "rows")),
        plan_hash=(run.manifest or {}).get("plan_hash"),
        buckets=tuple(sorted(buckets, key=lambda b: (-(b.target or 0), b.bucket))),
        whole=whole,
        heldout=total(run.heldout) if run.heldout is not None else none,
        unused=_most(amounts(run.unused, "reason")) if run.unused is not None else (),
        made_of={key: _most(amounts(run.train, key)) for key in keys if key in run.train.columns},
    )


def amounts(rows: pl.DataFrame, key: str) -> dict[str, dict[str, int]]:
    """Rows, tokens and loss tokens for each value of the column `key`."""
    found = rows.group_by(key).agg(pl.len().alias("rows"), pl.col("tokens").sum(), pl.col("loss_tokens").sum())
    listed = found.sort(key).iter_rows()
    return {"—" if k is None else str(k): {"rows": n, "tokens": t, "loss_tokens": s} for k, n, t, s in listed}


def _most(found: Mapping[str, dict[str, int]]) -> tuple[tuple[str, dict[str, int]], ...]:
    return tuple(sorted(found.items(), key=lambda item: (-item[1]["rows"], item[0])))
