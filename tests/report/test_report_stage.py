"""The stage reads the files, writes the page and leaves out what is not there; the terminal tells the same."""

import io

import polars as pl
import pytest
from rich.console import Console

from curation import records
from curation.errors import ConfigError, DataError
from curation.report import ReportParams, rows, summary, terminal
from pipelines import params, report


@pytest.fixture(autouse=True)
def fresh_params():
    """params.yaml is read once a process; each test has its own."""
    params.read.cache_clear()
    yield
    params.read.cache_clear()


def test_files_give_the_run(tree, whole):
    tree()
    found = report.read(ReportParams(truth=None))
    assert found.raw.signals.keys() == whole.raw.signals.keys()
    assert found.history.sort("name", "step").select("name", "step", "value").equals(whole.history.sort("name", "step"))
    assert [s.went for s in summary.funnel(found)] == [s.went for s in summary.funnel(whole)]
    assert found.cases == whole.cases


def test_a_light_reading_has_the_same_sums(tree):
    tree()
    light, whole = (report.read(ReportParams(truth=None), light=light) for light in (True, False))
    assert summary.funnel(light) == summary.funnel(whole)
    assert summary.mixture(light) == summary.mixture(whole)
    assert "part" in light.train.columns
    assert "messages" not in light.raw.came.columns


def test_the_page_is_written(tree, monkeypatch):
    monkeypatch.setattr(rows, "hider", lambda repair=None: str)  # the real one takes seconds to load
    folder = tree("data/mixed", "models", "reports")
    said = report.work()
    assert said.startswith("reports/index.html, 0.")
    text = (folder / "reports/index.html").read_text(encoding="utf-8")
    assert "<code>dvc repro mix</code>" in text
    assert str(folder) not in text


def test_truth_must_be_there_when_a_person_names_it(tree):
    folder = tree()
    assert report._truth(None) is None
    assert report._truth("tests/data/starter_labels.csv") is None  # the default, in a project without the starter rows
    with pytest.raises(
        ConfigError,
        match=r"^report\.truth: mine\.csv: no such file; name a CSV file with the columns id, task_type, task_subtype, or null\.$",
    ):
        report._truth("mine.csv")
    (folder / "mine.csv").write_text("id,task_type\na-1,math\n")
    with pytest.raises(ConfigError, match=r"^report\.truth: mine\.csv: lacks the columns task_subtype; accepted: "):
        report._truth("mine.csv")


@pytest.mark.parametrize(
    "content", ["id,task_type,task_subtype\na,数学,x\n".encode("gbk"), b"", b"id,task_type,task_subtype\na,b,c,d,e\n"]
)
def test_a_truth_that_cannot_be_read_is_one_line(tree, content):
    (tree() / "mine.csv").write_bytes(content)
    with pytest.raises(
        ConfigError,
        match=r"^report\.truth: mine\.csv: not read \([^\n]+\); accepted: CSV in UTF-8 [^\n]+; mend it\.\Z",
    ):
        report._truth("mine.csv")


def test_descriptions_are_those_of_the_taxonomy_that_label_reads(tree, monkeypatch):
    monkeypatch.setattr(rows, "hider", lambda repair=None: str)
    folder = tree()
    (folder / "mine.yaml").write_text("task_types: {open_qa: {description: {zh: 问这问那, en: asking around}}}\n")
    with (folder / "params.yaml").open("a") as file:
        file.write("label: {taxonomy: mine.yaml}\n")
    report.work()
    assert "asking around" in (folder / "reports/index.html").read_text(encoding="utf-8")


def test_summary_in_the_terminal(tree, whole, capsys):
    tree()
    report.print_summary()
    out = capsys.readouterr().out
    for said in (
        "9 source rows = 8 records + 1 quarantined",
        "8 records = 5 kept + 3 dropped",
        "exact_duplicate",
        "general",
        "100.0%",
        "-0.5000",
        "better",
        "not passed",
        "dvc repro report",
    ):
        assert said in out


def test_summary_without_any_run_says_what_to_do(tree):
    tree("data", "models", "reports")
    with pytest.raises(DataError, match=r"^data/raw/records\.parquet: no such file; run `dvc repro` first\.$"):
        report.print_summary()


def test_names_cannot_command_the_terminal(whole):
    from dataclasses import replace

    rule = "\x1b[2J[bold]evil[/bold]"
    hostile = replace(whole, raw=replace(whole.raw, dropped=whole.raw.dropped.with_columns(pl.lit(rule).alias("rule"))))
    out = io.StringIO()
    terminal.show(hostile, Console(file=out, width=100, highlight=False), None)
    assert "\x1b" not in out.getvalue()
    assert "[bold]evil[/bold]" in out.getvalue()


def test_signals_that_were_left_out_are_named(tree, whole, capsys):
    folder = tree()
    reason = pl.lit("off").alias("not_applicable")
    records.write(whole.raw.signals["perplexity"].with_columns(reason), folder / "data/signals/raw/perplexity.parquet")
    assert report.read(ReportParams(), light=True).off == ("perplexity",)
    report.print_summary()
    said = " ".join(capsys.readouterr().out.split())
    assert "not measured (score.off): perplexity; rules that read them judged no row" in said
    page = report.work()
    text = (folder / "reports/index.html").read_text(encoding="utf-8")
    assert "Not measured (score.off): perplexity. Rules that read these signals judged no row." in text, page
