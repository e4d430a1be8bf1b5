"""The page: complete in both languages, the same bytes for the same run, and deaf to what rows would have it do."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from curation.clean import LAST_RULES, RULES, CleanParams
from curation.mix import TRAIN
from curation.records import frame
from curation.report import ReportParams, charts, html, rows, svg, words
from curation.report.run import Corpus, Run
from curation.synthesize import REASONS
from tests.report.conftest import HOSTILE, SECRET

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
TAXONOMY = yaml.safe_load(Path("curation/label/taxonomy.yaml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True, scope="module")
def plain_hider():
    """Stands in for the finder of personal data, which takes seconds to load; one slow test uses the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "hider", lambda repair=None: lambda text: text.replace(SECRET, "<EMAIL>"))
        yield


@pytest.fixture(scope="module")
def page(whole: Run) -> str:
    return html.page(whole, ReportParams(), CleanParams(), TAXONOMY)


class Parsed(HTMLParser):
    """Tags with their attributes, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": [], "json": []}
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append("json" if dict(attrs).get("type") == "application/json" else tag)

    def handle_endtag(self, tag):
        self.open.append("")

    def handle_data(self, data):
        self.inline.get(self.open[-1] if self.open else "", self.text).append(data)


def test_nothing_of_a_row_becomes_markup(page):
    found = Parsed(page)
    assert {tag for tag, _ in found.tags if tag == "img"} == set()
    assert sum(tag == "script" for tag, _ in found.tags) == 3
    for tag, attributes in found.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc", "action")
        ], tag
        assert attributes.get("href", "#").startswith("#")
        assert "xlink:href" not in attributes
    assert "\x00" not in page and "\x1b" not in page
    assert "␀ ␛[31m {{7*7}}" in "".join(found.text)


def test_the_policy_lets_only_the_pages_own_script_and_style_run(page):
    found = Parsed(page)
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    own = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (*found.inline["style"], *found.inline["script"])
    ]
    assert (
        policy
        == f"default-src 'none'; style-src {own[0]}; script-src {own[1]} {own[2]}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"url\((?!#)|@import|https?:", found.inline["style"][0])


def test_secrets_of_quarantined_and_rejected_rows_are_hidden(page):
    assert SECRET not in page
    assert "&lt;EMAIL&gt;" in page


def test_embedded_rows_are_the_rows(page):
    held = json.loads(Parsed(page).inline["json"][0])
    assert held["total"] == 11
    assert next(row for row in held["rows"] if row["i"] == "a-4")["m"] == [["user", HOSTILE], ["assistant", HOSTILE]]


def test_json_cannot_leave_its_element():
    said = html.safe_json({"a": "</script><!-- & \u2028\u2029\x85"})
    assert not re.search("[<>&\u2028\u2029\x85]", said)
    assert json.loads(said) == {"a": "</script><!-- & \u2028\u2029\x85"}


def test_same_run_same_bytes(whole, page):
    assert html.page(whole, ReportParams(), CleanParams(), TAXONOMY) == page


def test_figures_stand_on_the_page(page):
    text = re.sub(r"\s+", " ", "".join(Parsed(page).text))
    assert "9 rows came in and 1 were made; 6 are kept, 3 are mixed for training." in text
    assert "读入 9 行，合成 1 行；保留 6 行，混合后 3 行可供训练。" in text
    assert "9 行来源记录in the sources = 8 行记录records + 1 行隔离quarantined" in text
    assert "−0.500 nats a token (95% interval −0.600 to −0.400)" in text
    assert "held-out: <i>worse</i>" in text


@pytest.mark.parametrize(
    ("absent", "command"),
    [
        (
            {
                "raw": Corpus("raw"),
                "generated": Corpus("generated"),
                "train": None,
                "history": None,
                "scores": None,
                "attempts": None,
            },
            "dvc repro ingest",
        ),
        ({"train": None, "heldout": None, "unused": None, "manifest": None, "consumed": None}, "dvc repro mix"),
        ({"history": None, "consumed": None}, "dvc repro train"),
        ({"scores": None, "scores_by_task": None, "cases": (), "gate": None}, "dvc repro evaluate"),
        ({"attempts": None, "generated": Corpus("generated")}, "dvc repro synthesize"),
    ],
)
def test_what_is_not_there_yet_names_its_command(whole, absent, command, monkeypatch):
    monkeypatch.setattr(svg.Drawing, "svg", lambda self, chart: "<svg></svg>")
    assert f"<code>{command}</code>" in html.page(replace(whole, **absent), ReportParams(), CleanParams())


def test_an_empty_mixture_is_no_error(whole, monkeypatch):
    monkeypatch.setattr(svg.Drawing, "svg", lambda self, chart: "<svg></svg>")
    assert "</html>" in html.page(replace(whole, train=frame([], TRAIN), consumed=None), ReportParams(), CleanParams())


def test_without_clusters_copies_are_still_counted(whole, monkeypatch):
    monkeypatch.setattr(svg.Drawing, "svg", lambda self, chart: "<svg></svg>")
    text = html.page(whole, ReportParams(clusters=0), CleanParams())
    assert "No copies were found" not in text
    assert "1 clusters, 1 copies" in text


def test_a_capped_ledger_says_so(whole, monkeypatch):
    monkeypatch.setattr(svg.Drawing, "svg", lambda self, chart: "<svg></svg>")
    text = html.page(whole, ReportParams(rows=4), CleanParams())
    assert "This page holds 4 of 11 rows" in text
    assert "本页收入 11 行中的 4 行" in text


def test_every_word_stands_in_both_languages():
    class Once(yaml.SafeLoader):
        """Keys that stand twice are errors: the later one would win in silence."""

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), [k for k in keys if keys.count(k) > 1]
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Once.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    table = yaml.load((words.TEMPLATES / "words.yaml").read_text(encoding="utf-8"), Once)
    for section in ("text", "about"):
        assert all(set(said) == {"zh", "en"} and all(said.values()) for said in table[section].values())
        for said in table[section].values():
            assert set(re.findall(r"{(\w+)}", said["zh"])) == set(re.findall(r"{(\w+)}", said["en"]))
    known = words.words()["name"]
    assert {*RULES, *LAST_RULES, *REASONS} <= known.keys()
    assert {*RULES, *LAST_RULES} <= table["about"].keys()
    assert {*TAXONOMY["task_types"], *TAXONOMY["buckets"]} <= known.keys()


def test_charts_keep_text_in_the_pages_font_and_both_languages():
    drawn = svg.Drawing({"math": {"zh": "数学", "en": "math"}}).svg(
        charts.stacked([("math", "zh", 3), ("<b>'\"&", "zh", 1)], ["zh"])
    )
    assert '<tspan class="zh">数学</tspan><tspan class="en">math</tspan>' in drawn
    assert "&lt;b&gt;" in drawn
    assert not re.search(r"style=|font-family|http|<b>|<script|\son\w+=", drawn)


def test_charts_on_one_page_share_no_ids():
    drawing = svg.Drawing({})
    ids = [set(re.findall(r' id="([^"]+)"', drawing.svg(charts.curve([(1, 2.0), (2, 1.0)])))) for _ in range(2)]
    assert not ids[0] & ids[1]


def test_colours_of_charts_have_a_dark_counterpart():
    css = (words.TEMPLATES / "page.css").read_text(encoding="utf-8")
    for colour in {*svg.SERIES, svg.INK, svg.MUTED, svg.GOOD, svg.BAD, svg.NEUTRAL}:
        assert f'[fill="{colour}"]' in css, colour


needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed; it is the browser that these tests drive"
)


@pytest.fixture(scope="module")
def visit(page: str, tmp_path_factory: pytest.TempPathFactory):
    """The page in a real browser: (its document after scripts ran, what the browser logged)."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text(page, encoding="utf-8")

    def at(place: str) -> tuple[str, str]:
        done = subprocess.run(
            [
                str(CHROMIUM),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                f"--user-data-dir={folder / 'profile'}",
                "--virtual-time-budget=2000",
                "--enable-logging=stderr",
                "--dump-dom",
                f"{(folder / 'index.html').as_uri()}{place}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout, "\n".join(console)

    return at


@needs_chromium
def test_in_a_browser_hostile_rows_do_nothing(visit):
    document, console = visit("?lang=zh#row=a-4")
    assert console == ""
    assert "<title>Temper · 数据整理报告</title>" in document
    life = document.split('id="life-body"')[1]
    assert "&lt;/script&gt;&lt;script&gt;document.title='owned'&lt;/script&gt;&lt;img src=x onerror=" in life
    assert "data/sources/a.jsonl:7" in life
    assert "<img" not in document


@needs_chromium
def test_in_a_browser_search_finds_a_dropped_row(visit):
    document, console = visit("?lang=en#find=a-6")
    assert console == ""
    assert '<html lang="en"' in document
    ledger = document.split('id="ledger"')[1].split("</tbody>")[0]
    assert re.findall(r"<code>([^<]+)</code>", ledger) == ["a-6"]
    assert "repetition" in ledger
    assert "1 of 11 rows match" in document
