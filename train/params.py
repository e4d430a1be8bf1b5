"""`params.yaml: train`, `evaluate`, `gate`, `merge`. Light to import: the stages and the command line read it for every check."""

from __future__ import annotations

import os
import re
from typing import Any, Literal

from pydantic import Field, RootModel, ValidationInfo, field_validator

from curation.errors import ConfigError
from curation.params import Params

# In a folder of a whole model, what an adapter's config says of its base.
WHOLE = "trained_from.json"
# Keys that only one kind of tuning has a use for: which, and why.
_TUNED = {
    "frozen_layers": ("full", "LoRA leaves every weight as it is"),
    "quantize": ("lora", "weights in four bits cannot be trained themselves"),
    "kl_beta": ("lora", "its base is the model with the adapter switched off"),
}


class TrainParams(Params):
    """`params.yaml: train`. The defaults suit a run of about two minutes on two cores; sequences hold render.max_length tokens."""

    seed: int = Field(17, ge=0, lt=2**32)
    epochs: int = Field(1, ge=1)
    max_steps: int | None = Field(
        None, ge=1
    )  # ends the run earlier than the epochs would; the schedule shortens with it
    accumulation: int = Field(2, ge=1)  # packed sequences in a step, one forward pass each
    learning_rate: float = Field(2e-4, gt=0)  # the peak
    min_lr_share: float = Field(0.1, ge=0, le=1)  # the cosine ends at this share of the peak
    warmup_share: float = Field(0.05, ge=0, lt=1)  # of all steps
    max_grad_norm: float = Field(1.0, gt=0)
    neftune_alpha: float = Field(5.0, ge=0)  # noise on embeddings (arXiv 2310.05914); 0: none
    # lora: matrices beside every linear layer; full: the weights themselves, and models/adapter then holds a whole model.
    tuning: Literal["lora", "full"] = "lora"
    frozen_layers: int = Field(
        0, ge=0
    )  # of full: so many lowest layers, and the embeddings with them, stay as they are
    quantize: Literal["none", "nf4"] = "none"  # of lora: the base in four bits (QLoRA, arXiv 2305.14314); needs a GPU
    lora_r: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    # 0: each row is seen once or twice, so there is little to overfit, NEFTune perturbs already, and PEFT takes its
    # short path without dropout (one matrix product less for each layer).
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    # token_mean: every label token counts the same, so long answers bear most of the loss; sample_mean: every row does.
    loss: Literal["token_mean", "sample_mean"] = "token_mean"
    # Weight of prompt tokens beside 1 of an answer's: "Instruction Tuning With Loss Over Instructions" (arXiv 2405.14394) learns
    # from them in full, "Instruction Fine-Tuning: Does Prompt Loss Matter?" (arXiv 2401.13586) at small weights. 0: not at all.
    prompt_loss: float = Field(0.0, ge=0, le=1)
    kl_beta: float = Field(0.0, ge=0)  # weight of the divergence from the base model; 0: not computed
    replay_weight: float = Field(1.0, gt=0)  # multiplies the loss weight of rows in the bucket `replay`
    eval_steps: int = Field(10, ge=1)  # steps between held-out losses; checkpoints are kept at the same steps
    eval_tokens: int = Field(3000, ge=1)  # held-out rows are read on the way until they hold so many tokens
    patience: int = Field(3, ge=1)  # held-out losses in a row without a new best before the run ends

    @field_validator("frozen_layers", "quantize", "kl_beta")
    @classmethod
    def _goes_with_tuning(cls, value: Any, info: ValidationInfo) -> Any:
        needed, why = _TUNED[str(info.field_name)]
        if value not in (0, "none") and info.data.get("tuning", needed) != needed:
            raise ValueError(f"it needs train.tuning: {needed}, since {why}")
        return value


class EvaluateParams(Params):
    """`params.yaml: evaluate`."""

    seed: int = Field(17, ge=0, lt=2**32)
    resamples: int = Field(2000, ge=100)  # of the paired bootstrap
    interval: float = Field(0.95, gt=0, lt=1)
    batch_size: int = Field(8, ge=1)  # answers written at once


class GateParams(Params):
    """`params.yaml: gate`. Losses in nats a token, benchmark limits in shares of the items."""

    task_loss_limit: float = Field(0.1, ge=0)  # a task type may lose so much on the base; more, beyond doubt, fails
    benchmark_drop_limit: float = Field(0.1, ge=0, le=1)  # below the base
    accepted_drop_limit: float = Field(0.1, ge=0, le=1)  # below the accepted run


class MergeParams(Params):
    """An entry of `params.yaml: merge`."""

    adapters: tuple[str, ...] = ()  # each a folder, or a git revision or experiment whose models/adapter is meant
    method: Literal["linear", "ties", "dare", "dare_ties", "slerp"] = "linear"
    weights: tuple[float, ...] | None = None  # one an adapter; None: 1/n each, for ties and dare_ties 1 each
    density: float = Field(0.5, gt=0, le=1)  # share of the values that ties, dare and dare_ties keep
    rank: int | None = Field(None, ge=1)  # of the merged adapter; None: the parents' ranks together
    seed: int = Field(17, ge=0, lt=2**32)  # of what dare and dare_ties drop

    def factors(self, adapters: int | None = None, where: str = "merge") -> tuple[float, ...]:
        """The weight of each of so many adapters (None: those named); raises ConfigError when they do not go together."""
        n = len(self.adapters) if adapters is None else adapters
        if n < 2 or (self.method == "slerp" and n > 2):
            accepted = "two for slerp" if self.method == "slerp" else "two or more"
            raise ConfigError(f"{where}.adapters: found {n}; {accepted} accepted.")
        if self.weights is None:
            return (1.0 if self.method in ("ties", "dare_ties") else 1 / n,) * n
        if len(self.weights) != n:
            raise ConfigError(f"{where}.weights: found {len(self.weights)} for {n} adapters; give one each, or null.")
        if self.method == "slerp" and (min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-9):
            raise ConfigError(
                f"{where}.weights: found {', '.join(f'{w:g}' for w in self.weights)}; slerp divides an arc, so weights of 0 and "
                "more with sum 1 are accepted, such as 0.3, 0.7."
            )
        return self.weights


class MergesParams(RootModel[dict[str, MergeParams]]):
    """`params.yaml: merge`: the name of each merged adapter to be made, and what of."""

    @field_validator("root", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        for name, entry in value.items() if isinstance(value, dict) else ():
            if not isinstance(entry, dict):
                raise ValueError(f"{name} is no mapping; NAME: {{adapters: [A, B], method: …}} is accepted")
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", str(name)):
                raise ValueError(f"{name!r} names files; letters, digits, _ and - are accepted")
        return value

    def check(self) -> None:
        """Raises ConfigError with every entry whose adapters and weights do not go together, or that stands in another's way."""
        faults = []
        for name, entry in self.root.items():
            if name.endswith("_by_task"):
                faults.append(
                    f"merge.{name}: reports/merged/{name}.json is for the scores by task; choose another name."
                )
            for adapter in entry.adapters:
                if os.path.relpath(adapter or ".").startswith("models/merged/"):
                    faults.append(
                        f"merge.{name}.adapters: found {adapter!r}, made by a stage that DVC does not know to run before; merge it "
                        f"by `curation merge`, or name its revision (REV:{adapter})."
                    )
            try:
                entry.factors(where=f"merge.{name}")
            except ConfigError as error:
                faults.append(str(error))
        if faults:
            raise ConfigError("\n".join(faults))
