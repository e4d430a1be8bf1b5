"""Supervised fine-tuning of a LoRA adapter or the whole model, thin over TRL: the mixture in its order, packed, weighted, resumable."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import xxhash

from curation.cache import folder
from curation.errors import DataError
from curation.progress import Progress, silent
from curation.render import Encoded, Renderer, RenderParams
from train import tuning
from train.losses import row_nll
from train.pack import encode, pack, progress_rows, prompts
from train.params import WHOLE, TrainParams
from train.plan import CONSUMED, plan

if TYPE_CHECKING:
    from train.trainer import Trainer


@dataclass(frozen=True)
class Fitted:
    """What a run did. Losses are held-out nats a token on the rows read on the way; None where no row was held out."""

    consumed: pl.DataFrame  # of CONSUMED
    steps: int
    planned_steps: int
    best_step: int  # whose adapter is the one saved
    heldout_before: float | None
    heldout_best: float | None
    history: pl.DataFrame  # name, step, value, as in DVCLive's files


def fit(
    train: pl.DataFrame,
    heldout: pl.DataFrame,
    params: TrainParams,
    render: RenderParams,
    *,
    adapter: Path,
    live: Path | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Train on `train` and write adapter, tokenizer and template to the folder `adapter`, whole or not at all.

    `train` and `heldout` are frames as in data/mixed. Metrics go to the folder `live` as DVCLive's files. The adapter kept
    is the one with the lowest held-out loss on `progress_rows`. A killed run goes on from its last checkpoint and ends
    with the bytes that it would have had. Raises DataError for an empty mixture, rows over render.max_length and token
    counts that are not the renderer's.
    """
    from curation.models import identity, load_tokenizer

    if not len(train):
        raise DataError(
            "data/mixed/train.parquet: no rows; look at the mixture's manifest, then run `dvc repro mix` again."
        )
    tuning.check(params)
    schedule = plan(train, params, render.max_length)
    renderer = Renderer(load_tokenizer(render.model), render.template)
    rows = train.sort("position")
    encoded = encode(rows, renderer, render)
    watched = progress_rows(heldout, params.eval_tokens)
    watched_encoded = [renderer.encode(row, render.turns) for row in watched.iter_rows(named=True)]
    key = _key(rows, watched, params, render, f"{identity(render.model)}|{renderer.template}")
    with _workspace(key) as workspace, _live(live) as watch:
        trainer = _trainer(
            rows, encoded, schedule, watched_encoded, params, render, renderer, workspace, watch, progress
        )
        _run(trainer, workspace, params)
        _save(trainer.model, renderer, render.model, adapter)
    heldout_losses = [e["heldout/nll"] for e in trainer.history if "heldout/nll" in e]
    return Fitted(
        consumed=pl.DataFrame(trainer.consumed, schema=CONSUMED, orient="row").sort("step", "sequence", "id", "repeat"),
        steps=max(e["step"] for e in trainer.history),
        planned_steps=int(schedule["step"].max()),  # type: ignore[arg-type]
        best_step=trainer.best_step,
        heldout_before=heldout_losses[0] if heldout_losses else None,
        heldout_best=min(heldout_losses) if heldout_losses else None,
        history=pl.DataFrame(
            [(name, e["step"], value) for e in trainer.history for name, value in e.items() if name != "step"],
            schema={"name": pl.String, "step": pl.Int64, "value": pl.Float64},
            orient="row",
        ),
    )


def _trainer(
    rows: pl.DataFrame, encoded: list[Encoded], schedule: pl.DataFrame, watched: list[Encoded], params: TrainParams,
    render: RenderParams, renderer: Renderer, workspace: Path, watch: Any, progress: Progress,
) -> Trainer:  # fmt: skip
    import datasets
    from transformers.utils import logging
    from trl import SFTConfig

    from train.trainer import Trainer

    logging.set_verbosity_error()
    getLogger("trl").setLevel("ERROR")  # it advises against one sequence a batch, which is what packing makes here
    datasets.disable_progress_bars()
    steps = int(schedule["step"].max())  # type: ignore[arg-type]
    model = tuning.load(render.model, params)
    on_cpu = model.device.type == "cpu"
    config = SFTConfig(
        output_dir=str(workspace),
        seed=params.seed,
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=params.accumulation,
        train_sampling_strategy="sequential",  # position is the curriculum
        learning_rate=params.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": params.min_lr_share},
        warmup_steps=math.ceil(params.warmup_share * steps),
        max_grad_norm=params.max_grad_norm,
        neftune_noise_alpha=params.neftune_alpha or None,
        # Rows come tokenised and packed. TRL's own preparation would sort them by length, and drop the two columns that
        # carry weights and row numbers.
        packing=False,
        padding_free=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=not on_cpu,  # 2.5 times slower on a CPU
        gradient_checkpointing=False,  # 1.5 times slower; a LoRA run of this size has the memory
        use_cpu=on_cpu,
        dataloader_num_workers=0,  # the order in which sequences are drawn is part of the promise
        dataloader_pin_memory=not on_cpu,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",  # train.trainer asks for checkpoints itself, together with held-out losses
        save_total_limit=2,  # the one before stays until the new one is whole
        report_to="none",
    )
    return Trainer(
        model=model,
        args=config,
        train_dataset=pack(rows, encoded, schedule, params, prompts(rows, renderer) if params.prompt_loss else None),
        processing_class=renderer.tokenizer,
        peft_config=tuning.lora(params),
        rows=list(rows.select("id", "repeat", "task_type").iter_rows()),
        heldout=(lambda m: _nats(row_nll(m, watched))) if watched else None,
        patience=params.patience,
        kl_beta=params.kl_beta,
        eval_steps=params.eval_steps,
        watch=watch,
        progress=progress,
        total_tokens=int(schedule["tokens"].sum()),
    )


def _nats(losses: list[tuple[float, int]]) -> float:
    return math.fsum(total for total, _ in losses) / max(1, sum(n for _, n in losses))


def _run(trainer: Trainer, workspace: Path, params: TrainParams) -> None:
    """Train from the last whole checkpoint, if there is one, to the end; leave the best adapter in the model."""
    from train.trainer import newest

    checkpoint = newest(workspace)
    if checkpoint:
        trainer.restore(checkpoint)
    reached = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    if reached >= trainer.args.max_steps or trainer.failures >= params.patience:
        assert checkpoint
        tuning.put(trainer.model, tuning.stored(checkpoint))
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.best_adapter:
        tuning.put(trainer.model, trainer.best_adapter)


def _key(rows: pl.DataFrame, watched: pl.DataFrame, params: TrainParams, render: RenderParams, model: str) -> str:
    """What the run's bytes depend on."""
    import torch
    import trl

    data = rows.select("id", "content_hash", "position", "repeat", "weight", "bucket", "task_type").rows()
    turns = [[m["loss_weight"] for m in messages or ()] for messages in rows["messages"].to_list()]
    settings = {
        "params": params.model_dump(),
        "render": render.model_dump(),
        "model": model,
        "watched": watched["content_hash"].to_list(),
        "versions": [torch.__version__, trl.__version__, "2"],
    }
    return xxhash.xxh3_128_hexdigest(json.dumps([data, turns, settings], sort_keys=True, default=str).encode())


@contextmanager
def _workspace(key: str) -> Iterator[Path]:
    """The run's folder for checkpoints in the cache; one process at a time; gone when the run succeeds."""
    path = folder() / "training" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # experiments in other folders may train on the same data with the same params
        path.mkdir(exist_ok=True)
        yield path
        shutil.rmtree(path)


@contextmanager
def _live(path: Path | None) -> Iterator[Any]:
    """A function that writes an entry of the history to DVCLive's files in `path` (to nowhere for None)."""
    if path is None:
        yield lambda entry: None
        return
    from dvclive import Live

    class Files(Live):
        def _init_dvc(self) -> None:
            """Looks for no repository: where git has none of DVC's, DVCLive would make and stage one (read in its source)."""

    # A resumed run tells its history again, so the files are begun anew. `dvcyaml` would write into the root's dvc.yaml.
    with Files(str(path), resume=False, report=None, save_dvc_exp=False, dvcyaml=None) as live:

        def watch(entry: Mapping[str, Any]) -> None:
            live.step = entry["step"]
            for name, value in entry.items():
                if name != "step":
                    live.log_metric(name, value)
            live.make_summary()

        yield watch


def _save(model: Any, renderer: Renderer, base: str, target: Path) -> None:
    """Adapter (or whole model), tokenizer and template in `target`, the same bytes for the same run and no path of this machine in them."""
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    adapted = hasattr(model, "peft_config")
    try:
        model.save_pretrained(part, **({"save_embedding_layers": False} if adapted else {}))
        renderer.tokenizer.chat_template = renderer.template
        renderer.tokenizer.save_pretrained(part)
        (part / "README.md").unlink(missing_ok=True)
        if adapted:
            config = json.loads((part / "adapter_config.json").read_text())
            config["base_model_name_or_path"] = base  # the name in params, not the folder that it led to here
            config["target_modules"] = sorted(config["target_modules"])  # a set, whose order changes from run to run
            (part / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        else:
            (part / WHOLE).write_text(json.dumps({"base_model_name_or_path": base}) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def summary(fitted: Fitted) -> str:
    """One line for people."""
    numbers = {k: v for k, v in asdict(fitted).items() if k not in ("consumed", "history")}
    tokens, learned = fitted.consumed["tokens"].sum(), fitted.consumed["label_tokens"].sum()
    heldout = (
        f", held-out loss {numbers['heldout_before']:.4f} → {numbers['heldout_best']:.4f} at step {fitted.best_step}"
        if fitted.heldout_before is not None
        else ""
    )
    return f"{fitted.steps} of {fitted.planned_steps} steps, {len(fitted.consumed)} rows, {tokens} tokens ({learned} labels){heldout}"
