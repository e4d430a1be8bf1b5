"""Signals that are left out: the same sidecar, and in every row the reason `off` in place of values.

So what reads a signal need not know whether it was measured: rows that it does not apply to are in every one.
"""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from curation.score.pairs import NEIGHBOURS

# What clean can live without. It needs language, length and exact for each row.
OptionalSignal = Literal["repetition", "near", "embedding", "semantic", "perplexity"]

_PAIRS = {"neighbours": NEIGHBOURS, "against": NEIGHBOURS, "group": pl.String}
# Signal → its columns between content_hash and not_applicable, as its `compute` writes them.
SCHEMAS: dict[str, dict[str, Any]] = {
    "repetition": {"duplicate_share": pl.Float64, "longest_run": pl.Int64},
    "near": _PAIRS,
    "embedding": {side: pl.List(pl.Float32) for side in ("prompt", "answer")},
    "semantic": _PAIRS,
    "perplexity": {"nll": pl.Float64, "perplexity": pl.Float64, "scored_tokens": pl.Int64, "ifd": pl.Float64},
}


def unmeasured(name: str, records: pl.DataFrame) -> pl.DataFrame:
    """The sidecar of a signal that is off: one row a distinct content hash, sorted by it, values null."""
    return (
        records.select("content_hash")
        .unique()
        .sort("content_hash")
        .with_columns(*(pl.lit(None, dtype).alias(column) for column, dtype in SCHEMAS[name].items()))
        .with_columns(pl.lit("off").alias("not_applicable"))
    )
