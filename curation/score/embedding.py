"""Sentence embeddings of prompt, answer and system prompt: one encoding, shared by semantic pairs, labels and diversity."""

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

    model: str = "multilingual-e5-small"
    batch_tokens: int = Field(8192, ge=64)  # longest text × texts in a batch, a token being four bytes
    max_bytes: int = Field(1024, ge=64)  # what is read of a text in UTF-8: about 256 tokens in either language


def compute(
    records: pl.DataFrame,
    params: EmbeddingParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`prompt`, `answer`, `system`: unit vectors, Float32, 4 decimals; null where there is no text, or a reason.

    The prompt is all user turns; text rows have only an answer. Of a longer text the first two thirds of `max_bytes` and the last
    third are read, since what is asked may stand on either side of the material. An encoder that knows Latin script only gives
    `script_not_covered` for a row with more than a tenth of Chinese characters.
    """
    import numpy as np
    import xxhash

    from curation.models import LATIN_ONLY_ENCODERS, identity
    from curation.score import distinct
    from curation.score.batches import by_length, cached

    rows = sides(distinct(records)).select("content_hash", "prompt", "answer", "system")
    blind = params.model in LATIN_ONLY_ENCODERS
    covered = [not (blind and _han_share(p + a) > 0.1) for _, p, a, _ in rows.iter_rows()]
    read = [(h, *(_ends(t or "", params.max_bytes) for t in texts)) for h, *texts in rows.iter_rows()]
    texts = sorted({t for (_, *sides_), ok in zip(read, covered, strict=True) if ok for t in sides_ if t})
    version = f"{identity(params.model)}|{params.max_bytes}"
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

    batches = by_length([len(t.encode()) // 4 + 4 for t in texts], params.batch_tokens)
    stored = cached("embedding", keys, batches, compute_batch, progress)
    vector = {t: np.frombuffer(stored[k], "<f4").tolist() for t, k in zip(texts, keys, strict=True)}
    found = []
    for (content_hash, *said), ok in zip(read, covered, strict=True):
        prompt, answer, system = (vector.get(t) if ok else None for t in said)
        reason = "script_not_covered" if not ok else "empty" if prompt is None and answer is None else None
        found.append((content_hash, prompt, answer, system, reason))
    schema: dict[str, Any] = {
        "content_hash": pl.String,
        "prompt": pl.List(pl.Float32),
        "answer": pl.List(pl.Float32),
        "system": pl.List(pl.Float32),
        "not_applicable": pl.String,
    }
    return pl.DataFrame(found, orient="row", schema=schema)


def _ends(text: str, most: int) -> str:
    """The text, or its beginning and end when it has more than `most` bytes."""
    data = text.encode()
    if len(data) <= most:
        return text
    return f"{data[: most * 2 // 3].decode(errors='ignore')} … {data[-(most // 3) :].decode(errors='ignore')}"


def _han_share(text: str) -> float:
    return len(HAN.findall(text)) / max(1, len(text.replace(" ", "")))
