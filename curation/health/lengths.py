"""How prompt and answer lengths are spread over five buckets, by task type."""

from __future__ import annotations

import polars as pl

from curation.health.limits import CLOSED, LIMITS, MIN_ROWS
from curation.health.result import ROWS_SHOWN, Alarm, Measure

BOUNDS = (16, 64, 256, 1024)  # units; a word of other scripts counts as two Chinese characters, as in clean's limits
BUCKETS = ("1-16", "17-64", "65-256", "257-1024", "1025+")


def measure(frame: pl.DataFrame) -> Measure:
    """Share of rows by bucket, a row for each task type and side. `frame`: as made by `curation.health.prepared`."""
    long = pl.concat(
        frame.filter(pl.col(side) != "").select(
            "id", "task_type", pl.lit(side).alias("side"), pl.col(f"{side}_length").alias("length")
        )
        for side in ("prompt", "answer")
    ).with_columns(pl.col("length").cut(BOUNDS, labels=BUCKETS).cast(pl.String).alias("bucket"))
    share = [(pl.col("bucket") == bucket).mean().round(4).alias(bucket) for bucket in BUCKETS]
    table = (
        long.group_by("task_type", "side")
        .agg(pl.len().alias("rows"), pl.col("length").median().alias("median"), *share)
        .sort("task_type", "side", descending=[False, True])
    )
    return Measure(
        "lengths", table, tuple(_alarms(table, long)), "units: a Chinese character is one, a word of another script two"
    )


def _alarms(table: pl.DataFrame, long: pl.DataFrame) -> list[Alarm]:
    found = []
    for row in table.filter(pl.col("rows") >= MIN_ROWS).iter_rows(named=True):
        bucket = max(BUCKETS, key=lambda b: row[b])
        if row[bucket] < LIMITS["length_bucket"] or (row["side"] == "answer" and row["task_type"] in CLOSED):
            continue
        mine = long.filter(
            (pl.col("task_type") == row["task_type"]) & (pl.col("side") == row["side"]) & (pl.col("bucket") == bucket)
        )
        near = mine.sort((pl.col("length") - row["median"]).abs(), "id").head(ROWS_SHOWN)
        found.append(
            Alarm(
                "lengths",
                row["task_type"],
                row[bucket],
                LIMITS["length_bucket"],
                f"{row[bucket]:.0%} of {row['rows']} {row['side']}s are {bucket} units long (a Chinese character is one, a word two): "
                f"a model trained on them has seen one length only.",
                f"Add rows with shorter and longer {row['side']}s.",
                tuple(near["id"]),
            )
        )
    return found
