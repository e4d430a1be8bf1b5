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


def prompts(rows: pl.DataFrame, renderer: Renderer) -> list[list[bool]]:
    """For each row, which tokens are prompt: all that no answer holds, the template's own among them, but never the first of a row.

    An answer that bears no loss (`loss_weight: 0`, or an earlier one under `render.turns: last`) is no prompt. Texts have none.
    """
    found = []
    for row in rows.iter_rows(named=True):
        messages = [m | {"loss_weight": None} for m in row["messages"] or ()] or None
        weights = renderer.encode(row | {"messages": messages}, "all").weights
        found.append([i > 0 and w == 0 and row["kind"] != "text" for i, w in enumerate(weights)])
    return found


def progress_rows(heldout: pl.DataFrame, tokens: int) -> pl.DataFrame:
    """The held-out rows whose loss is read on the way: task types in turn, by content hash, until they hold `tokens`."""
    by_type = pl.int_range(pl.len()).over("task_type")
    turns = heldout.sort("content_hash", "id").with_columns(by_type.alias("_turn")).sort("_turn", "task_type")
    return turns.filter(pl.col("tokens").cum_sum() - pl.col("tokens") < tokens).drop("_turn")


def pack(
    rows: pl.DataFrame,
    encoded: list[Encoded],
    schedule: pl.DataFrame,
    params: TrainParams,
    asked: list[list[bool]] | None = None,
) -> Dataset:
    """The packed sequences of one epoch in order: input_ids, labels, seq_lengths, loss_weights and, a token, its row's number.

    With `asked` (of `prompts`) prompt tokens are labels too, and a column `asked` tells them from those of answers.
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
                "labels": [t for i in members for t in labels(encoded[i], asked[i] if asked else ())],
                "seq_lengths": [len(encoded[i].ids) for i in members],
                "loss_weights": [
                    w for i in members for w in token_weights(encoded[i], records[i], params, asked[i] if asked else ())
                ],
                "rows": [i for i in members for _ in encoded[i].ids],
            }
            | ({"asked": [a for i in members for a in asked[i]]} if asked else {})
        )
    sequences.sort(key=lambda s: s.pop("order"))
    return Dataset.from_list(sequences)


def plan_steps(schedule: pl.DataFrame, rows: int) -> int:
    """Steps of the first epoch in `schedule`; it ends where each of the mixture's `rows` rows has been read once."""
    return int(schedule.head(rows)["step"].max())  # type: ignore[arg-type]
