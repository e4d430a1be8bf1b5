"""Rows rendered, and packed into the sequences that the plan says; and the held-out rows that are watched on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from curation.errors import DataError
from curation.render import Encoded, Renderer, RenderParams
from train.losses import labels, token_weights
from train.params import TrainParams

if TYPE_CHECKING:
    from datasets import Dataset


def encode(rows: pl.DataFrame, renderer: Renderer, render: RenderParams) -> list[Encoded]:
    """Each row rendered; raises DataError when a row's token count is not the one that mix wrote down."""
    encoded = [renderer.encode(row, render.turns) for row in rows.iter_rows(named=True)]
    for (identity, tokens, loss_tokens), e in zip(
        rows.select("id", "tokens", "loss_tokens").iter_rows(), encoded, strict=True
    ):
        if (tokens, loss_tokens) != (len(e.ids), e.loss_tokens):
            raise DataError(
                f"data/mixed/train.parquet: {identity} counts {tokens} tokens, {loss_tokens} of them labels; rendered now it "
                f"has {len(e.ids)} and {e.loss_tokens}. Run `dvc repro mix` with these render params."
            )
    return encoded


def progress_rows(heldout: pl.DataFrame, tokens: int) -> pl.DataFrame:
    """The held-out rows whose loss is read on the way: task types in turn, by content hash, until they hold `tokens`."""
    by_type = pl.int_range(pl.len()).over("task_type")
    turns = heldout.sort("content_hash", "id").with_columns(by_type.alias("_turn")).sort("_turn", "task_type")
    return turns.filter(pl.col("tokens").cum_sum() - pl.col("tokens") < tokens).drop("_turn")


def pack(rows: pl.DataFrame, encoded: list[Encoded], schedule: pl.DataFrame, params: TrainParams) -> Dataset:
    """The packed sequences of one epoch in order: input_ids, labels, seq_lengths, loss_weights and, a token, its row's number.

    A run that ends within its first epoch reads the planned rows only; later epochs read the same sequences again.
    """
    from datasets import Dataset

    numbers = {p: i for i, p in enumerate(rows["position"])}
    records = list(rows.select("weight", "bucket").iter_rows(named=True))
    steps_an_epoch = plan_steps(schedule, len(rows))
    sequences: list[dict[str, Any]] = []
    first = schedule.filter(pl.col("step") <= steps_an_epoch)
    for (_, _), part in first.group_by(["step", "sequence"], maintain_order=True):
        members = [numbers[p] for p in part["position"]]
        sequences.append(
            {
                "order": (part["step"][0], part["sequence"][0]),
                "input_ids": [t for i in members for t in encoded[i].ids],
                "labels": [t for i in members for t in labels(encoded[i])],
                "seq_lengths": [len(encoded[i].ids) for i in members],
                "loss_weights": [w for i in members for w in token_weights(encoded[i], records[i], params)],
                "rows": [i for i in members for _ in encoded[i].ids],
            }
        )
    sequences.sort(key=lambda s: s.pop("order"))
    return Dataset.from_list(sequences)


def plan_steps(schedule: pl.DataFrame, rows: int) -> int:
    """Steps of the first epoch in `schedule`; it ends where each of the mixture's `rows` rows has been read once."""
    return int(schedule.head(rows)["step"].max())  # type: ignore[arg-type]
