"""Alpaca: `{"instruction": …, "input": …, "output": …, "system": …, "history": [[user, assistant], …]}`.

The prompt is the instruction and, where there is one, a blank line and the input.
"""

from __future__ import annotations

from typing import Any

from curation.ingest.layout import BadRecord, text_of
from curation.records import message

KEYS = frozenset({"instruction", "input", "output", "system", "history"})


def matches(value: dict[str, Any]) -> bool:
    return "instruction" in value


def convert(value: dict[str, Any], raw: str) -> dict[str, Any]:
    """`messages` of the record; raises BadRecord."""
    if value.get("output") is None:
        raise BadRecord("missing_answer", "no `output`; a string is accepted")
    turns = [message("system", text_of(value["system"], "system"))] if value.get("system") else []
    history = value.get("history") or []
    if not isinstance(history, list) or any(not isinstance(h, list | tuple) or len(h) != 2 for h in history):
        raise BadRecord("broken_history", "`history` is not a list of [user, assistant] pairs")
    for user, assistant in history:
        turns += [message("user", text_of(user, "history")), message("assistant", text_of(assistant, "history"))]
    parts = [text_of(value["instruction"], "instruction"), text_of(value.get("input") or "", "input")]
    turns.append(message("user", "\n\n".join(p for p in parts if p.strip())))
    turns.append(message("assistant", text_of(value["output"], "output")))
    return {"messages": turns}
