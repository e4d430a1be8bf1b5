"""Grids of experiments: names, combinations, and faults that are told before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.errors import ConfigError
from pipelines import params, sweep

TEXT = params.read(Path(__file__).parent.parent / "params.yaml")


def words(found):
    """Names without their digests."""
    return [name.rsplit("-", 1)[0] for name in found]


def test_a_grid_is_every_combination_under_names_that_git_takes():
    found = sweep.runs([sweep.GRIDS["loss"][1], sweep.parse_sets(["mix.replay=0,0.05", "train.max_steps=3"])], TEXT)
    assert words(found) == [
        "loss-token_mean_replay-0", "loss-token_mean_replay-0.05", "loss-sample_mean_replay-0", "loss-sample_mean_replay-0.05",
    ]  # fmt: skip
    assert list(found.values())[-1] == {"train.loss": "sample_mean", "mix.replay": "0.05", "train.max_steps": "3"}
    assert words(sweep.runs([{"train.seed": ("17",)}], TEXT)) == ["seed-17"]
    assert words(sweep.runs([{"label.taxonomy": ("a b/../c.yaml",)}], TEXT)) == ["taxonomy-a-b---c.yaml"]


def test_a_run_of_other_params_has_another_name():
    replay = sweep.GRIDS["replay"][1]
    first, again = (list(sweep.runs([replay], TEXT)) for _ in range(2))
    other = list(sweep.runs([replay, {"train.seed": ("99",)}], TEXT))
    edited = list(sweep.runs([replay], TEXT | {"train": TEXT["train"] | {"lora_r": 8}}))
    assert first == again
    assert words(first) == words(other) == words(edited)
    assert not set(first) & set(other)
    assert not set(first) & set(edited)


def test_commas_inside_brackets_part_nothing():
    given = ["mix.ratios={general: 1, domain: 2},balanced", "a=[1,[2,{b: 3, c: 4}],5],6", "b=[[1,2],3]"]
    assert sweep.parse_sets(given) == {
        "mix.ratios": ("{general: 1, domain: 2}", "balanced"),
        "a": ("[1,[2,{b: 3, c: 4}],5]", "6"),
        "b": ("[[1,2],3]",),
    }


def test_every_ready_grid_is_accepted_by_params_and_changes_them():
    for name, (_, grid) in sweep.GRIDS.items():
        made = [sweep.overridden(TEXT, overrides) for overrides in sweep.runs([grid], TEXT).values()]
        assert sum(changed != TEXT for changed in made) >= len(made) - 1, name


def test_a_plus_adds_what_is_not_there():
    given = sweep.parse_sets(["+merge.mild.adapters=[a,b]", "+merge.mild.method=ties,slerp"])
    found = sweep.runs([given], TEXT)
    assert words(found) == ["method-ties", "method-slerp"]
    changed = [sweep.overridden(TEXT, overrides)["merge"] for overrides in found.values()]
    assert changed == [{"mild": {"adapters": ["a", "b"], "method": method}} for method in ("ties", "slerp")]
    assert TEXT["merge"] == {}


def test_two_pluses_add_or_change():
    assert sweep.overridden(TEXT, {"++train.seed": "3"})["train"]["seed"] == 3
    assert sweep.overridden(TEXT, {"++merge.mild.adapters": "[a, b]"})["merge"] == {"mild": {"adapters": ["a", "b"]}}


def test_values_are_read_as_params_are():
    changed = sweep.overridden(TEXT, {"train.lora_r": "8", "+merge.mild.adapters": "[off, yes]"})
    assert changed["merge"] == {"mild": {"adapters": ["off", "yes"]}}


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        ({"+merge.mild.methd": "ties"}, "merge.mild.methd: unknown key"),
        ({"+merg.mild": "1"}, "+merg.mild: unknown section 'merg'; accepted: render, ingest,"),
        ({"+train.seed": "3"}, "+train.seed: is in params.yaml already, which DVC refuses; write train.seed, or ++train.seed."),
        ({"+merge.mild.adapters": "[a]"}, "merge.mild.adapters: found 1; two or more accepted."),
        ({"mix.heldout.near": "0.01"}, "mix.heldout.near: found 0.01; pairs below score.near.floor"),
        ({"mix.repaly": "0.1"}, "mix.repaly: not a key of params.yaml; `params.yaml` lists and explains all of them."),
        ({"mix.replay.share": "0.1"}, "mix.replay.share: not a key of params.yaml; `params.yaml` lists and explains all of them."),
        ({"mix.replay": "2"}, "mix.replay"),
        ({"train.loss": "mean"}, "train.loss"),
        ({"mix.ratios": "{general: 1"}, "mix.ratios: '{general: 1' is not YAML; quote it or mend its brackets."),
    ],
)  # fmt: skip
def test_a_fault_is_told_before_anything_is_queued(overrides, fault):
    with pytest.raises(ConfigError) as error:
        sweep.overridden(TEXT, overrides)
    assert fault in str(error.value)


def test_a_set_without_values_is_refused():
    with pytest.raises(ConfigError) as error:
        sweep.parse_sets(["mix.replay"])
    assert str(error.value) == "found 'mix.replay'; accepted: KEY=VALUE,VALUE such as mix.replay=0,0.05."


def test_a_run_without_a_worker_is_told():
    none, one = "Worker status: 0 active, 0 idle", "Worker status: 1 active, 0 idle"
    assert sweep.cut_off(["a", "b"], none) == [
        "a, b: said to be running, but no worker is (a stop of the machine leaves this). `dvc exp run --run-all` "
        "would wait for it for ever: run `dvc queue remove --all`, delete .dvc/tmp/exps, and queue again."
    ]
    assert sweep.cut_off(["a"], one) == []
    assert sweep.cut_off([], none) == []
