"""`params.yaml: train`, `evaluate`, `gate`. Light to import: the stages and the command line read it for every check."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curation.params import Params


class TrainParams(Params):
    """`params.yaml: train`. The defaults suit a run of about two minutes on two cores; sequences hold render.max_length tokens."""

    seed: int = 17
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
    lora_r: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    # 0: each row is seen once or twice, so there is little to overfit, NEFTune perturbs already, and PEFT takes its
    # short path without dropout (one matrix product less for each layer).
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    # token_mean: every label token counts the same, so long answers bear most of the loss; sample_mean: every row does.
    loss: Literal["token_mean", "sample_mean"] = "token_mean"
    kl_beta: float = Field(0.0, ge=0)  # weight of the divergence from the base model; 0: not computed
    replay_weight: float = Field(1.0, gt=0)  # multiplies the loss weight of rows in the bucket `replay`
    eval_steps: int = Field(10, ge=1)  # steps between held-out losses; checkpoints are kept at the same steps
    eval_tokens: int = Field(3000, ge=1)  # held-out rows are read on the way until they hold so many tokens
    patience: int = Field(3, ge=1)  # held-out losses in a row without a new best before the run ends


class EvaluateParams(Params):
    """`params.yaml: evaluate`."""

    seed: int = 17
    resamples: int = Field(2000, ge=100)  # of the paired bootstrap
    interval: float = Field(0.95, gt=0, lt=1)
    batch_size: int = Field(8, ge=1)  # answers written at once


class GateParams(Params):
    """`params.yaml: gate`. Losses in nats a token, benchmark limits in shares of the items."""

    task_loss_limit: float = Field(0.1, ge=0)  # a task type may lose so much on the base; more, beyond doubt, fails
    benchmark_drop_limit: float = Field(0.1, ge=0, le=1)  # below the base
    accepted_drop_limit: float = Field(0.1, ge=0, le=1)  # below the accepted run
