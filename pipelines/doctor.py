"""`curation doctor`: what must be right before a long run, advice, and a row's tokens with those that bear loss."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from curation import records
from curation.errors import DataError
from curation.render import Renderer, RenderParams
from pipelines import params, paths
from train.params import TrainParams

if TYPE_CHECKING:
    from rich.text import Text

    from curation.render import Encoded

_FRAMES = ("train", "heldout", "unused")
# Two shades of each, so that borders between tokens show; the third is for control tokens.
_GIVEN, _LEARNED = ("white on grey23", "white on grey35", "bold grey78 on grey15"), (
    "black on green3", "black on pale_green1", "bold black on gold1",
)  # fmt: skip
_LEVELS = {"failure": ("bold red", "✗"), "advice": ("yellow", "!"), "note": ("dim", "·")}


def doctor(as_json: bool = False) -> int:
    """Print findings; 1 when a check of correctness failed."""
    from curation.models import load_language_model, load_tokenizer
    from train.advice import advise
    from train.doctor import CHECKS, examine, not_reached

    settings, render = params.load("train", TrainParams), params.load("render", RenderParams)
    train, heldout, unused = (records.read(paths.MIXED / f"{name}.parquet", records.LABELLED) for name in _FRAMES)
    renderer, model = Renderer(load_tokenizer(render.model), render.template), load_language_model(render.model)
    found = examine(train, heldout, unused, render, renderer, model)
    if len(train):
        found += advise(train, heldout, unused, settings, render, model.num_parameters())
    failures = sum(f.level == "failure" for f in found)
    unreached, failed = not_reached(found), {f.check for f in found if f.level == "failure"}
    healthy = [check for check in CHECKS if check not in failed and check not in unreached]
    if as_json:
        told = {
            "passed": not failures, "checks": CHECKS, "checks_passed": healthy, "checks_not_reached": unreached,
            "findings": [asdict(f) for f in found],
        }  # fmt: skip
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return int(failures > 0)
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for finding in found:
        style, mark = _LEVELS[finding.level]
        console.print(f"[{style}]{mark} {finding.check}[/] {escape(finding.said)}", soft_wrap=True)
    warned = sum(f.level == "advice" for f in found)
    verdict = "the train stage would refuse" if failures else "ready to train"
    missed = f", {len(unreached)} not reached ({', '.join(unreached)})" if unreached else ""
    console.print(
        f"{len(healthy)} of {len(CHECKS)} checks passed{missed}, advice on {warned}: {verdict}.", soft_wrap=True
    )
    return int(failures > 0)


def show_mask(start: str) -> None:
    """Print the tokens of the row whose id is `start` or begins with it; those that bear loss stand out."""
    from rich.console import Console

    from curation.models import load_tokenizer

    render = params.load("render", RenderParams)
    where, row = _find(start)
    renderer = Renderer(load_tokenizer(render.model), render.template)
    encoded = renderer.encode(row, render.turns)
    console = Console(highlight=False)
    console.print(f"{row['id']} in data/mixed/{where}.parquet: {row['task_type']}, {row['bucket']}", soft_wrap=True)
    console.print(f"{len(encoded.ids)} tokens, {encoded.loss_tokens} of them bear loss{_weight(row)}.", soft_wrap=True)
    console.print()
    console.print(painted(encoded, renderer.tokenizer, console.color_system is not None), soft_wrap=True)


def painted(encoded: Encoded, tokenizer: Any, colours: bool) -> Text:
    """The row's tokens: green bears loss, grey is given, gold is a control token that is learned; without colours ⟦…⟧ marks loss."""
    from rich.text import Text

    text, before = Text(), 0.0
    for number, (piece, weight, control) in enumerate([*tokens(encoded, tokenizer), ("", 0.0, False)]):
        if weight != before:  # a stretch of equal weight ends, and another begins
            text.append("⟧" if before and not colours else "")
            text.append(f"×{before:g}" if before not in (0.0, 1.0) else "", style="italic")
            text.append("⟦" if weight and not colours else "")
        shades, before = _LEARNED if weight > 0 else _GIVEN, weight
        shown = piece.replace("\n", "↵\n") if piece.strip(" ") else piece.replace(" ", "·")
        text.append(shown, style=shades[2] if control else shades[number % 2])
    return text


def tokens(encoded: Encoded, tokenizer: Any) -> list[tuple[str, float, bool]]:
    """(text, loss weight, whether it is a control token) of each token; tokens that make one character only together are joined."""
    control = set(tokenizer.all_special_ids)
    found: list[tuple[str, float, bool]] = []
    waiting: list[int] = []
    for place, (token, weight) in enumerate(zip(encoded.ids, encoded.weights, strict=True)):
        waiting.append(token)
        piece = tokenizer.decode(waiting, clean_up_tokenization_spaces=False)
        last = place + 1 == len(encoded.ids) or encoded.weights[place + 1] != weight
        if "\ufffd" in piece and len(waiting) < 4 and not last:  # a character has four bytes at most
            continue
        found.append((piece, weight, token in control))
        waiting = []
    return found


def _weight(row: dict[str, Any]) -> str:
    return f", each times the row's weight {row['weight']:g}" if row["weight"] not in (None, 1.0) else ""


def _find(start: str) -> tuple[str, dict[str, Any]]:
    """The frame and the one row whose id is `start`, or begins with it."""
    near: list[tuple[str, str]] = []
    for name in _FRAMES:
        ids = records.read(paths.MIXED / f"{name}.parquet", columns=["id"])["id"].unique()
        near += [(name, i) for i in ids if i.startswith(start)]
    exact = [pair for pair in near if pair[1] == start] or sorted(near)
    if not exact:
        raise DataError(f"{start}: no row of data/mixed has this id; `curation show {start}` says where it ended.")
    if len(exact) > 1:
        raise DataError(f"{start}: {len(exact)} ids begin so: {', '.join(i for _, i in exact[:5])}; give more of it.")
    name, identity = exact[0]
    frame = records.read(paths.MIXED / f"{name}.parquet")
    return name, frame.filter(pl.col("id") == identity).row(0, named=True)
