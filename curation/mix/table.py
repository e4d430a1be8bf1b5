"""The manifest as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

UNITS = ("rows", "tokens", "loss_tokens")
FATES = {
    "train": "scheduled",
    "repeated": "  of them repeats",
    "heldout": "held out",
    "filtered": "filtered",
    "beyond_target": "unused (beyond the target)",
}


def plan(manifest: Mapping[str, Any], by: str | None = None) -> Group:
    """Target and achieved by part, limits, phases, where all rows go; `by`: also by bucket, task_type, source or origin."""
    whole = manifest["train"]
    head = (
        f"{whole['rows']:,} rows, {whole['tokens']:,} tokens, {whole['loss_tokens']:,} of them with loss; "
        f"shares in {manifest['unit']}, tolerance {manifest['tolerance']:.1%}; plan {manifest['plan_hash'][:12]}"
    )
    shown: list[RenderableType] = [Text(head), _parts(manifest)]
    if manifest["limits"]:
        shown.append(_limits(manifest["limits"]))
    if manifest["phases"]:
        shown.append(_phases(manifest["phases"]))
    shown.append(_fates(manifest))
    if by:
        shown.append(_by(manifest, by))
    shown.append(Text(_short(manifest["short_answers"])))
    return Group(*shown)


def rungs(key: str, manifests: Mapping[float, Mapping[str, Any] | str]) -> Table:
    """One line for each value of `key`: the whole, and the share of each part; or the reason (a str) why it cannot be had."""
    had = [m for m in manifests.values() if not isinstance(m, str)]
    parts = list(dict.fromkeys(p for m in had for p in m["mixture"]))
    table = _table(key, *UNITS[:2], *parts, title=f"ladder of mix.{key}")
    if len(had) < len(manifests):
        table.add_column("cannot be had", overflow="fold")
    for value, manifest in manifests.items():
        if isinstance(manifest, str):
            table.add_row(f"{value:g}", *[""] * (2 + len(parts)), manifest)
            continue
        whole, unit = manifest["train"], manifest["unit"]
        shares = [manifest["mixture"].get(p, {}).get("achieved_share", {}).get(unit, 0.0) for p in parts]
        table.add_row(f"{value:g}", *(f"{whole[u]:,}" for u in UNITS[:2]), *(f"{s:.1%}" for s in shares))
    return table


def _table(first: str, *others: str, title: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name.replace("_", " ") if name in UNITS else name, justify="right")
    return table


def _amounts(found: Mapping[str, Any]) -> list[str]:
    return [f"{found[u]:,}" for u in UNITS]


def _parts(manifest: Mapping[str, Any]) -> Table:
    unit = manifest["unit"]
    table = _table("part", "target", "achieved", "off", *UNITS, f"there ({unit})", title="mixture")
    for part, row in sorted(manifest["mixture"].items(), key=lambda item: (-item[1]["target_share"], item[0])):
        if row["fixed"]:
            own = row["target_unit"]
            target, got = f"{row['target']:,.0f} {own}", f"{row['achieved'][own]:,}"
            off = f"{row['achieved'][own] - row['target']:+,.0f}"
        else:
            share = row["achieved_share"][unit]
            target, got, off = (
                f"{row['target_share']:.1%}",
                f"{share:.1%}",
                f"{100 * (share - row['target_share']):+.2f}",
            )
        table.add_row(part, target, got, off, *_amounts(row["achieved"]), f"{row['available']:,}")
    return table


def _limits(limits: list[Mapping[str, Any]]) -> Table:
    table = _table("limit", "rows of", "asked", "achieved", title="targets across parts, floors, caps")
    for row in limits:
        asked = f"{row['amount']:,.0f} {row['unit']}" + (
            f" ({row['fraction']:.1%})" if row["fraction"] is not None else ""
        )
        table.add_row(row["kind"], row["name"], asked, f"{row['achieved'][row['unit']]:,}")
    return table


def _phases(phases: Mapping[str, Any]) -> Table:
    parts = list(dict.fromkeys(p for phase in phases.values() for p in phase["mixture"]))
    table = _table(
        "phase", "share of steps", "achieved", "rows", "tokens", *parts, title="phases (share asked / achieved)"
    )
    for name, phase in phases.items():
        mixed = [phase["mixture"].get(p) for p in parts]
        said = [f"{m['target_share']:.1%} / {m['achieved_share']:.1%}" if m else "" for m in mixed]
        table.add_row(
            name, f"{phase['target_share']:.1%}", f"{phase['achieved_share']:.1%}", f"{phase['rows']:,}", f"{phase['tokens']:,}", *said
        )  # fmt: skip
    return table


def _fates(manifest: Mapping[str, Any]) -> Table:
    table = _table("where rows go", *UNITS, title="rows")
    for key, name in FATES.items():
        table.add_row(name, *_amounts(manifest[key]))
        for reason, found in manifest[key]["by_reason"].items() if key == "filtered" else ():
            table.add_row(f"  {reason}", *_amounts(found), style="dim")
    return table


def _by(manifest: Mapping[str, Any], key: str) -> Table:
    fates = [manifest[fate][f"by_{key}"] for fate in FATES]
    table = _table(
        key, "scheduled", "tokens", "loss_tokens", "repeats", "held out", "filtered", "unused", title=f"rows by {key}"
    )
    none = dict.fromkeys(UNITS, 0)
    for value in sorted({v for fate in fates for v in fate}):
        train, *others = (fate.get(value, none) for fate in fates)
        table.add_row(value, *_amounts(train), *(f"{o['rows']:,}" for o in others))
    return table


def _short(short: Mapping[str, Any]) -> str:
    before, after = short["before"], short["after"]
    said = f"short answers (at most {short['max_loss_tokens']} loss tokens): {before['share_of_loss']:.2%} of the loss under packing"
    said += f", {before['share_of_rows']:.1%} of rows"
    if short["times"] > 1:
        said += f"; in {short['times']} copies {after['share_of_loss']:.2%} and {after['share_of_rows']:.1%}"
    return said + "."
