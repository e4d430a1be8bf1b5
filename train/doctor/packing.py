"""Are packed rows apart? Measured: losses of packed rows against those of the same rows alone, for this model and attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from curation.render import Encoded
from train.doctor.findings import Finding, failure
from train.losses import label_nll, labels

ROWS = 3  # the third row could read two others
MAX_TOKENS = 48  # of a row measured; short ones cost a moment and show as much
# Nats a token. Float32 in the trainer's arithmetic moves a loss by 1e-3 at most (curation.models), bfloat16 by some 1e-2;
# a row that reads its neighbour is off by tenths.
LIMITS = {"torch.float32": 0.02}
OTHER_LIMIT = 0.15


def isolated(encoded: Sequence[Encoded], model: Any) -> Iterator[Finding]:
    """A failure when a row's losses change by being packed behind others."""
    short = sorted((e for e in encoded if e.loss_tokens >= 4 and len(e.ids) <= MAX_TOKENS), key=lambda e: -len(e.ids))
    rows = (short or sorted(encoded, key=lambda e: len(e.ids)))[:ROWS]
    if len(rows) < 2:
        return
    moved = difference(rows, model)
    limit = LIMITS.get(str(getattr(model, "dtype", "")), OTHER_LIMIT)
    if not moved <= limit:  # NaN fails too
        kind = getattr(model.config, "_attn_implementation", "unknown")
        yield failure(
            "packing",
            f"packed rows read each other: with attention {kind!r} of {type(model).__name__} a token's loss moves by {moved:.3f} "
            f"nats (limit {limit}) when its row is packed behind another; use attention that keeps packed rows apart "
            "(sdpa, eager, flash_attention_2), or a render.max_length that holds one row.",
        )


def difference(rows: Sequence[Encoded], model: Any) -> float:
    """The largest change, in nats, of a label token's loss between its row alone and all rows packed in one sequence."""
    import torch

    def losses(part: Sequence[Encoded]) -> Any:
        # As the trainer's collator gives them: positions begin anew at each row, and no attention mask.
        inputs = {
            "input_ids": [t for e in part for t in e.ids],
            "position_ids": [i for e in part for i in range(len(e.ids))],
            "labels": [t for e in part for t in (-100, *labels(e)[1:])],
        }
        with torch.inference_mode():
            nll, _ = label_nll(model, {k: torch.tensor([v], device=model.device) for k, v in inputs.items()})
        return nll

    alone = torch.cat([losses([row]) for row in rows])
    return float((losses(rows) - alone).abs().max())
