"""Perplexity of the answer given the prompt (of the text, for replay rows) under a small causal language model."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    max_tokens: int = Field(1024, ge=16)  # a row is read up to here
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
    encoded = [type(e)(e.ids[: params.max_tokens], e.weights[: params.max_tokens]) for e in encoded]
    settings = f"{identity(params.model)}|{renderer.template}|{params.max_tokens}|3"
    import xxhash

    version = xxhash.xxh3_64_hexdigest(settings.encode())
    keys = [f"{version}:{h}" for h in rows["content_hash"]]
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
    learned = torch.tensor([[w > 0 for w in e.weights] + [False] * (longest - len(e.ids)) for e in batch], device=device)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]  # type: ignore[operator]
        mask = learned[:, 1:]
        losses = cross_entropy(logits[mask].float(), ids[:, 1:][mask], reduction="none").double()
    counts = mask.sum(1).tolist()
    return [(float(part.sum()), n) for part, n in zip(losses.split(counts), counts, strict=True)]
