"""Preflight: what must be right before a long run. The train stage refuses on any failure found here.

`curation doctor` shows the same, with advice (train/advice.py). docs/training.md explains each check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from curation.errors import DataError, TemperError
from curation.render import Encoded, Renderer, RenderParams
from train.doctor import controls, leaks, masks, packing, tokens
from train.doctor.findings import Finding, failure, first
from train.pack import encode

CHECKS = {
    "no_rows": "data/mixed/train.parquet has rows",
    "template": "the template's markers are single tokens, and turns are put as in the model's own template",
    "end_token": "every learned answer ends with the token at which generation stops",
    "new_token": "every token has an embedding, and special ones a trained one",
    "counts": "rows render to the tokens and labels that mix counted",
    "mask": "learned tokens are exactly those of the answers that bear loss",
    "all_zero_mask": "every row has a token to learn",
    "empty_answer": "no empty answer bears loss",
    "control_token_in_text": "what is learned holds no control token of its own",
    "negative_weight": "loss weights are 0 or more",
    "cut": "every row fits render.max_length",
    "packing": "packed rows do not read each other, measured with this model and attention",
    "leak": "training and held-out rows share no content, near copy (Jaccard 0.8 and more), group or lineage",
}
# Those that read rows as tokens, so that they need rows that render.
_OF_ROWS = (
    "end_token", "new_token", "counts", "mask", "all_zero_mask", "empty_answer", "control_token_in_text", "negative_weight",
    "packing",
)  # fmt: skip


def preflight(
    train: pl.DataFrame, heldout: pl.DataFrame, others: pl.DataFrame | None, render: RenderParams
) -> list[Finding]:
    """`examine` with the tokenizer and the model that `render` names."""
    from curation.models import load_language_model, load_tokenizer

    renderer = Renderer(load_tokenizer(render.model), render.template)
    return examine(train, heldout, others, render, renderer, load_language_model(render.model))


def examine(
    train: pl.DataFrame,
    heldout: pl.DataFrame,
    others: pl.DataFrame | None,
    render: RenderParams,
    renderer: Renderer,
    model: Any,
) -> list[Finding]:
    """Every failure of correctness, in the order of CHECKS' subjects: tokens, rows, packing, leaks.

    `train`, `heldout` and `others` (the unused rows) are frames as in data/mixed.
    """
    if not len(train):
        said = "data/mixed/train.parquet has no rows; look at the mixture's manifest."
        return [failure("no_rows", said, unreached=[check for check in CHECKS if check != "no_rows"])]
    rows = train.sort("position").unique("id", keep="first", maintain_order=True)
    found = [*tokens.padding(renderer.tokenizer), *tokens.end(renderer.tokenizer, model)]
    found += cut(train, render.max_length)
    try:
        found += tokens.template(renderer)
        encoded = encode(rows, renderer, render)
    except TemperError as error:
        stopped = unrenderable(rows, renderer, render) or failure("counts", str(error))
        failed = {stopped.check, *(f.check for f in found if f.level == "failure")}
        found.append(replace(stopped, unreached=tuple(c for c in _OF_ROWS if c not in failed)))
    else:
        found += read(rows, encoded, render, renderer, model)
    return found + list(leaks.leaks(train, heldout, others))


def unrenderable(rows: pl.DataFrame, renderer: Renderer, render: RenderParams) -> Finding | None:
    """A failure that names the first row which the template cannot render."""
    for row in rows.iter_rows(named=True):
        try:
            renderer.pieces(row, render.turns)
        except TemperError as error:
            return failure("template", f"{row['id']}: {error}", [row["id"]])
    return None


def not_reached(found: list[Finding]) -> list[str]:
    """Checks that did not run, in the order of CHECKS."""
    unreached = {check for finding in found for check in finding.unreached}
    return [check for check in CHECKS if check in unreached]


def read(
    rows: pl.DataFrame, encoded: list[Encoded], render: RenderParams, renderer: Renderer, model: Any
) -> list[Finding]:
    """Failures in rows as training will read them."""
    records = list(rows.select("id", "kind", "messages", "tools", "text", "weight").iter_rows(named=True))
    found = list(masks.faults(records, encoded, renderer.tokenizer, render.turns))
    found += controls.standing(records, renderer.tokenizer, renderer.template, render.turns)
    found += (new := list(tokens.untrained(encoded, renderer.tokenizer, model)))
    size = model.get_input_embeddings().num_embeddings
    known = [e for e in encoded if max(e.ids) < size] if new else encoded
    return found + list(packing.isolated(known, model))


def cut(train: pl.DataFrame, max_length: int) -> list[Finding]:
    """A failure when rows are longer than a sequence, with their number by task type."""
    long = train.filter(pl.col("tokens") > max_length)
    if not len(long):
        return []
    by_type = long.group_by("task_type").len().sort("len", "task_type", descending=[True, False])
    counts = ", ".join(f"{task} {n}" for task, n in by_type.iter_rows())
    ids = long["id"].to_list()
    return [
        failure(
            "cut",
            f"{first(ids)}: more than render.max_length = {max_length} tokens, so that ends of answers would be cut; by task "
            f"type: {counts}; raise render.max_length, or run `dvc repro mix`, which leaves such rows out.",
            ids,
        )
    ]


def refuse(findings: list[Finding]) -> None:
    """Raises DataError with a line for each failure."""
    failures = [f for f in findings if f.level == "failure"]
    if failures:
        raise DataError("\n".join(f"preflight: {f.check}: {f.said}" for f in failures))
