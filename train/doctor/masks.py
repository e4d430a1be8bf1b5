"""Is the mask right (promise 7)? Each row's learned tokens are read back and held against the record itself.

Nothing of how the renderer finds them is used here: the stretches that bear loss are decoded, and must be the assistant
turns that bear loss, in order, each with the end token behind it, and not a token more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.render import Encoded, Turns
from train.doctor.controls import bearing, said, special
from train.doctor.findings import Finding, failure, first

SAID = {
    "all_zero_mask": "{rows}: no token bears loss, so nothing is learned; leave them out, or give an answer a loss weight above 0.",
    "empty_answer": "{rows}: an empty answer bears loss, which teaches silence; drop the row, or give that turn loss_weight 0.",
    "end_token": "{rows}: an answer does not end with the end token {end}, so the model would not learn to stop; write it "
    "behind each answer in render.template.",
    "mask": "{rows}: learned tokens are not those of the answers that bear loss, {detail}; use render.template: chatml, or mend the "
    "template.",
    "negative_weight": "{rows}: a loss weight is below 0 or not finite, which would undo what is learned; accepted: 0 and "
    "above.",
}  # fmt: skip
# What templates of reasoning models write before an answer that has no reasoning.
_NO_REASONING = re.compile(r"<think>\s*</think>\s*")


def faults(
    rows: Sequence[Mapping[str, Any]], encoded: Sequence[Encoded], tokenizer: Any, turns: Turns
) -> Iterator[Finding]:
    """A failure for each kind of fault, with the rows that have it. `encoded` are the rows as training will read them."""
    control = special(tokenizer)
    found: dict[str, list[tuple[str, str]]] = {}
    for row, tokens in zip(rows, encoded, strict=True):
        for check, detail in _of_row(row, tokens, tokenizer, turns, control):
            found.setdefault(check, []).append((row["id"], detail))
    for check in SAID:
        if check in found:
            ids = list(dict.fromkeys(i for i, _ in found[check]))
            said = SAID[check].format(rows=first(ids), detail=found[check][0][1], end=repr(tokenizer.eos_token))
            yield failure(check, said, ids)


def _of_row(
    row: Mapping[str, Any], encoded: Encoded, tokenizer: Any, turns: Turns, control: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    weights = [row["weight"], *(m["loss_weight"] for m in row["messages"] or ()), *encoded.weights]
    if any(w is not None and not 0 <= w < float("inf") for w in weights):
        yield "negative_weight", ""
        return
    if not any(encoded.weights) or row["weight"] == 0:
        yield "all_zero_mask", ""
        return
    if row["kind"] == "text":
        yield from _of_text(row, encoded, tokenizer)
        return
    answers = bearing(row["messages"], turns)
    if any(not (m["content"] or "").strip() and not m["tool_calls"] for m in answers):
        yield "empty_answer", ""
    learned = list(stretches(encoded))
    if len(learned) != len(answers):
        yield "mask", f"with {len(learned)} learned stretches for {len(answers)} answers"
        return
    for (start, stop), message in zip(learned, answers, strict=True):
        ids = encoded.ids[start:stop]
        ended = ids[-1] == tokenizer.eos_token_id
        if not ended:
            yield "end_token", ""
        body = ids[:-1] if ended else ids
        # One that was said is train.doctor.controls' affair.
        strange = next(
            (t for t, i in control.items() if i in body and not any(t in text for text in said(message))), None
        )
        if strange and ended:
            yield "mask", f"with {strange} inside an answer"
        elif ended and not _says(tokenizer, body, message):
            yield "mask", f"with {_short(tokenizer.decode(body))!r} in place of {_short(message['content'] or '')!r}"
        if set(encoded.weights[start:stop]) != {1.0 if message["loss_weight"] is None else message["loss_weight"]}:
            yield "mask", f"with weights {sorted(set(encoded.weights[start:stop]))} in one answer"


def _of_text(row: Mapping[str, Any], encoded: Encoded, tokenizer: Any) -> Iterator[tuple[str, str]]:
    """A plain text is learned whole, from its first token to the document token behind it."""
    if encoded.weights != [0.0] + [1.0] * (len(encoded.ids) - 1):
        yield "mask", "with a plain text that is not learned whole"
    elif encoded.ids[0] != encoded.ids[-1]:
        yield "end_token", ""
    elif not _same(tokenizer, encoded.ids[1:-1], row["text"]):
        yield "mask", "with another text than the record's"


def stretches(encoded: Encoded) -> Iterator[tuple[int, int]]:
    """(start, stop) of each run of learned tokens."""
    start = None
    for place, weight in enumerate([*encoded.weights, 0.0]):
        if weight > 0 and start is None:
            start = place
        elif weight <= 0 and start is not None:
            yield start, place
            start = None


def _says(tokenizer: Any, ids: list[int], message: Mapping[str, Any]) -> bool:
    """Whether tokens are what the message says; reasoning and tool calls stand in tags of the template's own."""
    if not message["reasoning"] and not message["tool_calls"]:
        return _same(tokenizer, ids, message["content"] or "")
    text = tokenizer.decode(ids)
    parts = [message["reasoning"], message["content"]]
    for call in json.loads(message["tool_calls"] or "[]"):
        parts.append(call["function"]["name"])
    return all(part.strip() in text for part in parts if part)


def _same(tokenizer: Any, ids: list[int], text: str) -> bool:
    """Whether tokens decode to a text, or to it as templates trim and tokenizers normalise it."""
    said = _NO_REASONING.sub("", tokenizer.decode(ids), count=1)
    if said in (text, text.strip()):
        return True
    back = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"])
    return said in (back, back.strip())


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:24]}…"
