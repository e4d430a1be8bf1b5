"""Grids of experiments: names, combinations, and faults that are told before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from curation.errors import ConfigError
from pipelines import sweep

TEXT = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text(encoding="utf-8"))


def test_a_grid_is_every_combination_under_names_that_git_takes():
    found = sweep.runs([sweep.GRIDS["loss"][1], sweep.parse_sets(["mix.replay=0,0.05", "train.max_steps=3"])])
    assert list(found) == [
        "loss-token_mean_replay-0", "loss-token_mean_replay-0.05", "loss-sample_mean_replay-0", "loss-sample_mean_replay-0.05",
    ]  # fmt: skip
    assert found["loss-sample_mean_replay-0.05"] == {
        "train.loss": "sample_mean", "mix.replay": "0.05", "train.max_steps": "3",
    }  # fmt: skip
    assert list(sweep.runs([{"train.seed": ("17",)}])) == ["seed-17"]
    assert list(sweep.runs([{"label.taxonomy": ("a b/../c.yaml",)}])) == ["taxonomy-a-b---c.yaml"]


def test_every_ready_grid_is_accepted_by_params():
    for _, grid in sweep.GRIDS.values():
        for overrides in sweep.runs([grid]).values():
            changed = sweep.overridden(TEXT, overrides)
            assert changed != TEXT or any(len(v) > 1 for v in grid.values())


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"mix.repaly": "0.1"}, "sweep: mix.repaly: not a key of params.yaml; `params.yaml` lists and explains all of them."),
        ({"mix.replay.share": "0.1"}, "sweep: mix.replay.share: not a key of params.yaml; `params.yaml` lists and explains all of them."),
        ({"mix.replay": "2"}, "mix.replay"),
        ({"train.loss": "mean"}, "train.loss"),
    ],
)  # fmt: skip
def test_a_fault_is_told_before_anything_is_queued(overrides, fault):
    with pytest.raises(ConfigError) as error:
        sweep.overridden(TEXT, overrides)
    assert fault in str(error.value)


def test_a_set_without_values_is_refused():
    with pytest.raises(ConfigError) as error:
        sweep.parse_sets(["mix.replay"])
    assert str(error.value) == "sweep: found 'mix.replay'; accepted: KEY=VALUE,VALUE such as mix.replay=0,0.05."
