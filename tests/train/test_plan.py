import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import DataError
from train.params import TrainParams
from train.plan import CONSUMED, consumed_matches, plan


def mixed(lengths: list[int]) -> pl.DataFrame:
    n = len(lengths)
    return pl.DataFrame(
        {"id": [f"r{i}" for i in range(n)], "repeat": [0] * n, "position": list(range(n)), "tokens": lengths,
         "loss_tokens": [length // 2 for length in lengths]}
    )  # fmt: skip


def fed(schedule: pl.DataFrame) -> pl.DataFrame:
    """The consumption of a run that did just what was planned."""
    return schedule.select(
        "step", "sequence", "id", "repeat", "tokens",
        (pl.col("tokens") // 2).alias("label_tokens"), pl.lit(1.0).alias("weight"),
    ).cast(CONSUMED)  # type: ignore[arg-type]  # fmt: skip


def places(lengths: list[int], **params: int) -> list[tuple[int, int, str]]:
    return plan(mixed(lengths), TrainParams(**params), 10).select("step", "sequence", "id").rows()


def test_rows_fill_the_sequences_of_a_step_before_the_next_begins() -> None:
    assert places([6, 7, 4, 3, 5, 9], accumulation=2) == [
        (1, 0, "r0"), (1, 1, "r1"), (1, 0, "r2"), (1, 1, "r3"), (2, 0, "r4"), (2, 1, "r5"),
    ]  # fmt: skip


def test_an_epoch_begins_with_a_step_of_its_own() -> None:
    assert places([6, 3], accumulation=2, epochs=2) == [(1, 0, "r0"), (1, 0, "r1"), (2, 0, "r0"), (2, 0, "r1")]


def test_max_steps_ends_the_plan() -> None:
    assert places([6, 7, 8], accumulation=1, max_steps=2) == [(1, 0, "r0"), (2, 0, "r1")]


def test_a_row_over_max_length_is_named() -> None:
    with pytest.raises(DataError) as error:
        places([6, 11])
    assert str(error.value) == (
        "data/mixed/train.parquet: 1 rows over render.max_length = 10 tokens, first r1 with 11; "
        "mix leaves such rows out, so run `dvc repro mix` with these render params."
    )


@given(st.lists(st.integers(1, 10), min_size=1, max_size=60), st.integers(1, 4), st.integers(1, 3), st.randoms())
def test_every_row_once_an_epoch_in_order_of_steps_within_length(lengths, accumulation, epochs, random) -> None:
    train = mixed(lengths)
    params = TrainParams(accumulation=accumulation, epochs=epochs)
    schedule = plan(train, params, 10)
    assert schedule["position"].to_list() == list(range(len(lengths))) * epochs
    assert schedule["step"].is_sorted()
    filled = schedule.group_by("step", "sequence").agg(pl.col("tokens").sum())
    assert filled["tokens"].max() <= 10
    assert filled["sequence"].max() < accumulation
    # The trainer draws `accumulation` sequences a step, so only an epoch's last step may have fewer.
    of_epoch = schedule.head(len(lengths)).group_by("step").agg(pl.col("sequence").n_unique()).sort("step")
    assert set(of_epoch["sequence"].to_list()[:-1]) <= {accumulation}
    shuffled = train.sample(fraction=1, shuffle=True, seed=random.randint(0, 99))
    assert plan(shuffled, params, 10).equals(schedule)
    assert consumed_matches(train, fed(schedule), schedule).problem is None


def test_a_run_that_stopped_early_agrees_and_counts_what_it_left() -> None:
    train = mixed([6, 7, 8])
    schedule = plan(train, TrainParams(accumulation=1), 10)
    found = consumed_matches(train, fed(schedule).filter(pl.col("step") < 3), schedule)
    assert (found.steps, found.planned_steps, found.rows, found.tokens, found.label_tokens, found.unread) == (
        2,
        3,
        2,
        13,
        6,
        1,
    )
    assert found.problem is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (pl.col("id") != "r1", "step 2, sequence 0: r1 (repeat 0, 7 tokens) was to be read, but was not"),
        (None, "step 1, sequence 0: r0 (repeat 0, 6 tokens) was read, but was not to be"),
    ],
)
def test_the_first_difference_is_named(change: pl.Expr | None, problem: str) -> None:
    train = mixed([6, 7, 8])
    schedule = plan(train, TrainParams(accumulation=1), 10)
    consumed = fed(schedule)
    consumed = pl.concat([consumed, consumed.head(1)]) if change is None else consumed.filter(change)
    assert consumed_matches(train, consumed, schedule).problem == problem


def test_labels_that_differ_are_named() -> None:
    train = mixed([6, 7])
    schedule = plan(train, TrainParams(accumulation=1), 10)
    consumed = fed(schedule).with_columns(label_tokens=pl.lit(3, pl.Int64))
    assert consumed_matches(train.with_columns(loss_tokens=pl.Series([3, 4])), consumed, schedule).problem == (
        "step 2: r1 was fed with 3 label tokens; the mixture counts 4"
    )
