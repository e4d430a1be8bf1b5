"""Advice before a run: what usually goes wrong that is no fault, and what to do at each size of model.

`curation doctor` shows it; the train stage does not ask. Numbers are starting points of the field, with their sources beside
them; a held-out set and the replay ladder decide. docs/training.md explains each check.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from curation.render import RenderParams
from train.doctor.findings import Finding, advice, first, note
from train.doctor.leaks import shingles
from train.params import TrainParams
from train.plan import plan

# Name, billions of parameters below which it holds, LoRA's peak learning rates, what to do.
# Rates: QLoRA (arXiv 2305.14314, table 9: 2e-4 up to 13B, 1e-4 above); some ten times those of full training (Schulman et al.
# 2025, "LoRA Without Regret"), for which see Tülu 3 (arXiv 2411.15124: 5e-6 at 8B, 2e-6 at 70B).
SIZES: tuple[tuple[str, float, tuple[float, float], str], ...] = (
    ("under 7B", 7, (5e-5, 1e-3),
     "full training is affordable where LoRA falls short; narrow tasks pay best; keep 5–20% replay, since small models forget "
     "soonest; do not ask for long reasoning; repeat rows at most three times"),
    ("7–14B", 14, (5e-5, 5e-4),
     "LoRA of all linear layers with rank 16–64; a fifth or more of general rows; thousands of good rows before tens of "
     "thousands of middling ones"),
    ("14–34B", 70, (2e-5, 3e-4),
     "LoRA, or QLoRA on one card; a third to half of the rate of 7B; one or two epochs; filter harder rather than add rows; "
     "gradient checkpointing"),
    ("70B and more", float("inf"), (1e-5, 2e-4),
     "QLoRA, or FSDP/DeepSpeed; one epoch; some thousand rows checked by people; find the mixture on a small model of the family "
     "first, then run once; watch the general benchmark more than the domain"),
)  # fmt: skip
GENERAL = 0.1  # share of chat tokens below which general skill is at stake (the field's presets hold 0.15–0.3)
REPLAY = 0.01  # of all tokens; 0.01–0.2 is usual (Ibrahim et al. 2024, arXiv 2403.08763: 1–5% mends most forgetting)
COPIES = 0.02  # of the rows
HELDOUT_ROWS, HELDOUT_LOSS_TOKENS = (
    50,
    5_000,
)  # fewer, and the interval of a mean loss is wider than what mixtures differ by
UNHELD = 0.05  # of the training rows: a task type with so many should be held out too
READS = 4  # times that a row is read; more is worth little (Muennighoff et al. 2023, arXiv 2305.16264)
LEFT_OUT, LEFT_OUT_ROWS = 0.25, 5  # of a task type's rows that are over render.max_length
SKETCH = 8  # least shingles that two rows share to count as copies


def advise(
    train: pl.DataFrame,
    heldout: pl.DataFrame,
    unused: pl.DataFrame,
    params: TrainParams,
    render: RenderParams,
    parameters: int,
) -> list[Finding]:
    """Advice and notes; frames as in data/mixed, `parameters` the number of the model's parameters."""
    return [
        *mixture(train),
        *learning_rate(params.learning_rate, parameters, params.tuning),
        *epochs(train, params, render),
        *copies(train),
        *heldout_size(train, heldout),
        *left_out(train, unused, render),
        note("size", f"{parameters / 1e9:.3g}B parameters, {_size(parameters)[0]}: {_size(parameters)[3]}."),
    ]


def mixture(train: pl.DataFrame) -> Iterator[Finding]:
    """General rows and replay are there."""
    replay = pl.col("bucket") == "replay"
    whole, chat = int(train["tokens"].sum()), int(train.filter(~replay)["tokens"].sum())
    general = int(train.filter(pl.col("bucket") == "general")["tokens"].sum())
    share = int(train.filter(replay)["tokens"].sum()) / max(1, whole)
    if general < GENERAL * chat:
        yield advice(
            "general_data",
            f"general rows hold {general / max(1, chat):.1%} of the chat tokens; {GENERAL:.0%} and more keep general skill: raise "
            "mix.ratios.general.",
        )
    if share < REPLAY:
        yield advice(
            "replay",
            f"replay holds {share:.1%} of the tokens; {REPLAY:.0%}–20% is usual against forgetting: raise mix.replay, and see "
            "`curation mix --plan --ladder replay`.",
        )


def learning_rate(rate: float, parameters: int, tuning: str = "lora") -> Iterator[Finding]:
    """The peak rate is in the range of the model's size; a tenth of LoRA's where the weights themselves are trained."""
    name, _, (low, high), _ = _size(parameters)
    kind = "LoRA"
    if tuning == "full":
        low, high, kind = low / 10, high / 10, "full training"
    if not low <= rate <= high:
        side = "above" if rate > high else "below"
        yield advice(
            "learning_rate",
            f"train.learning_rate {rate:g} is {side} the usual {low:g}–{high:g} of {kind} at {name}.",
        )


def epochs(train: pl.DataFrame, params: TrainParams, render: RenderParams) -> Iterator[Finding]:
    """Rows are not read too often, by the schedule that training will follow."""
    if (train["tokens"] > render.max_length).any():  # there is no schedule; `cut` says so
        return
    counts = plan(train, params, render.max_length).group_by("id").agg(pl.len().alias("times"))
    often = counts.filter(pl.col("times") > READS).sort("times", "id", descending=[True, False])
    if len(often):
        ids = often["id"].to_list()
        yield advice(
            "epochs",
            f"{first(ids)}: read up to {often['times'][0]} times; beyond {READS} more data does more than more epochs: lower "
            "train.epochs, train.max_steps or mix.max_epochs.",
            ids,
        )


def copies(train: pl.DataFrame) -> Iterator[Finding]:
    """Training rows are deduplicated. Rows with the same SKETCH least shingle hashes are copies; noise on purpose is none."""
    plain = pl.col("tags").list.eval(pl.element().str.starts_with("robustness:")).list.any().fill_null(False).not_()
    rows = train.filter(plain).unique("id", keep="first", maintain_order=True)
    least = shingles(rows).group_by("id").agg(pl.col("shingle").sort().head(SKETCH).alias("sketch"))
    sketched = least.filter(pl.col("sketch").list.len() == SKETCH).select(
        "id", pl.col("sketch").cast(pl.List(pl.String)).list.join(" ").alias("key")
    )
    same = rows.select("id", pl.col("content_hash").alias("key"))
    again = pl.concat([sketched, same]).sort("key", "id").filter(pl.col("id").cum_count().over("key") > 1)
    ids = again["id"].unique().sort().to_list()
    if len(ids) > COPIES * len(rows):
        yield advice(
            "deduplicated",
            f"{first(ids)}: copies of other training rows, {len(ids) / len(rows):.1%} of all; lower clean.duplicates.near, or run "
            "`dvc repro clean`.",
            ids,
        )


def heldout_size(train: pl.DataFrame, heldout: pl.DataFrame) -> Iterator[Finding]:
    """The exam is large enough, and asks what training teaches."""
    tokens = int(heldout["loss_tokens"].sum()) if len(heldout) else 0
    if len(heldout) < HELDOUT_ROWS or tokens < HELDOUT_LOSS_TOKENS:
        yield advice(
            "heldout_size",
            f"{len(heldout)} held-out rows with {tokens} loss tokens; under {HELDOUT_ROWS} rows or {HELDOUT_LOSS_TOKENS} tokens "
            "scores move by chance more than by mixture: raise mix.heldout.share.",
        )
    types = train.group_by("task_type").len().filter(pl.col("len") >= UNHELD * len(train))
    missing = types.join(heldout.select("task_type"), on="task_type", how="anti")["task_type"].drop_nulls().sort()
    if len(missing):
        yield advice(
            "heldout_types",
            f"no held-out row of {', '.join(missing)}, each {UNHELD:.0%} or more of the training rows: nothing will say whether "
            "they are learned; raise mix.heldout.share.",
        )


def left_out(train: pl.DataFrame, unused: pl.DataFrame, render: RenderParams) -> Iterator[Finding]:
    """Rows over render.max_length: never cut, but a task type may lose its long ones."""
    over = unused.filter(pl.col("reason") == "over_max_length")
    if not len(over):
        return
    lost = over.group_by("task_type").agg(pl.len().alias("lost"))
    every = pl.concat([train.filter(pl.col("repeat") == 0).select("task_type"), unused.select("task_type")])
    counts = lost.join(every.group_by("task_type").agg(pl.len().alias("all")), on="task_type").sort("task_type")
    named = ", ".join(f"{task} {n} of {all_}" for task, n, all_ in counts.iter_rows())
    said = f"{len(over)} rows over render.max_length = {render.max_length} tokens are left out, none is cut: {named}"
    much = counts.filter((pl.col("lost") >= LEFT_OUT_ROWS) & (pl.col("lost") > LEFT_OUT * pl.col("all")))
    if len(much):
        yield advice("left_out", f"{said}; raise render.max_length to keep {', '.join(much['task_type'])}.")
    else:
        yield note("left_out", f"{said}.")


def _size(parameters: int) -> tuple[str, float, tuple[float, float], str]:
    return next(row for row in SIZES if parameters < row[1] * 1e9)
