import math

import polars as pl
import pytest

from curation.render import Encoded, Renderer, RenderParams
from train.losses import divergence, label_nll, labels, row_nll, token_weights, weighted_loss
from train.pack import pack, progress_rows
from train.params import TrainParams
from train.plan import plan

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


def test_under_sample_mean_a_row_weighs_the_same_however_long_it_is() -> None:
    params = TrainParams(loss="sample_mean", replay_weight=0.25)
    long, short = Encoded([5, 6, 7, 8], [0.0, 1.0, 1.0, 2.0]), Encoded([5, 6], [0.0, 1.0])
    assert token_weights(long, {"weight": None, "bucket": "general"}, params) == [0.0, 0.25, 0.25, 0.5]
    assert token_weights(short, {"weight": None, "bucket": "general"}, params) == [0.0, 1.0]
    assert token_weights(short, {"weight": 2.0, "bucket": "replay"}, params) == [0.0, 0.5]
    assert token_weights(Encoded([5], [0.0]), {"weight": None, "bucket": "general"}, params) == [0.0]


def test_divergence_is_that_of_a_plain_sum() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(3, 7, generator=generator) * 4 for _ in range(2))
    p, q = ours.double().softmax(-1), theirs.double().softmax(-1)
    expected = [sum(float(a) * math.log(a / b) for a, b in zip(r, s, strict=True)) for r, s in zip(p, q, strict=True)]
    assert divergence(ours, theirs).tolist() == pytest.approx(expected, rel=1e-4)
    assert divergence(ours, ours).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("loss", ["token_mean", "sample_mean"])
def test_a_packed_weighted_step_has_the_loss_of_a_float64_reference(
    loss: str, mixture: pl.DataFrame, render: RenderParams, renderer: Renderer
) -> None:
    """Packed sequences in float32 against each row alone in float64, within 1e-4 relative."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from curation.models import load_language_model

    model = load_language_model("smollm2-135m-instruct")
    torch.set_float32_matmul_precision("highest")
    params = TrainParams(loss=loss, replay_weight=0.5, accumulation=2)
    rows = mixture.sort("position")
    encoded = [renderer.encode(row, render.turns) for row in rows.iter_rows(named=True)]
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    packed = pack(rows, encoded, plan(rows, params, render.max_length), params)
    assert len(packed) > 1
    total = torch.tensor(
        sum(w for s in packed for w, i in zip(s["loss_weights"], s["labels"], strict=True) if i != -100)
    )
    found = 0.0
    for sequence in packed:
        batch = collate([{k: sequence[k] for k in ("input_ids", "labels", "seq_lengths")}])
        with torch.no_grad():
            nll, places = label_nll(model, batch)
        found += float(weighted_loss(nll, torch.tensor(sequence["loss_weights"])[places], total))
    model = model.double()
    lost = pull = 0.0
    for e, record in zip(encoded, rows.iter_rows(named=True), strict=True):
        factor = (0.5 if record["bucket"] == "replay" else 1.0) * (
            1.0 if record["weight"] is None else record["weight"]
        )
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([e.ids]), use_cache=False).logits[0].log_softmax(-1)
        terms = [(w, -float(logits[i - 1, e.ids[i]])) for i, w in enumerate(e.weights) if w > 0]
        over = sum(w for w, _ in terms) if loss == "sample_mean" else 1.0
        lost += factor * sum(w * nats for w, nats in terms) / over
        pull += factor * sum(w for w, _ in terms) / over
    assert found == pytest.approx(lost / pull, rel=1e-4)


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
