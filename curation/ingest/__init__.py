"""Every layout → canonical records. What cannot become a record is quarantined with file, line and reason.

`docs/formats.md` shows every layout and what becomes of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from curation import records as rec
from curation.errors import DataError
from curation.ingest import parts
from curation.ingest.rows import AT, LAYOUTS
from curation.ingest.source import IngestParams, SourceParams, places
from curation.ledger import QUARANTINE
from curation.progress import Progress, silent

__all__ = ["LAYOUTS", "IngestParams", "SourceParams", "ingest", "write"]
_EMPTY = "ingest.sources: no record could be read; see `curation show` and data/raw/quarantine.parquet."


def ingest(
    params: IngestParams, progress: Progress = silent, workers: int | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(records, quarantine), both sorted by id; raises DataError when a source is missing or nothing could be read."""
    with tempfile.TemporaryDirectory(prefix="curation-ingest-") as folder:
        found = list(_ranges(params, Path(folder), progress, workers))
    good, bad = (pl.concat([f[side] for f in found]) for side in (0, 1))
    if not good.height:
        raise DataError(_EMPTY)
    return good, bad


def write(
    params: IngestParams, good: Path, bad: Path, progress: Progress = silent, workers: int | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Records and quarantine as parquet, sorted by id; (records by source, quarantined by reason).

    Beyond 64 MB of sources memory does not grow with them: parts wait in a folder beside `good`.
    """
    folder = good.parent / ".parts"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(parents=True)
    sources: dict[str, int] = {}
    reasons: dict[str, int] = {}
    refused: list[pl.DataFrame] = []

    def kept() -> Iterator[pl.DataFrame]:
        for records, quarantined in _ranges(params, folder, progress, workers):
            for counts, column in ((sources, records["source"]), (reasons, quarantined["reason"])):
                for name, number in column.value_counts().iter_rows():
                    counts[name] = counts.get(name, 0) + number
            refused.append(quarantined)
            yield records

    try:
        ranges = kept()
        first = next(ranges)
        second = next(ranges, None)
        if second is None:
            rec.write(first, good, "id")
        else:
            _stream(_chained(first, second, ranges), good)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rec.write(pl.concat(refused), bad, "id")
    if not sources:
        good.unlink(missing_ok=True)
        raise DataError(_EMPTY)
    return dict(sorted(sources.items())), dict(sorted(reasons.items()))


def _ranges(
    params: IngestParams, folder: Path, progress: Progress, workers: int | None
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """(records, quarantine) of one range of ids after the other, each sorted by id; at least one range."""
    found = places(params)
    total = sum(map(parts.weight, found))
    if total <= parts.IN_MEMORY:
        tables: list[tuple[pa.Table, pa.Table]] = []
        for number, place in enumerate(found, 1):
            with parts.no_cycles():
                tables += parts.read(parts.Part(place))
            progress("ingest: sources", number, len(found))
        yield _numbered(parts.joined([t[0] for t in tables]), parts.joined([t[1] for t in tables]))
        return
    bounds = _bounds([(place.name, parts.weight(place)) for place in found])
    cut = list(parts.cut(found, parts.PART))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(workers or available, len(cut))
    try:
        paths = parts.spill(cut, folder, bounds, count, progress)
    except UnicodeDecodeError:  # some JSONL is not UTF-8 throughout: its encoding is judged on the whole file
        paths = parts.spill([parts.Part(place) for place in found], folder, bounds, count, progress)
    for number in range(len(bounds) + 1):
        yield _numbered(*parts.load(paths, number))


def _bounds(weights: list[tuple[str, int]]) -> list[str]:
    """Ids that part all ids into ranges of about parts.RANGE bytes: hashes are spread evenly over their 16 digits."""
    sizes: dict[str, int] = {}
    for name, size in weights:
        sizes[name] = sizes.get(name, 0) + size
    bounds = []
    for name, size in sizes.items():
        count = min(4096, -(-size // parts.RANGE))
        bounds += [f"{name}-{n * 65536 // count:04x}" for n in range(count)]
    return sorted(set(bounds))[1:]


def _numbered(good: pl.DataFrame, bad: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ids with their ordinals: identical records of one source name are numbered from the second on, as they came."""
    side = pl.concat([good.select("id", AT, bad=False), bad.select("id", AT, bad=True)])
    twice = side.filter(pl.col("id").is_duplicated()).sort(AT)
    ordinals = twice.with_columns(pl.int_range(1, pl.len() + 1).over("id").alias("ordinal"))
    numbered = pl.concat_str("id", pl.lit("-"), "ordinal")
    found = []
    for frame, schema, which in ((good, rec.SCHEMA, False), (bad, QUARANTINE, True)):
        later = ordinals.filter((pl.col("bad") == which) & (pl.col("ordinal") > 1))
        mine = later.select(AT, numbered.alias("numbered"))
        if mine.height:
            frame = frame.join(mine, on=AT, how="left", maintain_order="left").with_columns(
                pl.coalesce("numbered", "id").alias("id")
            )
        found.append(frame.select(list(schema)).sort("id"))
    return found[0], found[1]


def _chained(first: pl.DataFrame, second: pl.DataFrame, rest: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    yield first
    yield second
    yield from rest


def _stream(frames: Iterator[pl.DataFrame], path: Path) -> None:
    """As `records.write`, frame by frame (and compressed less, in half the time)."""
    from polars.io.plugins import register_io_source

    def source(*_: object) -> Iterator[pl.DataFrame]:
        yield from frames

    lazy = register_io_source(source, schema=rec.SCHEMA)
    with rec.whole(path) as part:
        lazy.sink_parquet(part, compression="zstd", compression_level=1, row_group_size=rec.ROW_GROUP, statistics=True)
