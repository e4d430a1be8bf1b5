"""The rule about tool calls: what a program could not execute must not be learned."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curation.clean.hits import hits

_IN_TEXT = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None),
}  # fmt: skip


def invalid_tool_call(frame: pl.DataFrame) -> pl.DataFrame:
    """Arguments that are no JSON object or break the schema, a function that nobody declared, a tool answer without a call."""
    turn = pl.element().struct
    calls = (
        pl.col("messages").list.eval(turn.field("tool_calls").is_not_null() | (turn.field("role") == "tool")).list.any()
    )
    written = pl.col("answer").str.contains("<tool_call>", literal=True)
    rows = frame.filter(calls | written).select("id", "messages", "tools").iter_rows()
    found = [(i, fault) for i, messages, tools in rows if (fault := first_fault(messages, tools))]
    return hits(
        pl.DataFrame(found, schema={"id": pl.String, "detail": pl.String}, orient="row"),
        pl.lit(True),
        detail=pl.col("detail"),
    )


def first_fault(messages: Sequence[Mapping[str, Any]], tools: str | None) -> str | None:
    """The first call or tool answer of a conversation that could not have happened; None when all could."""
    declared = _declared(tools)
    waiting: list[str | None] = []
    for number, turn in enumerate(messages, 1):
        where = f"message {number}"
        if turn["role"] == "tool":
            if not waiting:
                return f"{where}: a tool answers and nothing was called"
            if turn["tool_call_id"] and turn["tool_call_id"] not in waiting and None not in waiting:
                return f"{where}: a tool answers to another call id"
            waiting.pop(waiting.index(turn["tool_call_id"]) if turn["tool_call_id"] in waiting else 0)
            continue
        if turn["role"] != "assistant":
            continue
        called = json.loads(turn["tool_calls"]) if turn["tool_calls"] else []
        for text in _IN_TEXT.findall(turn["content"] or ""):
            try:
                value = json.loads(text)
            except ValueError:
                return f"{where}: a <tool_call> is not JSON"
            called.append({"function": value})
        if called:
            waiting = []
        for call in called:
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                return f"{where}: a call has no function name"
            fault = _fault(function["name"], function.get("arguments", {}), declared)
            if fault:
                return f"{where}: {fault}"
            waiting.append(call.get("id"))
    return None


def _declared(tools: str | None) -> dict[str, Mapping[str, Any]]:
    """Function name → JSON schema of its arguments."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in json.loads(tools) if tools else []:
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            schema = function.get("parameters")
            found[function["name"]] = schema if isinstance(schema, dict) else {}
    return found


def _fault(name: str, arguments: Any, declared: Mapping[str, Mapping[str, Any]]) -> str | None:
    if name not in declared:
        return f"calls {name!r}; declared: {', '.join(sorted(declared)) or 'nothing'}"
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            return f"the arguments of {name!r} are not JSON"
    if not isinstance(arguments, dict):
        return f"the arguments of {name!r} are {type(arguments).__name__}; an object is accepted"
    schema = declared[name]
    required = schema.get("required")
    missing = [key for key in required if key not in arguments] if isinstance(required, list) else []
    if missing:
        return f"{name!r} lacks {', '.join(map(str, missing))}"
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return None
    unknown = sorted(arguments.keys() - properties.keys())
    if unknown and schema.get("additionalProperties") is not True:
        return f"{name!r} has no argument {', '.join(unknown)}"
    for key, value in arguments.items():
        fault = _mismatch(value, properties.get(key))
        if fault:
            return f"{key!r} of {name!r} {fault}"
    return None


def _mismatch(value: Any, schema: Any) -> str | None:
    """What is wrong with a value by `type` and `enum`; the values themselves are not told, they may be private."""
    if not isinstance(schema, dict):
        return None
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    known = [_TYPES[k] for k in kinds if k in _TYPES]
    number_like = isinstance(value, bool) and "boolean" not in kinds  # True is an int to Python, not to JSON
    whole = isinstance(value, float) and value.is_integer() and "integer" in kinds
    if (
        known
        and len(known) == len(kinds)
        and not whole
        and (number_like or not any(isinstance(value, k) for k in known))
    ):
        return f"is {type(value).__name__}; accepted: {', '.join(kinds)}"
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        return "is none of the declared values"
    return None
