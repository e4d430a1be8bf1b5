"""What a request asks for, as read by a small sentence encoder: one score for each task type that it knows.

multilingual-e5-small with low-rank additions in its upper half and a linear head, trained on the lessons, the labelled public
rows and the exemplars (`python -m benchmarks.reader_fit`); reader.safetensors holds the additions and the head (0.7 MB).
It reads the system prompt and what the users say, so it judges by meaning where no word gives the task away.
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

ENCODER = "multilingual-e5-small"  # what the additions belong to
WEIGHTS = Path(__file__).with_name("reader.safetensors")
TOKENS = 176  # read of a row
ASKED, SYSTEM = 560, 240  # bytes of what users and system prompt say: two thirds from the beginning, one from the end
POOLED = 4.0  # factor between the mean of the tokens' vectors and the head
_BATCH = 4096  # longest text × texts, in tokens


def text(asked: str, system: str) -> str:
    """What is read of a row: "query: ", the system prompt where there is one, what the users say."""
    head = f"{ends(system, SYSTEM)} || " if system else ""
    return f"query: {head}{ends(asked, ASKED)}"


def read(texts: Sequence[str], progress: Progress = silent) -> Any:
    """Rows × types (in the order of `types()`), two decimals, each row with mean 0; from the cache where it was read before."""
    import numpy as np

    some = sorted(set(texts))
    keys = [xxhash.xxh3_128_hexdigest(f"{_identity()}|{t}".encode()) for t in some]
    batches = by_length([min(TOKENS, len(t.encode()) // 3 + 4) for t in some], _BATCH)

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
    from curation.models import identity

    return f"{identity(ENCODER)}|{xxhash.xxh3_64_hexdigest(WEIGHTS.read_bytes())}|{TOKENS}|{POOLED}"


@cache
def _model() -> tuple[Any, Any, Any]:
    """Tokenizer, encoder with the additions in its weights, head."""
    import torch
    from safetensors import safe_open

    from curation.models import load_encoder

    first: Any = load_encoder(ENCODER)[0]
    bert, tokenizer = first.auto_model, first.tokenizer
    with safe_open(WEIGHTS, "pt") as file:
        scale = float(file.metadata()["scale"])
        given = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    head = torch.nn.Linear(*reversed(given["head.weight"].shape))
    head.load_state_dict({"weight": given["head.weight"], "bias": given["head.bias"]})
    with torch.no_grad():
        for name in (n[:-2] for n in given if n.endswith(".A")):
            layer, inner = name.split(".", 1)
            linear = bert.encoder.layer[int(layer)].get_submodule(inner)
            linear.weight += scale * given[f"{name}.B"] @ given[f"{name}.A"]
    return tokenizer, bert.eval(), head.eval()


def _scores(texts: Sequence[str]) -> Any:
    import numpy as np
    import torch

    tokenizer, bert, head = _model()
    batch = tokenizer(list(texts), truncation=True, max_length=TOKENS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = bert(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        mask = batch["attention_mask"][..., None]
        scores = head((hidden * mask).sum(1) / mask.sum(1) * POOLED).double().numpy()
    return np.round(scores - scores.mean(axis=1, keepdims=True), 2)
