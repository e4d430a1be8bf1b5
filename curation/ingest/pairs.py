"""One prompt, one answer: prompt/completion, prompt/response, question/answer, query/response, input/output."""

from __future__ import annotations

from typing import Any

from curation.ingest.layout import BadRecord, text_of
from curation.records import message

PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("prompt", "answer"), ("prompt", "output"), ("question", "answer"),
    ("question", "response"), ("query", "response"), ("query", "answer"), ("input", "output"),
)  # fmt: skip
PROMPTS = frozenset(prompt for prompt, _ in PAIRS)
KEYS = frozenset(key for pair in PAIRS for key in pair) | {"context", "system"}


def matches(value: dict[str, Any]) -> bool:
    return bool(PROMPTS & value.keys())


def convert(value: dict[str, Any], raw: str) -> dict[str, Any]:
    """`messages` of the record, a `context` put before the question; raises BadRecord."""
    pair = next(((p, a) for p, a in PAIRS if p in value and value.get(a) is not None), None)
    if pair is None:
        accepted = sorted({a for p, a in PAIRS if p in value})
        raise BadRecord("missing_answer", f"no answer beside the prompt; one of {', '.join(accepted)} is accepted")
    turns = [message("system", text_of(value["system"], "system"))] if value.get("system") else []
    parts = [text_of(value.get("context") or "", "context"), text_of(value[pair[0]], pair[0])]
    turns.append(message("user", "\n\n".join(p for p in parts if p.strip())))
    turns.append(message("assistant", text_of(value[pair[1]], pair[1])))
    return {"messages": turns}
