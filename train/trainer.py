"""TRL's SFTTrainer with three things of its own: weighted tokens, a record of what was fed, and checkpoints that resume.

Heavy to import (torch, trl); `train.sft` imports it when a run begins.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl import SFTTrainer

from curation.errors import DataError
from curation.progress import Progress
from train import tuning
from train.losses import divergence, label_logits, weighted_loss

STATE = "temper.json"  # written last: a checkpoint without it is not whole
BEST = "best.safetensors"
Heldout = Callable[[Any], float]  # model → nats a token
Watch = Callable[[Mapping[str, Any]], None]  # hears each entry of the history


class Collator:
    """TRL's own padding-free collator, and beside it the loss weight and the row number of each token."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, sequences: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self.inner(sequences)
        batch["loss_weights"] = torch.tensor([[w for s in sequences for w in s["loss_weights"]]])
        if "asked" in sequences[0]:
            batch["asked"] = torch.tensor([[a for s in sequences for a in s["asked"]]])
        batch["rows"] = torch.tensor([[r for s in sequences for r in s["rows"]]])
        return batch


class Trainer(SFTTrainer):
    """`rows` are (id, repeat, task_type), by the row numbers of the packed sequences."""

    def __init__(
        self, *, rows: Sequence[tuple[str, int, str]], heldout: Heldout | None, patience: int, eval_steps: int,
        kl_beta: float, watch: Watch, progress: Progress, total_tokens: int, **given: Any,
    ) -> None:  # fmt: skip
        super().__init__(**given)
        self.data_collator = Collator(self.data_collator)
        self._signature_columns: Any = ["input_ids", "labels", "seq_lengths", "loss_weights", "asked", "rows"]
        self.rows = rows
        self.heldout = heldout
        self.kl_beta = kl_beta
        self.special = torch.tensor(sorted(given["processing_class"].all_special_ids))
        self.watch = watch
        self.history: list[dict[str, Any]] = []
        self.consumed: list[tuple[int, int, str, int, int, int, float]] = []
        self.best_step, self.best_nll, self.failures = 0, math.inf, 0
        self.best_adapter: dict[str, torch.Tensor] = {}
        self._step_sums: dict[str, tuple[float, float]] = {}
        self.read_tokens = 0
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)
        self.add_callback(_OnStep(self, patience, eval_steps, progress, total_tokens))

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Writes none: a checkpoint in the cache needs no card."""

    def _send_telemetry(self) -> None:
        """Sends none."""

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        """The step's Σ w over label tokens, in place of their number."""
        parts = [b["loss_weights"][b["labels"] != -100].double().sum() for b in batch_samples]
        return torch.stack(parts).sum().float().to(device)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """A sequence's share of the step's weighted loss; writes down the rows that the model was given."""
        rows = inputs.pop("rows")[0]
        weights = inputs.pop("loss_weights")[0]
        prompt = inputs.pop("asked", None)  # there with `prompt_loss` only
        logits, places = label_logits(model, inputs)
        labels, weights = inputs["labels"][0][places], weights[places]
        nll = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        loss = weighted_loss(nll, weights, num_items_in_batch)
        # Prompt tokens pull, but what is counted and logged beside `prompt` stays that of the answers.
        answers = torch.ones_like(labels, dtype=torch.bool) if prompt is None else ~prompt[0][places]
        sums = {"special": (nll, answers & torch.isin(labels, self.special.to(labels.device)))}
        if prompt is not None:
            sums["prompt"] = (nll, ~answers)
        if self.kl_beta:
            apart = divergence(logits, self._base_logits(model, inputs))
            loss = loss + self.kl_beta * weighted_loss(apart, weights, num_items_in_batch)
            sums["kl"] = (apart, torch.ones_like(labels, dtype=torch.bool))
        if not torch.isfinite(loss):
            raise DataError(
                f"train: step {self.state.global_step + 1}: the loss is {loss.item()}; lower train.learning_rate, or look at "
                f"the rows {', '.join(sorted({self.rows[r][0] for r in rows.tolist()}))}."
            )
        self._note(rows, rows[places][answers], nll.detach().double()[answers], weights.double()[answers])
        for name, (values, chosen) in sums.items():
            self._add_up(name, values.detach().double()[chosen], weights.double()[chosen])
        return loss

    def _base_logits(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Logits of the model without its adapter, and without NEFTune's noise, which comes in training mode only."""
        model.eval()
        with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
            logits, _ = label_logits(model, inputs)
        model.train()
        return logits

    def _add_up(self, name: str, values: torch.Tensor, weights: torch.Tensor) -> None:
        """Σ w·value and Σ w of this step, by name."""
        lost, pull = self._step_sums.get(name, (0.0, 0.0))
        self._step_sums[name] = (lost + float((values * weights).sum()), pull + float(weights.sum()))

    def _note(self, rows: torch.Tensor, labelled: torch.Tensor, nll: torch.Tensor, weights: torch.Tensor) -> None:
        """Writes down a sequence: `rows` a token, and `labelled` (its row), nll and weight of each label token."""
        step = self.state.global_step + 1
        sequence = self.consumed[-1][1] + 1 if self.consumed and self.consumed[-1][0] == step else 0
        numbers, tokens = rows.unique_consecutive(return_counts=True)
        for number, count in zip(numbers.tolist(), tokens.tolist(), strict=True):
            mine = labelled == number
            n, pull = int(mine.sum()), float(weights[mine].sum())
            identity, repeat, task_type = self.rows[number]
            self.read_tokens += count
            self.consumed.append((step, sequence, identity, repeat, count, n, round(pull / n, 6) if n else 0.0))
            self._add_up(f"task/{task_type.replace('/', '_')}", nll[mine], weights[mine])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keeps an entry a step, in weighted nats a token: loss of answers, by task type and of special tokens, of prompts, divergence.

        Beside them gradient norm and learning rate.
        """
        if "grad_norm" not in logs:
            return
        tasks = [sums for name, sums in self._step_sums.items() if name.startswith("task/")]
        lost, pull = (sum(parts) for parts in zip(*tasks, strict=True)) if tasks else (0.0, 0.0)
        entry: dict[str, Any] = {"step": self.state.global_step, "train/loss": lost / pull if pull else 0.0}
        entry |= {
            f"train/{name}": total / weight for name, (total, weight) in sorted(self._step_sums.items()) if weight
        }
        self._step_sums = {}
        self.add(entry | {"train/grad_norm": float(logs["grad_norm"]), "train/learning_rate": logs["learning_rate"]})

    def add(self, entry: dict[str, Any]) -> None:
        """One more entry of the history; numbers to six decimals, so that the last bits of a float show nowhere."""
        kept = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in entry.items()}
        self.history.append(kept)
        self.watch(kept)

    def judge(self) -> None:
        """The held-out loss now; keeps the adapter when it is the best so far."""
        if self.heldout is None:
            return
        model: Any = self.model
        model.eval()
        nll = self.heldout(model)
        model.train()
        self.add({"step": self.state.global_step, "heldout/nll": nll})
        if nll < self.best_nll:
            self.best_step, self.best_nll, self.failures = self.state.global_step, nll, 0
            self.best_adapter = tuning.weights(self.model)
        else:
            self.failures += 1

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        if self.best_adapter:
            save_file(self.best_adapter, folder / BEST)
        state = {
            "history": self.history, "consumed": self.consumed, "failures": self.failures, "best_step": self.best_step,
            "best_nll": self.best_nll if self.best_adapter else None,
        }  # fmt: skip
        part = folder / f".{STATE}.part"
        part.write_text(json.dumps(state))
        part.replace(folder / STATE)

    def restore(self, checkpoint: Path) -> None:
        """What this class keeps beside TRL's own state, as it stood at `checkpoint`; tells the history again."""
        state = json.loads((checkpoint / STATE).read_text())
        self.history = state["history"]
        self.consumed = [tuple(row) for row in state["consumed"]]
        self.read_tokens = sum(row[4] for row in self.consumed)
        self.failures, self.best_step = state["failures"], state["best_step"]
        if state["best_nll"] is not None:
            self.best_nll = state["best_nll"]
            self.best_adapter = load_file(checkpoint / BEST)
        for entry in self.history:
            self.watch(entry)


class _OnStep(TrainerCallback):
    """Held-out losses, checkpoints, early stopping and progress, at the end of steps."""

    def __init__(self, trainer: Trainer, patience: int, eval_steps: int, progress: Progress, total_tokens: int) -> None:
        self.trainer, self.patience, self.eval_steps = trainer, patience, eval_steps
        self.progress, self.total_tokens = progress, total_tokens

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self.trainer.judge()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        self.progress("train: tokens", self.trainer.read_tokens, self.total_tokens)
        if state.global_step % self.eval_steps == 0 or state.global_step == state.max_steps:
            self.trainer.judge()
            control.should_save = True
            control.should_training_stop |= self.trainer.failures >= self.patience
        return control


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint in `folder`."""
    whole = [p.parent for p in folder.glob(f"checkpoint-*/{STATE}")]
    return max(whole, key=lambda p: int(p.name.split("-")[1]), default=None)
