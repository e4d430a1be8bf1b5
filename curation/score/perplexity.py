"""Perplexity of the answer given the prompt (of the text, for replay rows) under a small causal language model.

Optionally instruction-following difficulty (IFD, Li et al. 2024, arXiv 2308.12032): perplexity of the answer given the prompt over
that of the same answer alone. Near 1 the prompt hardly helps to foresee the answer; above 1 it misleads.
"""

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
    from curation.render import Encoded, Renderer


class PerplexityParams(Params):
    """`params.yaml: score.perplexity`."""

    model: str = "smollm2-135m-instruct"
    template: str = "chatml"
    max_tokens: int = Field(512, ge=16)  # a row is read up to here
    batch_tokens: int = Field(2048, ge=16)  # longest row × rows in a batch
    ifd: bool = False  # read each answer without its prompt too: about twice the cost


def compute(
    records: pl.DataFrame,
    params: PerplexityParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`nll` (nats a token, 3 decimals), `perplexity` = exp(nll), `scored_tokens` and `ifd`, one row a content hash.

    `ifd` (3 decimals) is null where params leave it out, for texts, and where nothing was scored. Every answer of a row is
    scored, whatever its `loss_weight`: that says what is learned from it, not how good it is.
    """
    from curation.models import identity, load_tokenizer
    from curation.render import Renderer
    from curation.score import distinct
    from curation.score.batches import by_length, cached

    rows = distinct(records)
    renderer = Renderer(load_tokenizer(params.model), params.template)
    given = [_unweighted(row) for row in rows.iter_rows(named=True)]
    encoded = [renderer.encode(row) for row in given]
    settings = f"{identity(params.model)}|{renderer.template}|3"
    import xxhash

    version = xxhash.xxh3_64_hexdigest(settings.encode())
    cut = [f":{params.max_tokens}" if len(e.ids) > params.max_tokens else "" for e in encoded]
    # Under the plain key a row with a silent turn may be stored without that turn: it was once left out.
    mute = rows["messages"].list.eval(pl.element().struct.field("loss_weight") == 0).list.any().fill_null(False)
    silent = [":all" if one else "" for one in mute]
    keys = [f"{version}:{h}{c}{s}" for h, c, s in zip(rows["content_hash"], cut, silent, strict=True)]
    encoded = [type(e)(e.ids[: params.max_tokens], e.weights[: params.max_tokens]) for e in encoded]
    batches = by_length([len(e.ids) for e in encoded], params.batch_tokens)
    model = None

    def compute_batch(batch: Sequence[int]) -> list[bytes]:  # of `encoded` as it is when called
        nonlocal model
        if model is None:
            from curation.models import load_language_model

            model = load_language_model(params.model)
        return [struct.pack("<dq", nll, n) for nll, n in sum_nll(model, [encoded[i] for i in batch])]

    stored = cached("perplexity", keys, batches, compute_batch, progress)
    sums = [struct.unpack("<dq", stored[key]) for key in keys]
    alone: dict[int, float] = {}
    if params.ifd:
        # Batches of their own: padding decides the last bits, and what ifd adds must not change nll.
        asked = [i for i, row in enumerate(rows["kind"]) if row == "chat" and sums[i][1]]
        bare = [_alone(renderer, given[i], sums[i][1]) for i in asked]
        encoded = bare
        batches = by_length([len(e.ids) for e in bare], params.batch_tokens)
        names = [f"{version}:{rows['content_hash'][i]}:{sums[i][1]}" for i in asked]
        stored = cached("ifd", names, batches, compute_batch, progress)
        alone = {i: struct.unpack("<dq", stored[name])[0] for i, name in zip(asked, names, strict=True)}
    found = []
    for i, (content_hash, (total, n)) in enumerate(zip(rows["content_hash"], sums, strict=True)):
        nll = round(total / n, 3) if n else None
        ifd = round(math.exp((total - alone[i]) / n), 3) if i in alone else None
        reason = None if n else "no_scored_tokens"
        found.append((content_hash, nll, None if nll is None else round(math.exp(nll), 3), n, ifd, reason))
    schema = {
        "content_hash": pl.String,
        "nll": pl.Float64,
        "perplexity": pl.Float64,
        "scored_tokens": pl.Int64,
        "ifd": pl.Float64,
        "not_applicable": pl.String,
    }
    return pl.DataFrame(found, orient="row", schema=schema)


def _unweighted(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "messages": row["messages"] and [{**m, "loss_weight": None} for m in row["messages"]]}


def _alone(renderer: Renderer, row: dict[str, Any], scored: int) -> Encoded:
    """The row with nothing asked, up to the `scored`-th token that bears loss, so that both passes score the same tokens.

    Turns of others stay, empty, since templates want them; the paper's models have no template and read the answer alone.
    """
    turns = [m if m["role"] == "assistant" else {**m, "content": ""} for m in row["messages"]]
    bare = renderer.encode({**row, "messages": turns, "tools": None})
    ends = [at for at, weight in enumerate(bare.weights) if weight > 0][scored - 1] + 1
    return type(bare)(bare.ids[:ends], bare.weights[:ends])


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
