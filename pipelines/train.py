"""Fine-tune on the mixture. Run by `dvc repro train`, or `python -m pipelines.train`."""

from __future__ import annotations

from curation import records
from curation.render import RenderParams
from curation.report.curve import history as read_curve
from pipelines import params, paths
from pipelines.stage import Bar, run
from train.params import TrainParams


def work() -> str:
    from train.doctor import preflight, refuse
    from train.sft import fit, summary

    settings, render = params.load("train", TrainParams), params.load("render", RenderParams)
    train = records.read(paths.MIXED / "train.parquet", records.LABELLED)
    heldout = records.read(paths.MIXED / "heldout.parquet", records.LABELLED)
    lineage = records.read(paths.MIXED / "unused.parquet", columns=["id", "parents"])
    refuse(preflight(train, heldout, lineage, render))  # before hours are spent; `curation doctor` says more
    with Bar() as bar:
        fitted = fit(train, heldout, settings, render, adapter=paths.ADAPTER, live=paths.TRAINING, progress=bar)
    records.write(fitted.consumed, paths.CONSUMED)
    for finding in read_curve(fitted.history, fitted.consumed):
        print(f"train: {finding.en}")
    return summary(fitted)


if __name__ == "__main__":
    run("train", work)
