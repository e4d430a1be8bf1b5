"""OpenAI messages: `{"messages": [{"role": …, "content": …, "tool_calls": […]}], "tools": […]}`.

Typed content, `reasoning_content`, and a `loss_weight` (or `weight`) for each message are read.
"""

from __future__ import annotations

from typing import Any

from curation.ingest import turns
from curation.ingest.layout import system_turns, tools_text

NEEDS = frozenset({"messages"})
USED = frozenset({"messages", "tools", "system"})


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("messages"), list | str)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` and `tools` of the record, and the keys `used` for them; raises BadRecord."""
    found = turns.read(value["messages"], turns.Text(raw, ("messages",)), "message")
    tools = tools_text(value["tools"], raw) if "tools" in value else None
    return {"messages": system_turns(value) + found if "system" in value else found, "tools": tools, "used": USED}
