"""Targets and nested sampling: in each bucket rows stand in one seeded order, and a target takes a prefix of it.

So raising a share only adds rows to that bucket, and two mixtures differ by as few rows as can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import xxhash

from curation.errors import ConfigError

REPLAY = "replay"


def shares(ratios: Mapping[str, float], replay: float) -> dict[str, float]:
    """Share of the whole for each bucket: relative weights of the chat buckets, and replay as it stands."""
    total = sum(ratios.values())
    found = {bucket: (1 - replay) * weight / total for bucket, weight in ratios.items() if weight > 0}
    return found | ({REPLAY: replay} if replay > 0 else {})


def priority(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`rows` in their seeded order: by hash of seed and id."""
    keys = [xxhash.xxh3_64_intdigest(i.encode(), seed=seed) for i in rows["id"]]
    return rows.with_columns(pl.Series("_priority", keys, dtype=pl.UInt64)).sort("_priority", "id").drop("_priority")


def choose(
    pool: pl.DataFrame, ratios: Mapping[str, float], replay: float, unit: str, size: int | None, seed: int
) -> tuple[pl.DataFrame, dict[str, dict[str, Any]]]:
    """(ids chosen, per bucket: share, target and available in `unit`); raises ConfigError when a bucket lacks rows.

    Without `size` the whole is the greatest that the scarcest bucket allows. A prefix ends where it is nearest to the
    target, so that a bucket is off by at most half a row.
    """
    wanted = shares(ratios, replay)
    weight = pl.lit(1, pl.Int64) if unit == "rows" else pl.col(unit)
    pool = priority(pool, seed).with_columns(weight.alias("_size"))
    available = dict(pool.group_by("bucket").agg(pl.col("_size").sum()).iter_rows())
    empty = [bucket for bucket in wanted if not available.get(bucket)]
    if empty:
        raise ConfigError(
            f"mix: no row for {', '.join(empty)} (weights ask for some); add rows, or set the weight to 0 "
            f"(present: {', '.join(f'{b} {n} {unit}' for b, n in sorted(available.items()))})."
        )
    largest = min(available[bucket] / share for bucket, share in wanted.items())
    whole = float(size) if size is not None else largest
    lacking = {b: (s * whole, available[b]) for b, s in wanted.items() if s * whole > available[b] * (1 + 1e-9) + 0.5}
    if lacking:
        said = "; ".join(f"{b} needs {need:.0f} {unit} and has {have}" for b, (need, have) in sorted(lacking.items()))
        raise ConfigError(f"mix.size: {size} {unit} cannot be had: {said}; at most {int(largest)} with these weights.")
    chosen = []
    targets: dict[str, dict[str, Any]] = {}
    for bucket, share in wanted.items():
        rows = pool.filter(pl.col("bucket") == bucket)
        target = share * whole
        ends = [0, *rows["_size"].cum_sum().to_list()]
        count = min(range(len(ends)), key=lambda i: (abs(ends[i] - target), i))
        chosen += rows["id"].head(count).to_list()
        targets[bucket] = {"share": share, "target": round(target, 3), "available": available[bucket]}
    return pl.DataFrame({"id": chosen}, schema={"id": pl.String}), targets


def ordered(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The order of consumption: buckets spread evenly over the run, each in its seeded order."""
    rows = priority(rows, seed + 1)
    place = (pl.int_range(pl.len()).over("bucket") + 0.5) / pl.len().over("bucket")
    return rows.with_columns(place.alias("_place")).sort("_place", "bucket", "id").drop("_place")
