"""Cleaned and synthesized rows → a mixture that is a fact: held-out split, targets, nested sampling, order, manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator

from curation import records as rec
from curation.errors import ConfigError
from curation.mix import manifest, ratios, split
from curation.mix.split import HeldoutParams
from curation.params import Params
from curation.progress import Progress, silent
from curation.render import Renderer, RenderParams

TRAIN = rec.LABELLED | {
    "position": pl.Int64, "repeat": pl.Int64, "tokens": pl.Int64, "loss_tokens": pl.Int64, "phase": pl.String,
}  # fmt: skip
HELDOUT = rec.LABELLED | {"tokens": pl.Int64, "loss_tokens": pl.Int64, "cluster": pl.String}
UNUSED = rec.LABELLED | {"tokens": pl.Int64, "loss_tokens": pl.Int64, "reason": pl.String}


class MixParams(Params):
    """`params.yaml: mix`."""

    ratios: dict[str, float] = {"general": 0.2, "math_code": 0.3, "domain": 0.4, "safety": 0.1}
    replay: float = Field(0.05, ge=0, lt=1)
    unit: Literal["rows", "tokens", "loss_tokens"] = "tokens"
    size: int | None = Field(None, ge=1)  # of the whole, in `unit`; null: as much as the scarcest bucket allows
    tolerance: float = Field(0.01, gt=0, le=1)  # of the whole; or one row's size, where that is more
    synthesized: Literal["none", "reviewed", "all"] = "reviewed"
    seed: int = 0
    heldout: HeldoutParams = HeldoutParams()

    @field_validator("ratios")
    @classmethod
    def _weights(cls, value: dict[str, float]) -> dict[str, float]:
        if not value or any(weight < 0 for weight in value.values()) or sum(value.values()) <= 0:
            raise ValueError("weights ≥ 0, at least one above 0, are accepted")
        if "replay" in value:
            raise ValueError("replay is a share of the whole: set mix.replay")
        return value


def mix(
    cleaned: pl.DataFrame,
    synthesized: pl.DataFrame,
    near: Mapping[str, pl.DataFrame],
    renderer: Renderer,
    params: MixParams,
    render: RenderParams,
    *,
    verdicts: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """`train`, `heldout`, `unused` frames and the `manifest`; every input row is in one of the three (repeats aside).

    `near`: the near-pair sidecars of both corpora. Raises ConfigError when the targets cannot be met, saying which
    bucket lacks what.
    """
    every = pl.concat([cleaned.select(rec.LABELLED.keys()), synthesized.select(rec.LABELLED.keys())]).sort("id")
    unknown = sorted(set(params.ratios) - set(every["bucket"]) - {"general", "math_code", "domain", "safety"})
    if unknown:
        raise ConfigError(
            f"mix.ratios: unknown bucket {', '.join(unknown)}; accepted: {', '.join(sorted(set(every['bucket']) - {'replay'}))}."
        )
    every = _sized(every, renderer, render, progress)
    reasons = _barred(every, set(synthesized["id"]), params, render, verdicts or {})
    sides = split.split(every, near, params.heldout)
    free = every.with_columns(
        pl.col("id").replace_strict(reasons, default=None, return_dtype=pl.String).alias("reason")
        if reasons
        else pl.lit(None, pl.String).alias("reason")
    ).join(sides, on="id", how="left")
    heldout = free.filter((pl.col("side") == "heldout") & (pl.col("reason") != "over_max_length").fill_null(True))
    free = free.join(heldout.select("id"), on="id", how="anti").with_columns(
        pl.coalesce("reason", pl.when(pl.col("side") != "train").then(pl.lit("kin_of_heldout"))).alias("reason")
    )
    pool = free.filter(pl.col("reason").is_null())
    chosen, targets = ratios.choose(pool, params.ratios, params.replay, params.unit, params.size, params.seed)
    train = (
        ratios.ordered(pool.join(chosen, on="id"), params.seed)
        .with_row_index("position")
        .with_columns(pl.lit(0, pl.Int64).alias("repeat"), pl.lit("A").alias("phase"))
        .select(pl.col(n).cast(t) for n, t in TRAIN.items())
    )
    unused = (
        free.join(train.select("id"), on="id", how="anti")
        .with_columns(pl.col("reason").fill_null("beyond_target"))
        .select(pl.col(n).cast(t) for n, t in UNUSED.items())
        .sort("id")
    )
    heldout = heldout.select(pl.col(n).cast(t) for n, t in HELDOUT.items()).sort("id")
    facts = manifest.facts(train, heldout, unused, targets, params, render, renderer)
    manifest.verify(facts, train, params)
    return {"train": train, "heldout": heldout, "unused": unused, "manifest": facts}


def _sized(rows: pl.DataFrame, renderer: Renderer, render: RenderParams, progress: Progress) -> pl.DataFrame:
    """`rows` with `tokens` and `loss_tokens`, as training will see them."""
    sizes = []
    for number, row in enumerate(rows.iter_rows(named=True), 1):
        encoded = renderer.encode(row, render.turns)
        sizes.append((len(encoded.ids), encoded.loss_tokens))
        if number % 500 == 0 or number == rows.height:
            progress("mix: tokens", number, rows.height)
    return rows.with_columns(
        pl.Series("tokens", [s[0] for s in sizes], dtype=pl.Int64),
        pl.Series("loss_tokens", [s[1] for s in sizes], dtype=pl.Int64),
    )


def _barred(
    rows: pl.DataFrame, made: set[str], params: MixParams, render: RenderParams, verdicts: Mapping[str, str]
) -> dict[str, str]:
    """id → why the row cannot be in this mixture."""
    barred: dict[str, str] = {}
    for id_, tokens, loss_tokens, recipe in rows.select("id", "tokens", "loss_tokens", "recipe").iter_rows():
        if tokens > render.max_length:
            barred[id_] = "over_max_length"
        elif loss_tokens == 0:
            barred[id_] = "no_loss_tokens"
        elif id_ in made and params.synthesized == "none":
            barred[id_] = "synthesized_none"
        # Noise leaves the answer byte for byte that of a person; what a model wrote waits for a person.
        elif id_ in made and params.synthesized == "reviewed" and not _vouched(id_, recipe, verdicts):
            barred[id_] = "not_reviewed"
    return barred


def _vouched(id_: str, recipe: str | None, verdicts: Mapping[str, str]) -> bool:
    return (recipe or "").startswith("noise/") or verdicts.get(id_) == "accept"
