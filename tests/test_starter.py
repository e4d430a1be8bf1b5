"""The starter rows are what README says of them: enough of each kind, right, and no two alike.

tests/data/starter_labels.csv holds each row's task type by hand, starter_checks.jsonl what must come true of its answer:
Python expressions over the numbers it gives, statements that run after its code, tables that its SQL must return.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation import records as rec
from curation.ingest import IngestParams, SourceParams, ingest
from curation.score import near

ROOT = Path(__file__).parent.parent
CHECKS = [json.loads(line) for line in (ROOT / "tests/data/starter_checks.jsonl").read_text("utf-8").splitlines()]
_BLOCKS = {language: re.compile(rf"```{language}\n(.*?)```", re.DOTALL) for language in ("python", "sql")}
ROBUST = pl.col("tags").list.eval(pl.element().str.starts_with("robustness:")).list.any()


def read(*sources: SourceParams) -> pl.DataFrame:
    records, quarantine = ingest(IngestParams(sources=sources))
    assert quarantine.is_empty(), quarantine["reason"].to_list()
    return records


@pytest.fixture(scope="module")
def chats() -> pl.DataFrame:
    """Good conversations with the truth of their labels."""
    rows = read(SourceParams(path=str(ROOT / "data/sources/*.*"), license="Apache-2.0"))
    return rows.join(
        pl.read_csv(ROOT / "tests/data/starter_labels.csv").rename({"language": "speech"}), on="id", how="left"
    )


@pytest.fixture(scope="module")
def answers(chats: pl.DataFrame) -> dict[str, tuple[str, str, str]]:
    """id → (true type, last answer, all answers)."""
    return {
        id_: (task, said[-1], "\n".join(said))
        for id_, task, messages in chats.select("id", "task_type", "messages").iter_rows()
        for said in [[m["content"] for m in messages if m["role"] == "assistant"]]
    }


def test_every_conversation_has_its_truth(chats):
    assert chats["task_type"].null_count() == 0
    assert chats["id"].is_unique().all()


def test_there_are_enough_rows_of_each_bucket_language_and_task_type(chats):
    good = chats.filter(~ROBUST)
    assert good.height >= 640
    assert good["speech"].value_counts().filter(pl.col("count") < 320).is_empty()
    buckets = dict(good["bucket"].value_counts().iter_rows())
    assert buckets["math_code"] >= 170
    assert buckets["domain"] >= 210
    assert buckets["safety"] >= 64
    types = good.group_by("task_type").agg(pl.len(), pl.col("task_subtype").n_unique().alias("subtypes"))
    assert types.height == 16
    assert types.filter((pl.col("len") < 20) | (pl.col("subtypes") < 2)).is_empty()


def test_robustness_rows_and_replay_passages_are_enough(chats):
    assert chats.filter(ROBUST).height >= 32
    folder = ROOT / "data/sources/replay"
    replay = read(
        SourceParams(path=f"{folder}/*.txt", license="Apache-2.0", unit="block"),
        SourceParams(path=f"{folder}/code", license="Apache-2.0", format="text"),
    )
    assert replay.height >= 80


def test_prompts_and_answers_are_of_many_lengths_and_forms(chats):
    said = rec.sides(chats)
    units = said["answer"].str.count_matches(r"\p{Han}|[A-Za-z0-9]+")
    assert units.median() >= 80
    assert (units < 20).mean() > 0.1
    assert (units > 200).mean() > 0.1
    assert chats["messages"].list.eval(pl.element().struct["role"] == "user").list.sum().ge(2).mean() > 0.12
    assert (said["system"] != "").mean() > 0.15


def test_no_two_good_rows_share_half_of_their_shingles(chats):
    good = chats.filter(~ROBUST).select(rec.SCHEMA.keys())
    found = near.compute(good, near.NearParams(floor=0.5))
    assert found.filter(pl.col("neighbours").list.len() > 0).is_empty()


@pytest.mark.parametrize("entry", CHECKS, ids=lambda entry: entry["id"])
def test_what_an_answer_says_comes_true(entry: dict[str, Any], answers):
    task, last, every = answers[entry["id"]]
    for check in (c for c in entry["checks"] if isinstance(c, dict)):
        (query,) = _BLOCKS["sql"].findall(last)
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.executescript(check["sqlite"]["setup"])
            assert [list(row) for row in database.execute(query)] == check["sqlite"]["rows"]
    statements = [c for c in entry["checks"] if isinstance(c, str)]
    space: dict[str, Any] = {}
    if task == "code":
        code = "\n".join(_BLOCKS["python"].findall(last) or _BLOCKS["python"].findall(every))
        with contextlib.redirect_stdout(io.StringIO()):
            exec("\n".join([code, *statements]), space)
        return
    for statement in statements:
        assert eval(statement, space), statement


def test_rows_of_math_and_code_are_checked(chats):
    checked = {entry["id"] for entry in CHECKS}
    math = chats.filter(pl.col("task_type") == "math")
    code = chats.filter((pl.col("task_type") == "code") & pl.col("task_subtype").is_in(["write", "debug", "sql"]))
    assert set(math["id"]) - checked == set()
    assert set(code["id"]) - checked == set()
