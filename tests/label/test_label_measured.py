"""How often the labeller is right, held a little below what docs/labels.md says."""

from __future__ import annotations

import json

import polars as pl
import pytest

from benchmarks import label as bench
from curation import records as rec
from curation.score import near

pytestmark = pytest.mark.slow


def test_starter_rows():
    scores = bench.starter_scores(bench.labelled(bench.starter()))
    every = {r["speech"]: r for r in scores.filter(pl.col("of") == "all").iter_rows(named=True)}
    assert every["zh"]["type"] >= 0.85
    assert every["en"]["type"] >= 0.85
    assert min(row["bucket"] for row in every.values()) >= 0.9


def test_public_rows_labelled_twice(shared_data):
    rows = bench.labelled(bench.twice_labelled(bench.public(shared_data)))
    scores = bench.public_scores(rows).filter((pl.col("of") == "all") & (pl.col("speech") == "both")).row(0, named=True)
    assert scores["people"] >= 0.95
    assert scores["labeller"] >= 0.86


def lessons() -> pl.DataFrame:
    texts = [
        json.loads(line)["messages"]
        for path in sorted((bench.ROOT / "benchmarks/lessons").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    rows = [{"id": str(i), "kind": "chat", "messages": [rec.message(**m) for m in t]} for i, t in enumerate(texts)]
    return rec.rehash(rec.frame(rows))


def copies(exam: pl.DataFrame, floor: float) -> int:
    """Rows of an exam whose prompt is that of a lesson, or nearly."""
    rows = exam.select(rec.SCHEMA.keys())
    found = near.compute(rows, near.NearParams(floor=floor, side="prompt"), against=lessons())
    return found.filter(pl.col("against").list.len() > 0).height


def test_no_starter_row_is_among_the_lessons():
    """A lesson that is a near copy of a row of the exam would make its measure worthless."""
    assert copies(bench.starter(), 0.3) == 0


def test_no_row_that_was_labelled_twice_is_among_the_lessons(shared_data):
    assert copies(bench.twice_labelled(bench.public(shared_data)), 0.4) == 0
