"""Files → raw records: every record's own text with its line, and every piece that cannot be read, with the reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from curation.errors import DataError

FORMATS = ("auto", "json", "jsonl", "csv", "tsv", "text", "parquet")
# Column names that tell a table with a header from prose with commas.
KNOWN_COLUMNS = frozenset(
    "instruction input output history system prompt completion response question answer messages conversations "
    "text content label chosen rejected query context id language tags category".split()
)


@dataclass(frozen=True)
class RawRecord:
    """One record as it stands in its file: `value` when it could be parsed, `reason` and `detail` when not."""

    file: str
    line: int
    raw: str
    value: Any = None
    reason: str | None = None
    detail: str | None = None


def read_file(path: Path, name: str, format_: str = "auto", unit: str = "file") -> Iterator[RawRecord]:
    """All records of a file. `name` stands for the file in ids and reports; `unit` cuts plain text (file, line, block)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{name}: cannot be read ({error.strerror}); restore the file or take it out of ingest.sources."
        ) from None
    data = _unpacked(data, name)
    if format_ == "parquet" or (format_ == "auto" and data[:4] == b"PAR1"):
        yield from _parquet(data, name)
        return
    text, broken = _decoded(data, name)
    yield from broken
    format_ = detect(text) if format_ == "auto" else format_
    if format_ == "json":
        yield from _json(text, name)
    elif format_ == "jsonl":
        yield from _jsonl(text, name)
    elif format_ in ("csv", "tsv"):
        yield from _table(text, name, "," if format_ == "csv" else "\t")
    else:
        yield from _plain(text, name, unit)


def detect(text: str) -> str:
    """The format that the content shows; the file's ending does not count."""
    start = text.lstrip()
    if start.startswith("["):
        first = start.split("\n", 1)[0]
        return "jsonl" if first.rstrip().endswith("]") and "\n" in start.strip() and _parses(first) else "json"
    if start.startswith("{"):
        lines = [line for line in start.split("\n")[:50] if line.strip()]
        opened = sum(line.lstrip().startswith("{") for line in lines)
        return "jsonl" if _parses(lines[0]) or (len(lines) > 1 and opened > len(lines) / 2) else "json"
    header = start.split("\n", 1)[0]
    for separator, name in (("\t", "tsv"), (",", "csv")):
        columns = [c.strip().strip('"').lower() for c in header.split(separator)]
        if len(columns) > 1 and sum(c in KNOWN_COLUMNS for c in columns) >= 2:
            return name
    return "text"


def _parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _unpacked(data: bytes, name: str) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            import zstandard

            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{name}: compressed, but cannot be unpacked ({error}); fetch the file again.") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise DataError(f"{name}: compressed, but cannot be unpacked ({error}); fetch the file again.") from None
    return data


def _decoded(data: bytes, name: str) -> tuple[str, list[RawRecord]]:
    """UTF-8 (with or without mark), UTF-16 with a mark, or GB18030 text; lines in no encoding are given back as broken."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace"), []
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
        han = len(re.findall(r"[一-鿿]", text))
        if han > 0.8 * sum(ord(c) > 127 and not c.isspace() for c in text if not "　" <= c <= "￯" or "一" <= c <= "鿿"):
            return text, []
    except UnicodeDecodeError:
        pass
    good, broken = [], []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            good.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            good.append("")
            shown = line.decode("utf-8", errors="backslashreplace")
            detail = f"byte {line[error.start]:#04x} at column {error.start + 1}; UTF-8, UTF-16 or GB18030 is accepted"
            broken.append(RawRecord(name, number, shown, reason="not_utf8", detail=detail))
    return "\n".join(good), broken


def _jsonl(text: str, name: str) -> Iterator[RawRecord]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line:
            continue
        try:
            yield RawRecord(name, number, line, orjson.loads(line))
        except orjson.JSONDecodeError as error:
            yield RawRecord(name, number, line, reason="broken_json", detail=f"{error.msg} at column {error.colno}")


_NEXT_ELEMENT = re.compile(r"\}\s*,?\s*(?=\{)|\n\s*(?=\{)")


def _json(text: str, name: str) -> Iterator[RawRecord]:
    """An array, or an object that holds one (`{"data": […]}`). In a broken array the elements that parse are kept."""
    decoder = json.JSONDecoder()
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] == "{":
        try:
            whole = json.loads(text)
        except json.JSONDecodeError as error:
            yield RawRecord(name, 1, text.strip(), reason="broken_json", detail=f"{error.msg} at line {error.lineno}")
            return
        arrays = [k for k, v in whole.items() if isinstance(v, list) and v and isinstance(v[0], dict)]
        if len(arrays) != 1 or arrays[0] in ("messages", "conversations"):
            yield RawRecord(name, 1, text.strip(), whole)
            return
        start = text.index("[", text.index(f'"{arrays[0]}"'))
    position, line, counted, cut = start + 1, 1, 0, False
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        line += text.count("\n", counted, position)
        counted = position
        if position >= len(text):
            if not cut:
                yield RawRecord(name, line, "", reason="broken_json", detail="the array is not closed; `]` is accepted")
            return
        if text[position] == "]":
            return
        try:
            value, end = decoder.raw_decode(text, position)
            yield RawRecord(name, line, text[position:end], value)
        except (json.JSONDecodeError, RecursionError) as error:
            detail = (
                f"{error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
            )
            failed = error.pos if isinstance(error, json.JSONDecodeError) else position
            end = _resume(text, position, failed, decoder)
            cut = end == len(text)
            yield RawRecord(name, line, text[position:end].rstrip(", \t\r\n"), reason="broken_json", detail=detail)
        position = end


def _resume(text: str, position: int, failed: int, decoder: json.JSONDecoder) -> int:
    """Where the next element that parses begins, after the one at `position` that does not; the end of the text if none."""
    for begin in (max(position + 1, failed - 1), position + 1):
        for match in _NEXT_ELEMENT.finditer(text, begin):
            try:
                value, _ = decoder.raw_decode(text, match.end())
            except (json.JSONDecodeError, RecursionError):
                continue
            if isinstance(value, dict) and KNOWN_COLUMNS & value.keys():
                return match.end()
    tail = text.rstrip()
    return len(tail) - 1 if tail.endswith("]") else len(text)


def _table(text: str, name: str, separator: str) -> Iterator[RawRecord]:
    lines = text.splitlines(keepends=True)
    csv.field_size_limit(1 << 30)
    reader = csv.reader(iter(lines), delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        begin = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raw = "".join(lines[begin : reader.line_num]).rstrip("\r\n")
            yield RawRecord(name, begin + 1, raw, reason="broken_csv", detail=f"{error}; RFC 4180 quoting is accepted")
            continue
        raw = "".join(lines[begin : reader.line_num]).rstrip("\r\n")
        if not any(cells):
            continue
        if header is None:
            header = [c.strip() for c in cells]
        elif len(cells) != len(header):
            detail = f"{len(cells)} fields; the header names {len(header)}"
            yield RawRecord(name, begin + 1, raw, reason="wrong_field_count", detail=detail)
        else:
            yield RawRecord(name, begin + 1, raw, dict(zip(header, cells, strict=True)))


def _plain(text: str, name: str, unit: str) -> Iterator[RawRecord]:
    """Plain text: one document a file, a line, or a block (blocks stand apart by two or more empty lines)."""
    separator = {"file": r"\Z(?!\n)", "line": r"\n", "block": r"\n[ \t]*\n[ \t]*\n\s*"}[unit]
    position = 0
    for match in [*re.finditer(separator, text), None]:
        piece = text[position : match.start() if match else len(text)]
        if piece.strip():
            line = text.count("\n", 0, position) + 1
            body = piece.strip("\r\n")
            yield RawRecord(name, line, body, {"text": body})
        position = match.end() if match else len(text)


def _parquet(data: bytes, name: str) -> Iterator[RawRecord]:
    import polars as pl

    try:
        table = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{name}: not a readable parquet file ({str(error).splitlines()[0]}); fetch it again."
        ) from None
    for number, row in enumerate(table.iter_rows(named=True), 1):
        yield RawRecord(name, number, orjson.dumps(row, default=str).decode(), row)
