"""Decisions and texts → parquet, a row group at a time: all rows of an output are sorted by their numbers only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
from polars.io.plugins import register_io_source

from curation.errors import DataError
from curation.mix import OUTPUTS, Decision, texted

ROWS = 65536  # a row group, as in curation.records.write


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
        for start in range(0, rows.height, ROWS):
            yield rows[order[start : start + ROWS]]

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        source = register_io_source(groups, schema=rows.schema, is_pure=True)
        source.sink_parquet(part, compression="zstd", row_group_size=ROWS, statistics=True)
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot write ({error}); free some space or pick another folder, then run again."
        ) from None
    finally:
        part.unlink(missing_ok=True)
