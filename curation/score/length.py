"""Lengths: characters, tokens and turns."""

from __future__ import annotations

import polars as pl

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides


class LengthParams(Params):
    """`params.yaml: score.length`. Tokens are those of this model's tokenizer."""

    model: str = "smollm2-135m-instruct"


def compute(
    records: pl.DataFrame,
    params: LengthParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`prompt_chars`, `answer_chars`, `last_answer_chars`, `prompt_tokens`, `answer_tokens`, `turns` (user turns)."""
    from curation.models import load_tokenizer
    from curation.score import distinct

    rows = sides(distinct(records))
    tokenizer = load_tokenizer(params.model)

    def tokens(column: str) -> pl.Series:
        counts: list[int] = []
        texts = rows[column].to_list()
        for start in range(0, len(texts), 1000):
            batch = tokenizer(texts[start : start + 1000], add_special_tokens=False)["input_ids"]
            counts += [len(ids) for ids in batch]
            progress(f"length: {column} tokens", len(counts), len(texts))
        return pl.Series(f"{column}_tokens", counts, dtype=pl.Int64)

    turns = pl.col("messages").list.eval(pl.element().struct.field("role") == "user").list.sum().fill_null(0)
    return rows.select(
        "content_hash",
        pl.col("prompt").str.len_chars().cast(pl.Int64).alias("prompt_chars"),
        pl.col("answer").str.len_chars().cast(pl.Int64).alias("answer_chars"),
        pl.col("last_answer").str.len_chars().cast(pl.Int64).alias("last_answer_chars"),
        tokens("prompt"),
        tokens("answer"),
        turns.cast(pl.Int64).alias("turns"),
        pl.lit(None, pl.String).alias("not_applicable"),
    )
