"""ShareGPT: `{"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}], "system": …, "tools": "[…]"}`.

Both key styles (from/value, role/content); `function_call` turns hold `{"name": …, "arguments": {…}}`, `observation`
turns the tool's answer.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from curation.ingest.layout import BadRecord, call_text, slice_of, text_of, tools_text
from curation.records import message

KEYS = frozenset({"conversations", "conversation", "system", "tools"})
ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "bard": "assistant", "bing": "assistant", "model": "assistant", "system": "system",
    "function_call": "function_call", "observation": "tool", "tool": "tool", "function": "tool", "function_response": "tool",
}  # fmt: skip


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("conversations", value.get("conversation")), list | str)


def convert(value: dict[str, Any], raw: str) -> dict[str, Any]:
    """`messages` and `tools` of the record; raises BadRecord."""
    turns: Any = value.get("conversations", value.get("conversation"))
    if isinstance(turns, str):
        try:
            turns = json.loads(turns)
        except ValueError:
            raise BadRecord("broken_json", "`conversations` is text that is not JSON") from None
    messages = [message("system", text_of(value["system"], "system"))] if value.get("system") else []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise BadRecord("not_an_object", f"turn {number} is {type(turn).__name__}; an object is accepted")
        said = str(turn.get("from", turn.get("role")))
        role = ROLES.get(said.lower())
        if role is None:
            raise BadRecord("unknown_role", f"turn {number} is from {said!r}; accepted: {', '.join(ROLES)}")
        content = text_of(turn.get("value", turn.get("content")), f"turn {number}")
        if role == "function_call":
            messages.append(message("assistant", "", tool_calls=_calls(content, number)))
        else:
            messages.append(message(role, content, loss_weight=turn.get("loss_weight", turn.get("weight"))))
    return {"messages": messages, "tools": tools_text(value.get("tools"), raw)}


def _calls(content: str, number: int) -> str:
    """A function_call turn's text as tool_calls, the arguments' text as it stands."""
    try:
        parsed = json.loads(content)
    except ValueError as error:
        raise BadRecord("broken_tool_call", f"turn {number}: the call is not JSON ({error})") from None
    listed = parsed if isinstance(parsed, list) else [parsed]
    pieces = (
        [bytes(p).decode() for p in msgspec.json.decode(content, type=list[msgspec.Raw])]
        if isinstance(parsed, list)
        else [content]
    )
    calls = []
    for call, piece in zip(listed, pieces, strict=True):
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise BadRecord("broken_tool_call", f"turn {number}: the call has no name")
        arguments = call.get("arguments", call.get("parameters", {}))
        key = "arguments" if "arguments" in call else "parameters"
        calls.append((None, call["name"], arguments if isinstance(arguments, str) else slice_of(piece, key) or "{}"))
    return call_text(calls)
