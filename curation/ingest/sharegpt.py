"""ShareGPT: `{"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}], "system": …, "tools": "[…]"}`.

Both key styles (from/value, role/content); `function_call` turns hold `{"name": …, "arguments": {…}}`, `observation`
turns the tool's answer.
"""

from __future__ import annotations

from typing import Any

from curation.ingest import turns
from curation.ingest.layout import system_turns, tools_text

NAMES = ("conversations", "conversation")
NEEDS = frozenset(NAMES)
USED = {name: frozenset({name, "system", "tools"}) for name in NAMES}


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get(NAMES[0]), list | str) or isinstance(value.get(NAMES[1]), list | str)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` and `tools` of the record, and the keys `used` for them; raises BadRecord."""
    name = NAMES[0] if isinstance(value.get(NAMES[0]), list | str) else NAMES[1]
    found = turns.read(value[name], turns.Text(raw, (name,)), "turn")
    tools = tools_text(value["tools"], raw) if "tools" in value else None
    return {"messages": system_turns(value) + found if "system" in value else found, "tools": tools, "used": USED[name]}
