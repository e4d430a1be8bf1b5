"""The manifest: what was asked, what was achieved, in rows, tokens and loss tokens, and the hash of the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import xxhash

from curation.errors import ConfigError
from curation.render import Renderer, RenderParams

if TYPE_CHECKING:
    from curation.mix import MixParams

UNITS = ("rows", "tokens", "loss_tokens")
KEYS = ("bucket", "task_type", "task_subtype", "source", "origin", "language", "phase")


def amounts(rows: pl.DataFrame, key: str) -> dict[str, dict[str, int]]:
    """Rows, tokens and loss tokens for each value of `key`."""
    found = (
        rows.group_by(key).agg(pl.len().alias("rows"), pl.col("tokens").sum(), pl.col("loss_tokens").sum()).sort(key)
    )
    return {str(k): {"rows": n, "tokens": t, "loss_tokens": s} for k, n, t, s in found.iter_rows()}


def total(rows: pl.DataFrame) -> dict[str, int]:
    return {"rows": rows.height, "tokens": int(rows["tokens"].sum()), "loss_tokens": int(rows["loss_tokens"].sum())}


def plan_hash(train: pl.DataFrame) -> str:
    """32 hexadecimal digits of who is trained on, in which order: ids, repeats and phases by position."""
    plan = [list(row) for row in train.sort("position").select("id", "repeat", "phase").iter_rows()]
    return xxhash.xxh3_128_hexdigest(orjson.dumps(plan))


def facts(
    train: pl.DataFrame,
    heldout: pl.DataFrame,
    unused: pl.DataFrame,
    targets: dict[str, dict[str, Any]],
    params: MixParams,
    render: RenderParams,
    renderer: Renderer,
) -> dict[str, Any]:
    """The manifest as it goes to JSON; all numbers are counted from the frames."""
    whole, by_bucket = total(train), amounts(train, "bucket")
    mixture = {}
    for bucket, target in targets.items():
        achieved = by_bucket.get(bucket, dict.fromkeys(UNITS, 0))
        mixture[bucket] = {
            "target_share": round(target["share"], 6),
            "target": target["target"],
            "available": target["available"],
            "achieved": achieved,
            "achieved_share": {u: round(achieved[u] / whole[u], 6) if whole[u] else 0.0 for u in UNITS},
        }
    template = xxhash.xxh3_64_hexdigest(renderer.template.encode())
    return {
        "plan_hash": plan_hash(train),
        "unit": params.unit,
        "tolerance": params.tolerance,
        "seed": params.seed,
        "render": {
            "model": render.model,
            "template": render.template,
            "template_hash": template,
            "max_length": render.max_length,
            "turns": render.turns,
        },
        "mixture": mixture,
        "train": total(train) | {f"by_{k}": amounts(train, k) for k in KEYS},
        "heldout": total(heldout) | {"by_bucket": amounts(heldout, "bucket"), "by_task_type": amounts(heldout, "task_type")},
        "unused": total(unused) | {"by_reason": amounts(unused, "reason"), "by_bucket": amounts(unused, "bucket")},
    }  # fmt: skip


def verify(manifest: dict[str, Any], train: pl.DataFrame, params: MixParams) -> None:
    """Raises ConfigError when an achieved share is off its target by more than the tolerance and one row's size."""
    whole = manifest["train"][params.unit]
    if whole == 0:
        raise ConfigError("mix: no row was chosen; lower the weights of empty buckets or add rows.")
    largest = 1 if params.unit == "rows" else int(train[params.unit].max())  # type: ignore[arg-type]
    allowed = max(params.tolerance, largest / whole)
    for bucket, row in manifest["mixture"].items():
        off = row["achieved_share"][params.unit] - row["target_share"]
        if abs(off) > allowed:
            raise ConfigError(
                f"mix.ratios: {bucket} is {row['achieved_share'][params.unit]:.1%} of {params.unit}, target "
                f"{row['target_share']:.1%}; {row['available']} {params.unit} are there; add rows, lower its weight or "
                f"raise mix.tolerance ({params.tolerance})."
            )
