import math

import polars as pl
import pytest

from curation import records
from curation.score.perplexity import PerplexityParams, compute


def rows():
    texts = [
        ("Name a fruit.", "Apple."),
        ("用一句话介绍北京。", "北京是中国的首都，历史悠久。"),
        ("2+2?", "4"),
        ("mix 一下", "OK，没问题 then."),
    ]
    made = []
    for number, (prompt, answer) in enumerate(texts):
        messages = [records.message("user", prompt), records.message("assistant", answer)]
        made.append(
            {
                "id": str(number),
                "kind": "chat",
                "messages": messages,
                "content_hash": records.content_hash(messages, None, None),
            }
        )
    made.append(
        {
            "id": "t",
            "kind": "text",
            "text": "The tide turned. 潮水退了。",
            "content_hash": records.content_hash(None, "The tide turned. 潮水退了。", None),
        }
    )
    return records.frame(made)


@pytest.mark.slow
def test_values_are_those_of_a_plain_loop_in_full_precision(cache_folder, renderer):
    import torch

    from curation.models import load_language_model

    got = dict(compute(rows(), PerplexityParams()).select("content_hash", "nll").iter_rows())
    model = load_language_model("smollm2-135m-instruct")
    torch.set_float32_matmul_precision("highest")
    for row in rows().iter_rows(named=True):
        encoded = renderer.encode(row)
        with torch.inference_mode():
            logits = model(torch.tensor([encoded.ids])).logits[0].double().log_softmax(-1)
        losses = [-float(logits[i - 1, t]) for i, t in enumerate(encoded.ids) if encoded.weights[i] > 0]
        expected = math.fsum(losses) / len(losses)
        assert got[row["content_hash"]] == pytest.approx(expected, rel=1e-3, abs=6e-4)


@pytest.mark.parametrize("silent_first", [True, False])
def test_an_answer_is_judged_whatever_it_weighs(cache_folder, monkeypatch, silent_first):
    def counted(model, batch):
        return [(sum(e.ids) / 1e6, sum(w > 0 for w in e.weights[1:])) for e in batch]

    monkeypatch.setattr("curation.models.load_language_model", lambda name: None)
    monkeypatch.setattr("curation.score.perplexity.sum_nll", counted)
    turn = pl.element().struct.with_fields(pl.lit(0.0).alias("loss_weight"))
    silent = rows().with_columns(pl.col("messages").list.eval(turn))
    found = [compute(r, PerplexityParams(ifd=True)) for r in ((silent, rows()) if silent_first else (rows(), silent))]
    assert found[0].equals(found[1])
    assert found[0]["scored_tokens"].min() > 0


@pytest.mark.slow
def test_order_changes_nothing_and_a_second_run_loads_no_model(cache_folder, monkeypatch):
    first = compute(rows(), PerplexityParams())
    monkeypatch.setattr("curation.models.load_language_model", lambda name: pytest.fail("a model was loaded"))
    assert compute(rows().sort("content_hash", descending=True), PerplexityParams()).equals(first)


@pytest.mark.slow
def test_ifd_is_that_of_a_plain_loop_and_changes_nothing_else(cache_folder, renderer, monkeypatch):
    import torch

    from curation.models import load_language_model

    off = compute(rows(), PerplexityParams())
    got = compute(rows(), PerplexityParams(ifd=True))
    assert off["ifd"].null_count() == off.height
    assert got.drop("ifd").equals(off.drop("ifd"))
    ifd = dict(got.select("content_hash", "ifd").iter_rows())
    model = load_language_model("smollm2-135m-instruct")
    torch.set_float32_matmul_precision("highest")

    def mean_nll(row):
        encoded = renderer.encode(row)
        with torch.inference_mode():
            logits = model(torch.tensor([encoded.ids])).logits[0].double().log_softmax(-1)
        losses = [-float(logits[i - 1, t]) for i, t in enumerate(encoded.ids) if encoded.weights[i] > 0]
        return math.fsum(losses) / len(losses)

    for row in rows().iter_rows(named=True):
        if row["kind"] == "text":
            assert ifd[row["content_hash"]] is None
            continue
        bare = row | {"messages": [records.message("user", ""), row["messages"][1]]}
        expected = math.exp(mean_nll(row) - mean_nll(bare))
        assert ifd[row["content_hash"]] == pytest.approx(expected, rel=1e-3, abs=6e-4)
    # Where a row is cut, both passes score the same tokens; a second run loads no model.
    cut = compute(rows(), PerplexityParams(ifd=True, max_tokens=16))
    assert (
        cut.filter(pl.col("scored_tokens") > 0, pl.col("content_hash").is_in(rows()["content_hash"].head(4)))[
            "ifd"
        ].null_count()
        == 0
    )
    monkeypatch.setattr("curation.models.load_language_model", lambda name: pytest.fail("a model was loaded"))
    assert compute(rows(), PerplexityParams(ifd=True)).equals(got)
