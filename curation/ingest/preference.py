"""Preference pairs: `{"prompt": …, "chosen": …, "rejected": …}`. The chosen answer becomes the row; `rejected` stays in meta.

The prompt may be text (prompt, question, query, instruction with input), turns (`conversations`, `messages`, a `prompt` of
turns), or stand inside `chosen`: a list of all turns, or one text with `Human:` and `Assistant:` marks.
An `output` of two texts, better first, is a pair too. Rows are tagged `feedback:chosen`.
"""

from __future__ import annotations

import re
from typing import Any

from curation.ingest import alpaca, pairs, turns
from curation.ingest.layout import BadRecord, Turn, slice_of, system_turns, text_of, tools_text

CHOICES = (
    ("chosen", "rejected"),
    ("chosen_messages", "rejected_messages"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
)
_CHOSEN = frozenset(chosen for chosen, _ in CHOICES)
NEEDS = _CHOSEN | {"output"}
TAGS = ("feedback:chosen",)
_MARK = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant):\s*")


def matches(value: dict[str, Any]) -> bool:
    if _CHOSEN.isdisjoint(value):
        return "instruction" in value and _two(value.get("output"))
    return _choice(value) is not None


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` with the chosen answer, `tools`, and the keys `used`; raises BadRecord."""
    key = _choice(value)
    if key is None:
        found = [*alpaca.prompt(value), Turn("assistant", value["output"][0])]
        tools = tools_text(value.get("tools"), raw)
        return {
            "messages": found,
            "tools": tools,
            "tags": TAGS,
            "used": alpaca.PROMPT | {"tools"},
        }  # both outputs stay in meta
    answer = _turns(value[key], raw, key)
    if any(t.role == "user" for t in answer):
        found, used = [*([] if answer[0].role == "system" else system_turns(value)), *answer], {"system"}
    else:
        before, used = _prompt(value, raw)
        found = before + answer
    tools = tools_text(value.get("tools"), raw)
    return {"messages": found, "tools": tools, "tags": TAGS, "used": frozenset(used | {key, "tools"})}


def _choice(value: dict[str, Any]) -> str | None:
    return next((c for c, r in CHOICES if value.get(c) is not None and r in value), None)


def _two(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)


def _turns(answer: Any, raw: bytes, key: str) -> list[Turn]:
    if isinstance(answer, dict):
        return turns.read([answer], turns.Text(f"[{slice_of(raw, key)}]"), key)
    if isinstance(answer, list):
        return turns.read(answer, turns.Text(raw, (key,)), key)
    text = text_of(answer, key)
    marks = list(_MARK.finditer(text))
    if len(marks) < 2 or marks[0].start() or marks[0][1] != "Human":
        return [Turn("assistant", text)]
    ends = [m.start() for m in marks[1:]] + [len(text)]
    roles = {"Human": "user", "Assistant": "assistant"}
    return [Turn(roles[m[1]], text[m.end() : end].strip()) for m, end in zip(marks, ends, strict=True)]


def _prompt(value: dict[str, Any], raw: bytes) -> tuple[list[Turn], set[str]]:
    """The turns before the answer, and the keys that they were made of."""
    for key in ("conversations", "conversation", "messages"):
        if isinstance(value.get(key), list | str):
            return system_turns(value) + turns.read(value[key], turns.Text(raw, (key,)), "turn"), {key, "system"}
    if "instruction" in value:
        return alpaca.prompt(value), set(alpaca.PROMPT)
    for key in ("prompt", "question", "query", "input"):
        if value.get(key) is not None:
            return pairs.prompt(value, key, raw), {key, "system", "context"}
    raise BadRecord("missing_prompt", "a chosen answer without a prompt; prompt, conversations or messages is accepted")
