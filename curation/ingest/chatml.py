"""ChatML text: `{"text": "<|im_start|>user\\nq<|im_end|>\\n<|im_start|>assistant\\na<|im_end|>"}`, or a plain text of that form.

A prompt in ChatML with its answer beside it (`prompt`, `completion`) is read as well. Marks such as `<think>` or
`<tool_call>` inside a turn stay in its text. The last turn may lack its end mark.
"""

from __future__ import annotations

import re
from typing import Any

from curation.ingest.layout import BadRecord, Turn, answer_of, tools_text
from curation.ingest.turns import ROLES

START, END = "<|im_start|>", "<|im_end|>"
PLACES = ("text", "content", "prompt")
NEEDS = frozenset(PLACES)
ANSWERS = ("completion", "response", "answer", "output")
_TURN = re.compile(r"<\|im_start\|>([^\n]*)\n(.*?)(<\|im_end\|>|(?=<\|im_start\|>)|\Z)", re.DOTALL)


def matches(value: dict[str, Any]) -> bool:
    return any(isinstance(text := value.get(place), str) and text.lstrip().startswith(START) for place in PLACES)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` and `tools` of the record, and the keys `used` for them; raises BadRecord."""
    place = next(p for p in PLACES if isinstance(value.get(p), str) and value[p].lstrip().startswith(START))
    text = value[place].strip()
    answer = next((a for a in ANSWERS if value.get(a) is not None), None) if place == "prompt" else None
    if answer is not None:
        opened = re.sub(r"<\|im_start\|>assistant\s*\Z", "", text)
        text = f"{opened}\n{START}assistant\n{answer_of(value[answer], answer).removesuffix(END)}{END}"
    turns: list[Turn] = []
    position = 0
    for match in _TURN.finditer(text):
        said, content, end = match.groups()
        between = text[position : match.start()].strip()
        role = ROLES.get(said.strip().lower())
        number = len(turns) + 1
        if between:
            raise BadRecord("broken_chatml", f"text before turn {number} outside of all turns: {between[:40]!r}")
        if role is None or role == "function_call":
            raise BadRecord("unknown_role", f"turn {number} has the role {said!r}; accepted: {', '.join(ROLES)}")
        if not end and match.end() < len(text):
            raise BadRecord("broken_chatml", f"turn {number} has no {END}; one is accepted after every turn")
        turns.append(Turn(role, content.removesuffix("\n") if not end else content))
        position = match.end()
    if text[position:].strip():
        raise BadRecord("broken_chatml", f"text after the last turn: {text[position:].strip()[:40]!r}")
    tools = tools_text(value.get("tools"), raw)
    return {"messages": turns, "tools": tools, "used": frozenset({place, answer or place, "tools"})}
