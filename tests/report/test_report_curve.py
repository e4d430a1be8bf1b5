"""Curves and the sentences that they are worth, exactly."""

from __future__ import annotations

import io
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.report import curve

FALLING = [(i + 1, 1.0 + 1.5 * math.exp(-i / 8)) for i in range(24)]


def kinds(*args, **given):
    return [f.kind for f in curve.read(*args, **given)]


def consumed(*steps: list[str]) -> pl.DataFrame:
    rows = [(step, 0, i, 0) for step, ids in enumerate(steps, 1) for i in ids]
    return pl.DataFrame(rows, schema=["step", "sequence", "id", "repeat"], orient="row")


def two_epochs(steps: int) -> pl.DataFrame:
    return consumed(*([f"r{i}"] for _ in range(2) for i in range(steps)))


@given(
    st.floats(0.8, 1.5), st.floats(0.4, 1.5), st.floats(1, 200), st.integers(12, 80), st.integers(2, 40),
    st.floats(0.1, 5), st.booleans(),
)  # fmt: skip
def test_a_smooth_falling_curve_is_as_expected(floor, height, tau, steps, border, norm, held):
    def falling(i, scale=1.0):
        return scale * (floor + height * math.exp(-min(i / tau, 50)))

    loss = [(i + 1, falling(i)) for i in range(steps)]
    if loss[0][1] - loss[-1][1] < 0.05:
        return  # it does not fall
    norms = [(i + 1, falling(i, norm)) for i in range(steps)]
    heldout = [(i, falling(i)) for i in range(0, steps, max(1, steps // 4))] if held else ()
    assert kinds(loss, norms, heldout, two_epochs(border)) == ["as_expected"]


def test_as_expected_gives_levels_and_the_usual_ones():
    [said] = curve.read(FALLING)
    assert said.en == (
        "As expected: the training loss fell from 2.123 to 1.118 (means of the first and last 6 steps, nats a token); usual for SFT "
        "are 0.8–3.5 at first and 0.4–3 at last."
    )
    assert said.zh == (
        "曲线符合预期：训练损失由 2.123 降到 1.118（首、末各 6 步的平均，nats/词元）；SFT 常见为起始 0.8–3.5、结束 0.4–3。"
    )


def test_rising():
    found = curve.read([(i, 2.0 + 0.02 * i + 0.01 * (-1) ** i) for i in range(1, 21)])
    assert [f.kind for f in found] == ["levels", "rising"]
    assert found[1].en == (
        "The loss rose over the run (2.058 → 2.362): a bug in template, mask or learning rate rather than hard data."
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0] * 8, ["levels", "flat"]),
        ([5.0, 4.0, 3.5, 3.0, 2.8, 2.7, 2.6, 2.5], ["levels", "first_high"]),
        ([0.7, 0.65, 0.6, 0.58, 0.56, 0.55, 0.54, 0.53], ["levels", "first_low"]),
        ([3.4, 3.39, 3.38, 3.37, 3.36, 3.35, 3.34, 3.33], ["levels", "last_high"]),
        ([2.0, 1.2, 0.8, 0.5, 0.3, 0.2, 0.15, 0.1], ["levels", "last_low"]),
        ([2.0] * 5, ["few_steps"]),
        ([], ["few_steps"]),
        ([2.5, 2.4, 2.3, math.nan, 2.2, 2.1, 2.0], ["as_expected"]),
    ],
)
def test_levels(values, expected):
    assert kinds(list(enumerate(values, 1))) == expected


def test_stairs_at_an_epoch_border_and_nowhere_else():
    values = [2.02, 1.98, 2.01, 1.99, 2.0, 1.98, 1.5, 1.48, 1.5, 1.49, 1.47, 1.48]
    found = curve.read(list(enumerate(values, 1)), consumed=two_epochs(6))
    assert [f.kind for f in found] == ["levels", "stairs"]
    assert found[1].en == (
        "The loss steps down from 1.99 to 1.493 at step 7, where epoch 2 begins: stairs at epoch borders are rows learned by "
        "heart; train fewer epochs."
    )
    assert kinds(list(enumerate(values, 1)), consumed=two_epochs(4)) == ["as_expected"]  # the border lies elsewhere
    assert kinds(list(enumerate(values, 1))) == ["as_expected"]


def test_a_spike_names_its_step_and_rows():
    norms = [(i, 1.0 + 0.1 * (i % 3)) for i in range(1, 25)]
    norms[9] = (10, 9.0)
    steps = [[f"r{i}"] for i in range(1, 25)]
    steps[9] = ["e", "d", "c", "b", "a", "f", "g"]
    found = curve.read(FALLING, norms, consumed=consumed(*steps))
    assert [f.kind for f in found] == ["levels", "spike"]
    assert found[1].en == (
        "The gradient norm of step 10 is 9, 8.2 times the median of the steps around it, 1.1; it read a, b, c, d, e and 2 more."
    )
    assert found[1].zh == "第 10 步梯度范数 9，是邻近步中位数 1.1 的 8.2 倍；这一步读的行：a、b、c、d、e 等 7 行。"
    assert curve.read(FALLING, norms)[1].en.endswith("around it, 1.1.")
    assert kinds(FALLING, [(i, 9.0 if i == 1 else 1.0) for i in range(1, 25)]) == ["as_expected"]  # the first step


def test_heldout():
    assert kinds(FALLING, heldout=[(0, 2.5), (12, 2.2), (24, 2.1)]) == ["as_expected"]
    stuck = curve.read(FALLING, heldout=[(0, 2.5), (12, 2.6), (24, 2.55)])
    assert [f.kind for f in stuck] == ["levels", "no_gain"]
    assert "(2.5; lowest afterwards 2.55, at step 24)" in stuck[1].en
    turned = curve.read(FALLING, heldout=[(0, 2.5), (12, 2.0), (24, 2.3)])
    assert [f.kind for f in turned] == ["levels", "overfit"]
    assert "lowest at step 12 (2) and rose to 2.3" in turned[1].en


def test_sentences_stand_on_the_page_and_in_the_terminal(whole):
    from rich.console import Console

    from curation.report import terminal, training

    found = training.curves(whole).findings
    assert [f.kind for f in found] == ["few_steps"]
    console = Console(record=True, width=200, file=io.StringIO())
    terminal.show(whole, console, None)
    assert "curve      2 steps are too few to read a curve from; 6 are the least." in console.export_text()
