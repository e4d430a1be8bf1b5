"""Loss over prompts: which tokens, with what weight, and that counts and the default stay as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation import records
from curation.render import Renderer, RenderParams
from train.losses import labels, token_weights
from train.pack import encode, pack, prompts
from train.params import TrainParams
from train.plan import consumed_matches, plan
from train.sft import fit

pytestmark = pytest.mark.usefixtures("own_cache")


def shown(row: dict[str, Any], renderer: Renderer) -> tuple[str, str]:
    """The tokens of a row that are prompt, and those that are learned."""
    frame = pl.DataFrame([row])
    [asked] = prompts(frame, renderer)
    encoded = renderer.encode(row, "last")
    assert not any(a and w for a, w in zip(asked, encoded.weights, strict=True))
    pick = [[i for i, p in zip(encoded.ids, flags, strict=True) if p] for flags in (asked, encoded.weights)]
    return renderer.tokenizer.decode(pick[0]), renderer.tokenizer.decode(pick[1])


def test_prompt_tokens_are_those_of_no_answer(renderer: Renderer) -> None:
    messages = [
        records.message("user", "薄荷怕什么？"), records.message("assistant", "怕涝。"),
        records.message("user", "Why?"), records.message("assistant", "Roots rot.", loss_weight=0.0),
        records.message("user", "Sure?"), records.message("assistant", "Yes."),
    ]  # fmt: skip
    row = {"id": "a", "kind": "chat", "messages": messages, "text": None, "tools": None}
    prompt, learned = shown(row, renderer)
    assert learned == "Yes.<|im_end|>"
    assert prompt == (
        "user\n薄荷怕什么？<|im_end|>\n<|im_start|>assistant\n"
        "\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
        "\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n\n"
    )
    text = {"id": "b", "kind": "text", "messages": None, "text": "雨停以后。", "tools": None}
    assert shown(text, renderer)[0] == ""


def test_the_default_has_the_labels_and_weights_of_before(
    mixture: pl.DataFrame, render: RenderParams, renderer: Renderer
) -> None:
    params = TrainParams()
    packed = pack(mixture, encode(mixture, renderer, render), plan(mixture, params, render.max_length), params)
    assert set(packed.column_names) == {"input_ids", "labels", "seq_lengths", "loss_weights", "rows"}
    first = packed[0]
    assert [w > 0 for w in first["loss_weights"]] == [label != -100 for label in first["labels"]]
    learned = sum(label != -100 for s in packed for label in s["labels"])
    assert learned == mixture["loss_tokens"].sum()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["token_mean", "sample_mean"])
def test_a_step_is_a_plain_float64_reference(
    loss: Any, mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, renderer: Renderer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The first step, before anything moved: Σ w·l / Σ w over rows read one by one in float64, without labels or packing."""
    import torch

    from curation.models import load_language_model
    from train.trainer import Trainer

    losses: list[tuple[int, float]] = []
    compute = Trainer.compute_loss

    def heard(self: Any, *given: Any, **named: Any) -> Any:
        found = compute(self, *given, **named)
        losses.append((self.state.global_step + 1, float(found.detach())))
        return found

    monkeypatch.setattr(Trainer, "compute_loss", heard)
    params = TrainParams(prompt_loss=0.1, loss=loss, neftune_alpha=0.0, accumulation=2, eval_steps=9, replay_weight=0.5)
    live = tmp_path / "live"
    fitted = fit(mixture, heldout.head(0), params, render, adapter=tmp_path / "adapter", live=live)

    model = load_language_model(render.model).double()
    schedule = plan(mixture, params, render.max_length)
    first = schedule.filter(pl.col("step") == 1)["position"].to_list()
    lost = pull = prompt_lost = prompt_pull = 0.0
    for record in mixture.filter(pl.col("position").is_in(first)).iter_rows(named=True):
        encoded = renderer.encode(record, render.turns)
        learned = [m for m in record["messages"] or () if m["role"] == "assistant" and m["loss_weight"] == 0]
        skipped = renderer.tokenizer(learned[0]["content"] + "<|im_end|>")["input_ids"] if learned else []
        with torch.no_grad():
            scores = model(torch.tensor([encoded.ids])).logits[0].log_softmax(-1)
        nll = [-float(scores[i - 1, t]) for i, t in enumerate(encoded.ids) if i]
        turn = [w or (0.0 if record["kind"] == "text" else 0.1) for w in encoded.weights[1:]]
        for start in range(len(turn)):
            if skipped and encoded.ids[start + 1 : start + 1 + len(skipped)] == skipped:
                turn[start : start + len(skipped)] = [0.0] * len(skipped)
        row = (1.0 if record["weight"] is None else record["weight"]) * (0.5 if record["bucket"] == "replay" else 1.0)
        row /= sum(turn) if loss == "sample_mean" else 1.0
        lost, pull = lost + row * sum(w * n for w, n in zip(turn, nll, strict=True)), pull + row * sum(turn)
        given = [w == 0 and t > 0 for w, t in zip(encoded.weights[1:], turn, strict=True)]
        prompt_lost += row * sum(w * n for w, n, g in zip(turn, nll, given, strict=True) if g)
        prompt_pull += row * sum(w for w, g in zip(turn, given, strict=True) if g)
    assert sum(value for step, value in losses if step == 1) == pytest.approx(lost / pull, rel=1e-4)
    said = float((live / "plots/metrics/train/prompt.tsv").read_text().splitlines()[1].split("\t")[1])
    assert said == pytest.approx(prompt_lost / prompt_pull, rel=1e-4)

    found = consumed_matches(mixture, fitted.consumed, schedule)
    assert found.problem is None
    assert found.label_tokens == mixture["loss_tokens"].sum()


def test_weights_and_labels_of_a_row(renderer: Renderer) -> None:
    messages = [records.message("user", "3 + 4?"), records.message("assistant", "7")]
    row = {
        "id": "a",
        "kind": "chat",
        "messages": messages,
        "text": None,
        "tools": None,
        "weight": 2.0,
        "bucket": "general",
    }
    encoded, [asked] = renderer.encode(row), prompts(pl.DataFrame([row]), renderer)
    mean = token_weights(encoded, row, TrainParams(prompt_loss=0.25), asked)
    assert mean == [0.0, *(0.5 if a else 2.0 for a in asked[1:])]
    assert labels(encoded, asked) == [-100, *encoded.ids[1:]]
    assert sum(token_weights(encoded, row, TrainParams(prompt_loss=0.25, loss="sample_mean"), asked)) == pytest.approx(
        2.0
    )
    assert token_weights(encoded, row, TrainParams()) == [2.0 * w for w in encoded.weights]
