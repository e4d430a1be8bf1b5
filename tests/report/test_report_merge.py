"""A merge stands on the page and in the terminal beside its parents, and nowhere when there is none."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from curation.clean import CleanParams
from curation.report import ReportParams, html, rows, svg, terminal, training

OVERALL = {
    "method": "ties",
    "norm_kept": 0.956,
    "adapters": {
        "parent_1": {"name": "domain", "weight": 1.0, "heldout_read": 0},
        "parent_2": {"name": "<b>exp-[bold]x", "weight": 0.25, "heldout_read": 12},
    },
    "models": {
        "base": {"nll": 2.5, "benchmark": 0.25},
        "parent_1": {"nll": 2.25, "benchmark": 0.5},
        "parent_2": {"nll": 2.125, "benchmark": 0.0},
        "merged": {"nll": 2.0625, "benchmark": 0.75},
    },
    "merged_minus": {
        "parent_1": {"difference": -0.1875, "low": -0.25, "high": -0.1, "verdict": "better"},
        "parent_2": {"difference": -0.0625, "low": -0.2, "high": 0.1, "verdict": "unclear"},
    },
    "benchmark": {"sums": {"items": 4, "base": 0.25, "parent_1": 0.5, "parent_2": 0.0, "merged": 0.75}},
}
BY_TASK = {
    "math": {"rows": 2, "tokens": 10, "base": 2.75, "parent_1": 2.5, "parent_2": None, "merged": 2.375},
    "open_qa": {"rows": 3, "tokens": 30, "base": 2.4, "parent_1": 2.2, "parent_2": 2.0, "merged": 1.9},
}


@pytest.fixture
def merged(whole):
    return replace(whole, merges={"mild": (OVERALL, BY_TASK)})


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(rows, "hider", lambda repair=None: str)
    monkeypatch.setattr(svg.Drawing, "svg", lambda self, chart: "<svg></svg>")
    return lambda run: html.page(run, ReportParams(), CleanParams())


def test_each_model_has_its_column_in_order():
    found = training.merge("mild", OVERALL, BY_TASK)
    assert [found.called(who) for who in found.models] == ["base", "domain", "<b>exp-[bold]x", "merged"]
    assert [(name, n) for name, n, _ in found.losses] == [("all", 5), ("open_qa", 3), ("math", 2)]
    assert [[by[who] for who in found.models] for _, _, by in found.benchmark] == [[0.25, 0.5, 0.0, 0.75]] * 2


def test_the_page_shows_the_merged_model_beside_both_parents(merged, whole, page):
    text = page(merged)
    assert ": <code>mild</code></h3>" in text and "95.6% of the wanted change was kept, by its squared norm" in text
    assert '<th class="num"><code>domain</code></th><th class="num"><code>&lt;b&gt;exp-[bold]x</code></th>' in text
    line = "".join(f'<td class="num">{x}</td>' for x in ("5", "2.500", "2.250", "2.125", "2.062"))
    assert line in text
    assert '<td class="num">2.500</td><td class="num">—</td><td class="num">2.375</td>' in text
    assert "It learned 12 of the held-out rows" in text and "It learned 0" not in text
    assert "beside its parents" not in page(whole)


def test_the_terminal_shows_it_too(merged, whole):
    out = io.StringIO()
    terminal.show(merged, Console(file=out, width=160, highlight=False), None)
    told = out.getvalue()
    assert "the rank was too small for all of it: 95.6% of the change's squared norm kept" in told
    whole_line = next(
        line for line in told.split("mild, by ties: held-out loss")[1].splitlines() if line.startswith("all")
    )
    assert whole_line.split() == ["all", "5", "2.5000", "2.2500", "2.1250", "2.0625"]
    assert "merged − domain (weight 1): -0.1875, -0.250 … -0.100 better" in told
    assert "<b>exp-[bold]x learned 12 of the held-out rows" in told
    out = io.StringIO()
    terminal.show(whole, Console(file=out, width=160, highlight=False), None)
    assert "merged" not in out.getvalue()


LONG = "exp-domain_heavy-lr_0.0002-seed_17-replay_0.05"


@pytest.mark.parametrize(
    ("second", "width"), [("general", 200), ("general", 80), ("通用能力" * 12, 120), ("general", 60)]
)
def test_no_name_is_cut_in_the_terminal(second, width):
    names = {"parent_1": LONG, "parent_2": second}
    models = {who: {"nll": 2.0, "benchmark": 0.5} for who in ("base", *names, "merged")}
    task = dict.fromkeys(models, 2.0)
    overall = {
        "method": "ties", "norm_kept": 1.0, "models": models, "benchmark": {"constraints_zh": {"items": 1234} | task},
        "adapters": {who: {"name": name, "weight": 0.5, "heldout_read": 0} for who, name in names.items()},
        "merged_minus": {who: {"difference": None} for who in names},
    }  # fmt: skip
    console = Console(width=width, record=True, file=io.StringIO())
    terminal.show_merge(console, training.merge("mild", overall, {"classification": {"rows": 12, "tokens": 9} | task}))
    said = console.export_text()
    assert "…" not in said
    assert ("[1]" in said) == ((second, width) != ("general", 200))
    assert all(name in said.replace("\n", "") for name in names.values())
