"""One prompt, one answer: prompt/completion, prompt/response, question/answer, query/response, input/output and the like.

`{"question": …, "answer": …, "context": …, "system": …}`; a `context` stands before the (first) question. A prompt that is a
list of turns (and a completion that is one) is read as messages.
"""

from __future__ import annotations

from typing import Any

from curation.ingest import turns
from curation.ingest.layout import BadRecord, Turn, answer_of, beside, prompt_of, system_turns, tools_text

PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("prompt", "answer"), ("prompt", "output"), ("question", "answer"),
    ("question", "response"), ("query", "response"), ("query", "answer"), ("input", "output"),
    ("prompt", "canonical_solution"),
)  # fmt: skip
USED = {pair: frozenset({*pair, "system", "context", "tools"}) for pair in PAIRS}
PROMPTS = frozenset(prompt for prompt, _ in PAIRS)
_QUESTION = "question_id"  # benchmark questions: {"question_id": 81, "turns": […]} or {"question_id": 1, "text": …}
NEEDS = PROMPTS | {_QUESTION}


def matches(value: dict[str, Any]) -> bool:
    return not NEEDS.isdisjoint(value)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """`messages` of the record, a `context` put before the question, and the keys `used`; raises BadRecord."""
    pair = next(((p, a) for p, a in PAIRS if p in value and value.get(a) is not None), None)
    if pair is None and PROMPTS.isdisjoint(value):
        raise BadRecord("missing_answer", "a benchmark question; a prompt with its answer is accepted")
    if pair is None:
        accepted = sorted({a for p, a in PAIRS if p in value})
        raise BadRecord("missing_answer", f"no answer beside the prompt; one of {', '.join(accepted)} is accepted")
    answer = value[pair[1]]
    if _are_turns(answer):
        said = turns.read(answer, turns.Text(raw, (pair[1],)), "message")
    else:
        said = [Turn("assistant", answer_of(answer, pair[1]))]
    tools = tools_text(value.get("tools"), raw)
    return {"messages": prompt(value, pair[0], raw) + said, "tools": tools, "used": USED[pair]}


def prompt(value: dict[str, Any], key: str, raw: bytes) -> list[Turn]:
    """The turns before the answer; raises BadRecord."""
    own, context = value[key], (beside(value, "context"), "context")
    if not _are_turns(own):
        return [*system_turns(value), prompt_of(context, (own, key))]
    found = system_turns(value) + turns.read(own, turns.Text(raw, (key,)), "message")
    asks = next((n for n, turn in enumerate(found) if turn.role == "user"), None)
    if asks is not None and context[0] != "":
        found[asks] = found[asks]._replace(content=prompt_of(context, (found[asks].content, key)).content)
    return found


def _are_turns(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and ("role" in first or "from" in first)
