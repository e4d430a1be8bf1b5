"""Plain text for replay: `{"text": …}` (or `content`), and every document of a .txt, .md or source file."""

from __future__ import annotations

from typing import Any

from curation.ingest.layout import BadRecord

PLACES = ("text", "content")
NEEDS = frozenset(PLACES)


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("text", value.get("content")), str)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`text` of the record; raises BadRecord when it is empty."""
    place = next(p for p in PLACES if p in value)
    if not value[place].strip():
        raise BadRecord("empty_text", "`text` is empty")
    return {"text": value[place], "used": frozenset({place})}
