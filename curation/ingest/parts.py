"""Large sources in parts: every part is read by a process of its own and spilled, then put in order range by range.

Memory holds a part a process (16 MB of JSON and its columns) and then one range of ids; the disk holds one copy of the rows.
What comes out depends on the content only, not on the number of processes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from curation.ingest.json_text import parse_line
from curation.ingest.packed import GZIP, ZSTD, opened
from curation.ingest.raw import detect, read_file
from curation.ingest.rows import AT, Rows
from curation.ingest.source import Place, dataset
from curation.progress import Progress

PART = 16 << 20  # bytes of JSONL that one process takes at a time, and of records that are spilled at a time
RANGE = 64 << 20  # bytes of records that are put in order at a time
IN_MEMORY = 64 << 20  # sources of fewer bytes are read by this process and not spilled
_PACKED = 6  # a compressed file counts as so many times its size


class Part(NamedTuple):
    """A stretch of JSONL lines (`size` bytes from `start`, beginning with line `line`), or with size None a whole place."""

    place: Place
    start: int = 0
    size: int | None = None
    line: int = 1


def weight(place: Place) -> int:
    """About how many bytes of records a place holds."""
    if place.path is None:
        return 0
    with opened(place.path, place.file) as file:
        packed = file.read(4)
        size = file.seek(0, os.SEEK_END)
    return size * _PACKED if packed[:2] == GZIP or packed in (ZSTD, b"PAR1") else size


def cut(places: Sequence[Place], size: int) -> Iterator[Part]:
    """Parts in the order of their records; only plain UTF-8 JSONL is cut, at ends of lines, into about `size` bytes."""
    for place in places:
        if place.path is None or weight(place) <= size or not _is_lines(place):
            yield Part(place)
            continue
        with place.path.open("rb") as file:
            start, line = 3 * (file.read(3) == b"\xef\xbb\xbf"), 1
            file.seek(start)
            while block := file.read(size):
                block += file.readline()
                yield Part(place, start, len(block), line)
                start, line = start + len(block), line + block.count(b"\n")


def _is_lines(place: Place) -> bool:
    if place.source.format != "auto" or place.path is None:
        return place.source.format == "jsonl"
    with place.path.open("rb") as file:
        lines = [file.readline(PART) for _ in range(50)]
    try:
        return detect(b"".join(lines).decode("utf-8-sig")) == "jsonl"
    except UnicodeDecodeError:
        return False


def read(part: Part, size: int | None = None) -> Iterator[tuple[pa.Table, pa.Table]]:
    """(good, bad) rows of a part, all at once or about `size` bytes at a time; raises UnicodeDecodeError for JSONL not in UTF-8."""
    rows = Rows(part.place.name, part.place.source)
    if part.size is not None and part.place.path is not None:
        with part.place.path.open("rb") as file:
            file.seek(part.start)
            data = file.read(part.size)
        data.decode("utf-8")
        _lines(data, part, rows)
    else:
        place = part.place
        found = (
            dataset(place.file, place.source.split)
            if place.path is None
            else read_file(place.path, place.file, place.source.format, place.source.unit)
        )
        for raw in found:
            text = raw.raw.encode("utf-8", "surrogatepass")
            rows.add(raw.file, raw.line, text, raw.value, raw.reason, raw.detail or "")
            if size and rows.bytes > size:
                yield rows.tables()
    yield rows.tables()


def _lines(data: bytes, part: Part, rows: Rows) -> None:
    file = part.place.file
    for number, line in enumerate(data.split(b"\n"), part.line):
        line = line.strip()
        if not (line.startswith(b"{") and line.endswith(b"}")):
            line = line.decode().strip().encode()  # other white space than ASCII's
            if not line:
                continue
        value, wrong = parse_line(line)
        rows.add(file, number, line, value, wrong and "broken_json", wrong or "")


def spill(parts: Sequence[Part], folder: Path, bounds: Sequence[str], workers: int, progress: Progress) -> list[Path]:
    """Files of rows, a record batch for every range of ids that `bounds` parts, in the order of the records."""
    found: dict[int, list[Path]] = {}
    if workers == 1:
        for number, part in enumerate(parts):
            found[number] = _spill_part(part, number, folder, bounds)
            progress("ingest: parts", number + 1, len(parts))
    else:
        context = get_context("spawn")
        own = (os.getpid(),)
        with ProcessPoolExecutor(workers, context, _end_with_parent, own) as pool, contextlib.ExitStack() as unfinished:
            jobs = {pool.submit(_spill_part, part, n, folder, bounds): n for n, part in enumerate(parts)}
            unfinished.callback(pool.shutdown, wait=False, cancel_futures=True)  # nobody waits for what is not needed
            for job in as_completed(jobs):
                found[jobs[job]] = job.result()
                progress("ingest: parts", len(found), len(parts))
            unfinished.pop_all()
    return [path for number in sorted(found) for path in found[number]]


def _spill_part(part: Part, number: int, folder: Path, bounds: Sequence[str]) -> list[Path]:
    paths = []
    with no_cycles():
        for piece, (good, bad) in enumerate(read(part, PART)):
            path = folder / f"{number:06d}-{piece:06d}"
            for table, ending in ((good, "good"), (bad, "bad")):
                _write(table, path.with_suffix(f".{ending}"), bounds)
            paths.append(path)
    return paths


@contextlib.contextmanager
def no_cycles() -> Iterator[None]:
    """Switch the search for reference cycles off: parsed JSON has none, and looking for them takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _write(table: pa.Table, path: Path, bounds: Sequence[str]) -> None:
    ids = table["id"].to_pylist()
    empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in table.schema], schema=table.schema)
    edges = [0, *(bisect_left(ids, bound) for bound in bounds), len(ids)]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for begin, end in pairwise(edges):
            batches = table.slice(begin, end - begin).to_batches()
            writer.write_batch(batches[0] if batches else empty)


def load(paths: Sequence[Path], number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(good, bad) of range `number`, in the order of the records."""
    good, bad = ([_read(path.with_suffix(ending), number) for path in paths] for ending in (".good", ".bad"))
    return joined(good), joined(bad)


def _read(path: Path, number: int) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.Table.from_batches([pa.ipc.open_file(source).get_batch(number)])


def joined(tables: Sequence[pa.Table]) -> pl.DataFrame:
    """Tables that follow one another as a frame; `at` counts on from table to table."""
    frames = [pl.DataFrame(pl.from_arrow(t)).with_columns(pl.col(AT) + (n << 40)) for n, t in enumerate(tables)]
    return pl.concat(frames)


def _end_with_parent(parent: int) -> None:
    """A worker whose parent was killed would wait for work forever: it holds both ends of the queue."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
