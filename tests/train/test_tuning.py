"""What is trained, what is not, and that evaluation finds it again: LoRA, full, frozen lower layers, QLoRA refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from curation.errors import ConfigError, DataError
from curation.params import parse
from curation.render import RenderParams
from train import tuning
from train.evaluate import _Models, adapter_identity
from train.params import WHOLE, TrainParams
from train.sft import fit


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"frozen_layers": 1},
            "train.frozen_layers: found 1; value error, it needs train.tuning: full, since LoRA leaves every weight as it is.",
        ),
        (
            {"tuning": "full", "quantize": "nf4"},
            "train.quantize: found 'nf4'; value error, it needs train.tuning: lora, since weights in four bits cannot be trained "
            "themselves.",
        ),
        (
            {"tuning": "full", "kl_beta": 0.1},
            "train.kl_beta: found 0.1; value error, it needs train.tuning: lora, since its base is the model with the adapter "
            "switched off.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TrainParams, given, "train")
    assert str(caught.value) == said


def test_nf4_is_refused_without_its_package_and_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        tuning.check(TrainParams(quantize="nf4"))
    assert str(caught.value) == (
        "train.quantize: found nf4, but the package bitsandbytes and a CUDA device cannot be found here; accepted without: none."
    )
    tuning.check(TrainParams())


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("layers", "still"), [(0, ()), (1, ("embed_tokens", "layers.0.")), (2, ("embed_tokens", "layers.0.", "layers.1."))]
)
def test_frozen_layers_have_no_gradient(tiny: str, layers: int, still: tuple[str, ...]) -> None:
    model = tuning.load(tiny, TrainParams(tuning="full", frozen_layers=layers))
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if any(s in name for s in still)}
    assert set(tuning.weights(model)) == {name for name, _ in model.named_parameters()} - frozen


@pytest.mark.usefixtures("own_cache")
def test_more_frozen_layers_than_there_are(tiny: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tuning.load(tiny, TrainParams(tuning="full", frozen_layers=3))
    assert str(caught.value) == "train.frozen_layers: found 3; accepted: 0 to 2, the layers of this model."


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("layers", [0, 1])
def test_a_full_run_changes_what_is_not_frozen_resumes_and_can_be_evaluated(
    layers: int, tiny: str, mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    params = TrainParams(
        tuning="full", frozen_layers=layers, learning_rate=0.01, eval_steps=2, eval_tokens=60, patience=9, epochs=2
    )
    folder = tmp_path / "adapter"
    fitted = fit(mixture, heldout, params, render, adapter=folder)
    before, after = load_file(Path(tiny) / "model.safetensors"), load_file(folder / "model.safetensors")
    same = {name for name in before if before[name].equal(after[name])}
    assert same == {n for n in before if layers and ("embed_tokens" in n or "layers.0." in n)}
    assert fitted.heldout_best < fitted.heldout_before
    assert json.loads((folder / WHOLE).read_text()) == {"base_model_name_or_path": tiny}
    assert not (folder / "adapter_config.json").exists()
    files = [p for p in folder.iterdir() if p.name != WHOLE]
    assert not [p.name for p in files if str(Path(tiny).parent).encode() in p.read_bytes()]

    first = adapter_identity(folder, tiny)
    again, steps = tmp_path / "again", []

    def killed(label: str, done: int, total: int) -> None:
        steps.append(done)
        if len(steps) == 3:  # behind the checkpoint of step 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(mixture, heldout, params, render, adapter=again, progress=killed)
    steps.clear()
    fit(mixture, heldout, params, render, adapter=again, progress=lambda *said: steps.append(said[1]))
    assert len(steps) == fitted.steps - 2  # it went on
    assert adapter_identity(again, tiny) == first
    trained = dict(_Models(tiny, folder).trained().named_parameters())
    assert all(trained[name].equal(tensor) for name, tensor in after.items())
    with pytest.raises(DataError, match="trained on .*, but render.model is 'other'"):
        adapter_identity(folder, "other")
