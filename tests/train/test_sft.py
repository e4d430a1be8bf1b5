"""A real run of TRL on a model of two layers: what is fed, what is weighed, and that a kill leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from curation.errors import DataError
from curation.render import Renderer, RenderParams
from train.losses import label_nll, labels, token_weights
from train.params import TrainParams
from train.plan import consumed_matches, plan
from train.sft import Fitted, fit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_was_fed_is_what_was_planned(
    settings: TrainParams, run: tuple[Fitted, Path], mixture: pl.DataFrame, render: RenderParams
) -> None:
    fitted, _ = run
    schedule = plan(mixture, settings, render.max_length)
    found = consumed_matches(mixture, fitted.consumed, schedule)
    assert found.problem is None
    assert found.steps == found.planned_steps == fitted.steps >= 4
    assert (found.unread, found.rows) == (0, 2 * len(mixture))
    assert found.label_tokens == 2 * mixture["loss_tokens"].sum()
    weights = dict(fitted.consumed.select("id", "weight").unique().rows())
    assert weights["r01"] == 0.5
    assert {w for i, w in weights.items() if i != "r01"} == {1.0}


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    settings: TrainParams, run: tuple[Fitted, Path], mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, tmp_path: Path,
    cache_folder: Path,
) -> None:  # fmt: skip
    whole, folder = run
    adapter, live = tmp_path / "adapter", tmp_path / "live"
    for kill_at in (1, 3, None):
        steps = []

        def progress(
            label: str, done: int, total: int, kill_at: int | None = kill_at, steps: list[int] = steps
        ) -> None:
            steps.append(done)
            if len(steps) == kill_at:
                raise Killed

        if kill_at is None:
            resumed = fit(mixture, heldout, settings, render, adapter=adapter, live=live, progress=progress)
            assert len(steps) < whole.steps  # it did go on from a checkpoint
            assert steps[-1] == resumed.consumed["tokens"].sum()
        else:
            with pytest.raises(Killed):
                fit(mixture, heldout, settings, render, adapter=adapter, live=live, progress=progress)
            assert not adapter.exists()
    assert contents(adapter) == contents(folder / "adapter")
    assert contents(live) == contents(folder / "live")
    assert resumed.consumed.equals(whole.consumed)
    assert not [p for p in (cache_folder / "training").iterdir() if p.is_dir()]


def test_the_first_step_follows_the_weighted_gradient(
    settings: TrainParams, run: tuple[Fitted, Path], mixture: pl.DataFrame, render: RenderParams, renderer: Renderer
) -> None:
    """The loss that DVCLive shows for step 1 is Σ w·l / Σ w over the rows of step 1, each read alone; NEFTune moves it a little."""
    import torch

    from curation.models import load_language_model

    _, folder = run
    model = load_language_model(render.model)
    first = plan(mixture, settings, render.max_length).filter(pl.col("step") == 1)["position"].to_list()
    lost = pull = 0.0
    for record in mixture.filter(pl.col("position").is_in(first)).iter_rows(named=True):
        encoded = renderer.encode(record, render.turns)
        inputs = {"input_ids": torch.tensor([encoded.ids]), "labels": torch.tensor([labels(encoded)])}
        with torch.no_grad():
            nll, places = label_nll(model, inputs)
        weights = torch.tensor(token_weights(encoded, record, settings))[places]
        lost, pull = lost + float((nll * weights).sum()), pull + float(weights.sum())
    header, shown = (folder / "live/plots/metrics/train/loss.tsv").read_text().splitlines()[:2]
    assert header == "step\tloss"
    assert float(shown.split("\t")[1]) == pytest.approx(lost / pull, rel=1e-2)


def test_files_name_no_path_of_this_machine(run: tuple[Fitted, Path], render: RenderParams) -> None:
    _, folder = run
    files = contents(folder / "adapter")
    assert set(files) == {
        "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    config = json.loads(files.pop("adapter_config.json"))
    assert config["base_model_name_or_path"] == render.model  # in this test the name in params is a path
    assert config["target_modules"] == sorted(config["target_modules"])
    assert not [name for name, data in files.items() if str(Path(render.model).parent).encode() in data]


def test_training_metrics(settings: TrainParams, run: tuple[Fitted, Path]) -> None:
    fitted, folder = run
    metrics = json.loads((folder / "live/metrics.json").read_text())
    assert metrics["step"] == fitted.steps
    assert set(metrics["train"]) == {"loss", "task", "special", "grad_norm", "learning_rate"}
    assert "text_prose" in metrics["train"]["task"]
    rates = [float(line.split("\t")[1]) for line in
             (folder / "live/plots/metrics/train/learning_rate.tsv").read_text().splitlines()[1:]]  # fmt: skip
    assert len(rates) == fitted.steps
    assert max(rates) <= settings.learning_rate
    heldout = (folder / "live/plots/metrics/heldout/nll.tsv").read_text().splitlines()[1:]
    assert [int(line.split("\t")[0]) for line in heldout] == [0, *range(2, fitted.steps + 1, 2)]
    assert fitted.heldout_best <= fitted.heldout_before


def test_divergence_from_the_base_is_zero_at_first_and_held_down_by_its_weight(
    settings: TrainParams, mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, tmp_path: Path
) -> None:
    def divergences(beta: float) -> list[float]:
        params = settings.model_copy(update={"kl_beta": beta, "neftune_alpha": 0.0, "learning_rate": 2e-3})
        live = tmp_path / f"live{beta}"
        fit(mixture, heldout.head(0), params, render, adapter=tmp_path / "adapter", live=live)
        return [float(x.split("\t")[1]) for x in (live / "plots/metrics/train/kl.tsv").read_text().splitlines()[1:]]

    loose, tight = divergences(1e-6), divergences(1.0)
    assert loose[0] == tight[0] == pytest.approx(0.0, abs=1e-5)
    assert loose[-1] > 1e-4
    assert tight[-1] < loose[-1]


def test_early_stopping_keeps_the_best(
    settings: TrainParams, mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    params = settings.model_copy(update={"learning_rate": 20.0, "eval_steps": 1, "patience": 2})
    fitted = fit(mixture, heldout, params, render, adapter=tmp_path / "adapter")
    assert (fitted.steps, fitted.best_step) == (2, 0)
    assert fitted.heldout_best == fitted.heldout_before
    # The best is the untouched start, whose B matrices are zero.
    weights = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert all(float(w.abs().max()) == 0.0 for name, w in weights.items() if "lora_B" in name)
    assert consumed_matches(mixture, fitted.consumed, plan(mixture, params, render.max_length)).problem is None


def test_a_mixture_counted_otherwise_is_refused(
    settings: TrainParams, mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams
) -> None:
    wrong = mixture.with_columns(loss_tokens=pl.col("loss_tokens") + (pl.col("position") == 2).cast(pl.Int64))
    tokens, loss_tokens = mixture.filter(pl.col("position") == 2).select("tokens", "loss_tokens").row(0)
    with pytest.raises(DataError) as error:
        fit(wrong, heldout, settings, render, adapter=Path("unused"))
    assert str(error.value) == (
        f"data/mixed/train.parquet: r02 counts {tokens} tokens, {loss_tokens + 1} of them labels; rendered now it has "
        f"{tokens} and {loss_tokens}. Run `dvc repro mix` with these render params."
    )
    with pytest.raises(DataError, match=r"data/mixed/train\.parquet: no rows"):
        fit(mixture.head(0), heldout, settings, render, adapter=Path("unused"))
