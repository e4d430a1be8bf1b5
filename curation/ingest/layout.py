"""What the adapters share: a turn, the error that quarantines a record, the checks of text, and slices of JSON as written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec


class BadRecord(Exception):
    """This record cannot become a row; `reason` is a stable snake_case word, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Turn(NamedTuple):
    """One message, its fields in the order of `records.MESSAGE`, and what has no field there."""

    role: str
    content: str
    reasoning: str | None = None
    name: str | None = None
    tool_calls: str | None = None  # JSON text of a list, arguments byte for byte
    tool_call_id: str | None = None
    loss_weight: float | None = None
    unread: dict[str, Any] | None = None  # what else it said of itself; goes to the record's meta


def text_of(value: Any, key: str) -> str:
    """Text, or the texts of typed content parts joined; raises BadRecord for anything else (images, objects).

    A list of one string is that string; of several nobody knows whether they are parts or alternatives.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        if len(value) > 1:
            raise BadRecord("not_text", f"`{key}` is a list of {len(value)} strings; one is accepted")
        return str(value[0])
    if isinstance(value, list):
        parts = []
        for part in value:
            found = part.get("text", part.get("value")) if isinstance(part, dict) else part
            kind = part.get("type", "text") if isinstance(part, dict) else "text"
            if not isinstance(found, str) or kind not in ("text", "input_text", "output_text"):
                raise BadRecord(
                    "unsupported_content", f"`{key}` holds a part of type {kind!r}; text parts are accepted"
                )
            parts.append(found)
        return "".join(parts)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    raise BadRecord("not_text", f"`{key}` is {type(value).__name__}; a string is accepted")


def answer_of(value: Any, key: str) -> str:
    """As `text_of`, of an answer: several strings are alternative answers, of which none is chosen; raises BadRecord."""
    if isinstance(value, list) and len(value) > 1 and all(isinstance(part, str) for part in value):
        raise BadRecord("several_answers", f"`{key}` holds {len(value)} answers; one is accepted")
    return text_of(value, key)


def optional_text(value: Any, key: str) -> str | None:
    """Text or nothing (null and the empty string are nothing); raises BadRecord."""
    return None if value in (None, "") else text_of(value, key)


def system_turns(value: dict[str, Any]) -> list[Turn]:
    """The system turn that a `system` key beside the conversation stands for, if there is one."""
    return [Turn("system", text_of(value["system"], "system"))] if value.get("system") else []


def beside(value: dict[str, Any], key: str) -> Any:
    """What stands beside the question (`input`, `context`): a 0 is text, any other empty value is nothing."""
    found = value.get(key)
    return found if found or type(found) in (int, float) else ""


def prompt_of(*parts: tuple[Any, str]) -> Turn:
    """A user turn of (value, key) parts with a blank line between those that are not blank."""
    texts = [text_of(value, key) for value, key in parts if value not in ("", None)]
    return Turn("user", "\n\n".join(t for t in texts if t.strip()))


def tools_text(value: Any, raw: bytes) -> str | None:
    """The tool schemas' JSON text as it stands in the record, byte for byte; raises BadRecord when it is not JSON."""
    if value in (None, "", [], "[]"):
        return None
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError as error:
            raise BadRecord("broken_tools", f"`tools` is not JSON ({error}); a list of schemas is accepted") from None
        text = value
    else:
        parsed, text = value, slice_of(raw, "tools") or json.dumps(value, ensure_ascii=False)
    if not isinstance(parsed, list) or not all(isinstance(t, dict) for t in parsed):
        raise BadRecord("broken_tools", "`tools` is not a list of schemas")
    return text if parsed else None


def slice_of(raw: str | bytes, *path: str | int) -> str | None:
    """The JSON text at a path of member names and element numbers in `raw`, exactly as written; None when it is not there.

    `slice_of('{"a": [1, {"b":  1.50}]}', "a", 1, "b")` is `'1.50'`.
    """
    try:
        piece = raw.encode() if isinstance(raw, str) else raw
        for step in path:
            if isinstance(step, str):
                piece = bytes(msgspec.json.decode(piece, type=dict[str, msgspec.Raw])[step])
            else:
                piece = bytes(msgspec.json.decode(piece, type=list[msgspec.Raw])[step])
        return piece.decode()
    except (msgspec.DecodeError, UnicodeError, LookupError):
        return None


def call_text(calls: Sequence[tuple[str | None, str, str]]) -> str:
    """`tool_calls` JSON text of (id, name, arguments as JSON text) triples; the arguments stay a string, byte for byte."""
    listed = [
        {"id": i or f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (i, name, arguments) in enumerate(calls, 1)
    ]
    return json.dumps(listed, ensure_ascii=False)
