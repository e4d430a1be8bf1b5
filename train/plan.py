"""Which row is read in which sequence of which step: a pure function of the mixture, which `curation audit` recomputes."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curation.errors import DataError
from train.params import TrainParams

PLAN: dict[str, type[pl.DataType]] = {
    "step": pl.Int64,  # 1, 2, …
    "sequence": pl.Int64,  # 0 … accumulation - 1 within the step
    "id": pl.String,
    "repeat": pl.Int64,
    "position": pl.Int64,
    "tokens": pl.Int64,
}
CONSUMED: dict[str, type[pl.DataType]] = {
    "step": pl.Int64,
    "sequence": pl.Int64,
    "id": pl.String,
    "repeat": pl.Int64,
    "tokens": pl.Int64,
    "label_tokens": pl.Int64,
    "weight": pl.Float64,  # mean loss weight of the row's label tokens
}


def plan(train: pl.DataFrame, params: TrainParams, max_length: int) -> pl.DataFrame:
    """The schedule as a frame of PLAN, in the order of consumption.

    A step takes rows in the order of `position`, each into the first of its sequences with room, until one fits in none;
    that row opens the next step. So every row of a step precedes every row of the next one, and within a step the order
    does not show, since its gradients are summed. (Best-fit-decreasing packing sorts by length and would undo a curriculum.)
    Raises DataError for rows over `max_length` tokens: nothing is ever cut.
    """
    rows = train.sort("position").select("id", "repeat", "position", "tokens")
    long = rows.filter(pl.col("tokens") > max_length)
    if len(long):
        raise DataError(
            f"data/mixed/train.parquet: {len(long)} rows over render.max_length = {max_length} tokens, first {long['id'][0]} "
            f"with {long['tokens'][0]}; mix leaves such rows out, so run `dvc repro mix` with these render params."
        )
    found: list[tuple[int, int, str, int, int, int]] = []
    step = 0
    for _ in range(params.epochs):
        room: list[int] = []
        for identity, repeat, position, tokens in rows.iter_rows():
            place = next((i for i, left in enumerate(room) if left >= tokens), None)
            if place is None:
                if not room or len(room) == params.accumulation:
                    if step == params.max_steps:
                        return pl.DataFrame(found, schema=PLAN, orient="row")
                    step, room = step + 1, []
                place = len(room)
                room.append(max_length)
            room[place] -= tokens
            found.append((step, place, identity, repeat, position, tokens))
    return pl.DataFrame(found, schema=PLAN, orient="row")


@dataclass(frozen=True)
class Consumption:
    """What training read, beside what it was to read; `problem` is None when both agree for the steps that ran."""

    steps: int
    planned_steps: int
    rows: int
    tokens: int
    label_tokens: int
    unread: int  # rows of the mixture (id and repeat) that no step read
    problem: str | None


def consumed_matches(train: pl.DataFrame, consumed: pl.DataFrame, schedule: pl.DataFrame) -> Consumption:
    """Compares rows really fed to the model with `schedule` (of `plan`) and with the token counts in `train`.

    A run that stopped early agrees when its steps are the first ones of the plan.
    """
    steps = int(consumed["step"].max() or 0)  # type: ignore[arg-type]
    keys = ["step", "sequence", "id", "repeat", "tokens"]
    due = schedule.filter(pl.col("step") <= steps).select(keys).sort(keys)
    read = consumed.select(keys).sort(keys)
    seen = train.select("id", "repeat").join(consumed.select("id", "repeat"), on=["id", "repeat"], how="anti")
    return Consumption(
        steps=steps,
        planned_steps=int(schedule["step"].max() or 0),  # type: ignore[arg-type]
        rows=len(consumed),
        tokens=int(consumed["tokens"].sum()),
        label_tokens=int(consumed["label_tokens"].sum()),
        unread=len(seen),
        problem=_difference(due, read) or _wrong_labels(train, consumed),
    )


def _difference(due: pl.DataFrame, read: pl.DataFrame) -> str | None:
    for first, second, verdict in (
        (due, read, "was to be read, but was not"),
        (read, due, "was read, but was not to be"),
    ):
        counts = (
            first.group_by(first.columns)
            .len("times")
            .join(second.group_by(second.columns).len("other"), on=first.columns, how="left")
        )
        wrong = counts.filter(pl.col("times") > pl.col("other").fill_null(0)).sort(first.columns)
        if len(wrong):
            row = wrong.row(0, named=True)
            return (
                f"step {row['step']}, sequence {row['sequence']}: {row['id']} (repeat {row['repeat']}, "
                f"{row['tokens']} tokens) {verdict}"
            )
    return None


def _wrong_labels(train: pl.DataFrame, consumed: pl.DataFrame) -> str | None:
    known = train.select("id", "repeat", "loss_tokens")
    wrong = (
        consumed.join(known, on=["id", "repeat"], how="left")
        .filter(pl.col("label_tokens") != pl.col("loss_tokens"))
        .sort("step", "sequence", "id", "repeat")
    )
    if not len(wrong):
        return None
    row = wrong.row(0, named=True)
    return f"step {row['step']}: {row['id']} was fed with {row['label_tokens']} label tokens; the mixture counts {row['loss_tokens']}"
