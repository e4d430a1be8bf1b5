"""`curation mix --plan`: what it prints, that it writes nothing, how long it takes."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from curation import records
from curation.mix import table
from tests.mix.rows import FULL, decided, labelled

ROOT = Path(__file__).parent.parent.parent
EMPTY_NEAR = pl.DataFrame(
    schema={
        "content_hash": pl.String,
        "neighbours": pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})),
        "against": pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})),
    }
)


def printed(shown) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(shown)
    return console.export_text()


def test_the_plan_says_target_achieved_limits_phases_fates_and_short_answers():
    params = {
        "ratios": {"general": 1, "safety": 1}, "targets": [{"bucket": "domain", "rows": 12}],
        "caps": [{"source": "s0", "fraction": 0.3}], "unit": "rows", "size": 60, "replay": 0.1, "short_answers": {"times": 2},
    }  # fmt: skip
    text = printed(table.plan(decided(FULL, heldout={"share": 0}, **params).manifest, "task_type"))
    assert "60 rows" in text
    assert "12 rows" in text
    for line in (
        "domain",
        "general",
        "limit",
        "cap",
        "source s0",
        "18 rows (30.0%)",
        "scheduled",
        "held out",
        "filtered",
        "rows by task_type",
    ):
        assert line in text
    assert (
        "short answers (at most 8 loss tokens): 0.00% of the loss under packing, 0.0% of rows; in 2 copies 0.00% and 0.0%."
        in text
    )
    phases = [{"name": n, "share": 0.5, "ratios": {b: 1}} for n, b in (("first", "general"), ("second", "domain"))]
    text = printed(table.plan(decided(FULL, phases=phases, replay=0).manifest))
    assert "share of steps" in text
    assert "first" in text


def test_the_ladder_is_a_line_a_rung():
    text = printed(table.rungs("replay", {v: decided(FULL, replay=v).manifest for v in (0, 0.1)}))
    assert "ladder of mix.replay" in text
    assert [line.split()[0] for line in text.splitlines()[-3:-1]] == ["0", "0.1"]


def test_a_rung_that_cannot_be_had_says_why_in_its_line():
    text = printed(table.rungs("replay", {0: decided(FULL, replay=0).manifest, 0.9: "mix: no row for replay."}))
    assert [line.split()[0] for line in text.splitlines()[-3:-1]] == ["0", "0.9"]
    assert text.splitlines()[-2].split()[1:] == ["mix:", "no", "row", "for", "replay."]


@pytest.fixture
def project(tmp_path, cache_folder):
    """A project after clean: 40 rows in Chinese and English, no synthetic ones."""
    rows = [
        labelled(
            f"{b}-{i}",
            b,
            f"第{i}个问题：怎么办？" if i % 2 else f"Question {i}?",
            "好的，先这样。" if i % 2 else "Do this first.",
            kind="chat",
        )
        for b in ("general", "math_code", "domain", "safety")
        for i in range(10)
    ]
    for folder, some in (("cleaned", rows), ("synthesized", [])):
        records.write(records.frame(some, records.LABELLED), tmp_path / f"data/{folder}/records.parquet", "id")
    for corpus in ("raw", "generated"):
        records.write(EMPTY_NEAR, tmp_path / f"data/signals/{corpus}/near.parquet")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("replay: 0.05  #", "replay: 0  #"), encoding="utf-8")
    return tmp_path


def curation(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "140"}
    command = [sys.executable, "-m", "pipelines.cli", "mix", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_a_plan_writes_nothing_and_takes_two_seconds(project):
    before = sorted(p for p in project.rglob("*") if "cache" not in p.parts)
    first = curation(project, "--plan")
    assert first.returncode == 0, first.stderr
    assert "Nothing was written" in first.stdout
    taken = []
    for _ in range(3):
        before_run = os.times()
        assert curation(project, "--plan", "--by", "bucket").stdout.count("safety") == 2
        after = os.times()
        taken.append(
            after.children_user + after.children_system - before_run.children_user - before_run.children_system
        )
    assert sorted(p for p in project.rglob("*") if "cache" not in p.parts) == before
    assert min(taken) < 2  # seconds of work, since the clock also counts what else runs on the machine


def test_a_plan_that_cannot_be_had_says_why_in_one_line(project):
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(
        text.replace("size: null  # of the whole", "size: 90000  # of the whole"), encoding="utf-8"
    )
    done = curation(project, "--plan")
    assert done.returncode == 2
    assert done.stderr.strip().startswith(
        "curation mix: mix.size: 90000 tokens cannot be had: domain needs 36000 tokens and has "
    )
    assert "\n" not in done.stderr.strip()


def test_quality_is_the_score_where_no_row_brings_a_number(project, monkeypatch):
    from curation.mix import MixParams
    from pipelines import mix, paths

    monkeypatch.chdir(project)
    broken = labelled("general-x", "general", "怎么办？", "好的，先这样<br>", kind="chat")
    frame = records.read(project / "data/cleaned/records.parquet")
    frames = [pl.concat([frame, records.frame([broken], records.LABELLED)]), frame.clear()]
    asking = MixParams(ratios="core_and_tail")
    schema = {"content_hash": pl.String, "nll": pl.Float64, "scored_tokens": pl.Int64}
    for corpus in paths.CORPORA.values():
        records.write(pl.DataFrame(schema=schema), corpus.signals / "perplexity.parquet")
    assert mix._quality(frames, MixParams()) is None
    found = mix._quality(frames, asking)
    assert dict(found.iter_rows())[broken["content_hash"]] == 0.5119  # short for what was asked, and markup
    assert found.height == frames[0]["content_hash"].n_unique()
    # A single number of a source, and the score has no say.
    told = pl.when(pl.col("id") == "general-x").then(pl.lit('{"quality": 4}')).otherwise("meta").alias("meta")
    assert mix._quality([frames[0].with_columns(told), frames[1]], asking).rows() == [(broken["content_hash"], 4.0)]


def test_a_plan_by_quality_needs_no_numbers_of_the_sources(project):
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text.replace("temperature: null", "temperature: 0.5"), encoding="utf-8")
    said = curation(project, "--plan")
    assert said.returncode == 1
    assert "perplexity.parquet: no such file" in said.stderr
    schema = {"content_hash": pl.String, "nll": pl.Float64, "scored_tokens": pl.Int64}
    for corpus in ("raw", "generated"):
        records.write(pl.DataFrame(schema=schema), project / f"data/signals/{corpus}/perplexity.parquet")
    assert curation(project, "--plan").returncode == 0


def test_harder_suggests_the_line_for_params(project):
    scores = {"math": {"nll_trained": 3.0, "rows": 5}, "chat": {"nll_trained": 1.0, "rows": 5}}
    (project / "scores.json").write_text(json.dumps(scores))
    assert curation(project, "--plan", "--harder", "scores.json").stdout == "task_weights: {math: 1.5, chat: 0.5}\n"
    (project / "scores.json").write_text("[]")
    assert curation(project, "--plan", "--harder", "scores.json").stderr.startswith(
        "curation mix: scores.json: not scores by task type"
    )


def test_the_page_on_mixing_speaks_of_every_key():
    from curation.mix import MixParams, presets

    page = (ROOT / "docs/mixing.md").read_text(encoding="utf-8")
    keys = [
        *MixParams.model_fields,
        *presets.names(),
        "core",
        "temperature",
        "max_loss_tokens",
        "times",
        "min_input_tokens",
        "loss_tokens",
    ]
    assert [key for key in keys if f"{key}" not in page] == []


def test_the_ladder_goes_on_after_a_rung_that_cannot_be_had(project):
    done = curation(project, "--plan", "--ladder", "replay")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mix: no row for") == 4  # the project has no plain text
    assert [line.split()[0] for line in done.stdout.splitlines() if "mix: no row" in line] == [
        "0.01",
        "0.05",
        "0.1",
        "0.2",
    ]


def test_what_is_printed_alone_takes_no_other_table(project):
    for arguments, reason in (
        (("--harder", "s.json", "--by", "bucket"), "--harder: is printed alone; leave --by out."),
        (("--harder", "s.json", "--ladder", "replay"), "--harder: is printed alone; leave --ladder out."),
        (("--ladder", "replay", "--by", "bucket"), "--ladder: is printed alone; leave --by out."),
    ):
        done = curation(project, "--plan", *arguments)
        assert (done.returncode, done.stderr.strip()) == (2, f"curation mix: {reason}")


def test_pairs_that_score_does_not_write_are_not_asked_for(project):
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text.replace("    near: 0.5  #", "    near: 0.4  #"), encoding="utf-8")
    done = curation(project, "--plan")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "curation mix: mix.heldout.near: found 0.4; pairs below score.near.floor (0.5) are not written, so 0.5 or more is "
        "accepted; raise it, or lower the floor.",
    )
