"""A verdict on a run from its scores alone. The stage writes it down and exits 0; `curation gate` exits 1 on a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.params import GateParams


def verdict(scores: Mapping[str, Any], by_task: Mapping[str, Mapping[str, Any]], params: GateParams) -> dict[str, Any]:
    """`{"passed": 1 or 0, "reasons": [...]}`: passed when no reason stands against the run. What is missing never passes.

    `scores` and `by_task` as `train.evaluate` reports them.
    """
    reasons = _heldout(scores["heldout"], "the base", "nll_base")
    for name, found in sorted(by_task.items()):
        if found["verdict"] == "worse" and found["difference"] > params.task_loss_limit:
            reasons.append(
                f"task type {name}: loss {found['difference']:+.4f} on the base, beyond doubt and over "
                f"gate.task_loss_limit = {params.task_loss_limit}"
            )
    reasons += _benchmark(scores["benchmark"], "base", params.benchmark_drop_limit, "gate.benchmark_drop_limit")
    accepted = scores.get("accepted")
    if accepted:
        reasons += _heldout(accepted["heldout"], "the accepted run", "nll_accepted")
        reasons += _benchmark(accepted["benchmark"], "accepted", params.accepted_drop_limit, "gate.accepted_drop_limit")
    return {"passed": int(not reasons), "reasons": reasons}


def _heldout(found: Mapping[str, Any], other: str, column: str) -> list[str]:
    if not found["rows"]:
        return [f"held-out: no row to compare with {other}"]
    if found["verdict"] != "worse":
        return []
    return [
        f"held-out: loss {found['nll_trained']:.4f} against {found[column]:.4f} of {other}, worse beyond doubt "
        f"({found['low']:+.4f} to {found['high']:+.4f})"
    ]


def _benchmark(found: Mapping[str, Any], other: str, limit: float, name: str) -> list[str]:
    if not found["items"]:
        return [f"benchmark: no item to compare with the {other}"]
    if found["trained"] >= found[other] - limit - 1e-9:
        return []
    return [f"benchmark: {found['trained']:.4f} right against {found[other]:.4f} of the {other}, over {name} = {limit}"]
