"""The verdict on the run, as a metric; exits 0 either way. Run by `dvc repro gate`, or `python -m pipelines.gate`."""

from __future__ import annotations

import json

from pipelines import params, paths
from pipelines.stage import run, write_json
from train.gate import verdict
from train.params import GateParams


def work() -> str:
    settings = params.load("gate", GateParams)
    scores, by_task = (json.loads((paths.REPORTS / f"{n}.json").read_text()) for n in ("scores", "scores_by_task"))
    found = verdict(scores, by_task, settings)
    write_json(found, paths.REPORTS / "gate.json")
    return "passed" if found["passed"] else "failed: " + "; ".join(found["reasons"])


if __name__ == "__main__":
    run("gate", work)
