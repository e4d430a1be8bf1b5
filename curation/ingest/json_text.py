"""JSON lines and JSON arrays → raw records, as streams. In a broken array the elements that parse are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from typing import Any, TextIO

import msgspec
import orjson

from curation.ingest.layout import slice_of
from curation.ingest.raw import RECORD_KEYS, RawRecord, wrapped

_WINDOW = 1 << 22  # characters of an array that are held at once; more while one element needs more
_NEXT_ELEMENT = re.compile(r"\}\s*,?\s*(?=\{)|\n\s*(?=\{)")
_WRAPPER = re.compile(r'"([^"\\]*)"\s*:\s*(?:\[\s*\{)?')
_CLOSING = re.compile(r"\]\s*\}?\s*\Z")
# Keys that a record has and a turn, a typed part or a tool call has not: in broken text they tell what begins a record.
_OF_RECORDS = frozenset(
    "instruction output prompt completion response question answer query messages conversations conversation "
    "chosen rejected chosen_messages message_tree_id".split()
)
_OF_TURNS = frozenset({"role", "from"})
_OF_LISTS = _OF_TURNS | {"tools", "functions"}  # keys of a record, whatever follows
_MSGSPEC = msgspec.json.Decoder()


def _constant(word: str) -> float | None:
    """NaN, which is no JSON but is what many tools write for a missing value, is null; Infinity stays a number."""
    return None if word == "NaN" else float(word)


_DECODER = json.JSONDecoder(parse_constant=_constant)


def parse_line(line: str | bytes) -> tuple[Any, str | None]:
    """(value, None) of one line of JSONL, or (None, what is wrong). Whole numbers of any size stay exact, NaN is null."""
    try:
        return _MSGSPEC.decode(line), None
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass
    if any((word in line) if isinstance(line, str) else (word.encode() in line) for word in ("NaN", "Infinity")):
        try:
            return json.loads(line, parse_constant=_constant), None
        except (ValueError, RecursionError):
            pass
    try:
        return orjson.loads(line), None  # for its sentence of what is wrong
    except orjson.JSONDecodeError as error:
        return None, f"{error.msg} at column {error.colno}"


def lines(stream: TextIO, name: str) -> Iterator[RawRecord]:
    for number, line in enumerate(stream, 1):
        line = line.strip()
        if not line:
            continue
        value, wrong = parse_line(line)
        if wrong is None:
            yield RawRecord(name, number, line, value)
        else:
            yield RawRecord(name, number, line, None, "broken_json", wrong)


def array(stream: TextIO, name: str) -> Iterator[RawRecord]:
    """An array, or an object that holds one (`{"data": […]}`). An object is read whole, an array is not."""
    window, broken = _Window(stream), False
    start = window.skip(0, " \t\r\n\ufeff")
    if window.text[start : start + 1] == "{":
        text = window.all()
        try:
            whole = json.loads(text, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            begin = _inside(text)
            if begin is None:
                yield RawRecord(name, 1, text.strip(), None, "broken_json", _said(error, 1))
                return
            start, broken = begin, True
        else:
            key = wrapped(whole)
            if key is None:
                yield RawRecord(name, 1, text.strip(), whole)
                return
            piece = slice_of(text, key)
            start = text.index(piece) if piece else text.index("[", text.index(f'"{key}"'))
        window.inside = True
    yield from _elements(window, start + 1, name, broken)


def _inside(text: str) -> int | None:
    """Where the list of records begins in an object that is broken somewhere; None when the object is itself a record."""
    for match in _WRAPPER.finditer(text):
        if match[1] in RECORD_KEYS or match[1] in _OF_LISTS:
            return None
        if match[0].endswith("{"):
            return text.index("[", match.end(1))
    return None


class _Window:
    """The part of a stream that is looked at, and the line on which it begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._size = stream, _WINDOW
        self.text, self.line, self.ended, self.inside = stream.read(_WINDOW), 1, False, False

    def more(self) -> bool:
        """Read on, twice as far each time in a row; False at the end of the stream."""
        read = "" if self.ended else self._stream.read(self._size)
        self._size *= 2
        self.text += read
        self.ended = not read
        return not self.ended

    def cut(self, position: int) -> None:
        """Let go of what stands before `position`."""
        self.line += self.text.count("\n", 0, position)
        self.text, self._size = self.text[position:], _WINDOW

    def skip(self, position: int, characters: str) -> int:
        """The first position from `position` on that holds none of `characters`."""
        while True:
            while position < len(self.text) and self.text[position] in characters:
                position += 1
            if position < len(self.text) or not self.more():
                return position

    def all(self) -> str:
        while self.more():
            pass
        return self.text


def _elements(window: _Window, position: int, name: str, broken: bool) -> Iterator[RawRecord]:
    """The elements from `position` on; `broken` says that something before or among them is known not to parse."""
    counted, cut = 0, False
    line = window.line
    seen: set[frozenset[str]] = set()  # the keys of elements so far: one of the same keys is an element
    while True:
        if position > _WINDOW // 2:
            line += window.text.count("\n", counted, position)
            window.cut(position)
            position = counted = 0
        position = window.skip(position, " \t\r\n,")
        line += window.text.count("\n", counted, position)
        counted = position
        if position >= len(window.text):
            if not cut:
                yield RawRecord(name, line, "", None, "broken_json", "the array is not closed; `]` is accepted")
            return
        if window.text[position] == "]":
            # After a broken element it may be a bracket inside of one.
            further = _following(window, position, seen) if broken else None
            if further is not None:
                raw = window.text[position:further].rstrip(", \t\r\n")
                yield RawRecord(name, line, raw, None, "broken_json", "the end of a broken element")
                position = further
                continue
            rest = "" if window.inside else window.all()[position + 1 :].strip()
            if rest:
                yield RawRecord(name, line, rest, None, "broken_json", "text after the end of the array")
            return
        value, end, error = _decode(window, position)
        if error is None:
            if isinstance(value, dict) and len(seen) < 1000:
                seen.add(frozenset(value))
            yield RawRecord(name, line, window.text[position:end], value)
        else:
            failed = error.pos if isinstance(error, json.JSONDecodeError) else position
            end, broken = _resume(window, position, failed, seen), True
            cut = end == len(window.text)
            raw = window.text[position:end].rstrip(", \t\r\n")
            # The decoder counts lines from the start of the window.
            yield RawRecord(name, line, raw, None, "broken_json", _said(error, window.line))
        position = end


def _decode(window: _Window, position: int) -> tuple[Any, int, Exception | None]:
    """(value, end, None) of the element at `position`, or (None, position, error); reads on while more text could mend it."""
    while True:
        try:
            value, end = _DECODER.raw_decode(window.text, position)
        except (ValueError, RecursionError) as error:
            if not _cut_off(error, window) or not window.more():
                return None, position, error
        else:
            if end < len(window.text) or isinstance(value, dict | list | str) or not window.more():
                return value, end, None


def _cut_off(error: Exception, window: _Window) -> bool:
    if window.ended or not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= len(window.text) - 16


def _said(error: Exception, first_line: int) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno + first_line - 1}"
    return "nested too deep" if isinstance(error, RecursionError) else "a number is too long"


def _resume(window: _Window, position: int, failed: int, seen: Set[frozenset[str]]) -> int:
    """Where the next element that parses begins, after the one at `position` that does not; the end of the text if none.

    It is looked for from the error on, for what stands before it may be inside the broken element; then from its start.
    """
    begin = failed
    while begin > position + 1 and window.text[begin - 1] in " \t\r\n,}":
        begin -= 1
    found = _following(window, begin, seen)
    if found is None:
        found = _following(window, position + 1, seen)
    if found is not None:
        return found
    closing = _CLOSING.search(window.text, position)
    return closing.start() if closing and ("}" in closing[0]) <= window.inside else len(window.text)


def _following(window: _Window, begin: int, seen: Set[frozenset[str]]) -> int | None:
    """The first record after `begin`, reading on as far as it takes; None when there is none."""
    while (found := _element_after(window, begin, seen)) is None and window.more():
        pass
    return found


def _element_after(window: _Window, begin: int, seen: Set[frozenset[str]]) -> int | None:
    """The first record after `begin` in what was read; None when there is none, or when more text could change that."""
    for match in _NEXT_ELEMENT.finditer(window.text, begin):
        try:
            value, _ = _DECODER.raw_decode(window.text, match.end())
        except (ValueError, RecursionError) as error:
            if _cut_off(error, window):
                return None
            continue
        if isinstance(value, dict) and (_is_record(value) or frozenset(value) in seen):
            return match.end()
    return None


def _is_record(value: dict[str, Any]) -> bool:
    """True for an object that stands for itself; a turn, a typed part of one, or a tool call stands inside a record."""
    if not _OF_TURNS.isdisjoint(value):
        return False
    return not _OF_RECORDS.isdisjoint(value) or ("text" in value and "type" not in value)
