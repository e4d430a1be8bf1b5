"""Sentence embeddings of prompt and answer: one encoding, shared by semantic pairs, labels and diversity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides
from curation.score.language import HAN


class EmbeddingParams(Params):
    """`params.yaml: score.embedding`."""

    model: str = "all-minilm-l6-v2"
    batch_tokens: int = Field(8192, ge=64)  # longest text × texts in a batch, in characters / 4
    max_chars: int = Field(1200, ge=50)  # what is read of a text: about the encoder's 256 tokens


def compute(
    records: pl.DataFrame,
    params: EmbeddingParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`prompt` and `answer`: unit vectors, Float32, 4 decimals; null and `not_applicable` where the script is unknown to the encoder.

    The prompt is all user turns; text rows have only an answer. An encoder that knows Latin script only gives
    `script_not_covered` for a row with more than a tenth of Chinese characters.
    """
    import numpy as np
    import xxhash

    from curation.models import LATIN_ONLY_ENCODERS, identity
    from curation.score import distinct
    from curation.score.batches import by_length, cached

    rows = sides(distinct(records)).select("content_hash", "prompt", "answer")
    blind = params.model in LATIN_ONLY_ENCODERS
    covered = [not (blind and _han_share(p + a) > 0.1) for _, p, a in rows.iter_rows()]
    texts = sorted(
        {
            t[: params.max_chars]
            for (_, p, a), ok in zip(rows.iter_rows(), covered, strict=True)
            if ok
            for t in (p, a)
            if t
        }
    )
    version = f"{identity(params.model)}|{params.max_chars}"
    keys = [xxhash.xxh3_128_hexdigest(f"{version}|{t}".encode()) for t in texts]
    encoder = None

    def compute_batch(batch: Sequence[int]) -> list[bytes]:
        nonlocal encoder
        if encoder is None:
            from curation.models import load_encoder

            encoder = load_encoder(params.model)
        vectors = encoder.encode(
            [texts[i] for i in batch], batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False
        )
        return [np.round(v, 4).astype("<f4").tobytes() for v in vectors]

    batches = by_length([len(t) // 4 + 4 for t in texts], params.batch_tokens)
    stored = cached("embedding", keys, batches, compute_batch, progress)
    vector = {t: np.frombuffer(stored[k], "<f4").tolist() for t, k in zip(texts, keys, strict=True)}
    found = []
    for (content_hash, prompt, answer), ok in zip(rows.iter_rows(), covered, strict=True):
        p, a = (vector.get(t[: params.max_chars]) if ok else None for t in (prompt, answer))
        reason = "script_not_covered" if not ok else "empty" if p is None and a is None else None
        found.append((content_hash, p, a, reason))
    schema: dict[str, Any] = {
        "content_hash": pl.String,
        "prompt": pl.List(pl.Float32),
        "answer": pl.List(pl.Float32),
        "not_applicable": pl.String,
    }
    return pl.DataFrame(found, orient="row", schema=schema)


def _han_share(text: str) -> float:
    return len(HAN.findall(text)) / max(1, len(text.replace(" ", "")))
