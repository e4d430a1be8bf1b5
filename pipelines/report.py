"""Everything that the stages left → reports/index.html. `python -m pipelines.report`; `curation report` prints the summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from curation import records
from curation.errors import ConfigError, DataError, TemperError
from curation.report import ReportParams
from curation.report.run import Check, Corpus, Run
from pipelines import params, paths
from pipelines.stage import off
from pipelines.stage import run as stage

PAGE = paths.REPORTS / "index.html"
TRUTH = ("id", "task_type", "task_subtype")
# What the summary in the terminal needs of a file of records.
LIGHT = (
    "id", "source", "bucket", "part", "tokens", "loss_tokens", "repeat", "task_type", "origin", "language", "reason",
)  # fmt: skip


def read(settings: ReportParams, *, light: bool = False) -> Run:
    """What is there of a run; `light`: counts only, without texts, signals and the audit."""
    from train.params import EvaluateParams

    columns = LIGHT if light else None
    consumed = _frame(paths.CONSUMED)
    return Run(
        raw=_corpus(paths.CORPORA["raw"], light),
        generated=_corpus(paths.CORPORA["generated"], light),
        attempts=_frame(paths.GENERATED / "attempts.parquet"),
        train=_frame(paths.MIXED / "train.parquet", (*columns, "position") if columns else None),
        heldout=_frame(paths.MIXED / "heldout.parquet", columns),
        unused=_frame(paths.MIXED / "unused.parquet", columns),
        manifest=_json(paths.MIXED / "manifest.json"),
        consumed=consumed,
        history=_history(paths.TRAINING / "plots" / "metrics"),
        scores=_json(paths.REPORTS / "scores.json"),
        scores_by_task=_json(paths.REPORTS / "scores_by_task.json"),
        cases=() if light else _cases(paths.REPORTS / "cases.jsonl"),
        gate=_json(paths.REPORTS / "gate.json"),
        merges=_merges(),
        interval=params.load("evaluate", EvaluateParams).interval,
        truth=None if light else _truth(settings.truth),
        audit=() if light else _audit(),
        off=_off(),
    )


def _corpus(corpus: paths.Corpus, light: bool) -> Corpus:
    columns = LIGHT if light else None
    signals = [] if light else sorted(corpus.signals.glob("*.parquet"))
    return Corpus(
        name=corpus.name,
        came=_frame(corpus.came_from / "records.parquet", columns),
        quarantine=_frame(corpus.came_from / "quarantine.parquet"),
        repaired=_frame(corpus.repaired / "records.parquet", columns),
        edits=_frame(corpus.repaired / "edits.parquet"),
        signals={p.stem: records.read(p) for p in signals if p.stem != "embedding"},
        labels=_frame(corpus.labels),
        kept=_frame(corpus.cleaned / "records.parquet", columns),
        dropped=_frame(corpus.cleaned / "dropped.parquet"),
    )


def _off() -> tuple[str, ...]:
    """Signals without a value in either corpus, because `score.off` names them."""
    sidecars = [path for corpus in paths.CORPORA.values() for path in corpus.signals.glob("*.parquet")]
    reasons = ((p.stem, records.read(p, columns=["content_hash", "not_applicable"])) for p in sidecars)
    return tuple(sorted({name for signal, rows in reasons for name in off({signal: rows})}))


def _frame(path: Path, columns: tuple[str, ...] | None = None) -> pl.DataFrame | None:
    if not path.exists():
        return None
    if columns is None:
        return records.read(path)
    have = pl.read_parquet_schema(path)
    return records.read(path, columns=[c for c in columns if c in have])


def _merges() -> dict[str, tuple[Any, Any]]:
    """Scores of each merged adapter that params.yaml names, overall and by task type."""
    from train.params import MergesParams

    names = params.load("merge", MergesParams).root
    found = {name: [_json(paths.MERGED_SCORES / f"{name}{part}.json") for part in ("", "_by_task")] for name in names}
    return {name: (overall, by_task) for name, (overall, by_task) in found.items() if overall}


def _json(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); delete it and run `dvc repro` again.") from None


def _cases(path: Path) -> tuple[dict[str, Any], ...]:
    if not path.exists():
        return ()
    try:
        return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line)
    except ValueError as error:
        raise DataError(f"{path}: a line is not JSON ({error}); run `dvc repro evaluate` again.") from None


def _history(folder: Path) -> pl.DataFrame | None:
    """DVCLive's tables, one a metric, as step, name, value; the name is the path below `folder`."""
    tables = []
    for path in sorted(folder.rglob("*.tsv")):
        table = pl.read_csv(path, separator="\t", schema_overrides={"step": pl.Int64})
        name = str(path.relative_to(folder).with_suffix(""))
        tables.append(
            table.select("step", pl.lit(name).alias("name"), pl.col(path.stem).cast(pl.Float64).alias("value"))
        )
    return pl.concat(tables).sort("name", "step") if tables else None


def _truth(place: str | None) -> pl.DataFrame | None:
    """Labels by hand; the default file may be absent, one that a person named may not."""
    if place is None:
        return None
    path = Path(place)
    if not path.exists():
        if place == ReportParams().truth:
            return None
        raise ConfigError(
            f"report.truth: {place}: no such file; name a CSV file with the columns {', '.join(TRUTH)}, or null."
        )
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:  # another encoding, nothing in it, rows of other lengths
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"report.truth: {place}: not read ({said}); accepted: CSV in UTF-8 with the columns {', '.join(TRUTH)}; mend it."
        ) from None
    missing = [column for column in TRUTH if column not in table.columns]
    if missing:
        raise ConfigError(
            f"report.truth: {place}: lacks the columns {', '.join(missing)}; accepted: id, language, bucket, task_type, task_subtype."
        )
    return table.unique("id", keep="first", maintain_order=True)


def _audit() -> tuple[Check, ...]:
    """The balance of the stages that have run, up to the first whose files are not there."""
    from pipelines import audit

    found = []
    try:
        for check in audit.checks():
            if check.built:
                found.append(Check(check.stage, check.said, check.broken.sentence() if check.broken else None))
    except TemperError as error:
        if "no such file; run the stage" not in str(error):
            found.append(Check("audit", "", str(error)))
    return tuple(found)


def work() -> str:
    from curation.clean import CleanParams
    from curation.label import LabelParams
    from curation.repair import RepairParams
    from curation.report.html import page
    from curation.report.words import from_yaml

    settings = params.load("report", ReportParams)
    run = read(settings)
    tree = Path(params.load("label", LabelParams).taxonomy)
    taxonomy = from_yaml(tree) if tree.exists() else {}
    text = page(run, settings, params.load("clean", CleanParams), taxonomy, params.load("repair", RepairParams))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    broken = next((c for c in run.audit if c.problem), None)
    said = f"not balanced: {broken.problem}" if broken else f"{len(run.audit)} stages add up"
    return f"{PAGE}, {len(text.encode()) / 1e6:.1f} MB; {said}"


def print_summary() -> None:
    """The run in the terminal, from the files as they stand; raises DataError when there is none."""
    from rich.console import Console

    from curation.report import terminal

    run = read(params.load("report", ReportParams), light=True)
    if run.raw.came is None:
        raise DataError("data/raw/records.parquet: no such file; run `dvc repro` first.")
    page = str(PAGE) if PAGE.exists() else None
    terminal.show(run, Console(highlight=False), page)


if __name__ == "__main__":
    stage("report", work)
