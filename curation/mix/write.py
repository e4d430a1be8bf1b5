"""Decisions and texts → parquet, a row group at a time: all rows of an output are sorted by their numbers only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from curation import records as rec
from curation.mix import OUTPUTS, Decision, texted


def write(texts: pl.LazyFrame, decided: Decision, folder: Path) -> None:
    """`train`, `heldout` and `unused` as parquet in `folder`, the same bytes for the same rows; each appears whole or not at all.

    `texts`: the records of both corpora with labels, scanned or in memory, in any order.
    """
    for name, (_, key) in OUTPUTS.items():
        _put(texted(texts, decided, name), key, folder / f"{name}.parquet")


def _put(rows: pl.DataFrame, key: str, path: Path) -> None:
    """`rows` by `key`, which must order totally, as curation.records.write puts them, without a sorted copy of all."""
    order = rows[key].arg_sort()

    def groups(*_: Any) -> Iterator[pl.DataFrame]:
        for start in range(0, rows.height, rec.ROW_GROUP):
            yield rows[order[start : start + rec.ROW_GROUP]]

    source = register_io_source(groups, schema=rows.schema, is_pure=True)
    with rec.whole(path) as part:
        source.sink_parquet(part, compression="zstd", row_group_size=rec.ROW_GROUP, statistics=True)
