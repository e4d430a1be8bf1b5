"""What a row asks for, as read by a small language model: one score for each task type that it knows.

The lower layers of Gemma 3 270M with low-rank additions and a linear head, trained on the lessons, the labelled public rows and
the exemplars (`python -m benchmarks.reader_fit`); reader.safetensors holds the additions and the head (5 MB). It reads the
system prompt, what the users say and how the answer begins, so it judges by meaning where no word gives the task away.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import xxhash

from curation.progress import Progress, silent
from curation.score.batches import by_length, cached
from curation.score.ends import ends

Text = tuple[str, str]  # what is read of a request, and of its answer

MODEL = "gemma-3-270m"  # what the additions belong to
WEIGHTS = Path(__file__).with_name("reader.safetensors")
LAYERS = 12  # of 18: those above predict the next word more than they know what was said
TOKENS = (160, 72)  # read of a request and of its answer
ASKED, SYSTEM = 560, 240  # bytes of what users and system prompt say: two thirds from the beginning, one from the end
ANSWER = 160  # bytes of the answer, from the beginning
AROUND = ("Request: ", "\nAnswer: ", "\nThe type of task is:")  # the request, the answer
POOLED = 8.0  # length of each of the two vectors that the head gets
_BATCH = 4096  # longest text × texts, in tokens


def text(asked: str, system: str, answer: str) -> Text:
    """What is read of a row: the system prompt where there is one and what the users say; then how the answer begins."""
    head = f"{ends(system, SYSTEM)} || " if system else ""
    return f"{head}{ends(asked, ASKED)}", answer.encode()[:ANSWER].decode(errors="ignore")


def read(texts: Sequence[Text], progress: Progress = silent) -> Any:
    """Rows × types (in the order of `types()`), two decimals, each row with mean 0; from the cache where it was read before."""
    import numpy as np

    some = sorted(set(texts))
    keys = [xxhash.xxh3_128_hexdigest(f"{_identity()}|{request}\0{answer}".encode()) for request, answer in some]
    batches = by_length(
        [sum(min(n, len(part.encode()) // 3 + 8) for n, part in zip(TOKENS, t, strict=True)) for t in some], _BATCH
    )

    def compute(batch: Sequence[int]) -> list[bytes]:
        return [row.astype("<f4").tobytes() for row in _scores([some[i] for i in batch])]

    stored = cached("reader", keys, batches, compute, progress)
    known = {t: np.frombuffer(stored[k], "<f4").astype(np.float64) for t, k in zip(some, keys, strict=True)}
    return np.stack([known[t] for t in texts]) if texts else np.zeros((0, len(types())))


@cache
def types() -> tuple[str, ...]:
    """The task types that the head knows."""
    from safetensors import safe_open

    with safe_open(WEIGHTS, "np") as file:
        return tuple(file.metadata()["types"].split(","))


@cache
def _identity() -> str:
    import torch

    from curation.models import identity

    where = "cuda" if torch.cuda.is_available() else "cpu"  # where the model is loaded in bfloat16
    return f"{identity(MODEL)}|{where}|{xxhash.xxh3_64_hexdigest(WEIGHTS.read_bytes())}|{LAYERS}|{TOKENS}|{AROUND}|{POOLED}"


def lower(model: Any) -> Any:
    """The model's body without its last layers, its last norm and what predicts words.

    Positions and the scale of the embedding are rounded to bfloat16, as they were when the additions were learned.
    """
    import torch

    body = model.model
    body.rotary_emb.bfloat16()
    body.embed_tokens.embed_scale = body.embed_tokens.embed_scale.bfloat16()
    body.layers = body.layers[:LAYERS]
    body.norm = torch.nn.Identity()
    return body


@cache
def _model() -> tuple[Any, Any, Any]:
    """Tokenizer, lower layers with the additions in their weights, head."""
    import torch
    from safetensors import safe_open

    from curation.models import load_language_model, load_tokenizer

    body = lower(load_language_model(MODEL)).float()
    with safe_open(WEIGHTS, "pt") as file:
        scale = float(file.metadata()["scale"])
        given = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    head = torch.nn.Linear(*reversed(given["head.weight"].shape))
    head.load_state_dict({"weight": given["head.weight"], "bias": given["head.bias"]})
    with torch.no_grad():
        for name in (n[:-2] for n in given if n.endswith(".A")):
            layer, inner = name.split(".", 1)
            weight = body.layers[int(layer)].get_submodule(inner).weight
            weight += (scale * given[f"{name}.B"] @ given[f"{name}.A"]).to(weight.device)
    return load_tokenizer(MODEL), body, head.to(body.device).eval()


def encode(tokenizer: Any, texts: Sequence[Text]) -> list[list[int]]:
    """Token ids of each: what stands around request and answer, and their first tokens."""
    first, between, last = (tokenizer(part, add_special_tokens=not i)["input_ids"] for i, part in enumerate(AROUND))
    sides = [
        tokenizer([t[side] for t in texts], add_special_tokens=False, truncation=True, max_length=TOKENS[side])["input_ids"]
        for side in (0, 1)
    ]  # fmt: skip
    return [[*first, *request, *between, *answer, *last] for request, answer in zip(*sides, strict=True)]


def pooled(states: Any, lengths: Any) -> Any:
    """What the head gets of the tokens' states: their mean and the last one, each of the length POOLED."""
    import torch

    there = (torch.arange(states.shape[1], device=states.device)[None] < lengths[:, None])[..., None]
    mean = (states * there).sum(1) / lengths[:, None]
    last = states[torch.arange(len(lengths)), lengths - 1]
    return torch.cat([torch.nn.functional.normalize(part, dim=1) for part in (mean, last)], 1) * POOLED


def _scores(texts: Sequence[Text]) -> Any:
    import numpy as np
    import torch

    tokenizer, body, head = _model()
    rows = [torch.tensor(row) for row in encode(tokenizer, texts)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # behind the text, where no state sees it
    lengths = torch.tensor([len(row) for row in rows], device=body.device)
    with torch.inference_mode():
        states = body(input_ids=ids.to(body.device), use_cache=False).last_hidden_state
        scores = head(pooled(states, lengths)).double().cpu().numpy()
    return np.round(scores - scores.mean(axis=1, keepdims=True), 2)
