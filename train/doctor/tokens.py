"""Do template, tokenizer and model fit each other? Markers, end token, tokens that nobody trained; a note on padding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from curation import records
from curation.errors import DataError, TemperError
from curation.render import Encoded, Renderer
from train.doctor.findings import Finding, failure, note

# How the templates in use write their markers: <|im_start|>, <start_of_turn>, <s>, <｜User｜>.
_MARKER = re.compile(r"<\|[^<>|\s]+\|>|<(?:start|end)_of_turn>|</?s>|<｜[^<>｜]+｜>")
_PROBE = ("Alpha", "Beta")
_UNTRAINED = 0.2  # of the median distance to the mean embedding; rows that were added and never trained lie on the mean
_SAMPLE = 4096  # rows of the embedding that stand for all


def template(renderer: Renderer) -> Iterator[Finding]:
    """Failures: markers that the tokenizer splits, and turns that are not put as in the model's own template."""
    tokenizer: Any = renderer.tokenizer
    talk = ("user", "assistant", "user", "assistant")
    try:
        whole = renderer.text(_probe("system", *talk))
    except DataError:  # some models know no system turn (Gemma); rows that have one fail in the rows' own check
        whole = renderer.text(_probe(*talk))
    split = [m for m in dict.fromkeys(_MARKER.findall(whole)) if len(_ids(tokenizer, m)) != 1]
    if split:
        yield failure(
            "template",
            f"render.template writes {split[0]}, which this tokenizer splits into {len(_ids(tokenizer, split[0]))} tokens: the "
            "template of another model; use render.template: model or chatml, or a model that has this token.",
        )
    if not tokenizer.chat_template:
        return
    try:
        own = _between(Renderer(tokenizer, "model"))
    except (
        TemperError
    ):  # the model's own template may be one that the renderer refuses; then there is nothing to compare
        return
    marks = set(_MARKER.findall(own))
    if marks and not marks & set(_MARKER.findall(_between(renderer))):
        yield failure(
            "template",
            f"between question and answer render.template writes {_between(renderer)!r}, the model's own template {own!r}: "
            "what the model knows of turns would be lost; use render.template: model or chatml.",
        )


def padding(tokenizer: Any) -> Iterator[Finding]:
    """A note when batches would be padded on the left. Training here pads nothing: one packed sequence a batch."""
    if tokenizer.padding_side != "right":
        yield note(
            "padding_side",
            f"the tokenizer pads on the {tokenizer.padding_side}: right for generation, and of no consequence here, where training "
            "pads nothing; a trainer that pads its batches wants padding_side: right in tokenizer_config.json.",
        )


def end(tokenizer: Any, model: Any) -> Iterator[Finding]:
    """A failure when answers end with a token at which generation does not stop."""
    stops = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    known = [stops] if isinstance(stops, int) else list(stops or [])
    if known and tokenizer.eos_token_id not in known:
        yield failure(
            "end_token",
            f"answers are taught to end with {tokenizer.eos_token!r} ({tokenizer.eos_token_id}), but the model stops at "
            f"{known}; put it among eos_token_id in the generation_config.json of render.model.",
        )


def untrained(encoded: Iterable[Encoded], tokenizer: Any, model: Any) -> Iterator[Finding]:
    """Failures: tokens of the rows that have no embedding, and special ones whose embedding was never trained.

    A token added by `resize_token_embeddings` starts at the mean of all embeddings (or at zero), and an adapter on linear
    layers never moves it. Tokens that lie within `_UNTRAINED` of the usual distance to the mean count as untrained, as do
    those of no length. (Undertrained tokens by their embeddings: arXiv 2405.05417.)
    """
    import torch

    table = model.get_input_embeddings().weight.detach()
    used = {i for row in encoded for i in row.ids}
    beyond = sorted(i for i in used if i >= len(table))
    if beyond:
        yield failure(
            "new_token",
            f"{_names(tokenizer, beyond)}: no embedding, the model has {len(table)}; enlarge it by "
            "resize_token_embeddings and train it in full, or use a template without this token.",
        )
    special = sorted((set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())) & used - set(beyond))
    if not special:
        return
    with torch.inference_mode():
        sample = table[:: max(1, len(table) // _SAMPLE)].float()
        mean = sample.mean(0)
        usual = (sample - mean).norm(dim=1).median()
        rows = table[special].float()
        idle = ((rows - mean).norm(dim=1) < _UNTRAINED * usual) | (
            rows.norm(dim=1) < _UNTRAINED * sample.norm(dim=1).median()
        )
    new = [i for i, is_idle in zip(special, idle.tolist(), strict=True) if is_idle]
    if new:
        yield failure(
            "new_token",
            f"{_names(tokenizer, new)}: the embedding was never trained, and LoRA leaves embeddings as they are; use a template of "
            "tokens that the model knows, or train these in full first.",
        )


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _names(tokenizer: Any, ids: list[int]) -> str:
    return ", ".join(f"{tokenizer.convert_ids_to_tokens(i)} ({i})" for i in ids[:3]) + (", …" if len(ids) > 3 else "")


def _probe(*roles: str) -> Mapping[str, Any]:
    said = dict(zip(("user", "assistant"), _PROBE, strict=True))
    turns = [records.message(role, said.get(role, "Gamma")) for role in roles]
    return {"id": "probe", "kind": "chat", "messages": turns, "tools": None}


def _between(renderer: Renderer) -> str:
    """What a template writes between a question and its answer."""
    text = renderer.text(_probe("user", "assistant"))
    return text.split(_PROBE[0], 1)[-1].split(_PROBE[1], 1)[0]
