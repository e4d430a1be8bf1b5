"""Two-sided perplexity by robust outlier limits: high is noise or the wrong text, low is boilerplate or a leak of the prompt.

Limits are median ± k × 1.4826 × MAD of the nats per token within (language, kind); 1.4826 makes the median absolute
deviation estimate σ of a normal distribution (Rousseeuw and Croux 1993). A clean corpus loses nothing by them, as it
would by a fixed percentile.
"""

from __future__ import annotations

import polars as pl
from pydantic import Field

from curation.clean.hits import hits
from curation.params import Params

_GROUP = ["language.answer_language", "kind"]


class OutlierParams(Params):
    """`params.yaml: clean.perplexity`."""

    k_high: float | None = Field(5.0, gt=0)  # null: off
    k_low: float | None = Field(5.0, gt=0)
    min_tokens: int = Field(24, ge=1)  # shorter answers are not judged
    min_rows: int = Field(20, ge=2)  # smaller groups are not judged
    min_spread: float = Field(0.2, gt=0)  # nats; a floor for 1.4826 × MAD


def limits(frame: pl.DataFrame, params: OutlierParams) -> pl.DataFrame:
    nll = pl.when(pl.col("perplexity.scored_tokens") >= params.min_tokens).then(pl.col("perplexity.nll"))
    frame = frame.with_columns(nll.alias("_nll")).with_columns(
        pl.col("_nll").median().over(_GROUP).alias("_median"), pl.col("_nll").count().over(_GROUP).alias("_rows")
    )
    spread = 1.4826 * (pl.col("_nll") - pl.col("_median")).abs().median().over(_GROUP)
    return frame.with_columns(pl.max_horizontal(spread, pl.lit(params.min_spread)).alias("_spread")).filter(
        pl.col("_nll").is_not_null() & (pl.col("_rows") >= params.min_rows)
    )


def _detail(sign: str) -> pl.Expr:
    return pl.format(
        "{} nats/token; median of {} {} rows {}, spread {}",
        pl.col("_nll"), pl.col("language.answer_language"), pl.col("kind"), pl.col("_median").round(3), pl.col("_spread").round(3),
    )  # fmt: skip


def perplexity_high(frame: pl.DataFrame, params: OutlierParams) -> pl.DataFrame:
    """The answer surprises the model far more than others of its language and kind do."""
    if params.k_high is None:
        return hits(frame, pl.lit(False))
    limit = (pl.col("_median") + params.k_high * pl.col("_spread")).round(3)
    return hits(limits(frame, params), pl.col("_nll") > limit, value=pl.col("_nll"), limit=limit, detail=_detail(">"))


def perplexity_low(frame: pl.DataFrame, params: OutlierParams) -> pl.DataFrame:
    """The answer surprises the model far less than others of its language and kind do."""
    if params.k_low is None:
        return hits(frame, pl.lit(False))
    limit = (pl.col("_median") - params.k_low * pl.col("_spread")).round(3)
    return hits(limits(frame, params), pl.col("_nll") < limit, value=pl.col("_nll"), limit=limit, detail=_detail("<"))
