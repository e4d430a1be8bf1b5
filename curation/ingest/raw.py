"""Files → raw records: every record's own text with its line, and every piece that cannot be read, with the reason.

Content decides, never the file's ending: compression, encoding and format are seen in the bytes. JSONL, CSV, TSV, JSON arrays,
Parquet and text by lines are read as streams; what has no records inside (one object, one document) is read whole.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import orjson

from curation.ingest.packed import unpacked

# Column names that tell a table with a header from prose with commas.
KNOWN_COLUMNS = frozenset(
    "instruction input output history system prompt completion response question answer messages conversations "
    "text content label chosen rejected query context id language tags category".split()
)
RECORD_KEYS = KNOWN_COLUMNS | {"conversation", "chosen_messages", "question_id", "message_id"}
_HEAD_LINES = 50
_HEAD_CHARACTERS = 1 << 24
_PROBE = 8192  # bytes in which a binary file shows a NUL, as git looks for it
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class RawRecord(NamedTuple):
    """One record as it stands in its file: `value` when it could be parsed, `reason` and `detail` when not."""

    file: str
    line: int
    raw: str
    value: Any = None
    reason: str | None = None
    detail: str | None = None


def read_file(path: Path, name: str, format_: str = "auto", unit: str = "file") -> Iterator[RawRecord]:
    """All records of a file. `name` stands for the file in ids and reports; `unit` cuts plain text (file, line, block)."""
    from curation.ingest import json_text, tables

    with unpacked(path, name) as packed:
        magic = packed.read(4)
    if format_ == "parquet" or (format_ == "auto" and magic == b"PAR1"):
        yield from tables.parquet(path, name)
        return
    start = _binary(path, name) if format_ in ("auto", "text") else None
    if start is not None and (format_ == "text" or detect(start) == "text"):
        detail = "NUL bytes, so no text; a text, JSON, CSV, TSV or Parquet file is accepted"
        yield RawRecord(name, 1, start[:200], None, "binary_file", detail)
        return
    text, broken = _text(path, name)
    yield from broken
    if format_ == "auto":
        with text("\n") as stream:
            format_ = detect(head(stream))
    with text("" if format_ in ("csv", "tsv") else "\n") as stream:
        if format_ == "json":
            yield from json_text.array(stream, name)
        elif format_ == "jsonl":
            yield from json_text.lines(stream, name)
        elif format_ in ("csv", "tsv"):
            yield from tables.separated(stream, name, "," if format_ == "csv" else "\t")
        elif format_ == "table":
            yield from tables.headless(stream, name)
        else:
            yield from _plain(stream, name, unit)


def _binary(path: Path, name: str) -> str | None:
    """The beginning of a file that has NUL bytes in it and is not UTF-16; None for a text file."""
    with unpacked(path, name) as stream:
        start = stream.read(_PROBE)
    if start[:2] in _UTF16 or b"\0" not in start:
        return None
    return start.decode("utf-8", "backslashreplace")


def head(stream: TextIO) -> str:
    """The first 50 lines that are not blank; fewer when they are very long. A line that was cut has no line break."""
    taken, size, count = [], 0, 0
    while count < _HEAD_LINES and size < _HEAD_CHARACTERS:
        line = stream.readline(_HEAD_CHARACTERS)
        if not line:
            break
        count += bool(line.strip())
        size += len(line)
        taken.append(line)
    return "".join(taken)


def detect(text: str) -> str:
    """The format that the content shows (`text`: the beginning of a file); the file's ending does not count.

    `table` is a tab-separated one without a header that names any known column.
    """
    start = text.lstrip().removeprefix("\ufeff")
    if start.startswith("[") and not re.match(r"\[\s*(?!true|false|null)[^\W\d]", start):  # [Notes] begins prose
        first = start.split("\n", 1)[0]
        return "jsonl" if first.rstrip().endswith("]") and "\n" in start.strip() and _parses(first) else "json"
    if start.startswith("{"):
        lines = [line for line in start.split("\n")[:_HEAD_LINES] if line.strip()]
        opened = sum(line.lstrip().startswith("{") for line in lines)
        if len(lines) == 1:
            return "json" if wrapped(_parsed(lines[0])) else "jsonl" if _parses(lines[0]) else "json"
        # A first line that ends with `[` opens the list of records, which may stand a line each.
        by_line = opened > len(lines) / 2 and not lines[0].rstrip().endswith("[")
        return "jsonl" if _parses(lines[0]) or by_line else "json"
    header, *rest = start.split("\n")
    for separator, name in (("\t", "tsv"), (",", "csv")):
        columns = [c.strip().strip('"').lower() for c in header.split(separator)]
        if len(columns) > 1 and sum(c in KNOWN_COLUMNS for c in columns) >= 2:
            return name
    tabs = {line.count("\t") for line in (header, *rest[:-1]) if line.strip()}
    return "table" if len(tabs) == 1 and 0 not in tabs and len(rest) > 2 and not header.startswith("\t") else "text"


def wrapped(value: Any) -> str | None:
    """The one member of an object that holds the records (`{"version": 1, "data": [{…}]}`); None when it is a record."""
    if not isinstance(value, dict) or not RECORD_KEYS.isdisjoint(value):
        return None
    lists = [k for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)]
    return lists[0] if len(lists) == 1 else None


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _parses(text: str) -> bool:
    return _parsed(text) is not None


def _text(path: Path, name: str) -> tuple[Callable[[str], TextIO], list[RawRecord]]:
    """What opens the file as text with a given `newline`, and its lines that are in no known encoding.

    UTF-8 (with or without mark) is a stream. UTF-16 with a mark and GB18030 are read whole, and so is a file with broken lines.
    """
    with unpacked(path, name) as stream:
        magic = stream.read(2)
    if magic not in _UTF16 and _is_utf8(path, name):
        return lambda newline: io.TextIOWrapper(
            io.BufferedReader(unpacked(path, name)), "utf-8-sig", newline=newline  # type: ignore[type-var, arg-type]
        ), []  # fmt: skip
    with unpacked(path, name) as stream:
        text, broken = _decoded(stream.read(), name)
    return lambda newline: io.StringIO(text, newline=newline), broken


def _is_utf8(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with unpacked(path, name) as stream:
        try:
            while block := stream.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _decoded(data: bytes, name: str) -> tuple[str, list[RawRecord]]:
    """UTF-16 with a mark, UTF-8 or GB18030 text; lines that are not in its encoding are given back as broken.

    Damaged UTF-8 may well be GB18030, of other characters: it is taken for that only where most lines are no UTF-8.
    """
    if data[:2] in _UTF16:
        return data.decode("utf-16", errors="replace"), []
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    votes = sum(1 if _mostly_utf8(line) else -1 for line in lines if not line.isascii())
    if votes <= 0 and (text := _chinese(b"\n".join(lines))) is not None:
        return text, []
    good, broken = [], []
    for number, line in enumerate(lines, 1):
        try:
            good.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            good.append("")
            shown = line.decode("utf-8", errors="backslashreplace")
            detail = f"byte {line[error.start]:#04x} at column {error.start + 1}; UTF-8, UTF-16 or GB18030 is accepted"
            broken.append(RawRecord(name, number, shown, reason="not_utf8", detail=detail))
    return "\n".join(good), broken


def _mostly_utf8(line: bytes) -> bool:
    """True when more characters beyond ASCII are UTF-8 than bytes are not."""
    text = line.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    return sum(c > "\x7f" for c in text) > 2 * bad


def _chinese(data: bytes) -> str | None:
    """The text as GB18030 when that gives Chinese, else None."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    han = len(re.findall(r"[一-鿿]", text))
    beyond = sum(ord(c) > 127 and not c.isspace() for c in text if not "　" <= c <= "￯" or "一" <= c <= "鿿")
    return text if han > 0.8 * beyond else None


def _plain(stream: TextIO, name: str, unit: str) -> Iterator[RawRecord]:
    """Plain text: one document a file, a line, or a block (blocks stand apart by two or more empty lines)."""
    if unit == "line":
        pieces: Iterator[tuple[int, str]] = enumerate(stream, 1)
    elif unit == "file":
        pieces = iter([(1, stream.read())])
    else:
        pieces = _blocks(stream.read())
    for line, piece in pieces:
        if piece.strip():
            body = piece.strip("\r\n")
            yield RawRecord(name, line, body, {"text": body})


_BLANK = r"[ \t\r\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]*"  # a line with nothing on it; \r: of CRLF
_BETWEEN = re.compile(rf"\n{_BLANK}\n{_BLANK}\n\s*")


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    position, line = 0, 1
    for match in [*_BETWEEN.finditer(text), None]:
        end = match.end() if match else len(text)
        yield line, text[position : match.start() if match else end]
        line += text.count("\n", position, end)
        position = end
