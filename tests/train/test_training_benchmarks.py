"""The benchmarks that train: what they state and measure is right, and a run is made once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from benchmarks import replay_ladder, short_answers, stored, train_speed
from curation.models import load_tokenizer
from curation.render import Renderer
from train.params import TrainParams

starter = pytest.mark.skipif(
    not Path("data/mixed/train.parquet").exists(), reason="data/mixed is absent: run `dvc repro mix`"
)


@pytest.mark.usefixtures("own_cache")
def test_a_run_is_made_once_for_its_settings():
    made = []

    def measure():
        made.append(1)
        return {"n": len(made)}

    def result(settings, **run):
        found = stored.Runs("short_answers", settings).get(measure, **run)
        assert len(found.pop("at")) == len("2026-11-22 07:46")
        return found

    assert result({"steps": 2}, seed=1) == {"n": 1}
    assert result({"steps": 2}, seed=1) == {"n": 1}
    assert result({"steps": 2}, seed=2) == {"n": 2}
    assert result({"steps": 3}, seed=1) == {"n": 3}


@pytest.mark.usefixtures("own_cache")
def test_a_kill_within_a_line_costs_that_line_only():
    runs = stored.Runs("replay_ladder", {})
    runs.get(lambda: {"n": 1}, seed=1)
    with runs.path.open("a") as file:
        file.write('{"key": "ab')
    stored.Runs("replay_ladder", {}).get(lambda: {"n": 2}, seed=2)
    again = stored.Runs("replay_ladder", {})
    assert [again.stored(seed=seed)["result"] for seed in (1, 2)] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("雨停了。屋檐滴水！走吧？好。", ["雨停了。", "屋檐滴水！", "走吧？好。"]),
        ("It rained. We left at 3.5 km. Home!", ["It rained.", "We left at 3.5 km.", "Home!"]),
        ("茶好了。Sit down. 喝吧。", ["茶好了。", "Sit down.", "喝吧。"]),
        ("", []),
    ],
)
def test_plain_text_is_cut_at_ends_of_sentences(text, found):
    cut = replay_ladder.pieces(text, 6, lambda t: len(t) if not t.isascii() else len(t.split()) * 3)
    assert cut == found
    assert "".join(cut).replace(" ", "") == text.replace(" ", "")


def test_sequences_are_as_long_as_the_steps_want():
    sizes = pl.DataFrame({"tokens": [40] * 30}).with_row_index("position")
    rows = sizes.select(pl.format("r{}", "position").alias("id"), pl.lit(0).alias("repeat"), "position", "tokens")
    params = TrainParams(accumulation=1, max_steps=4)
    assert replay_ladder.room(rows, params, {"steps": 4, "tokens": 80}) == 80
    assert replay_ladder.room(rows, params, {"steps": 4, "tokens": 118}) == 126  # three rows; two are 38 off


def test_the_exam_asks_for_the_same_things_in_other_questions():
    train, exam = short_answers.task_rows(8)
    assert (len(train), len(exam)) == (128, 96)
    assert train["id"].n_unique() + exam["id"].n_unique() == 224
    assert not set(train["content_hash"]) & set(exam["content_hash"])
    assert exam.group_by("language").len().sort("language").rows() == [("en", 48), ("zh", 48)]
    answers = exam["messages"].list.last().struct.field("content")
    assert answers.value_counts(sort=True)["count"].to_list() == [12] * 8


def test_the_share_stated_is_of_label_tokens_or_of_rows_and_that_of_steps_is_the_mean():
    train = pl.DataFrame(
        {"id": ["a", "b", "c"], "repeat": [0, 0, 0], "task_type": [short_answers.TASK, "writing", short_answers.TASK],
         "loss_tokens": [2, 6, 2]}
    )  # fmt: skip
    schedule = pl.DataFrame({"step": [1, 1, 2], "id": ["a", "b", "c"], "repeat": [0, 0, 0]})
    assert short_answers.stated(train, schedule, "token_mean") == {"share": 4 / 10, "of_steps": (2 / 8 + 1) / 2}
    assert short_answers.stated(train, schedule, "sample_mean") == {"share": 2 / 3, "of_steps": (1 / 2 + 1) / 2}
    noted = [(1, short_answers.TASK, 2.0, 4.0), (1, "writing", 6.0, 3.0), (2, short_answers.TASK, 2.0, 1.0)]
    assert short_answers.measured(noted) == {"share": 0.4, "of_steps": 0.625, "nats": 5 / 8}


@starter
@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("way", short_answers.WAYS)
def test_shares_measured_are_those_stated(way, tiny):
    settings = {
        "model": tiny, "length": 512, "tokens": 2500, "questions": 1, "copies": 3, "steps": None, "learning_rate": 1e-3, "exam_tokens": 100,
    }  # fmt: skip
    found = short_answers.run(way, 1, settings, lambda *_: None)  # raises where they differ
    assert found["told"] == pytest.approx(found["stated"]["share"], abs=1e-6)
    assert found["measured"]["share"] == pytest.approx(found["stated"]["share"], abs=1e-6)


@starter
@pytest.mark.usefixtures("own_cache")
def test_a_greater_rung_only_adds_plain_text(tiny):
    settings = {"model": tiny, "steps": 20, "tokens": 512, "piece": 96}
    renderer = Renderer(load_tokenizer(tiny))
    rows = replay_ladder.pool(renderer, settings)
    rungs = [replay_ladder.mixture(rows, share, 1, settings, renderer.template) for share in (0, 0.01, 0.05, 0.2)]
    texts = [set(rung.filter(pl.col("bucket") == "replay")["id"]) for rung in rungs]
    assert [a <= b for a, b in pairwise(texts)] == [True] * 3
    for share, rung in zip((0, 0.01, 0.05, 0.2), rungs, strict=True):
        held = rung.filter(pl.col("bucket") == "replay")["tokens"].sum() / rung["tokens"].sum()
        assert held == pytest.approx(share, abs=0.01)


@starter
@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("packing", ["bfd", "plan"])
def test_both_ways_read_the_same_tokens(packing, tiny):
    given = {"steps": 2, "length": 512, "accumulation": 2, "packing": packing, "model": tiny}
    found = [train_speed.measure(way, **given) for way in train_speed.WAYS]
    assert found[0]["tokens"] == found[1]["tokens"] > 0
