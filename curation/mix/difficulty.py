"""Weights of task types from the scores of an earlier run: more of what was hard for the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def task_weights(scores: Mapping[str, Mapping[str, Any]], strength: float = 1.0, min_rows: int = 3) -> dict[str, float]:
    """Task type → factor for `mix.task_weights`: (loss / mean loss of the types) ** strength, within 0.5 and 2.

    `scores`: as in reports/scores_by_task.json; the loss is `nll_trained`, nats a token on held-out rows. Types with fewer than
    `min_rows` such rows are left out: two rows say nothing of a type. The mean is taken over types, so that it does not
    depend on how many rows each has. The bounds keep one type from crowding out its bucket; they are ours, not measured.
    """
    losses = {t: float(s["nll_trained"]) for t, s in scores.items() if s["rows"] >= min_rows}
    if not losses:
        return {}
    mean = sum(losses.values()) / len(losses)
    return {t: round(min(2.0, max(0.5, (loss / mean) ** strength)), 3) for t, loss in losses.items()}
