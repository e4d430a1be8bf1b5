"""The order of drawing: nested, tilted to quality by temperature, to hard task types by weights; presets and parts."""

import math

import polars as pl
import pytest

from curation.mix import MixParams, order, presets
from curation.mix.difficulty import task_weights
from curation.mix.params import Part, QualityParams
from tests.mix.rows import chosen, decided, frame, held, pool, row


def drawn(rows, **params):
    settings = MixParams.model_validate(params)
    return order.draw(order.parts(rows, settings.all_parts(), settings.quality), settings)


def graded(n):
    return frame([row("general", i, quality=float(i), tokens=10) for i in range(n)])


def mean_quality(temperature, n=300):
    quality = {} if temperature is None else {"temperature": temperature}
    choice = chosen(graded(n), ratios={"general": 1}, replay=0, unit="rows", size=n // 3, quality=quality)
    return held(choice, graded(n))["quality"].mean()


def test_a_low_temperature_draws_near_the_best_and_a_high_one_flatter():
    best = sum(range(200, 300)) / 100
    at = [mean_quality(t) for t in (0.01, 0.5, 1, 2, 100)]
    assert at == sorted(at, reverse=True)
    assert at[0] > best - 1
    assert abs(at[-1] - 149.5) < 15
    assert abs(mean_quality(None) - 149.5) < 15


def test_draws_are_in_proportion_to_exp_z_over_t():
    """Two grades, half of the rows each: z is +1 and -1, so the first of many draws is a good one with odds exp(2 / T) to 1."""
    rows = frame([row("general", i, quality=float(i % 2)) for i in range(40)])
    firsts = [drawn(rows, quality={"temperature": 1.0}, seed=s)["quality"][0] for s in range(400)]
    expected = math.exp(2) / (1 + math.exp(2))
    assert abs(sum(firsts) / 400 - expected) < 0.05


def test_rows_without_a_number_stand_in_the_middle():
    rows = pl.concat([graded(100), frame([row("general", 100 + i, quality=None) for i in range(100)])])
    first = drawn(rows, quality={"temperature": 0.05}).head(40)
    last = drawn(rows, quality={"temperature": 0.05}).tail(40)
    assert first["quality"].null_count() == 0
    assert last["quality"].null_count() == 0


def test_core_is_the_best_share_and_tail_the_rest():
    rows = pl.concat([graded(20), pool(domain=4, safety=3)])
    named = {
        "code": Part(task_type=("classification",)),
        "core": Part(bucket=("general",), quality="core"),
        "tail": Part(bucket=("general",), quality="tail"),
    }
    parted = order.parts(rows, named, QualityParams(core=0.3))
    assert dict(parted.group_by("part").len().iter_rows()) == {
        "code": 11,
        "core": 3,
        "tail": 7,
        "domain": 3,
        "safety": 3,
    }
    assert sorted(parted.filter(pl.col("part") == "core")["quality"]) == [14.0, 16.0, 18.0]


def test_task_weights_set_the_quota_of_any_prefix():
    rows = pool(math_code=400)  # math and code in turn
    for size in (40, 100, 200):
        choice = chosen(rows, ratios={"math_code": 1}, replay=0, unit="rows", size=size, task_weights={"math": 3.0})
        types = dict(held(choice, rows).group_by("task_type").len().iter_rows())
        assert types["math"] == pytest.approx(size * 3 / 4, abs=1)
    everything = chosen(rows, ratios={"math_code": 1}, replay=0, unit="rows", task_weights={"math": 3.0})
    assert everything.rows.height == 400  # once math is used up, code fills the rest


def test_a_smaller_draw_is_a_prefix_of_a_greater_one_for_every_order():
    rows = frame([row("domain", i, quality=float(i % 9)) for i in range(120)])
    for params in (
        {},
        {"quality": {"temperature": 0.7}},
        {"task_weights": {"extraction": 2.0}},
        {"short_answers": {"max_loss_tokens": 12, "times": 2}},
    ):
        small, large = (
            set(
                chosen(rows, ratios={"domain": 1}, replay=0, unit="rows", size=n, **params)
                .rows.select("id", "repeat")
                .iter_rows()
            )
            for n in (40, 90)
        )
        assert small < large


def test_difficulty_comes_from_an_earlier_runs_losses():
    scores = {
        "math": {"nll_trained": 3.0, "rows": 12},
        "chat": {"nll_trained": 1.5, "rows": 9},
        "code": {"nll_trained": 1.5, "rows": 10},
        "rare": {"nll_trained": 9.0, "rows": 1},
    }
    assert task_weights(scores) == {"math": 1.5, "chat": 0.75, "code": 0.75}
    assert task_weights(scores, strength=0) == {"math": 1.0, "chat": 1.0, "code": 1.0}
    assert task_weights(
        {
            "math": {"nll_trained": 60.0, "rows": 12},
            "chat": {"nll_trained": 0.1, "rows": 12},
            "code": {"nll_trained": 1, "rows": 9},
        }
    ) == {"math": 2.0, "chat": 0.5, "code": 0.5}


def test_presets_are_the_fields_mixtures():
    assert presets.names() == ["balanced", "domain_heavy", "core_and_tail"]
    rows = pool(general=300, math_code=200, domain=300, safety=100, replay=100).with_columns(
        pl.int_range(pl.len()).cast(pl.Float64).alias("quality")
    )
    wanted = {
        "balanced": {"general": 0.19, "math_code": 0.285, "domain": 0.38, "safety": 0.095, "replay": 0.05},
        "domain_heavy": {"domain": 0.6, "general": 0.2, "math_code": 0.1, "safety": 0.05, "replay": 0.05},
        "core_and_tail": {"core": 0.475, "tail": 0.19, "code": 0.095, "math": 0.095, "safety": 0.095, "replay": 0.05},
    }
    for name, shares in wanted.items():
        got = decided(rows, ratios=name, heldout={"share": 0})
        assert got.manifest["preset"] == name
        achieved = {part: row["achieved_share"]["tokens"] for part, row in got.manifest["mixture"].items()}
        assert achieved == pytest.approx(shares, abs=0.01)


def test_the_replay_ladder_climbs_with_the_exam_and_the_domain_rows_nested():
    rungs = presets.ladder("replay")
    assert rungs == [0, 0.01, 0.05, 0.1, 0.2]
    rows = pool(general=100, math_code=100, domain=100, safety=100, replay=200)
    before: set[str] = set()
    for rung in rungs:
        got = decided(rows, replay=rung, size=6000, ratios={"general": 1, "domain": 1}).train
        replay = got.filter(pl.col("bucket") == "replay")
        assert replay["tokens"].sum() / got["tokens"].sum() == pytest.approx(rung, abs=0.01)
        assert before <= set(replay["id"])
        before = set(replay["id"])


def test_earlier_versions_are_replayed_as_a_part_with_its_own_weight():
    rows = pl.concat(
        [
            pool(general=100, domain=100),
            frame([row("general", i, id=f"v1-{i}", content_hash=f"v{i}", source="v1") for i in range(50)]),
        ]
    )
    params = {
        "parts": {"earlier": {"source": ["v1"]}},
        "targets": [{"part": "earlier", "fraction": 0.1}],
        "weights": [{"part": "earlier", "weight": 0.5}],
    }
    got = decided(rows, ratios={"general": 1, "domain": 1}, replay=0, heldout={"share": 0}, **params)
    earlier = got.train.filter(pl.col("source") == "v1")
    assert earlier["tokens"].sum() / got.train["tokens"].sum() == pytest.approx(0.1, abs=0.01)
    assert set(earlier["weight"]) == {0.5}
    assert set(got.train.filter(pl.col("part") == "general")["source"]) <= {"s0", "s1", "s2", "s3"}
