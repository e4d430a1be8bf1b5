"""OpenAI messages: `{"messages": [{"role": …, "content": …, "tool_calls": […]}], "tools": […]}`.

Typed content, `reasoning_content`, and a `loss_weight` (or `weight`) for each message are read.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from curation.ingest.layout import BadRecord, call_text, slice_of, text_of, tools_text
from curation.records import message

KEYS = frozenset({"messages", "tools", "system"})
ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "gpt": "assistant", "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("messages"), list | str)


def convert(value: dict[str, Any], raw: str) -> dict[str, Any]:
    """`messages` and `tools` of the record; raises BadRecord."""
    turns = value["messages"]
    raw_turns = raw
    if isinstance(turns, str):
        try:
            turns, raw_turns = json.loads(turns), turns
        except ValueError:
            raise BadRecord("broken_json", "`messages` is text that is not JSON") from None
    else:
        raw_turns = slice_of(raw, "messages") or ""
    messages = [message("system", text_of(value["system"], "system"))] if value.get("system") else []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise BadRecord("not_an_object", f"message {number} is {type(turn).__name__}; an object is accepted")
        said = str(turn.get("role", turn.get("from")))
        role = ROLES.get(said.lower())
        if role is None:
            raise BadRecord("unknown_role", f"message {number} has the role {said!r}; accepted: {', '.join(ROLES)}")
        reasoning, content = _parted(turn, number)
        weight = turn.get("loss_weight", turn.get("weight"))
        if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0):
            raise BadRecord("bad_weight", f"message {number}: loss_weight is {weight!r}; a number ≥ 0 is accepted")
        calls = turn.get("tool_calls") or ([{"function": turn["function_call"]}] if turn.get("function_call") else None)
        messages.append(
            message(
                role,
                content,
                reasoning=reasoning or turn.get("reasoning_content") or turn.get("reasoning"),
                name=turn.get("name"),
                tool_call_id=turn.get("tool_call_id"),
                tool_calls=_calls(calls, raw_turns, number) if calls else None,
                loss_weight=None if weight is None else float(weight),
            )
        )
    return {"messages": messages, "tools": tools_text(value.get("tools"), raw)}


def _parted(turn: dict[str, Any], number: int) -> tuple[str | None, str]:
    """Reasoning and text of a message, which may come as typed parts."""
    content = turn.get("content", turn.get("value"))
    if content is None:
        return None, ""
    if isinstance(content, list):
        thought = [p for p in content if isinstance(p, dict) and p.get("type") in ("reasoning", "thinking")]
        rest = [p for p in content if p not in thought]
        said = [str(p.get("text", p.get("value", p.get("thinking", "")))) for p in thought]
        return "\n".join(said) or None, text_of(rest, f"message {number}")
    return None, text_of(content, f"message {number}")


def _calls(calls: Any, raw_turns: str, number: int) -> str:
    if isinstance(calls, str):
        try:
            calls = json.loads(calls)
        except ValueError:
            raise BadRecord("broken_tool_call", f"message {number}: tool_calls is text that is not JSON") from None
    if not isinstance(calls, list):
        raise BadRecord(
            "broken_tool_call", f"message {number}: tool_calls is {type(calls).__name__}; a list is accepted"
        )
    found = []
    for index, call in enumerate(calls):
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadRecord("broken_tool_call", f"message {number}: a call has no function name")
        arguments = function.get("arguments", "{}")
        if not isinstance(arguments, str):
            arguments = _argument_slice(raw_turns, number - 1, index) or json.dumps(arguments, ensure_ascii=False)
        found.append((call.get("id"), function["name"], arguments))
    return call_text(found)


def _argument_slice(raw_turns: str, turn: int, call: int) -> str | None:
    """Arguments given as an object, exactly as they stand in the file."""
    try:
        turns = msgspec.json.decode(raw_turns, type=list[msgspec.Raw])
        calls = msgspec.json.decode(slice_of(bytes(turns[turn]).decode(), "tool_calls") or "[]", type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return None
    piece = bytes(calls[call]).decode()
    return slice_of(slice_of(piece, "function") or piece, "arguments")
