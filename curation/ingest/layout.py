"""What the adapters share: the error that quarantines a record, and the checks of text and tool JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec


class BadRecord(Exception):
    """This record cannot become a row; `reason` is a stable snake_case word, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def text_of(value: Any, key: str) -> str:
    """Text, or the texts of typed content parts joined; raises BadRecord for anything else (images, numbers, objects)."""
    if isinstance(value, str):
        return value
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


def tools_text(value: Any, raw: str) -> str | None:
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


def slice_of(raw: str, key: str) -> str | None:
    """The JSON text of a member of the object `raw`, exactly as written; None when `raw` is no JSON object."""
    try:
        members = msgspec.json.decode(raw.encode(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return bytes(members[key]).decode() if key in members else None


def call_text(calls: Sequence[tuple[str | None, str, str]]) -> str:
    """`tool_calls` JSON text of (id, name, arguments as JSON text) triples; the arguments stay a string, byte for byte."""
    listed = [
        {"id": i or f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (i, name, arguments) in enumerate(calls, 1)
    ]
    return json.dumps(listed, ensure_ascii=False)
