"""ShareGPT: `{"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}], "system": …, "tools": "[…]"}`.

Both key styles (from/value, role/content); `function_call` turns hold `{"name": …, "arguments": {…}}`, `observation`
turns the tool's answer.
"""

from __future__ import annotations

from typing import Any

from curation.ingest import turns
from curation.ingest.layout import slice_of, system_turns, tools_text

NAMES = ("conversations", "conversation")
NEEDS = frozenset(NAMES)


def matches(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(name), list | str) for name in NAMES)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` and `tools` of the record, and the keys `used` for them; raises BadRecord."""
    name = next(n for n in NAMES if isinstance(value.get(n), list | str))
    own = value[name]
    plain = isinstance(own, str) or all(isinstance(t, dict) and len(t) == 2 for t in own)
    found = turns.read(own, None if plain else slice_of(raw, name), "turn")
    tools = tools_text(value.get("tools"), raw)
    return {"messages": system_turns(value) + found, "tools": tools, "used": {name, "system", "tools"}}
