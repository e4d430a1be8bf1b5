import math

import polars as pl
import pytest

from curation.render import Encoded, Renderer, RenderParams
from train.losses import label_nll, labels, row_nll, token_weights, weighted_loss
from train.params import TrainParams
from train.plan import plan
from train.sft import pack, progress_rows

pytestmark = pytest.mark.slow


def test_weights_are_turn_times_row_times_replay() -> None:
    encoded = Encoded([5, 6, 7], [0.0, 1.0, 0.5])
    params = TrainParams(replay_weight=0.25)
    assert token_weights(encoded, {"weight": None, "bucket": "general"}, params) == [0.0, 1.0, 0.5]
    assert token_weights(encoded, {"weight": 2.0, "bucket": "replay"}, params) == [0.0, 0.5, 0.25]
    assert labels(encoded) == [-100, 6, 7]


def test_a_step_weighs_tokens_however_they_fall_into_sequences() -> None:
    import torch

    nll, weights = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.5, 0.5])
    whole = weighted_loss(nll, weights, weights.sum())
    split = weighted_loss(nll[:1], weights[:1], weights.sum()) + weighted_loss(nll[1:], weights[1:], weights.sum())
    assert whole.item() == split.item() == 2.0


def test_label_tokens_of_packed_rows_are_exactly_the_renderers(
    mixture: pl.DataFrame, render: RenderParams, renderer: Renderer
) -> None:
    params = TrainParams(accumulation=2, replay_weight=0.5)
    rows = mixture.sort("position")
    encoded = [renderer.encode(row, render.turns) for row in rows.iter_rows(named=True)]
    schedule = plan(mixture, params, render.max_length)
    packed = pack(rows, encoded, schedule, params)
    assert len(packed) == schedule.select("step", "sequence").n_unique()
    seen = []
    for sequence in packed:
        assert len(sequence["input_ids"]) == sum(sequence["seq_lengths"]) <= render.max_length
        start = 0
        for length in sequence["seq_lengths"]:
            part = slice(start, start + length)
            number = sequence["rows"][part][0]
            seen.append(number)
            e = encoded[number]
            assert sequence["input_ids"][part] == e.ids
            assert sequence["labels"][part] == [i if w > 0 else -100 for i, w in zip(e.ids, e.weights, strict=True)]
            factor = (0.5 if rows["bucket"][number] == "replay" else 1.0) * (rows["weight"][number] or 1.0)
            assert sequence["loss_weights"][part] == [w * factor for w in e.weights]
            start += length
    assert sorted(seen) == list(range(len(rows)))
    # The turn of weight zero bears no label, and the answers of the chat do.
    chat = renderer.tokenizer.decode([i for i in labels(encoded[5]) if i != -100])
    assert chat == "早点休息，睡前少看手机。<|im_end|>晚安。<|im_end|>"


def test_packed_rows_do_not_read_each_other(mixture: pl.DataFrame, render: RenderParams, renderer: Renderer) -> None:
    """Logits of packed rows are those of the rows alone, within 1e-3, in the model that the trainer trains."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from curation.models import load_language_model

    model = load_language_model("smollm2-135m-instruct")
    torch.set_float32_matmul_precision("highest")
    params = TrainParams()
    rows = mixture.sort("position").head(4)
    encoded = [renderer.encode(row, render.turns) for row in rows.iter_rows(named=True)]
    packed = pack(rows, encoded, plan(rows, params, 512), params)
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    batch = collate([{k: packed[0][k] for k in ("input_ids", "labels", "seq_lengths")}])
    assert len(packed[0]["seq_lengths"]) == 4
    assert batch["position_ids"][0].tolist() == [p for e in encoded for p in range(len(e.ids))]
    with torch.no_grad():
        together = model(**{k: v for k, v in batch.items() if k != "labels"}, use_cache=False).logits[0]
        alone = [model(input_ids=torch.tensor([e.ids]), use_cache=False).logits[0] for e in encoded]
        nll, _ = label_nll(model, batch)
    assert (together - torch.cat(alone)).abs().max().item() < 1e-3
    sums = row_nll(model, encoded)
    assert nll.sum().item() == pytest.approx(math.fsum(total for total, _ in sums), abs=1e-2)
    assert [n for _, n in sums] == rows["loss_tokens"].to_list()


def test_progress_rows_take_task_types_in_turn() -> None:
    heldout = pl.DataFrame(
        {"content_hash": ["a", "b", "c", "d", "e"], "id": list("vwxyz"), "task_type": ["m", "m", "m", "n", "n"],
         "tokens": [10, 10, 10, 10, 10]}
    )  # fmt: skip
    assert progress_rows(heldout, 30)["content_hash"].to_list() == ["a", "d", "b"]
    assert progress_rows(heldout, 31)["content_hash"].to_list() == ["a", "d", "b", "e"]
    assert len(progress_rows(heldout.head(0), 30)) == 0
