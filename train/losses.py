"""Loss weights, the weighted loss of a step, and losses of rows: what training optimises and evaluation measures.

With token weights w and negative log-likelihoods l (nats), a step's loss is Σ w·l / Σ w over all of its sequences,
however rows fall into sequences. Under `token_mean` w is a token's own weight; under `sample_mean` a row's weights are
divided by their sum, so that Σ w·l / Σ w is the (weighted) mean of the rows' mean losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curation.render import Encoded
from train.params import TrainParams

if TYPE_CHECKING:
    from torch import Tensor


def token_weights(
    encoded: Encoded, record: Mapping[str, Any], params: TrainParams, asked: Sequence[bool] = ()
) -> list[float]:
    """The loss weight of each token: turn weight × row weight (null: 1) × `replay_weight` for replay rows.

    `asked` marks prompt tokens, whose turn weight is `prompt_loss`; empty: they have none. Under `sample_mean` all is divided by the
    sum of the row's turn weights: what a row weighs does not hang on its length.
    """
    weights = (
        [params.prompt_loss if a else w for w, a in zip(encoded.weights, asked, strict=True)]
        if asked
        else encoded.weights
    )
    row = 1.0 if record["weight"] is None else record["weight"]
    if record["bucket"] == "replay":
        row *= params.replay_weight
    if params.loss == "sample_mean":
        row /= sum(weights) or 1.0
    return [w * row for w in weights]


def labels(encoded: Encoded, asked: Sequence[bool] = ()) -> list[int]:
    """Token ids where the renderer says that a token is learned, and where `asked` marks a prompt token; -100 elsewhere."""
    learned = [w > 0 for w in encoded.weights]
    if asked:
        learned = [a or b for a, b in zip(learned, asked, strict=True)]
    return [i if here else -100 for i, here in zip(encoded.ids, learned, strict=True)]


def label_nll(model: Any, inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood (nats) of the label tokens of one sequence, 1×L, and their places in it."""
    from torch.nn.functional import cross_entropy

    logits, places = label_logits(model, inputs)
    return cross_entropy(logits, inputs["labels"][0][places], reduction="none"), places


def label_logits(model: Any, inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """float32 logits, n×V, from which the n label tokens of one sequence, 1×L, are predicted, and the labels' places in it.

    Logits are built where a label follows, and nowhere else. TRL's fused head scores every place on a CPU and computes its
    logits twice; leaving it out took 29% off a step at equal loss and gradient.
    """
    places = (inputs["labels"][0][1:] != -100).nonzero()[:, 0]
    given = {k: v for k, v in inputs.items() if k != "labels"}
    # `use_cache=False`: with a cache the mask that keeps packed rows apart is not built, and rows read each other.
    return model(**given, use_cache=False, logits_to_keep=places).logits[0].float(), places + 1


def divergence(logits: Tensor, base: Tensor) -> Tensor:
    """KL(p‖q) in nats of each of n distributions over V tokens: p of `logits` n×V, q of the base model's `base` n×V."""
    ours, theirs = logits.log_softmax(-1), base.log_softmax(-1)
    return (ours.exp() * (ours - theirs)).sum(-1)


def weighted_loss(nll: Tensor, weights: Tensor, total: Tensor) -> Tensor:
    """Σ w·nll / `total`; `total` is the step's Σ w, over all sequences that are accumulated. Scalar, nats."""
    return (nll * weights).sum() / total.clamp(min=1e-8)


def row_nll(model: Any, rows: Sequence[Encoded]) -> list[tuple[float, int]]:
    """Summed negative log-likelihood (nats, float64) over label tokens, and their number, for each row.

    Sums a row, and never means of batches: those move with the batch size. Each row is read by itself, so that its loss
    does not hang on its neighbours either; on a CPU this costs nothing.
    """
    import torch

    results = []
    for row in rows:
        inputs = {"input_ids": [row.ids], "labels": [labels(row)]}
        n = sum(label != -100 for label in inputs["labels"][0][1:])
        total = 0.0
        if n:
            with torch.inference_mode():
                nll, _ = label_nll(model, {k: torch.tensor(v, device=model.device) for k, v in inputs.items()})
            total = float(nll.double().sum())
        results.append((total, n))
    return results
