"""The example configs of accelerate: what can be said of them without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFIGS = sorted((Path(__file__).parent.parent.parent / "train/configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_accelerate_knows_every_key(path: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig
    from accelerate.commands.launch import launch_command_parser

    config = ClusterConfig.from_yaml_file(path)  # raises for keys that it does not know
    assert config.mixed_precision == "bf16"
    options = launch_command_parser()._option_string_actions
    assert not [k for k in (*config.fsdp_config, *config.deepspeed_config) if f"--{k}" not in options]
    assert "UNTESTED" in path.read_text(encoding="utf-8").splitlines()[0]
    assert path.name in (path.parent.parent.parent / "docs/training.md").read_text(encoding="utf-8")


def test_there_are_four() -> None:
    assert [p.stem for p in CONFIGS] == ["ddp", "fsdp", "zero2", "zero3"]
