"""`curation health`: diversity and health of a corpus, by task type, with the rows behind each alarm."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curation import records
from curation.errors import DataError
from curation.health import Alarm, Health, Measure, health
from pipelines import paths

if TYPE_CHECKING:
    from rich.console import Console

# What is read, and whose signals belong to it: a mixture holds rows of both corpora.
PLACES: dict[str, tuple[Path, tuple[str, ...]]] = {
    "raw": (paths.CLEANED / "records.parquet", ("raw",)),
    "generated": (paths.SYNTHESIZED / "records.parquet", ("generated",)),
    "mixed": (paths.MIXED / "train.parquet", ("raw", "generated")),
}
DIGITS = {"median": 0, "shared_runs": 4}
TITLES = {
    "lengths": "lengths: share of rows by bucket",
    "openings": "openings: verb and object of the first request",
    "key_information": "key information: the third of a long prompt that the answer draws on most",
    "homogeneity": "answer homogeneity",
    "distinct": "distinct-n of answers",
    "spread": "embedding spread: mean cosine distance of two prompts",
    "topic_switches": "topic switches: conversations of two user turns and more",
    "system_dependence": "system prompts: rows whose answer shows its system prompt",
}


def read(corpus: str) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """(labelled records, embedding signal or None); raises DataError naming what to run when the records are not there."""
    place, names = PLACES[corpus]
    if not place.exists():
        stage = {"raw": "clean@raw", "generated": "clean@generated", "mixed": "mix"}[corpus]
        raise DataError(f"{place}: no such file; run `dvc repro {stage}` first, or name another --corpus.")
    rows = records.read(place, records.LABELLED)
    sidecars = [paths.CORPORA[name].signals / "embedding.parquet" for name in names]
    there = [records.read(path) for path in sidecars if path.exists()]
    return rows, pl.concat(there).unique("content_hash") if there else None


def as_json(corpus: str, found: Health) -> str:
    """Everything that is printed, in full: tables as lists of rows, alarms with their ids."""
    value: dict[str, Any] = {
        "corpus": corpus,
        "rows": found.rows,
        "alarms": [vars(alarm) for alarm in found.alarms],
        "measures": {m.name: {"note": m.note, "rows": m.table.to_dicts()} for m in found.measures},
    }
    return json.dumps(value, ensure_ascii=False, indent=2)


def show(corpus: str, found: Health, console: Console) -> None:
    """Print alarms first, then the measures."""
    from rich.padding import Padding

    place = PLACES[corpus][0]
    number = len(found.alarms)
    head = f"{number} alarm{'' if number == 1 else 's'}" if number else "no alarm"
    console.print(f"[bold]{place}[/]: {found.rows:,} conversations, {head}")
    for alarm in found.alarms:
        console.print()
        console.print(
            f"[yellow]![/] [bold]{_plain(alarm.measure)} · {_plain(alarm.task_type)}[/]  {_plain(alarm.sentence)}"
        )
        for line in _behind(alarm):
            console.print(Padding(line, (0, 0, 0, 2)))
    for measure in found.measures:
        console.print()
        _table(console, measure)
    if number:
        console.print("\n`curation show ID` prints a row's whole life; docs/health.md explains each measure and limit.")


def _behind(alarm: Alarm) -> Iterable[str]:
    yield f"[dim]value {alarm.value:.2f}, limit {alarm.limit:.2f}[/]"
    yield f"rows: {', '.join(map(_plain, alarm.ids))}"
    yield f"do:   {_plain(alarm.remedy)}"


def _table(console: Console, measure: Measure) -> None:
    from rich.table import Table

    console.print(f"[bold]{TITLES[measure.name]}[/]")
    if not measure.table.height:
        console.print("  no row that it applies to")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, dtype in measure.table.schema.items():
        table.add_column(name.replace("_", " "), justify="right" if dtype.is_numeric() else "left")
    for row in measure.table.iter_rows():
        table.add_row(*(_cell(name, value) for name, value in zip(measure.table.columns, row, strict=True)))
    if measure.table.height:
        console.print(table)
    if measure.note:
        console.print(f"  [dim]{_plain(measure.note)}[/]")


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.{DIGITS.get(name, 2)}f}"
    return f"{value:,}" if isinstance(value, int) else _plain(value)


def _plain(word: object) -> str:
    from curation.report.terminal import plain

    return plain(word)


def main(corpus: str, as_text: bool) -> int:
    """Read, measure, print; alarms do not fail: they are for a reader."""
    from rich.console import Console

    found = health(*read(corpus))
    if as_text:
        print(as_json(corpus, found))
    else:
        show(corpus, found, Console(highlight=False, soft_wrap=False))
    return 0
