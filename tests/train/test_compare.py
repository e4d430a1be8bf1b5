import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from train.compare import Difference, against_accepted, by_group, evidence, paired

DRAWS = {"seed": 1, "resamples": 500, "interval": 0.95}
losses = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50), st.integers(1, 40)), min_size=1, max_size=30)


def test_a_constant_gain_is_exact_and_better() -> None:
    found = paired([20.0] * 6, [15.0] * 6, [10] * 6, **DRAWS)
    assert found == Difference(6, 60, 2.0, 1.5, -0.5, -0.5, -0.5, "better")
    assert paired([15.0] * 6, [20.0] * 6, [10] * 6, **DRAWS).verdict == "worse"


def test_few_rows_and_none_are_unclear() -> None:
    assert paired([20.0] * 4, [15.0] * 4, [10] * 4, **DRAWS).verdict == "unclear"
    assert paired([], [], [], **DRAWS) == Difference(0, 0, None, None, None, None, None, "unclear")
    assert paired([0.0], [0.0], [0], **DRAWS).rows == 0


def test_tokens_weigh_not_rows() -> None:
    assert paired([10.0, 90.0], [10.0, 0.0], [10, 90], **DRAWS).difference == -0.9


@given(losses, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_show_and_sides_mirror(rows, random) -> None:
    a, b, n = zip(*rows, strict=True)
    shuffled = random.sample(rows, len(rows))
    there = paired(a, b, n, **DRAWS)
    assert paired(*zip(*shuffled, strict=True), **DRAWS) == there
    assert there.low <= there.difference + 1e-6 or len(rows) < 5
    assert paired(b, a, n, **DRAWS).difference == -there.difference


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        gaps = rng.normal(0.3, 1.0, 60) * 20
        found = paired([40.0] * 60, list(40.0 + gaps), [20] * 60, seed=trial, resamples=300, interval=0.9)
        covered += found.low <= 0.3 <= found.high
    assert 80 <= covered <= 98


def test_groups_do_not_hang_on_each_other() -> None:
    rows = pl.DataFrame({"task_type": ["a"] * 6 + ["b"] * 6, "tokens": [5] * 12, "base": [float(i) for i in range(12)],
                         "trained": [float(i % 5) for i in range(12)]})  # fmt: skip
    both = by_group(rows, "task_type", **DRAWS)
    alone = by_group(rows.filter(pl.col("task_type") == "b"), "task_type", **DRAWS)
    assert list(both) == ["a", "b"]
    assert alone["b"] == both["b"]


def test_the_accepted_run_is_compared_on_what_both_have() -> None:
    rows = pl.DataFrame({"content_hash": ["x", "y", "z"], "tokens": [10, 10, 10], "trained": [20.0, 20.0, 20.0]})
    cases = pl.DataFrame({"item": ["i", "j"], "trained_correct": [True, False]})
    accepted = evidence(rows, cases)
    now = pl.DataFrame({"content_hash": ["x", "y", "w"], "tokens": [10, 11, 10], "trained": [15.0, 15.0, 15.0]})
    found = against_accepted(accepted, now, cases.with_columns(trained_correct=pl.lit(True)), **DRAWS)
    assert (found["heldout"]["rows"], found["heldout"]["nll_accepted"], found["heldout"]["nll_trained"]) == (
        1,
        2.0,
        1.5,
    )
    assert found["benchmark"] == {"items": 2, "accepted": 0.5, "trained": 1.0}
