"""OpenAI messages: `{"messages": [{"role": …, "content": …, "tool_calls": […]}], "tools": […]}`.

Typed content, `reasoning_content`, and a `loss_weight` (or `weight`) for each message are read.
"""

from __future__ import annotations

from typing import Any

from curation.ingest import turns
from curation.ingest.layout import slice_of, system_turns, tools_text

NEEDS = frozenset({"messages"})
USED = frozenset({"messages", "tools", "system"})


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("messages"), list | str)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` and `tools` of the record, and the keys `used` for them; raises BadRecord."""
    own = value["messages"]
    plain = isinstance(own, str) or all(isinstance(t, dict) and len(t) == 2 for t in own)
    found = turns.read(own, None if plain and not _typed(own) else slice_of(raw, "messages"), "message")
    tools = tools_text(value.get("tools"), raw)
    return {"messages": system_turns(value) + found, "tools": tools, "used": USED}


def _typed(own: Any) -> bool:
    return any(isinstance(t, dict) and isinstance(t.get("content"), list) for t in own)
