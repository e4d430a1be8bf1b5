"""Scores of a merged adapter beside those of its parents: the evaluation of `train.evaluate`, once a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from curation.progress import Progress, silent
from curation.render import RenderParams
from train.compare import paired
from train.evaluate import Evaluation, evaluate
from train.params import EvaluateParams

MERGED = "merged"


def parent(number: int) -> str:
    """The key of a parent in the scores; parents are counted from 1, in the order of `adapters`."""
    return f"parent_{number}"


def evaluations(
    heldout: pl.DataFrame, merged: Path, parents: Sequence[Path], evaluation: Path, params: EvaluateParams,
    render: RenderParams, progress: Progress = silent,
) -> dict[str, Evaluation]:  # fmt: skip
    """Each parent and the merged adapter beside the base; a model that was scored before costs nothing."""
    folders = {parent(i): folder for i, folder in enumerate(parents, 1)} | {MERGED: merged}

    def told(who: str) -> Progress:
        return lambda label, done, total: progress(f"{who}, {label}", done, total)

    return {
        who: evaluate(heldout, folder, evaluation, params, render, progress=told(who))
        for who, folder in folders.items()
    }


def scores(found: Mapping[str, Evaluation], params: EvaluateParams) -> tuple[dict[str, Any], dict[str, Any]]:
    """(overall, by task type) of reports/merged/NAME.json and NAME_by_task.json; `found` as `evaluations` gives it.

    Overall: model → held-out nats a token and share of benchmark items right; merged minus each parent, with the interval of
    the paired bootstrap; each benchmark task. By task type: rows, tokens, and each model's nats a token.
    """
    draws = {"seed": params.seed, "resamples": params.resamples, "interval": params.interval}
    any_ = found[MERGED]
    models = {"base": _model(any_, "base")} | {who: _model(e, "trained") for who, e in found.items()}
    minus = {}
    for who, other in found.items():
        if who != MERGED:
            theirs, ours = (e.rows["trained"].to_list() for e in (other, any_))
            difference = asdict(paired(theirs, ours, any_.rows["tokens"].to_list(), **draws))  # type: ignore[arg-type]
            minus[who] = {k: difference[k] for k in ("difference", "low", "high", "verdict")}
    tasks = {
        task: {"items": said["items"], "base": said["base"]}
        | {who: e.scores["benchmark"][task]["trained"] for who, e in found.items()}
        for task, said in any_.scores["benchmark"].items()
        if isinstance(said, Mapping)
    }
    by_task = {
        task: {"rows": said["rows"], "tokens": said["tokens"], "base": said["nll_base"]}
        | {who: e.by_task[task]["nll_trained"] for who, e in found.items()}
        for task, said in any_.by_task.items()
    }
    return {"models": models, "merged_minus": minus, "benchmark": tasks}, by_task


def _model(found: Evaluation, which: str) -> dict[str, Any]:
    heldout = found.scores["heldout"]
    return {"nll": heldout[f"nll_{which}"], "benchmark": found.scores["benchmark"][which]}
