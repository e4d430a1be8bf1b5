"""How far apart the prompts of a task type stand, by the sentence vectors of the signal `embedding`."""

from __future__ import annotations

import numpy as np
import polars as pl

from curation.health.limits import LIMITS, MIN_ROWS
from curation.health.result import ROWS_SHOWN, Alarm, Measure

_WHY = {
    "script_not_covered": "in a script that the encoder does not know",
    "not_scored": "without this signal",
    "empty": "without text",
    "off": "off: score.off names the signal",
}


def spread(vectors: np.ndarray) -> float | None:
    """Mean cosine distance of two different rows of `vectors` (unit vectors, n × d): 1 - (|Σv|² - n) / n(n-1)."""
    n = len(vectors)
    if n < 2:
        return None
    total = vectors.astype(np.float64).sum(axis=0)
    return round(1 - (float(total @ total) - n) / (n * (n - 1)), 4)


def measure(frame: pl.DataFrame, embedding: pl.DataFrame | None) -> Measure:
    """`spread` by task type over the rows that have a vector; the others are counted by reason.

    `embedding`: content_hash, prompt (unit vector), not_applicable; None: no such signal, every row is `not_scored`.
    """
    chat = frame.select("id", "task_type", "content_hash")
    if embedding is None:
        vectors = chat.with_columns(
            pl.lit(None, pl.List(pl.Float32)).alias("vector"), pl.lit("not_scored").alias("reason")
        )
    else:
        known = embedding.select(
            "content_hash", pl.col("prompt").alias("vector"), pl.col("not_applicable").alias("reason")
        ).unique("content_hash")
        vectors = chat.join(known, on="content_hash", how="left").with_columns(
            pl.when(pl.col("vector").is_null()).then(pl.col("reason").fill_null("not_scored")).alias("reason")
        )
    table, found = [], []
    for (task_type,), mine in vectors.group_by("task_type"):
        there = mine.filter(pl.col("vector").is_not_null()).sort("id")
        matrix = np.array(there["vector"].to_list(), dtype=np.float64) if there.height else np.empty((0, 0))
        value = spread(matrix)
        table.append((str(task_type), mine.height, there.height, mine.height - there.height, value))
        if value is None or there.height < MIN_ROWS or value >= LIMITS["spread"]:
            continue
        central = np.round(matrix @ matrix.sum(axis=0), 6)
        order = sorted(range(there.height), key=lambda i: (-central[i], there["id"][i]))
        found.append(
            Alarm(
                "spread",
                str(task_type),
                value,
                LIMITS["spread"],
                f"Two prompts of {there.height} are {value:.2f} apart on average (0: same meaning, 1: unrelated): "
                f"they ask about one thing. The rows named stand in the middle of it.",
                "Bring in prompts on other matters, or take fewer of these.",
                tuple(there["id"][i] for i in order[:ROWS_SHOWN]),
            )
        )
    schema = {
        "task_type": pl.String, "rows": pl.Int64, "with_vector": pl.Int64, "not_applicable": pl.Int64, "spread": pl.Float64,
    }  # fmt: skip
    why = vectors.filter(pl.col("reason").is_not_null())["reason"].value_counts().sort("reason")
    said = ", ".join(f"{number:,} {_WHY.get(reason, reason)}" for reason, number in why.iter_rows())
    return Measure(
        "spread",
        pl.DataFrame(table, schema=schema, orient="row").sort("task_type"),
        tuple(sorted(found, key=lambda a: a.task_type)),
        f"prompts; not applicable: {said}" if said else "prompts; every row has a vector",
    )
