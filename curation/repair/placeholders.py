"""Placeholders in place of values: the same value, the same placeholder, in all turns and tool calls of a conversation.

A placeholder is `<EMAIL_1>` in every language: one form is one token pattern for a model to learn, survives width and
punctuation care, and can be told from a writer's own brackets; a Chinese form (【邮箱1】) would be neither rarer nor clearer.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from curation.repair.span import Span


class Placeholders:
    """The placeholders of one conversation: value → placeholder, numbered for each kind by first appearance."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._given: dict[tuple[str, str], str] = {}
        self._last: Counter[str] | None = None
        self.values: dict[str, str] = {}  # as written → placeholder

    def of(self, kind: str, value: str) -> str:
        label = kind.upper()
        key = label, value.casefold() if kind in ("email", "iban", "plate") else re.sub(r"[\s().-]", "", value)
        if kind in ("api_key", "token", "password", "private_key"):
            key = label, value
        if key not in self._given:
            last = self._numbers()
            last[label] += 1
            self._given[key] = f"<{label}_{last[label]}>"
        self.values[value] = self._given[key]
        return self._given[key]

    def _numbers(self) -> Counter[str]:
        """The highest number of each label, beginning with those that an earlier repair or the source took."""
        if self._last is None:
            self._last = Counter()
            for label, number in _PLACEHOLDER.findall("\n".join(self._texts)):
                self._last[label] = max(self._last[label], int(number))
        return self._last


def redact(text: str, spans: list[Span], placeholders: Placeholders) -> str:
    """`text` with a placeholder for each span."""
    pieces, done = [], 0
    for span in spans:
        pieces += [text[done : span.start], placeholders.of(span.type, text[span.start : span.end])]
        done = span.end
    return "".join([*pieces, text[done:]])


def repeats(text: str, placeholders: Placeholders, skip: int = 0) -> tuple[str, int]:
    """`text` without the values that were found elsewhere in the conversation, where a context word gave them away."""
    count = 0
    for value in sorted(placeholders.values, key=lambda v: (-len(v), v)):
        if len(value) >= 6 and value in text[skip:]:
            whole = re.compile(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])")
            rest, times = whole.subn(placeholders.values[value], text[skip:])
            text, count = text[:skip] + rest, count + times
    return text, count


# (text, how many characters at its head are context only) → the text and what was done
Change = Callable[[str, int], tuple[str, Counter[str]]]


def in_calls(calls: str, change: Change) -> tuple[str, Counter[str]]:
    """A message's `tool_calls` (JSON text) with `change` applied to what its arguments hold; JSON stays JSON."""
    return _in_json(calls, change, outer=True) if _is_json(calls) else (calls, Counter())


def in_meta(meta: str | None, change: Change) -> tuple[str | None, Counter[str]]:
    """A record's `meta` (JSON text) with `change` applied to all that it holds, JSON inside its strings too.

    Where the record came from (`file`, `line`) stays, so that its row can still be found.
    """
    if not meta or _PLACE_ONLY.fullmatch(meta) or not _is_json(meta):
        return meta, Counter()
    place = _PLACE.match(meta)
    start = place.end() if place else 0
    rest, done = _in_json(meta[start:], change, nested=True)
    return meta[:start] + rest, done


def in_tools(tools: str | None, change: Change) -> tuple[str | None, Counter[str]]:
    """A record's `tools` (JSON text of tool schemas) with `change` applied to their strings, JSON inside them too.

    Names, types and numbers stay: calls refer to the first, and a limit is of the type that its schema says.
    """
    return _in_json(tools, change, nested=True, schema=True) if tools and _is_json(tools) else (tools, Counter())


def _in_json(
    text: str, change: Change, outer: bool = False, nested: bool = False, schema: bool = False
) -> tuple[str, Counter[str]]:
    """JSON text with its strings and numbers changed and every other byte as it was. A changed number becomes a string.

    Keys stay; a value's key is its context ("phone": "…"). `outer`: the call itself, whose id, type and name stay.
    `nested`: strings that are JSON text themselves are gone into. `schema`: names, types and numbers stay at every depth.
    """
    done: Counter[str] = Counter()
    key, pieces, end = "", [], 0
    for token in _JSON_TOKEN.finditer(text):
        value = json.loads(token[0]) if token[0].startswith('"') else token[0]
        if token[0].startswith('"') and _COLON.match(text, token.end()):
            key = value
            continue
        if outer and key in ("id", "type", "name"):
            continue
        if schema and (key in _SCHEMA_WORDS or not token[0].startswith('"')):
            continue
        if (nested or (outer and key == "arguments")) and _is_json(value):
            new, count = _in_json(value, change, nested=nested, schema=schema)
        else:
            new, count = change(f"{key}: {value}", len(key) + 2)
            new = new[len(key) + 2 :]
        if new != value:
            pieces += [text[end : token.start()], _dumped(new)]
            end = token.end()
            done += count
    return "".join([*pieces, text[end:]]), done


def _dumped(value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a UTF-16 pair can only be written as an escape
        return json.dumps(value)
    return text


def arguments(calls: str) -> Iterator[str]:
    """The argument texts of a message's `tool_calls`; none when it is not the JSON text of a list of calls."""
    if not _is_json(calls):
        return
    for call in json.loads(calls):
        function = call.get("function", call) if isinstance(call, dict) else None
        given = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(given, str):
            yield given


_PLACEHOLDER = re.compile(r"<([A-Z_]+)_(\d+)>")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_COLON = re.compile(r"\s*:")
_SCHEMA_WORDS = frozenset({"name", "type", "required"})
_PLACE = re.compile(r'\{"file": "(?:[^"\\]|\\.)*", "line": \d+')  # as ingest writes it before all else
_PLACE_ONLY = re.compile(_PLACE.pattern + r"\}")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
