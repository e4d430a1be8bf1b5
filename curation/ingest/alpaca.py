"""Alpaca: `{"instruction": …, "input": …, "output": …, "system": …, "history": [[user, assistant], …], "tools": […]}`.

The prompt is the instruction and, where there is one, a blank line and the input. Self-Instruct's
`{"instruction": …, "instances": [{"input": …, "output": …}]}` with one instance is the same thing.
"""

from __future__ import annotations

from typing import Any

from curation.ingest.layout import BadRecord, Turn, answer_of, beside, prompt_of, system_turns, text_of, tools_text

NEEDS = frozenset({"instruction"})
PROMPT = frozenset({"instruction", "input", "system", "history"})
USED = PROMPT | {"output", "tools"}
_MORE = ("system", "history", "tools")


def matches(value: dict[str, Any]) -> bool:
    return "instruction" in value


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` and `tools` of the record, and the keys `used` for them; raises BadRecord."""
    question, answer, used = value["instruction"], value.get("output"), USED
    alone = value.get("input") in ("", None) and not any(map(value.get, _MORE))
    if alone and type(question) is str and type(answer) is str and question.strip():
        return {"messages": [Turn("user", question), Turn("assistant", answer)], "used": USED}  # nearly every record
    if value.get("output") is None and "instances" in value:
        value, used = value | _instance(value["instances"]), used | {"instances"}
    if value.get("output") is None:
        raise BadRecord("missing_answer", "no `output`; a string is accepted")
    found = [*prompt(value), Turn("assistant", answer_of(value["output"], "output"))]
    return {"messages": found, "tools": tools_text(value.get("tools"), raw), "used": used}


def prompt(value: dict[str, Any]) -> list[Turn]:
    """The turns before the answer; raises BadRecord."""
    turns = system_turns(value)
    history = value.get("history") or []
    if not isinstance(history, list) or any(not isinstance(h, list | tuple) or len(h) != 2 for h in history):
        raise BadRecord("broken_history", "`history` is not a list of [user, assistant] pairs")
    for user, assistant in history:
        turns += [Turn("user", text_of(user, "history")), Turn("assistant", text_of(assistant, "history"))]
    turns.append(prompt_of((value["instruction"], "instruction"), (beside(value, "input"), "input")))
    return turns


def _instance(instances: Any) -> dict[str, Any]:
    if not isinstance(instances, list) or len(instances) != 1 or not isinstance(instances[0], dict):
        found = len(instances) if isinstance(instances, list) else type(instances).__name__
        raise BadRecord("several_answers", f"`instances` holds {found}; one object with input and output is accepted")
    return {k: instances[0].get(k) for k in ("input", "output")}
