"""The printed precision and recall are those of tests/data/health_100.csv."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from curation.health import dependence, prepared, topics
from curation.health.marked import MARKED, Marked
from curation.ingest import IngestParams, SourceParams, ingest

ROOT = Path(__file__).parents[2]
MARKS = pl.read_csv(ROOT / "tests/data/health_100.csv")
SHARED = (
    "LLaMA-Factory/glaive_toolcall_en_demo.json",
    "LLaMA-Factory/glaive_toolcall_zh_demo.json",
    "LLaMA-Factory/dpo_en_demo.json",
    "LLaMA-Factory/dpo_zh_demo.json",
    "LLaMA-Factory/kto_en_demo.json",
    "Open-Assistant/en_100_tree.jsonl",
)


def test_a_hundred_rows_each():
    assert MARKS.group_by("measure").agg(pl.len(), pl.col("id").n_unique().alias("ids")).sort("measure").rows() == [
        ("system_dependence", 100, 100),
        ("topic_switches", 100, 100),
    ]
    assert MARKS["marked"].is_in([0, 1]).all()


def test_sentence():
    assert Marked(100, 4, 3, 6).sentence() == (
        "On 100 rows marked by hand: precision 0.75 (3 of 4), recall 0.50 (3 of 6)."
    )


def _said(rows: pl.DataFrame, measure: str) -> dict[str, bool]:
    rows = rows.filter(pl.col("id").is_in(MARKS.filter(pl.col("measure") == measure)["id"].to_list()))
    return {
        row["id"]: topics.switch(row["users"], row["answers"]) is not None
        if measure == "topic_switches"
        else dependence.depends(row["system"], row["prompt"], row["answer"])
        for row in prepared(rows.with_columns(pl.lit("any").alias("task_type"))).iter_rows(named=True)
    }


@pytest.mark.parametrize("measure", MARKED)
def test_the_figures_are_recounted(measure, shared_data):
    places = [str(ROOT / "data/sources"), *(str(shared_data / name) for name in SHARED)]
    rows, _ = ingest(IngestParams(sources=[SourceParams(path=p, license="Apache-2.0", origin="human") for p in places]))
    marks = dict(MARKS.filter(pl.col("measure") == measure).select("id", "marked").iter_rows())
    said = _said(rows, measure)
    assert set(said) == set(marks)
    right = sum(said[i] and marks[i] for i in marks)
    assert MARKED[measure] == Marked(len(marks), sum(said.values()), right, sum(marks.values()))
