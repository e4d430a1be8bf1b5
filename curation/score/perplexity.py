"""Perplexity of the answer given the prompt (of the text, for replay rows) under a small causal language model."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent

if TYPE_CHECKING:
    from curation.render import Encoded


class PerplexityParams(Params):
    """`params.yaml: score.perplexity`."""

    model: str = "smollm2-135m-instruct"
    template: str = "chatml"
    max_tokens: int = Field(512, ge=16)  # a row is read up to here
    batch_tokens: int = Field(2048, ge=16)  # longest row × rows in a batch


def compute(
    records: pl.DataFrame,
    params: PerplexityParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`nll` (nats a token, 3 decimals), `perplexity` = exp(nll) and `scored_tokens`, one row a content hash."""
    from curation.models import identity, load_tokenizer
    from curation.render import Renderer
    from curation.score import distinct
    from curation.score.batches import by_length, cached

    rows = distinct(records)
    renderer = Renderer(load_tokenizer(params.model), params.template)
    encoded = [renderer.encode(row) for row in rows.iter_rows(named=True)]
    settings = f"{identity(params.model)}|{renderer.template}|3"
    import xxhash

    version = xxhash.xxh3_64_hexdigest(settings.encode())
    cut = [f":{params.max_tokens}" if len(e.ids) > params.max_tokens else "" for e in encoded]
    keys = [f"{version}:{h}{c}" for h, c in zip(rows["content_hash"], cut, strict=True)]
    encoded = [type(e)(e.ids[: params.max_tokens], e.weights[: params.max_tokens]) for e in encoded]
    batches = by_length([len(e.ids) for e in encoded], params.batch_tokens)
    model = None

    def compute_batch(batch: Sequence[int]) -> list[bytes]:
        nonlocal model
        if model is None:
            from curation.models import load_language_model

            model = load_language_model(params.model)
        return [struct.pack("<dq", nll, n) for nll, n in sum_nll(model, [encoded[i] for i in batch])]

    stored = cached("perplexity", keys, batches, compute_batch, progress)
    found = []
    for content_hash, key in zip(rows["content_hash"], keys, strict=True):
        total, n = struct.unpack("<dq", stored[key])
        nll = round(total / n, 3) if n else None
        reason = None if n else "no_scored_tokens"
        found.append((content_hash, nll, None if nll is None else round(math.exp(nll), 3), n, reason))
    schema = {
        "content_hash": pl.String,
        "nll": pl.Float64,
        "perplexity": pl.Float64,
        "scored_tokens": pl.Int64,
        "not_applicable": pl.String,
    }
    return pl.DataFrame(found, orient="row", schema=schema)


def sum_nll(model: object, batch: Sequence[Encoded]) -> list[tuple[float, int]]:
    """Summed negative log-likelihood (nats) over tokens that bear loss, and their number, for each sequence.

    Sequences are padded on the right: under a causal mask nothing reads the padding, so none needs masking.
    """
    import torch
    from torch.nn.functional import cross_entropy

    longest = max(len(e.ids) for e in batch)
    device = model.device  # type: ignore[attr-defined]
    ids = torch.tensor([e.ids + [0] * (longest - len(e.ids)) for e in batch], device=device)
    learned = torch.tensor(
        [[w > 0 for w in e.weights] + [False] * (longest - len(e.ids)) for e in batch], device=device
    )
    with torch.inference_mode():
        mask = learned[:, 1:]
        logits = _logits(model, ids, mask)
        losses = cross_entropy(logits.float(), ids[:, 1:][mask], reduction="none").double()
    counts = mask.sum(1).tolist()
    return [(float(part.sum()), n) for part, n in zip(losses.split(counts), counts, strict=True)]


def _logits(model: Any, ids: Any, mask: Any) -> Any:
    """Logits at the places before the tokens that `mask` marks, one row a token.

    The output layer is a fifth of the bundled model's work, so it reads only the states that are needed. Models that do
    more than one product there (soft caps, scales) are asked for all logits.
    """
    head, decoder = model.get_output_embeddings(), model.base_model
    plain = type(head).__name__ == "Linear" and decoder is not model
    scaled = any(getattr(model.config, k, None) for k in ("final_logit_softcapping", "logit_scale", "logits_scaling"))
    if plain and not scaled:
        return head(decoder(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][mask])
    return model(input_ids=ids, use_cache=False).logits[:, :-1][mask]
