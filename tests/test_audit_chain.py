"""`curation audit` of a chain that ends early: what is built is checked, the rest is named; a gap is no end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from curation import ledger, records
from curation.errors import DataError
from pipelines import audit, params, paths

LATER = ["synthesize", "repair@generated", "score@generated", "label@generated", "clean@generated", "mix", "train"]


@pytest.fixture
def cleaned(tmp_path, monkeypatch) -> Path:
    """A chain of three rows from ingest to clean@raw: one kept, one dropped, one quarantined."""
    monkeypatch.chdir(tmp_path)
    params.read.cache_clear()
    Path("params.yaml").write_text("ingest:\n  sources:\n    - {path: rows.jsonl, license: MIT}\n")
    Path("rows.jsonl").write_text(
        '{"prompt": "How tall is a silo?", "completion": "About twelve metres."}\n'
        '{"prompt": "筒仓有多高？", "completion": "大约十二米。"}\n{"prompt": "?"}\n',
        encoding="utf-8",
    )
    from curation.ingest import IngestParams, ingest
    from curation.score import SIGNALS

    good, bad = ingest(params.load("ingest", IngestParams))
    raw = paths.CORPORA["raw"]
    records.write(good, paths.RAW / "records.parquet", "id")
    records.write(bad, paths.RAW / "quarantine.parquet", "id")
    records.write(good, raw.repaired / "records.parquet", "id")
    records.write(records.frame([], ledger.EDITS), raw.repaired / "edits.parquet", "id")
    reason = good.select("content_hash", pl.lit("off").alias("not_applicable"))
    for signal in SIGNALS.keys() - {"judge"}:  # off by default
        value = pl.lit([], pl.List(pl.String)) if signal == "semantic" else pl.lit(1.0)  # an empty list is a value
        measured = reason if signal == "near" else reason.select("content_hash", value=value, not_applicable=None)
        records.write(measured, raw.signals / f"{signal}.parquet", "content_hash")
    records.write(good.select("id"), raw.labels, "id")
    records.write(
        good.head(1).with_columns(pl.lit(None, t).alias(n) for n, t in records.LABELS.items()),
        raw.cleaned / "records.parquet",
        "id",
    )
    records.write(good.tail(1).select("id"), raw.cleaned / "dropped.parquet", "id")
    yield tmp_path
    params.read.cache_clear()


def test_stages_behind_the_last_one_built_are_named_and_no_break(cleaned):
    found = list(audit.checks())
    assert [(c.stage, c.said) for c in found if c.built] == [
        ("ingest", "3 in the sources = 2 records + 1 quarantined"),
        ("repair@raw", "2 in = 2 out, 0 of them edited"),
        (
            "score@raw",
            "2 distinct rows × 8 signals, each with a value or a reason; not applicable to any row, off: near",
        ),
        ("label@raw", "2 in = 2 labelled"),
        ("clean@raw", "2 in = 1 kept + 1 dropped"),
    ]
    assert [c.stage for c in found if not c.built] == LATER
    assert [c.broken for c in found] == [None] * 12
    assert audit.conclusion(found) == (
        f"Every row is accounted for, from source to clean@raw. Not built, so not checked: {', '.join(LATER)}; `dvc repro` builds them."
    )
    told = json.loads(audit.as_json(found))
    assert told["passed"] is True
    assert [s["stage"] for s in told["stages"] if not s["built"]] == LATER


def test_a_whole_chain_ends_at_the_loss_token():
    assert (
        audit.conclusion([audit.Check("train", "", None)]) == "Every row is accounted for, from source to loss token."
    )


def test_a_lost_row_of_a_part_is_a_break(cleaned):
    records.write(records.read(paths.CLEANED / "dropped.parquet").clear(), paths.CLEANED / "dropped.parquet", "id")
    assert audit.first_break().stage == "clean@raw"


def test_content_that_was_replaced_beside_its_hash_is_a_break(cleaned):
    path = paths.CLEANED / "records.parquet"
    kept = records.read(path)
    other = kept.with_columns(pl.lit(None, kept.schema["messages"]).alias("messages"), pl.lit("Buy now.").alias("text"))
    records.write(other, path, "id")
    assert audit.first_break() == ledger.Break(
        "clean@raw", "content changed without a word in data/cleaned/records.parquet", (kept["id"][0],)
    )


@pytest.mark.parametrize(
    ("folder", "stage"), [("raw", "ingest"), ("repaired/raw", "repair@raw"), ("cleaned", "clean@raw")]
)
def test_a_hash_that_is_not_that_of_its_content_is_a_break(cleaned, folder, stage):
    """Signals are found by it, so a row with another's hash would be judged as that one."""
    path = Path("data") / folder / "records.parquet"
    records.write(records.read(path).with_columns(pl.lit("0" * 32).alias("content_hash")), path, "id")
    broken = audit.first_break()
    assert (broken.stage, broken.problem) == (stage, f"content_hash is not that of the content in {path}")


def test_a_signal_without_values_and_reasons_is_a_break(cleaned):
    path = paths.CORPORA["raw"].signals / "length.parquet"
    rows = records.read(path)
    records.write(rows.with_columns(pl.lit(None, pl.Float64).alias("value")), path, "content_hash")
    broken = audit.first_break()
    assert (broken.stage, broken.problem) == ("score@raw", f"neither a value nor a reason in {path}")
    assert len(broken.ids) == 2


@pytest.mark.parametrize("gone", ["labels/raw.parquet", "cleaned/records.parquet", "signals/raw/near.parquet"])
def test_a_file_that_is_missing_before_the_end_is_no_end(cleaned, gone):
    """Of a stage that has other files, or that stands before a stage that has some."""
    (cleaned / "data" / gone).unlink()
    with pytest.raises(DataError) as error:
        list(audit.checks())
    assert str(error.value) == f"data/{gone}: no such file; run the stage that makes it (`dvc repro`) first."


def test_a_gap_is_no_end(cleaned):
    records.write(pl.DataFrame({"id": ["x"]}), paths.CONSUMED, "id")
    with pytest.raises(DataError) as error:
        list(audit.checks())
    assert str(error.value).endswith(
        "data/generated/attempts.parquet: no such file; run the stage that makes it (`dvc repro`) first."
    )


def test_nothing_built_says_what_is_missing(cleaned):
    for path in sorted((cleaned / "data").rglob("*.parquet")):
        path.unlink()
    (cleaned / "data/signals/raw").rmdir()
    with pytest.raises(DataError) as error:
        list(audit.checks())
    assert str(error.value).startswith("data/raw/records.parquet: no such file; ")


def test_the_command_says_so_and_exits_0(cleaned, monkeypatch, capsys):
    from pipelines.cli import main

    monkeypatch.setattr(sys, "argv", ["curation", "audit"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    said = capsys.readouterr().out.splitlines()
    assert said[4:6] == ["ok      clean@raw         2 in = 1 kept + 1 dropped", "-       synthesize        not built"]
    assert said[-1].startswith(
        "Every row is accounted for, from source to clean@raw. Not built, so not checked: synthesize, "
    )
