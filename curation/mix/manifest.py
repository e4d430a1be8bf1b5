"""The manifest: what was asked, what was achieved, in rows, tokens and loss tokens, and the hash of the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import xxhash

from curation.errors import ConfigError
from curation.mix.phases import wanted
from curation.render import RenderParams

if TYPE_CHECKING:
    from curation.mix.choose import Choice
    from curation.mix.params import MixParams

UNITS = ("rows", "tokens", "loss_tokens")
KEYS = ("bucket", "task_type", "task_subtype", "source", "origin", "language", "phase", "part")
BROAD = ("bucket", "task_type", "source", "origin")


def amounts(rows: pl.DataFrame, key: str) -> dict[str, dict[str, int]]:
    """Rows, tokens and loss tokens for each value of `key`."""
    found = (
        rows.group_by(key).agg(pl.len().alias("rows"), pl.col("tokens").sum(), pl.col("loss_tokens").sum()).sort(key)
    )
    return {str(k): {"rows": n, "tokens": t, "loss_tokens": s} for k, n, t, s in found.iter_rows()}


def total(rows: pl.DataFrame) -> dict[str, int]:
    return {"rows": rows.height, "tokens": int(rows["tokens"].sum()), "loss_tokens": int(rows["loss_tokens"].sum())}


def account(rows: pl.DataFrame, keys: tuple[str, ...] = BROAD) -> dict[str, Any]:
    """`total`, and the same by each of `keys`."""
    return total(rows) | {f"by_{k}": amounts(rows, k) for k in keys}


def plan_hash(train: pl.DataFrame) -> str:
    """32 hexadecimal digits of who is trained on, in which order: ids, repeats and phases by position."""
    plan = [list(row) for row in train.sort("position").select("id", "repeat", "phase").iter_rows()]
    return xxhash.xxh3_128_hexdigest(orjson.dumps(plan))


def facts(
    train: pl.DataFrame,
    heldout: pl.DataFrame,
    unused: pl.DataFrame,
    choice: Choice,
    params: MixParams,
    render: RenderParams,
    template: str,
) -> dict[str, Any]:
    """The manifest as it goes to JSON; all numbers are counted from the frames, which need no texts."""
    beyond = pl.col("reason") == "beyond_target"
    return {
        "plan_hash": plan_hash(train),
        "unit": params.unit,
        "tolerance": params.tolerance,
        "seed": params.seed,
        "preset": params.ratios if isinstance(params.ratios, str) else None,
        "exhaustion": params.exhaustion,
        "render": {
            "model": render.model,
            "template": render.template,
            "template_hash": xxhash.xxh3_64_hexdigest(template.encode()),
            "max_length": render.max_length,
            "turns": render.turns,
        },
        "mixture": _mixture(train, choice, params),
        "limits": [limit | {"achieved": _held(train, limit["name"])} for limit in choice.limits],
        "phases": _phases(train, params),
        "train": account(train, KEYS),
        "repeated": account(train.filter(pl.col("repeat") > 0)),
        "heldout": account(heldout),
        "unused": account(unused) | {"by_reason": amounts(unused, "reason")},
        "filtered": account(unused.filter(~beyond)) | {"by_reason": amounts(unused.filter(~beyond), "reason")},
        "beyond_target": account(unused.filter(beyond)),
    }


def _mixture(train: pl.DataFrame, choice: Choice, params: MixParams) -> dict[str, Any]:
    whole, by_part = total(train), amounts(train, "part")
    mixture = {}
    for part, target in choice.targets.items():
        achieved = by_part.get(part, dict.fromkeys(UNITS, 0))
        mixture[part] = {
            "target_share": round(target["share"], 6),  # in params.unit
            "target": target["target"],  # in target_unit
            "target_unit": target["unit"],
            "fixed": target["fixed"],  # the target is an amount, not a share
            "available": target["available"],  # in params.unit, repeats counted where they are allowed
            "achieved": achieved,
            "achieved_share": {u: round(achieved[u] / whole[u], 6) if whole[u] else 0.0 for u in UNITS},
        }
    return mixture


def _held(train: pl.DataFrame, name: str) -> dict[str, int]:
    """What the rows that an entry speaks of hold in `train`; `name` is that of params.Chooser."""
    key, value = name.split(" ", 1)
    if key == "min_input_tokens":
        return total(train.filter(pl.col("tokens") - pl.col("loss_tokens") >= int(value)))
    return total(train.filter(pl.col(key) == value))


def _phases(train: pl.DataFrame, params: MixParams) -> dict[str, Any]:
    found, whole = {}, total(train)["tokens"]
    for phase in params.phases:
        rows = train.filter(pl.col("phase") == phase.name)
        held, by_part = total(rows), amounts(rows, "part")
        found[phase.name] = held | {
            "target_share": phase.share,
            "achieved_share": round(held["tokens"] / whole, 6) if whole else 0.0,
            "mixture": {
                part: {
                    "target_share": round(share, 6),
                    "achieved_share": round(by_part.get(part, {"tokens": 0})["tokens"] / max(1, held["tokens"]), 6),
                }
                for part, share in wanted(phase, params).items()
            },
        }
    return found


def short_answers(train: pl.DataFrame, limit: int) -> dict[str, Any]:
    """What rows of at most `limit` loss tokens are of the rows and of the loss.

    Under packing with a token mean every loss token weighs its row's weight, so a group's share of the loss is its share of
    weighted loss tokens over the run; single steps differ, since each divides by its own. (Under a sample mean it is the share
    of weighted rows.)
    """
    weight = pl.col("weight").fill_null(1.0)
    loss = train.select((weight * pl.col("loss_tokens")).alias("loss"), pl.col("loss_tokens") <= limit)
    short, whole = loss.filter(pl.col("loss_tokens")), float(loss["loss"].sum())
    return {
        "rows": short.height,
        "share_of_rows": round(short.height / max(1, loss.height), 6),
        "share_of_loss": round(float(short["loss"].sum()) / whole, 6) if whole else 0.0,
    }


def verify(manifest: dict[str, Any], train: pl.DataFrame, params: MixParams) -> None:
    """Raises ConfigError when an achieved share is off its target by more than the tolerance and one row's size."""
    whole = manifest["train"]
    if whole[params.unit] == 0:
        raise ConfigError("mix: no row was chosen; lower the weights of empty buckets or add rows.")
    largest = {"rows": 1} | {u: int(train[u].max()) for u in UNITS[1:]}  # type: ignore[arg-type]
    allowed = {u: max(params.tolerance, largest[u] / max(1, whole[u])) for u in UNITS}
    for part, row in manifest["mixture"].items():
        unit = row["target_unit"]
        off = abs(row["achieved"][unit] - row["target"])
        if row["fixed"]:
            if off > allowed[unit] * whole[unit]:
                raise ConfigError(
                    f"mix.targets: {part} holds {row['achieved'][unit]} {unit}, target {row['target']:.0f}; add rows, ask for "
                    f"less or raise mix.tolerance ({params.tolerance})."
                )
        elif off > largest[unit] and abs(row["achieved_share"][unit] - row["target_share"]) > params.tolerance + 1e-6:
            raise ConfigError(
                f"mix.ratios: {part} is {row['achieved_share'][unit]:.1%} of {unit}, target "
                f"{row['target_share']:.1%}; {row['available']} {unit} are there; add rows, lower its weight or "
                f"raise mix.tolerance ({params.tolerance})."
            )
    for limit in manifest["limits"]:
        unit = limit["unit"]
        off = limit["achieved"][unit] - limit["amount"]
        if (off > 0 and limit["kind"] == "floor") or (off < 0 and limit["kind"] == "cap"):
            continue
        if abs(off) > allowed[unit] * whole[unit]:
            raise ConfigError(
                f"{limit['where']}: {limit['name']} holds {limit['achieved'][unit]} {unit}, {limit['kind']} {limit['amount']:.0f}; "
                f"add rows, ask for less or raise mix.tolerance ({params.tolerance})."
            )
    for name, phase in manifest["phases"].items():
        room = max(params.tolerance, 2 * largest["tokens"] / max(1, phase["tokens"]))
        for part, row in phase["mixture"].items():
            if abs(row["achieved_share"] - row["target_share"]) > room:
                raise ConfigError(
                    f"mix.phases: {part} is {row['achieved_share']:.1%} of phase {name}, target {row['target_share']:.1%}; add "
                    f"rows, make the phase longer or raise mix.tolerance ({params.tolerance})."
                )
