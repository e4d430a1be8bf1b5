"""A list of turns → `Turn`s: both key styles (role/content, from/value), typed parts, reasoning, tool calls, weights.

`[{"from": "human", "value": "q"}, {"role": "assistant", "content": [{"type": "reasoning", …}, {"type": "text", …}]}]`
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from curation.ingest.layout import BadRecord, Turn, call_text, optional_text, slice_of, text_of

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant", "bing": "assistant",
    "model": "assistant", "function_call": "function_call", "tool_call": "function_call", "tool": "tool",
    "function": "tool", "observation": "tool", "function_response": "tool", "ipython": "tool",
}  # fmt: skip
_THOUGHTS = ("reasoning", "thinking")
_REASONING = ("reasoning_content", "reasoning", "thinking")
_CALLS = ("tool_call", "tool_use", "function_call")


class Text(NamedTuple):
    """JSON text that holds the turns, and the way to them: what is kept byte for byte is cut from it."""

    raw: str | bytes
    path: tuple[str | int, ...] = ()

    def at(self, *steps: str | int) -> str | None:
        return slice_of(self.raw, *self.path, *steps)


def read(turns: Any, text: Text, noun: str) -> list[Turn]:
    """`turns` (a list, or its JSON text) as `Turn`s; `noun` is what errors call one. Raises BadRecord."""
    if isinstance(turns, str):
        try:
            turns, text = json.loads(turns), Text(turns)
        except ValueError:
            raise BadRecord("broken_json", f"the {noun}s are text that is not JSON") from None
    if not isinstance(turns, list):
        raise BadRecord("not_a_list", f"the {noun}s are {type(turns).__name__}; a list is accepted")
    found = []
    for number, turn in enumerate(turns, 1):
        if type(turn) is dict and len(turn) == 2:  # nearly every turn there is: a role and a text
            if "from" in turn:
                said, content = turn["from"], turn.get("value")
            else:
                said, content = turn.get("role"), turn.get("content")
            if type(content) is str and type(said) is str and (role := ROLES.get(said)) and role != "function_call":
                found.append(Turn(role, content))
                continue
        found.append(_turn(turn, text, number, noun))
    return found


def _turn(turn: Any, text: Text, number: int, noun: str) -> Turn:
    if not isinstance(turn, dict):
        raise BadRecord("not_an_object", f"{noun} {number} is {type(turn).__name__}; an object is accepted")
    said = turn.get("role", turn.get("from"))
    role = ROLES.get(said.lower()) if isinstance(said, str) else None
    if role is None:
        raise BadRecord("unknown_role", f"{noun} {number} has the role {said!r}; accepted: {', '.join(ROLES)}")
    content = turn.get("content", turn.get("value"))
    where = f"{noun} {number}"
    read = {a if a in turn else b for a, b in (("role", "from"), ("content", "value"), ("loss_weight", "weight"))}
    if role == "function_call":
        called = call_text(_called(text_of(content, where), where))
        return Turn("assistant", "", None, None, called, None, _weight(turn, where), _unread(turn, read))
    thought: str | None = None
    calls: list[tuple[str | None, str, str]] = []
    if isinstance(content, list):
        thought, content, calls = _parted(content, text, number, where)
    elif content is None:
        if "from" in turn:
            raise BadRecord("not_text", f"`{where}` is NoneType; a string is accepted")
        content = ""
    else:
        content = text_of(content, where)
    calls += _listed(turn, text, number, where)
    reasons = None if thought else next((key for key in _REASONING if turn.get(key)), None)
    reasoning = turn[reasons] if reasons else thought
    read |= {"name", "tool_call_id", "tool_calls" if turn.get("tool_calls") else "function_call", reasons or ""}
    return Turn(
        role,
        content,
        optional_text(reasoning, f"{where}: reasoning"),
        optional_text(turn.get("name"), f"{where}: name"),
        call_text(calls) if calls else None,
        optional_text(turn.get("tool_call_id"), f"{where}: tool_call_id"),
        _weight(turn, where),
        _unread(turn, read),
    )


def _unread(turn: dict[str, Any], read: set[str]) -> dict[str, Any] | None:
    """What the keys hold that are not `read`; None for nothing. Columns of tables give every turn every key, mostly empty."""
    return {k: v for k, v in turn.items() if k not in read and v not in (None, "", [], {})} or None


def _weight(turn: dict[str, Any], where: str) -> float | None:
    weight = turn.get("loss_weight", turn.get("weight"))
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise BadRecord("bad_weight", f"{where}: loss_weight is {weight!r}; a number ≥ 0 is accepted")
    return float(weight)


def _parted(
    parts: list[Any], text: Text, number: int, where: str
) -> tuple[str | None, str, list[tuple[str | None, str, str]]]:
    """Reasoning, text and calls of typed content parts."""
    said, rest, calls = [], [], []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else "text"
        if kind in _THOUGHTS:
            said.append(text_of(part.get("text", part.get("value", part.get("thinking"))), f"{where}: reasoning"))
        elif kind in _CALLS and isinstance(part.get("value"), str):
            calls += _called(part["value"], where)
        elif kind in _CALLS:
            key = next((k for k in ("arguments", "input", "parameters") if k in part), "arguments")
            piece = text.at(number - 1, "content", index) or text.at(number - 1, "value", index)
            calls.append(_call(part, key, piece, where))
        else:
            rest.append({"text": part} if isinstance(part, str) else part)  # inside a turn strings are parts of it
    return "\n".join(said) or None, text_of(rest, where), calls


def _listed(turn: dict[str, Any], text: Text, number: int, where: str) -> list[tuple[str | None, str, str]]:
    """Calls in `tool_calls` (a list or its JSON text) or in the older `function_call`."""
    calls = turn.get("tool_calls")
    if calls:
        piece = None if isinstance(calls, str) else text.at(number - 1, "tool_calls")
        if isinstance(calls, str):
            try:
                calls, piece = json.loads(calls), calls
            except ValueError:
                raise BadRecord("broken_tool_call", f"{where}: tool_calls is text that is not JSON") from None
        if not isinstance(calls, list):
            raise BadRecord("broken_tool_call", f"{where}: tool_calls is {type(calls).__name__}; a list is accepted")
    elif turn.get("function_call"):
        one = text.at(number - 1, "function_call")
        calls, piece = [turn["function_call"]], f"[{one}]" if one else None
    else:
        return []
    found = []
    for index, call in enumerate(calls):
        inner = isinstance(call, dict) and isinstance(call.get("function"), dict)
        function = call["function"] if inner else call
        path = (index, "function") if inner else (index,)
        own = slice_of(piece, *path) if piece else None
        i, name, arguments = _call(function, "arguments", own, where)
        given = call.get("id") or i
        found.append((None if given is None else str(given), name, arguments))
    return found


def _called(text: str, where: str) -> list[tuple[str | None, str, str]]:
    """Calls written as JSON text: one object, or a list of them; the arguments' text as it stands."""
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise BadRecord("broken_tool_call", f"{where}: the call is not JSON ({error})") from None
    calls = parsed if isinstance(parsed, list) else [parsed]
    found = []
    for index, call in enumerate(calls):
        piece = slice_of(text, index) if isinstance(parsed, list) else text
        key = "parameters" if isinstance(call, dict) and "arguments" not in call else "arguments"
        found.append(_call(call, key, piece, where))
    return found


def _call(call: Any, key: str, piece: str | None, where: str) -> tuple[str | None, str, str]:
    """(id, name, arguments as JSON text) of one call; `piece` is the call's own text, from which arguments are cut."""
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise BadRecord("broken_tool_call", f"{where}: a call has no function name")
    arguments = call.get(key, {} if key != "arguments" else "{}")
    if not isinstance(arguments, str):
        arguments = (slice_of(piece, key) if piece else None) or json.dumps(arguments, ensure_ascii=False)
    i = call.get("id")
    return None if i in (None, "") else str(i), call["name"], arguments
