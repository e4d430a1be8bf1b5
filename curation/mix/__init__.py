"""Cleaned and synthesized rows → a mixture that is a fact: held-out split, targets, nested sampling, order, manifest.

`decide` needs no texts: it works on ids, labels and sizes, so that a plan takes a moment. `mix` puts the texts to its decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from curation import records as rec
from curation.errors import ConfigError
from curation.mix import limits, manifest, order, phases, split
from curation.mix.choose import choose
from curation.mix.params import HeldoutParams, MixParams
from curation.render import RenderParams

__all__ = ["HELDOUT", "TRAIN", "UNUSED", "Decision", "HeldoutParams", "MixParams", "decide", "mix"]

TRAIN = rec.LABELLED | {
    "position": pl.Int64, "repeat": pl.Int64, "tokens": pl.Int64, "loss_tokens": pl.Int64, "phase": pl.String, "part": pl.String,
}  # fmt: skip
HELDOUT = rec.LABELLED | {"tokens": pl.Int64, "loss_tokens": pl.Int64, "cluster": pl.String}
UNUSED = rec.LABELLED | {"tokens": pl.Int64, "loss_tokens": pl.Int64, "reason": pl.String}
OUTPUTS = {"train": (TRAIN, "position"), "heldout": (HELDOUT, "id"), "unused": (UNUSED, "id")}  # columns, order
# What a decision reads of a record.
THIN = (
    "id", "content_hash", "source", "origin", "group", "recipe", "parents", "language", "weight", "task_type", "task_subtype",
    "bucket",
)  # fmt: skip
BUCKETS = {"general", "math_code", "domain", "safety"}


@dataclass(frozen=True)
class Decision:
    """Frames of THIN columns, with those that TRAIN, HELDOUT and UNUSED add, and the manifest."""

    train: pl.DataFrame
    heldout: pl.DataFrame
    unused: pl.DataFrame
    manifest: dict[str, Any]


def decide(
    cleaned: pl.DataFrame,
    synthesized: pl.DataFrame,
    near: Mapping[str, pl.DataFrame],
    sizes: pl.DataFrame,
    params: MixParams,
    render: RenderParams,
    template: str,
    *,
    verdicts: Mapping[str, str] | None = None,
    quality: pl.DataFrame | None = None,
) -> Decision:
    """Where each row goes; every one is in train (repeats aside), heldout or unused.

    `near`: the near-pair sidecars of both corpora; `sizes`: id, tokens, loss_tokens; `template`: the chat template's text;
    `quality`: content_hash, quality (null: none). Raises ConfigError with the reason when the mixture cannot be had.
    """
    made = pl.concat([cleaned.select(THIN).with_columns(made=False), synthesized.select(THIN).with_columns(made=True)])
    every = made.sort("id").join(sizes, on="id", how="left", maintain_order="left")
    del made  # each copy of the pool costs memory
    scores = quality.unique("content_hash", keep="first", maintain_order=True) if quality is not None else None
    every = (
        every.join(scores, on="content_hash", how="left", maintain_order="left")
        if scores is not None
        else every.with_columns(pl.lit(None, pl.Float64).alias("quality"))
    )
    _known_parts(every, params)
    sides = split.split(every, near, params.heldout)
    every = every.with_columns(sides["cluster"], sides["side"], _barred(params, render, verdicts or {}))
    every = every.drop("group", "recipe", "parents", "made")
    unread = pl.col("reason").is_in(["over_max_length", "no_loss_tokens"]).fill_null(False)  # an exam cannot score them
    out = (pl.col("side") == "heldout") & ~unread
    heldout, free = every.filter(out), every.filter(~out)
    del every, sides
    kin = pl.when(pl.col("side") != "train").then(pl.lit("kin_of_heldout"))
    free = free.with_columns(pl.coalesce("reason", kin).alias("reason"))
    pool = order.parts(free.filter(pl.col("reason").is_null()), params.all_parts(), params.quality)
    pool = _weighted(pool, params)
    silent = pl.col("weight").fill_null(1.0) == 0  # nothing would be learned of them
    silenced = pl.col("id").is_in(pool.filter(silent)["id"].implode())
    free = free.with_columns(pl.when(silenced).then(pl.lit("zero_weight")).otherwise("reason").alias("reason"))
    pool = pool.filter(~silent)
    choice = choose(order.draw(pool, params), params)
    train = _scheduled(pool, choice.rows, params)
    unused = free.join(train.select("id"), on="id", how="anti").with_columns(
        pl.col("reason").fill_null("beyond_target")
    )
    facts = manifest.facts(train, heldout, unused, choice, params, render, template)
    facts["short_answers"] = _short(train, params)
    manifest.verify(facts, train, params)
    return Decision(train, heldout, unused, facts)


def mix(
    cleaned: pl.DataFrame,
    synthesized: pl.DataFrame,
    near: Mapping[str, pl.DataFrame],
    sizes: pl.DataFrame,
    params: MixParams,
    render: RenderParams,
    template: str,
    *,
    verdicts: Mapping[str, str] | None = None,
    quality: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """`train`, `heldout`, `unused` frames of TRAIN, HELDOUT and UNUSED, and the `manifest`; arguments as of `decide`."""
    decided = decide(cleaned, synthesized, near, sizes, params, render, template, verdicts=verdicts, quality=quality)
    every = pl.concat([cleaned.select(rec.LABELLED.keys()), synthesized.select(rec.LABELLED.keys())])
    return dict(frames(every.lazy(), decided)) | {"manifest": decided.manifest}


def frames(texts: pl.LazyFrame, decided: Decision) -> Iterator[tuple[str, pl.DataFrame]]:
    """train (by position), heldout and unused (by id), one after the other; `curation.mix.write` takes less memory.

    `texts`: the records of both corpora with labels, scanned or in memory, in any order.
    """
    for name, (_, key) in OUTPUTS.items():
        yield name, texted(texts, decided, name).sort(key)


def bare(decided: Decision) -> Decision:
    """`decided` without what is a record's: enough for `texted`, and little beside the texts."""
    return replace(decided, **{name: getattr(decided, name).select(_own(name)) for name in OUTPUTS})


def texted(texts: pl.LazyFrame, decided: Decision, name: str) -> pl.DataFrame:
    """The rows of one output with all its columns, in any order."""
    own = getattr(decided, name).lazy().select(_own(name))
    joined = texts.drop("weight").join(own, on="id", how="inner")
    return joined.select(pl.col(n).cast(t) for n, t in OUTPUTS[name][0].items()).collect(engine="streaming")


def _own(name: str) -> list[str]:
    """What a decision has of its own (such as weight) stands; the rest is the record's."""
    return ["id", "weight", *(n for n in OUTPUTS[name][0] if n not in rec.LABELLED)]


def _known_parts(every: pl.DataFrame, params: MixParams) -> None:
    known = set(every["bucket"].drop_nulls().unique()) | BUCKETS | set(params.all_parts())
    phased = [(f"mix.phases[{i}].ratios", p.ratios) for i, p in enumerate(params.phases)]
    for where, ratios in [("mix.ratios", params.plain_ratios()), *phased]:
        unknown = sorted(set(ratios) - known)
        if unknown:
            raise ConfigError(
                f"{where}: unknown bucket {', '.join(unknown)}; accepted: {', '.join(sorted(known - {'replay'}))}."
            )


def _barred(params: MixParams, render: RenderParams, verdicts: Mapping[str, str]) -> pl.Expr:
    """`reason`: why a row cannot be in this mixture, or null."""
    # Noise leaves the answer byte for byte that of a person; what a model wrote waits for a person.
    accepted = [i for i, verdict in verdicts.items() if verdict == "accept"]
    vouched = pl.col("recipe").fill_null("").str.starts_with("noise/") | pl.col("id").is_in(accepted)
    return (
        pl.when(pl.col("tokens") > render.max_length)
        .then(pl.lit("over_max_length"))
        .when(pl.col("loss_tokens") == 0)
        .then(pl.lit("no_loss_tokens"))
        .when(pl.col("made") & pl.lit(params.synthesized == "none"))
        .then(pl.lit("synthesized_none"))
        .when(pl.col("made") & pl.lit(params.synthesized == "reviewed") & ~vouched)
        .then(pl.lit("not_reviewed"))
        .alias("reason")
    )


def _weighted(pool: pl.DataFrame, params: MixParams) -> pl.DataFrame:
    """`pool` with `weight` multiplied by the factors of mix.weights that speak of a row."""
    for i, entry in enumerate(params.weights):
        rows = pl.Series(limits.chosen_rows(pool, entry, f"mix.weights[{i}]"))
        weight = pool["weight"].fill_null(1.0)
        pool = pool.with_columns(weight.zip_with(~rows, weight * entry.weight))
    return pool


def _scheduled(pool: pl.DataFrame, rows: pl.DataFrame, params: MixParams) -> pl.DataFrame:
    """The rows of the pool that were chosen, in the order of consumption, with `position`."""
    ordered = order.consumption(phases.assign(rows, params), params.seed).with_row_index("position")
    told = ordered.select(pl.col("position").cast(pl.Int64), "id", "repeat", "phase")
    return told.join(pool, on="id", how="left", maintain_order="left")


def _short(train: pl.DataFrame, params: MixParams) -> dict[str, Any]:
    """Rows and loss of short answers as scheduled, and of the same rows without copies."""
    settings = params.short_answers
    epoch = pl.col("repeat") // pl.when(pl.col("loss_tokens") <= settings.max_loss_tokens).then(
        settings.times
    ).otherwise(1)
    once = train.with_columns(epoch.alias("epoch")).unique(["id", "epoch"], maintain_order=True)
    before, after = (manifest.short_answers(rows, settings.max_loss_tokens) for rows in (once, train))
    return settings.model_dump() | {"before": before, "after": after}
