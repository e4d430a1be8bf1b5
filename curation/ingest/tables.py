"""Tables → raw records, as streams: CSV and TSV with a header, tab-separated lines without one, Parquet."""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import orjson

from curation.errors import DataError
from curation.ingest.packed import unpacked
from curation.ingest.raw import RawRecord


class _Lines:
    """Lines of a stream, those of the record at hand remembered, so that a broken record can give its lines back."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._again = stream, deque[str]()
        self.taken: list[str] = []
        self.first = 1  # number of the line with which the record at hand begins

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._stream)
        self.taken.append(line)
        return line

    def done(self, keep: int | None = None) -> None:
        """Go on to the next record, after `keep` of the lines taken (None: all)."""
        kept = len(self.taken) if keep is None else keep
        self._again.extendleft(reversed(self.taken[kept:]))
        self.first += kept
        self.taken = []

    def raw(self, lines: int | None = None) -> str:
        return "".join(self.taken[:lines]).rstrip("\r\n")


def separated(stream: TextIO, name: str, separator: str) -> Iterator[RawRecord]:
    """Rows as objects by the header's names. Rows that a quote without its end swallowed are given back.

    Raises DataError for a header that names a column twice.
    """
    csv.field_size_limit(1 << 30)
    lines = _Lines(stream)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            detail = f"{error}; RFC 4180 quoting is accepted"
            keep = 1 if header and _are_rows(lines.taken[1:], len(header), separator) else None
            yield RawRecord(name, lines.first, lines.raw(keep), None, "broken_csv", detail)
            lines.done(keep)
            reader = csv.reader(lines, delimiter=separator, strict=True)
            continue
        if any(cells):
            if header is None:
                header = _header(cells, name)
            elif len(cells) != len(header):
                detail = f"{len(cells)} fields; the header names {len(header)}"
                yield RawRecord(name, lines.first, lines.raw(), None, "wrong_field_count", detail)
            else:
                yield RawRecord(name, lines.first, lines.raw(), dict(zip(header, cells, strict=True)))
        lines.done()


def _header(cells: list[str], name: str) -> list[str]:
    """The columns' names; several without one are named by their place. Raises DataError where one is there twice."""
    header = [c.strip() for c in cells]
    if header.count("") > 1:
        header = [c or f"column {number}" for number, c in enumerate(header, 1)]
    if twice := next((c for c in header if header.count(c) > 1), None):
        raise DataError(f"{name}: the header names `{twice}` twice, and one would be lost; rename a column.")
    return header


def _are_rows(lines: list[str], fields: int, separator: str) -> bool:
    """True when nearly all lines are whole rows by themselves, and so no text inside a broken cell (200 are looked at)."""
    whole = 0
    for line in lines[:200]:
        try:
            whole += len(next(csv.reader([line], delimiter=separator, strict=True), [])) == fields
        except csv.Error:
            continue
    return whole >= 0.9 * min(len(lines), 200) - 1  # the line that ended the cell may be broken too


def headless(stream: TextIO, name: str) -> Iterator[RawRecord]:
    """Tab-separated lines whose first names no known column: nothing says which field is the answer."""
    for number, line in enumerate(stream, 1):
        if line.strip():
            detail = f"{line.count(chr(9)) + 1} tab-separated fields, no column that is known; a header is accepted"
            yield RawRecord(name, number, line.rstrip("\r\n"), None, "unknown_table", detail)


def parquet(path: Path, name: str) -> Iterator[RawRecord]:
    import io

    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        plain = file.read(4) == b"PAR1"
    with unpacked(path, name) as stream:
        source = path if plain else io.BytesIO(stream.read())
    try:
        number = 0
        for batch in pq.ParquetFile(source).iter_batches(8192):
            for row in pl.DataFrame(pl.from_arrow(batch)).iter_rows(named=True):
                number += 1
                yield RawRecord(name, number, _json(row), row)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{name}: not a readable parquet file ({str(error).splitlines()[0]}); fetch it again."
        ) from None


def _json(row: dict[str, object]) -> str:
    try:
        return orjson.dumps(row, default=str).decode()
    except TypeError:  # numbers of more than 64 bits
        return json.dumps(row, default=str, ensure_ascii=False)
