"""Plain text for replay: `{"text": …}` (or `content`), and every document of a .txt, .md or source file."""

from __future__ import annotations

from typing import Any

from curation.ingest.layout import BadRecord, text_of

KEYS = frozenset({"text", "content"})


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("text", value.get("content")), str)


def convert(value: dict[str, Any], raw: str) -> dict[str, Any]:
    """`text` of the record; raises BadRecord when it is empty."""
    text = text_of(value.get("text", value.get("content")), "text")
    if not text.strip():
        raise BadRecord("empty_text", "`text` is empty")
    return {"text": text}
