"""The form in which a rule reports its rows."""

from __future__ import annotations

import polars as pl


def hits(
    frame: pl.DataFrame,
    hit: pl.Expr,
    *,
    value: pl.Expr | float | None = None,
    limit: pl.Expr | float | None = None,
    detail: pl.Expr | str = "",
) -> pl.DataFrame:
    """`id`, `value`, `limit`, `detail` of the rows where `hit` is true; null counts as false."""

    def expr(given: pl.Expr | float | str | None) -> pl.Expr:
        return given if isinstance(given, pl.Expr) else pl.lit(given)

    return frame.filter(hit.fill_null(False)).select(
        "id",
        expr(value).cast(pl.Float64).alias("value"),
        expr(limit).cast(pl.Float64).alias("limit"),
        expr(detail).cast(pl.String).alias("detail"),
    )
