"""The order in which each part's rows are drawn: a target takes a prefix of it, so a greater target only adds rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import xxhash

from curation.errors import ConfigError
from curation.mix.params import MixParams, Part, QualityParams

# What choosing reads of a row.
DRAWN = ("id", "part", "bucket", "task_type", "source", "tokens", "loss_tokens", "quality")


def priority(ids: pl.Series, seed: int) -> pl.Series:
    """A 64-bit number for each id, by hash of seed and id."""
    return pl.Series("_priority", [xxhash.xxh3_64_intdigest(i.encode(), seed=seed) for i in ids], dtype=pl.UInt64)


def parts(pool: pl.DataFrame, named: dict[str, Part], quality: QualityParams) -> pl.DataFrame:
    """`pool` with `part`: the first of `named` whose keys a row meets, else its bucket.

    Core are the best `quality.core` of the rows that meet the other keys of a part; rows without a number are tail.
    """
    said, plain = pl.lit(None, pl.String), pl.lit(None, pl.String)  # plain: parts that quality has no say in
    for name, part in named.items():
        meets = pl.lit(True)
        for key in ("bucket", "task_type", "source"):
            values = getattr(part, key)
            if values is not None:
                meets &= pl.col(key).is_in(list(values))
        if part.quality:
            _needs_quality(pool, f"mix.parts.{name}")
            rows = pool.filter(meets & plain.is_null()).drop_nulls("quality")
            best = rows.sort(["quality", "id"], descending=[True, False]).head(round(quality.core * rows.height))
            core = pl.col("id").is_in(best["id"].implode())
            meets &= core if part.quality == "core" else ~core
        else:
            plain = pl.coalesce(plain, pl.when(meets).then(pl.lit(name)))
        said = pl.coalesce(said, pl.when(meets).then(pl.lit(name)))
    return pool.with_columns(pl.coalesce(said, "bucket").alias("part"))


def _needs_quality(pool: pl.DataFrame, where: str) -> None:
    if pool["quality"].null_count() == pool.height:
        raise ConfigError(
            f"{where}: asks for quality, and no row has a number in the column `quality`; leave it out, or let rows carry one."
        )


def draw(pool: pl.DataFrame, params: MixParams) -> pl.DataFrame:
    """The columns DRAWN of `pool` in the order of drawing, parts spread evenly, short answers repeated.

    Within a part: by hash; with a temperature T by Gumbel-top-k, key z / T + g, z the standard score of quality within the
    part (0 without a number) and g a Gumbel number from the hash. That is sampling without replacement in proportion to
    exp(z / T) (Kool et al. 2019, arXiv 1903.06059). With `task_weights` f, task types take turns so that any prefix holds them in
    proportion to rows × f, as long as they last. A new column `copy` counts the copies of short answers.
    """
    pool = pool.select(DRAWN).with_columns(priority(pool["id"], params.seed))
    key = pl.col("_priority")
    if params.quality.temperature is not None:
        _needs_quality(pool, "mix.quality.temperature")
        q = pl.col("quality")
        z = ((q - q.mean().over("part")) / q.std(ddof=0).over("part")).fill_nan(0).fill_null(0)
        uniform = (pool["_priority"].to_numpy().astype(np.float64) + 0.5) / 2.0**64
        gumbel = pl.Series(-np.log(-np.log(np.clip(uniform, 1e-18, 1 - 1e-16))))
        key = -(z / params.quality.temperature + gumbel).round(9)
    pool = pool.with_columns(key.alias("_key")).sort("_key", "id")
    if params.task_weights:
        unknown = sorted(set(params.task_weights) - set(pool["task_type"].drop_nulls().unique()))
        if unknown:
            present = ", ".join(sorted(set(pool["task_type"].drop_nulls().unique())))
            raise ConfigError(f"mix.task_weights: no row has task type {', '.join(unknown)}; present: {present}.")
        factor = pl.col("task_type").replace_strict(params.task_weights, default=1.0, return_dtype=pl.Float64)
        turn = (pl.int_range(pl.len()).over("part", "task_type") + 0.5) / (pl.len().over("part", "task_type") * factor)
        pool = pool.with_columns(turn.round(12).alias("_turn")).sort("_turn", "_key", "id")
    spread = (pl.int_range(pl.len()).over("part") + 0.5) / pl.len().over("part")
    pool = pool.with_columns(spread.alias("_place")).sort("_place", "part", "id").drop("_place", "_key", "_priority")
    short = pl.col("loss_tokens") <= params.short_answers.max_loss_tokens
    times = pl.when(short).then(params.short_answers.times).otherwise(1)
    pool = pool.drop("_turn", strict=False).with_columns(times.cast(pl.Int64).alias("times"))
    if params.short_answers.times == 1:
        return pool.with_columns(pl.lit(0, pl.Int64).alias("copy"))
    return pool.with_columns(pl.int_ranges(0, "times").alias("copy")).explode("copy")


def consumption(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`rows` (id, repeat, part, phase) in the order of consumption: phase after phase, parts spread evenly over each.

    `phase_number` orders the phases. Copies of a row get places of their own, so that they do not stand together.
    """
    named = (
        rows["id"]
        + rows.select(pl.when(pl.col("repeat") > 0).then(pl.format("#{}", "repeat")).otherwise(pl.lit(""))).to_series()
    )
    rows = rows.with_columns(priority(named, seed + 1)).sort("_priority", "id", "repeat").drop("_priority")
    within = ["phase_number", "part"]
    place = (pl.int_range(pl.len()).over(within) + 0.5) / pl.len().over(within)
    return (
        rows.with_columns(place.alias("_place")).sort("phase_number", "_place", "part", "id", "repeat").drop("_place")
    )
