"""Score the trained model beside its base and the accepted run. Run by `dvc repro evaluate`, or `python -m pipelines.evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curation import records
from curation.errors import DataError
from curation.render import RenderParams
from pipelines import params, paths
from pipelines.stage import Bar, run, write_json
from train.params import EvaluateParams


def work() -> str:
    from train.evaluate import evaluate

    settings, render = params.load("evaluate", EvaluateParams), params.load("render", RenderParams)
    heldout = records.read(paths.MIXED / "heldout.parquet", records.LABELLED)
    with Bar() as bar:
        found = evaluate(
            heldout, paths.ADAPTER, paths.EVALUATION, settings, render, accepted=accepted(paths.ACCEPTED), progress=bar
        )
    paths.REPORTS.mkdir(exist_ok=True)
    write_json(found.scores, paths.REPORTS / "scores.json")
    write_json(found.by_task, paths.REPORTS / "scores_by_task.json")
    found.groups.write_csv(paths.REPORTS / "scores_by_group.csv")
    found.rows.write_csv(paths.REPORTS / "scores_by_row.csv")
    found.cases.write_ndjson(paths.REPORTS / "cases.jsonl")
    loss, benchmark = found.scores["heldout"], found.scores["benchmark"]
    if not loss["rows"]:
        return "no held-out row to score"
    return (
        f"held-out loss {loss['nll_base']:.4f} → {loss['nll_trained']:.4f} ({loss['verdict']}, {loss['low']:+.4f} to "
        f"{loss['high']:+.4f}), benchmark {benchmark['base']:.3f} → {benchmark['trained']:.3f} of {benchmark['items']} items"
    )


def accepted(path: Path) -> dict[str, Any] | None:
    """The accepted run's entry; None while no run has been accepted (no file, or an empty object)."""
    if not path.exists():
        return None
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path}: not JSON ({error}); restore it with `git checkout {path}`, or accept a run anew."
        ) from None
    lacking = [key for key in ("heldout", "benchmark") if key not in entry]
    if entry and lacking:
        raise DataError(f"{path}: lacks {' and '.join(lacking)}; accept a run anew with `curation accept`.")
    return entry or None


if __name__ == "__main__":
    run("evaluate", work)
