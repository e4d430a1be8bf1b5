from copy import deepcopy
from typing import Any

import pytest

from train.gate import verdict
from train.params import GateParams

LOSS = {"rows": 60, "tokens": 900, "nll_base": 2.5, "nll_trained": 2.4, "difference": -0.1, "low": -0.2, "high": -0.01,
        "verdict": "better"}  # fmt: skip
SCORES: dict[str, Any] = {"heldout": LOSS, "benchmark": {"items": 48, "base": 0.25, "trained": 0.2}}
WORSE = {"nll_trained": 2.7, "difference": 0.2, "low": 0.05, "high": 0.3, "verdict": "worse"}


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    scores = deepcopy(SCORES)
    for name, values in sections.items():
        scores[name] = {**scores.get(name, {}), **values}
    return scores


def test_a_good_run_passes() -> None:
    assert verdict(SCORES, {"math": LOSS}, GateParams()) == {"passed": 1, "reasons": []}


@pytest.mark.parametrize(
    ("scores", "by_task", "reason"),
    [
        (changed(heldout=WORSE), {},
         "held-out: loss 2.7000 against 2.5000 of the base, worse beyond doubt (+0.0500 to +0.3000)"),
        (changed(heldout={"rows": 0}), {}, "held-out: no row to compare with the base"),
        (SCORES, {"math": LOSS | WORSE},
         "task type math: loss +0.2000 on the base, beyond doubt and over gate.task_loss_limit = 0.1"),
        (changed(benchmark={"trained": 0.1}), {},
         "benchmark: 0.1000 right against 0.2500 of the base, over gate.benchmark_drop_limit = 0.1"),
        (changed(benchmark={"items": 0}), {}, "benchmark: no item to compare with the base"),
        (changed(accepted={"heldout": {**WORSE, "rows": 60, "nll_accepted": 2.5},
                           "benchmark": {"items": 48, "accepted": 0.2, "trained": 0.2}}), {},
         "held-out: loss 2.7000 against 2.5000 of the accepted run, worse beyond doubt (+0.0500 to +0.3000)"),
        (changed(accepted={"heldout": {**LOSS, "nll_accepted": 2.5},
                           "benchmark": {"items": 48, "accepted": 0.4, "trained": 0.2}}), {},
         "benchmark: 0.2000 right against 0.4000 of the accepted, over gate.accepted_drop_limit = 0.1"),
    ],
)  # fmt: skip
def test_each_reason(scores: dict[str, Any], by_task: dict[str, Any], reason: str) -> None:
    assert verdict(scores, by_task, GateParams()) == {"passed": 0, "reasons": [reason]}


def test_worse_within_the_limit_or_in_doubt_passes() -> None:
    small = LOSS | WORSE | {"difference": 0.09}
    doubtful = LOSS | WORSE | {"verdict": "unclear"}
    assert verdict(SCORES, {"chat": small, "math": doubtful}, GateParams())["passed"] == 1
