"""`curation show ID`: one record's whole life, from its source line to where it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from curation import records
from curation.errors import DataError
from pipelines import paths


def show(start: str) -> None:
    """Print the life of the record whose id is `start`, or begins with it; raises DataError when none or several do."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    id_ = resolve(start)
    console = Console(highlight=False)
    for title, pairs in life(id_):
        table = Table(
            title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2, 0, 0)
        )
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for key, value in pairs:
            table.add_row(escape(key), escape(value))
        console.print(table)
        console.print()


def resolve(start: str) -> str:
    """The one id that is `start` or begins with it."""
    known: set[str] = set()
    for folder in (paths.RAW, paths.GENERATED):
        for name in ("records", "quarantine"):
            path = folder / f"{name}.parquet"
            if path.exists():
                known |= set(records.read(path, columns=["id"])["id"])
    if not known:
        raise DataError("data/raw/records.parquet: no such file; run `dvc repro` first.")
    if start in known:
        return start
    matches = sorted(i for i in known if i.startswith(start))
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DataError(f"{start}: {len(matches)} ids begin so: {', '.join(matches[:5])}…; give more of it.")
    raise DataError(
        f"{start}: no record or quarantined row has this id; ids stand in the report and in data/raw/*.parquet."
    )


def life(id_: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (key, value), in the order of the flow."""
    found = [(c, _row(c.came_from / "records.parquet", id_)) for c in paths.CORPORA.values()]
    corpus, raw = next(((c, row) for c, row in found if row), (None, None))
    if corpus is None or raw is None:
        return [("quarantined at ingest", _pairs(_row(paths.RAW / "quarantine.parquet", id_) or {}))]
    told: list[tuple[str, list[tuple[str, str]]]] = [("record as it came", _record(raw))]
    attempt = (
        _where(paths.GENERATED / "attempts.parquet", pl.col("record") == id_) if raw["origin"] == "synthetic" else []
    )
    told += [("made by", _pairs(a)) for a in attempt]
    edits = _where(corpus.repaired / "edits.parquet", pl.col("id") == id_)
    told.append(
        (
            "edits",
            [(f"{e['step']} {e['rule']}", f"{e['detail']} ({e['count']} places)") for e in edits] or [("none", "")],
        )
    )
    repaired = _row(corpus.repaired / "records.parquet", id_)
    if repaired:
        told.append((f"signals of {repaired['content_hash']}", _signals(corpus.signals, repaired["content_hash"])))
    labels = _row(corpus.labels, id_)
    if labels:
        told.append(
            (
                "labels",
                [
                    (k, f"{labels[k]} ({labels[k + '_confidence']}, {labels[k + '_by']})")
                    for k in ("task_type", "task_subtype", "bucket")
                ],
            )
        )
    told.append(("decision of clean", _decision(corpus, id_)))
    told.append(
        (
            "copies of it that were dropped",
            [(d["id"], f"{d['rule']} {d['value']}") for d in _copies(id_)] or [("none", "")],
        )
    )
    children = _where(paths.GENERATED / "records.parquet", pl.col("parents").list.contains(id_))
    told.append(("rows made from it", [(c["id"], str(c["recipe"])) for c in children] or [("none", "")]))
    told.append(("where it ended", _end(id_)))
    return told


def _row(path: Path, id_: str) -> dict[str, Any] | None:
    found = _where(path, pl.col("id") == id_)
    return found[0] if found else None


def _where(path: Path, condition: pl.Expr) -> list[dict[str, Any]]:
    return records.read(path).filter(condition).to_dicts() if path.exists() else []


def _pairs(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (k, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str))
        for k, v in row.items()
        if v not in (None, [], "")
    ]


def _record(row: dict[str, Any]) -> list[tuple[str, str]]:
    meta = json.loads(row["meta"] or "{}")
    told = [("id", row["id"]), ("source", f"{meta.get('file', row['source'])}:{meta.get('line', '')}")]
    told += _pairs({k: row[k] for k in ("license", "origin", "group", "recipe", "parents", "tags", "tools", "text")})
    for turn in row["messages"] or []:
        told.append((turn["role"], turn["content"] or turn["tool_calls"] or ""))
    return told


def _signals(folder: Path, content_hash: str) -> list[tuple[str, str]]:
    told = []
    for path in sorted(folder.glob("*.parquet")):
        for row in _where(path, pl.col("content_hash") == content_hash):
            values = {k: v for k, v in row.items() if k != "content_hash" and v is not None}
            for key in ("prompt", "answer") if path.stem == "embedding" else ():
                if key in values:
                    values[key] = f"{len(values[key])} numbers"
            said = ", ".join(
                f"{k} {json.dumps(v, ensure_ascii=False) if isinstance(v, list) else v}" for k, v in values.items()
            )
            told.append((path.stem, said))
    return told


def _decision(corpus: paths.Corpus, id_: str) -> list[tuple[str, str]]:
    dropped = _row(corpus.cleaned / "dropped.parquet", id_)
    if dropped:
        return [
            ("dropped by", dropped["rule"]),
            *_pairs({k: v for k, v in dropped.items() if k not in ("id", "rule", "stage")}),
        ]
    if _row(corpus.cleaned / "records.parquet", id_):
        return [("kept", f"{corpus.cleaned}/records.parquet")]
    return [("not yet", "run `dvc repro`")]


def _copies(id_: str) -> list[dict[str, Any]]:
    return [
        d for c in paths.CORPORA.values() for d in _where(c.cleaned / "dropped.parquet", pl.col("duplicate_of") == id_)
    ]


def _end(id_: str) -> list[tuple[str, str]]:
    for row in _where(paths.MIXED / "train.parquet", pl.col("id") == id_):
        steps = [str(c["step"]) for c in _where(paths.CONSUMED, pl.col("id") == id_)]
        learned = f"consumed at step {', '.join(steps)}" if steps else "not consumed by a step that ran"
        return [
            ("train", f"position {row['position']}, {row['tokens']} tokens, {row['loss_tokens']} bear loss; {learned}")
        ]
    if _row(paths.MIXED / "heldout.parquet", id_):
        return [("held out", "read by evaluate, never by train")]
    unused = _row(paths.MIXED / "unused.parquet", id_)
    return [("unused", unused["reason"])] if unused else [("not in data/mixed", "dropped before, or mix has not run")]
