"""Control tokens in what was said: `<|im_end|>` in an answer ends it too soon; in a question it is only told as one token."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.render import Turns
from train.doctor.findings import Finding, advice, failure, first

_DOCUMENT = "<|endoftext|>"  # what the renderer puts around texts where a tokenizer has it (curation/render.py)


def special(tokenizer: Any) -> dict[str, int]:
    """Every token that the tokenizer marks special, also those that it names in no role of its own, with its id."""
    added = {str(token): i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))


def markers(tokenizer: Any, template: str) -> list[str]:
    """The special tokens that end or open a turn or a text: those of the template, and those at either end of a text."""
    ends = {tokenizer.eos_token, tokenizer.bos_token, _DOCUMENT}
    return [token for token in special(tokenizer) if token in ends or token in template]


def bearing(messages: Sequence[Mapping[str, Any]], turns: Turns) -> list[Mapping[str, Any]]:
    """The assistant turns that bear loss."""
    answers = [m for m in messages if m["role"] == "assistant"]
    return [m for m in (answers if turns == "all" else answers[-1:]) if m["loss_weight"] != 0]


def standing(rows: Sequence[Mapping[str, Any]], tokenizer: Any, template: str, turns: Turns) -> Iterator[Finding]:
    """A failure for markers in what is learned; advice for markers in what is given, and for other special tokens anywhere."""
    every, marks = special(tokenizer), markers(tokenizer, template)
    found: dict[str, list[tuple[str, str]]] = {"learned": [], "given": [], "other": []}
    for row in rows:
        learned, given = _texts(row, turns)
        for kind, tokens, texts in (
            ("learned", marks, learned),
            ("given", marks, given),
            ("other", [t for t in every if t not in marks], [*learned, *given]),
        ):
            inside = next((t for t in tokens if any(t in text for text in texts)), None)
            if inside:
                found[kind].append((row["id"], inside))
    check = "control_token_in_text"
    for kind, of_kind in found.items():
        if not of_kind:
            continue
        ids, token = [i for i, _ in of_kind], of_kind[0][1]
        if kind == "learned":
            yield failure(
                check,
                f"{first(ids)}: a control token of the tokenizer stands in what is learned ({token}), which would end or open a turn; "
                "take it out by data/review/fixes.jsonl.",
                ids,
            )
        elif kind == "given":
            yield advice(
                check,
                f"{first(ids)}: a control token of the tokenizer stands in a turn that is only read ({token}); the model sees a turn "
                "end there; write it apart (with a space inside) by data/review/fixes.jsonl where that is not meant.",
                ids,
            )
        else:
            yield advice(
                check,
                f"{first(ids)}: {token} is one special token to this tokenizer, not the characters that were written; write it "
                "apart (with a space inside) by data/review/fixes.jsonl where it is prose or code.",
                ids,
            )


def _texts(row: Mapping[str, Any], turns: Turns) -> tuple[list[str], list[str]]:
    """What is learned of a row, and what is only read."""
    if row["kind"] == "text":
        return [row["text"]], []
    learning = bearing(row["messages"], turns)
    learned = [text for m in learning for text in said(m)]
    given = [text for m in row["messages"] if not any(m is a for a in learning) for text in said(m)]
    return learned, [*given, *([row["tools"]] if row.get("tools") else [])]


def said(message: Mapping[str, Any]) -> list[str]:
    """The texts of a message as a template writes them: content, reasoning, and calls as stored and as parsed."""
    texts = [message[key] for key in ("content", "reasoning", "tool_calls") if message[key]]
    for call in json.loads(message["tool_calls"] or "[]"):
        arguments = call["function"]["arguments"]
        texts.append(arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))
    return texts
