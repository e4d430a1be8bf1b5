"""Record → text, token ids, loss weights: the only renderer. score, mix, doctor, train and evaluate all use it.

The answer's share of a rendered conversation is found by rendering prefixes: what turn i adds after
`messages[:i]` plus the generation prompt is exactly what the model must produce, for any template whose output for a
prefix is a prefix of its output (others are refused, by name). Pieces are tokenized apart at those borders, so prompt
tokens in training are those of inference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from curation.errors import ConfigError, DataError
from curation.params import Params

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATES = Path(__file__).parent / "templates"
Turns = Literal["all", "last"]


class RenderParams(Params):
    """`params.yaml: render`."""

    model: str = "smollm2-135m-instruct"
    template: str = "chatml"
    max_length: int = Field(1024, ge=8)
    turns: Turns = "all"


@dataclass(frozen=True)
class Encoded:
    """Token ids and, of the same length, the loss weight of each: 0 where the token is given, not learned."""

    ids: list[int]
    weights: list[float]

    @property
    def loss_tokens(self) -> int:
        return sum(w > 0 for w in self.weights)


class Renderer:
    """Renders with one tokenizer and one template: `chatml` (bundled), `model` (the model's own) or a .jinja file.

    Templates get `tools` and the calls' arguments as objects, as published ones expect; one that names `tools_text`, as the
    bundled one does, gets that (the schemas' text) and the arguments' text instead, both byte for byte.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str = "chatml") -> None:
        self.tokenizer = tokenizer
        self.template = template_text(template, tokenizer)
        self._as_text = "tools_text" in self.template
        self.end_token: str = tokenizer.eos_token
        vocabulary = tokenizer.get_vocab()
        document = "<|endoftext|>" if "<|endoftext|>" in vocabulary else tokenizer.eos_token
        self._document_id: int = vocabulary[document]

    def text(self, record: Mapping[str, Any]) -> str:
        """The record as the model would see it."""
        return "".join(piece for piece, _ in self.pieces(record))

    def prompt_text(self, record: Mapping[str, Any]) -> str:
        """The conversation before its last assistant turn, with the generation prompt."""
        turns = list(record["messages"])
        while turns and turns[-1]["role"] == "assistant":
            turns.pop()
        return self._apply(turns, record, generate=True)

    def pieces(self, record: Mapping[str, Any], turns: Turns = "all") -> list[tuple[str, float]]:
        """The rendered text cut where the loss weight changes, each piece with its weight."""
        if record["kind"] == "text":
            return [(record["text"], 1.0)]
        messages = record["messages"]
        answers = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
        learned = set(answers if turns == "all" else answers[-1:])
        pieces: list[tuple[str, float]] = []
        done = ""
        for i in answers:
            weight = messages[i]["loss_weight"]
            before = self._apply(messages[:i], record, generate=True)
            after = self._apply(messages[: i + 1], record, generate=False)
            if not (before.startswith(done) and after.startswith(before)):
                raise ConfigError(
                    f"template: record {record.get('id')}: turn {i + 1} renders differently once later turns follow, so "
                    "the answer's tokens cannot be told; accepted: templates that only append; use render.template: chatml."
                )
            end = after.find(self.end_token, len(before) + len(messages[i]["content"] or ""))
            end = len(after) if end < 0 else end + len(self.end_token)
            pieces.append((before[len(done) :], 0.0))
            pieces.append((after[len(before) : end], (1.0 if weight is None else weight) if i in learned else 0.0))
            done = after[:end]
        whole = self._apply(messages, record, generate=False)
        pieces.append((whole[len(done) :], 0.0))
        return [piece for piece in pieces if piece[0]]

    def encode(self, record: Mapping[str, Any], turns: Turns = "all") -> Encoded:
        """Token ids with loss weights. Texts stand between document tokens; the first token of all bears no loss."""
        ids: list[int] = []
        weights: list[float] = []
        if record["kind"] == "text":
            body = self._ids(record["text"])
            return Encoded([self._document_id, *body, self._document_id], [0.0] + [1.0] * (len(body) + 1))
        for piece, weight in self.pieces(record, turns):
            part = self._ids(piece)
            ids += part
            weights += [weight] * len(part)
        if weights:
            weights[0] = 0.0
        return Encoded(ids, weights)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _apply(self, messages: Any, record: Mapping[str, Any], generate: bool) -> str:
        tools = record.get("tools")
        try:
            turns = [self._turn(m) for m in messages]
            given = {"tools_text": tools or ""} if self._as_text else {"tools": json.loads(tools) if tools else None}
            rendered = self.tokenizer.apply_chat_template(
                turns, chat_template=self.template, tokenize=False, add_generation_prompt=generate, **given
            )
        except json.JSONDecodeError as error:
            raise DataError(
                f"template: record {record.get('id')}: its tools or a call's arguments are not JSON ({error}), and this template "
                "takes them as objects; mend or reject the row, or use render.template: chatml."
            ) from None
        except Exception as error:
            if type(error).__module__.startswith("jinja2"):
                raise DataError(
                    f"template: record {record.get('id')}: cannot render a conversation ({error}); use render.template: chatml."
                ) from None
            raise
        return str(rendered)

    def _turn(self, message: Mapping[str, Any]) -> dict[str, Any]:
        turn = {"role": message["role"], "content": message["content"] or ""}
        for key in ("reasoning", "name", "tool_call_id"):
            if message.get(key):
                turn[key] = message[key]
        if message.get("tool_calls"):
            calls = json.loads(message["tool_calls"])
            for call in calls:
                arguments = call["function"].get("arguments")
                if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
                    arguments = "{}"  # how many sources write a call without arguments
                if isinstance(arguments, str) and not self._as_text:
                    arguments = json.loads(arguments)
                call["function"]["arguments"] = arguments
            turn["tool_calls"] = calls
        return turn


def template_text(template: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The jinja text that `template` names; raises ConfigError when there is none."""
    if template == "model":
        if not tokenizer.chat_template:
            raise ConfigError(
                "render.template: model: this tokenizer carries no template; use chatml or a .jinja file."
            )
        return str(tokenizer.chat_template)
    path = TEMPLATES / "chatml.jinja" if template == "chatml" else Path(template)
    if not path.is_file():
        raise ConfigError(
            f"render.template: found {template!r}; accepted: chatml, model, or the path of a .jinja file."
        )
    return path.read_text(encoding="utf-8").strip()
