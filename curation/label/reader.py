"""What a row asks for, as read by a small sentence encoder: one score for each task type that it knows.

multilingual-e5-small with low-rank additions and a linear head, trained on the lessons, the labelled public rows and the
exemplars (`python -m benchmarks.reader_fit`); reader.safetensors holds the additions and the head (2.7 MB). It reads the
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

ENCODER = "multilingual-e5-small"  # what the additions belong to
WEIGHTS = Path(__file__).with_name("reader.safetensors")
TOKENS = (176, 96)  # read of a request and of its answer
ASKED, SYSTEM = 560, 240  # bytes of what users and system prompt say: two thirds from the beginning, one from the end
ANSWER = 160  # bytes of the answer, from the beginning
POOLED = 4.0  # factor between the mean of the tokens' vectors and the head
_BATCH = 4096  # longest text × texts, in tokens


def text(asked: str, system: str, answer: str) -> Text:
    """What is read of a row: "query: ", the system prompt where there is one, what the users say; then how the answer begins."""
    head = f"{ends(system, SYSTEM)} || " if system else ""
    return f"query: {head}{ends(asked, ASKED)}", answer.encode()[:ANSWER].decode(errors="ignore")


def read(texts: Sequence[Text], progress: Progress = silent) -> Any:
    """Rows × types (in the order of `types()`), two decimals, each row with mean 0; from the cache where it was read before."""
    import numpy as np

    some = sorted(set(texts))
    keys = [xxhash.xxh3_128_hexdigest(f"{_identity()}|{request}\0{answer}".encode()) for request, answer in some]
    batches = by_length(
        [sum(min(n, len(part.encode()) // 3 + 4) for n, part in zip(TOKENS, t, strict=True)) for t in some], _BATCH
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


def encode(tokenizer: Any, texts: Sequence[Text]) -> list[list[int]]:
    """Token ids of each: the request, and where there is an answer its tokens behind the request's end mark."""
    requests, answers = (
        tokenizer([t[side] for t in texts], truncation=True, max_length=TOKENS[side])["input_ids"] for side in (0, 1)
    )
    return [r + a[1:] if t[1] else r for r, a, t in zip(requests, answers, texts, strict=True)]


def _scores(texts: Sequence[Text]) -> Any:
    import numpy as np
    import torch

    tokenizer, bert, head = _model()
    rows = [torch.tensor(row) for row in encode(tokenizer, texts)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    mask = (torch.arange(ids.shape[1])[None] < torch.tensor([[len(row)] for row in rows])).long()
    with torch.inference_mode():
        hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state
        scores = head((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True) * POOLED).double().numpy()
    return np.round(scores - scores.mean(axis=1, keepdims=True), 2)
