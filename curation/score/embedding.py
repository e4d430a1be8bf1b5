"""Sentence embeddings of prompt and answer: one encoding, shared by semantic pairs and the health measure of diversity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides
from curation.score.ends import ends
from curation.score.language import HAN


class EmbeddingParams(Params):
    """`params.yaml: score.embedding`."""

    model: str = "multilingual-e5-small"
    rows: Literal["all", "candidates"] = "all"  # candidates: only those that may have a twin in meaning
    tier_floor: float = Field(0.84, gt=0, le=1)  # candidates: the smaller static cosine of prompts and of answers
    batch_tokens: int = Field(8192, ge=64)  # longest text × texts in a batch, a token being four bytes
    max_bytes: int = Field(1024, ge=64)  # what is read of a text in UTF-8: about 256 tokens in either language


def compute(
    records: pl.DataFrame,
    params: EmbeddingParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`prompt`, `answer`: unit vectors, Float32, 4 decimals; null where there is no text, or a reason.

    The prompt is all user turns; text rows have only an answer. Of a longer text the first two thirds of `max_bytes` and the last
    third are read, since what is asked may stand on either side of the material. An encoder that knows Latin script only gives
    `script_not_covered` for a row with more than a tenth of Chinese characters.

    With `rows: candidates` the encoder reads only rows that may have a twin (candidates.py) among `records` or `against`; others
    are `no_candidate`. So that both rows of a pair across two corpora have vectors, those of each are computed with the other
    as its `against`.
    """
    import numpy as np
    import xxhash

    from curation.models import identity
    from curation.score.batches import by_length, cached

    encoder = None

    def loaded() -> Any:
        nonlocal encoder
        if encoder is None:
            from curation.models import load_encoder

            encoder = load_encoder(params.model)
        return encoder

    read = _read(records, params)
    if params.rows == "candidates":
        read = _candidates(read, [] if against is None else _read(against, params), params.tier_floor, loaded)
    texts = sorted({t for row in read if row.reason is None for t in (row.prompt, row.answer) if t})
    version = f"{identity(params.model)}|{params.max_bytes}"
    keys = [xxhash.xxh3_128_hexdigest(f"{version}|{t}".encode()) for t in texts]

    def compute_batch(batch: Sequence[int]) -> list[bytes]:
        vectors = loaded().encode(
            [texts[i] for i in batch], batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False
        )
        return [np.round(v, 4).astype("<f4").tobytes() for v in vectors]

    batches = by_length([len(t.encode()) // 4 + 4 for t in texts], params.batch_tokens)
    stored = cached("embedding", keys, batches, compute_batch, progress)
    vector = {t: np.frombuffer(stored[k], "<f4").tolist() for t, k in zip(texts, keys, strict=True)}
    found = [
        (r.hash, *(vector.get(t) if r.reason is None else None for t in (r.prompt, r.answer)), r.reason) for r in read
    ]
    schema: dict[str, Any] = {
        "content_hash": pl.String,
        "prompt": pl.List(pl.Float32),
        "answer": pl.List(pl.Float32),
        "not_applicable": pl.String,
    }
    return pl.DataFrame(found, orient="row", schema=schema)


class _Row(NamedTuple):
    hash: str
    kind: str
    prompt: str  # what is read of it
    answer: str
    reason: str | None


def _read(records: pl.DataFrame, params: EmbeddingParams) -> list[_Row]:
    """One row a content hash, sorted by it."""
    from curation.models import LATIN_ONLY_ENCODERS
    from curation.score import distinct

    blind = params.model in LATIN_ONLY_ENCODERS
    rows = sides(distinct(records)).select("content_hash", "kind", "prompt", "answer")
    read = []
    for content_hash, kind, prompt, answer in rows.iter_rows():
        covered = not (blind and _han_share(prompt + answer) > 0.1)
        reason = "script_not_covered" if not covered else None if prompt or answer else "empty"
        said = [ends(text, params.max_bytes) for text in (prompt, answer)]
        read.append(_Row(content_hash, kind, said[0], said[1], reason))
    return read


def _candidates(rows: list[_Row], there: list[_Row], floor: float, encoder: Callable[[], Any]) -> list[_Row]:
    """`rows`, those without a possible twin among `rows` and `there` with the reason `no_candidate`."""
    from curation.score.candidates import may_have_twins

    read, others = ([r for r in corpus if r.reason is None] for corpus in (rows, there))
    found = may_have_twins(
        [(r.kind, r.prompt, r.answer) for r in read], [(r.kind, r.prompt, r.answer) for r in others], floor, encoder
    )
    kept = {r.hash for r, maybe in zip(read, found, strict=True) if maybe}
    return [r if r.reason or r.hash in kept else r._replace(reason="no_candidate") for r in rows]


def _han_share(text: str) -> float:
    return len(HAN.findall(text)) / max(1, len(text.replace(" ", "")))
