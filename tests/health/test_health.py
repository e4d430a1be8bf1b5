"""The whole: invariance, alarms that a reviewer can follow, what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.health import health
from curation.health.limits import LIMITS
from tests.health.conversations import labelled, record

DOC = Path(__file__).parents[2] / "docs/health.md"
MOULD = [
    record(f"m-{i:02}", f"Write a story about a {thing}.", f"Once upon a time there was a {thing} who lived alone.")
    for i, thing in enumerate(
        "fox owl cat bear mole crab wolf hare toad wren dove hawk seal newt lynx ibis moth goat crow swan".split()
    )
]


def test_a_template_sounds_its_alarms_with_rows_behind():
    found = health(labelled(MOULD))
    said = {(a.measure, a.sentence): a for a in found.alarms}
    assert sorted(said) == [
        ("homogeneity", "100% of 20 answers begin alike: “once upon a time there was”."),
        (
            "homogeneity",
            "One answer shares 50.0% of its runs of four characters or words with another one, of 20: they follow one mould.",
        ),
        (
            "lengths",
            "100% of 20 answers are 17-64 units long (a Chinese character is one, a word two): "
            "a model trained on them has seen one length only.",
        ),
        (
            "lengths",
            "100% of 20 prompts are 1-16 units long (a Chinese character is one, a word two): "
            "a model trained on them has seen one length only.",
        ),
        ("openings", "100% of 20 requests begin alike: “write story”."),
    ]
    for alarm in said.values():
        assert 3 <= len(set(alarm.ids)) <= 5
        assert set(alarm.ids) <= {row["id"] for row in MOULD}


def test_too_few_rows_are_shown_and_not_judged():
    found = health(labelled(MOULD[:19]))
    assert found.rows == 19
    assert found.alarms == ()
    assert found.measures[0].table["rows"].to_list() == [19, 19]


def test_no_rows():
    found = health(labelled([]))
    assert (found.rows, found.alarms) == (0, ())
    assert [m.table.height for m in found.measures] == [0] * 8


def test_text_rows_and_repeats_do_not_count():
    text = {"id": "t", "content_hash": "t", "kind": "text", "text": "Prose.", "task_type": "text"}
    assert health(labelled([*MOULD, *MOULD, text])).rows == 20


@settings(max_examples=15, deadline=None)
@given(st.permutations(MOULD), st.lists(st.text(max_size=40), min_size=4, max_size=8))
def test_order_changes_nothing_and_no_text_breaks_it(rows, texts):
    rows = [*rows, record("x", *texts, task_type="chat", system=texts[0])]
    embedding = pl.DataFrame(
        {
            "content_hash": [r["content_hash"] for r in rows],
            "prompt": [[1.0, 0.0]] * len(rows),
            "not_applicable": [None] * len(rows),
        },
        schema={"content_hash": pl.String, "prompt": pl.List(pl.Float32), "not_applicable": pl.String},
    )
    one, two = health(labelled(rows), embedding), health(labelled(rows[::-1]), embedding.reverse())
    assert one.alarms == two.alarms
    assert all(a.table.equals(b.table) and a.note == b.note for a, b in zip(one.measures, two.measures, strict=True))


def test_every_measure_and_limit_is_documented():
    text = DOC.read_text(encoding="utf-8")
    assert [m.name for m in health(labelled([])).measures if f"`{m.name}`" not in text] == []
    assert [n for n in LIMITS if f"`{n}`" not in text] == []
    assert [f"{n} {v}" for n, v in LIMITS.items() if f"| `{n}` | {v:g} |" not in text] == []


@pytest.fixture
def project(tmp_path, monkeypatch):
    from curation import records as rec

    monkeypatch.chdir(tmp_path)
    rec.write(labelled(MOULD), tmp_path / "data/cleaned/records.parquet", "id")
    return tmp_path


def test_command_prints_alarms_and_rows(project, capsys, monkeypatch):
    from pipelines import health as command

    monkeypatch.setenv("COLUMNS", "160")
    assert command.main("raw", False) == 0
    said = capsys.readouterr().out
    assert said.startswith("data/cleaned/records.parquet: 20 conversations, 5 alarms\n")
    assert "! openings · writing  100% of 20 requests begin alike: “write story”." in said
    assert "  value 1.00, limit 0.20" in said
    assert "  rows: m-00, m-01, m-02, m-03, m-04" in said
    assert "  prompts; not applicable: 20 without this signal" in said
    assert "On 100 rows marked by hand: precision " in said


def test_command_as_json(project, capsys):
    from pipelines import health as command

    command.main("raw", True)
    said = json.loads(capsys.readouterr().out)
    assert (said["corpus"], said["rows"], len(said["alarms"])) == ("raw", 20, 5)
    assert said["measures"]["openings"]["rows"] == [
        {"task_type": "writing", "rows": 20, "different": 1, "verb_object": 1.0, "opening": "write story", "share": 1.0}
    ]


def test_what_is_not_there_is_one_line(project):
    from curation.errors import DataError
    from pipelines import health as command

    with pytest.raises(DataError) as error:
        command.main("mixed", False)
    assert (
        str(error.value)
        == "data/mixed/train.parquet: no such file; run `dvc repro mix` first, or name another --corpus."
    )
