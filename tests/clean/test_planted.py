"""Every planted row meets the fate that data/sources/README.md gives it, and no other row is lost."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from curation.ingest import SourceParams
from tests.clean.conftest import Walk, Walker

ROOT = Path(__file__).parents[2]
README = ROOT / "data/sources/README.md"
FATES = ("quarantined", "dropped", "kept, edited", "kept")
_LINE = re.compile(
    r"^\| `(?P<file>[^`]+)` \| (?P<record>\d+) \| (?P<language>\w+) \| (?P<kind>[^|]+) \| (?P<fate>[^"
    r"|]+) \| `?(?P<rule>[^`|]+?)`? \|$"
)


class Planted(NamedTuple):
    """One line of the table."""

    file: str
    record: int
    language: str
    kind: str
    fate: str
    rule: str


def table() -> list[Planted]:
    section = README.read_text(encoding="utf-8").split("## Planted defects")[1]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    found = [_LINE.match(line) for line in lines]
    assert all(found), lines[found.index(None)]
    return [Planted(m["file"], int(m["record"]), m["language"], m["kind"], m["fate"], m["rule"]) for m in found if m]


def sources() -> tuple[SourceParams, ...]:
    folder = ROOT / "data/sources"
    ours = {"license": "Apache-2.0"}
    replay = {**ours, "origin": "pretrain"}
    return (
        SourceParams(path=f"{folder}/*.*", **ours),
        SourceParams(path=f"{folder}/replay/*.txt", unit="block", **replay),
        SourceParams(path=f"{folder}/replay/code", format="text", **replay),
        SourceParams(path=f"{folder}/planted", **ours),
    )


def place(walked: Walk) -> dict[tuple[str, int], str]:
    """(file in planted/, record) → id."""
    lines = defaultdict(list)
    for id_, meta in walked.raw.select("id", "meta").iter_rows():
        said = json.loads(meta)
        lines[said["file"]].append((said["line"], id_))
    for id_, file, line in walked.quarantine.select("id", "file", "line").iter_rows():
        lines[file].append((line, id_))
    return {
        (Path(file).name, number): id_
        for file, found in lines.items()
        if Path(file).parent.name == "planted"
        for number, (_, id_) in enumerate(sorted(found), 1)
    }


def fates(walked: Walk) -> dict[str, tuple[str, set[str]]]:
    """id → fate and the rules or reasons it goes by."""
    found: dict[str, tuple[str, set[str]]] = {i: ("kept", {"–"}) for i in walked.kept["id"]}
    for id_, rule in walked.edits.select("id", "rule").iter_rows():
        if found.get(id_, ("",))[0].startswith("kept"):
            before = found[id_][1] if found[id_][0] == "kept, edited" else set()
            found[id_] = ("kept, edited", before | {rule})
    found |= {i: ("dropped", {rule}) for i, rule in walked.dropped.select("id", "rule").iter_rows()}
    found |= {i: ("quarantined", {reason}) for i, reason in walked.quarantine.select("id", "reason").iter_rows()}
    return found


def wrong(walked: Walk) -> list[str]:
    """Rows of the table whose fate is another one, a line each."""
    ids, fate = place(walked), fates(walked)
    found = []
    for row in table():
        got, by = fate[ids[row.file, row.record]]
        if got != row.fate or row.rule not in by:
            found.append(
                f"{row.file} {row.record} {row.kind}: {row.fate} {row.rule}, but {got} {', '.join(sorted(by))}"
            )
    return found


@pytest.fixture(scope="module")
def walked(walk: Walker) -> Walk:
    return walk(sources(), encode=encoded())


def encoded() -> set[str]:
    """Ids to encode: planted copies and the short English rows, among which are the originals of the paraphrases."""
    from curation.ingest import IngestParams, ingest

    raw, _ = ingest(IngestParams(sources=sources()))
    short = raw.filter(
        pl.col("source").is_in(["general_en", "math_code_en"])
        & (pl.col("messages").list.len() == 2)
        & (pl.col("messages").list.eval(pl.element().struct.field("content").str.len_chars()).list.sum() < 330)
    )
    return set(short["id"]) | set(raw.filter(pl.col("source") == "copies")["id"])


def test_every_planted_row_is_in_the_table(walked: Walk) -> None:
    listed = [(row.file, row.record) for row in table()]
    assert sorted(listed) == sorted(place(walked))
    assert len(listed) >= 124
    assert len({row.kind for row in table()}) >= 26
    assert {row.fate for row in table()} == set(FATES)
    assert min(Counter(row.language for row in table()).values()) >= 50


def test_the_page_counts_the_rows_of_every_source(walked: Walk) -> None:
    listed: Counter[str] = Counter()
    for line in README.read_text(encoding="utf-8").split("## Planted defects")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[3][:1].isdigit():
            files, counts = re.findall(r"`([^`]+)`", cells[0]), re.findall(r"\d+", cells[3])
            listed |= Counter(dict(zip(files, map(int, counts), strict=True)))
    folder = (ROOT / "data/sources").as_posix()
    read = [json.loads(meta)["file"] for meta in walked.raw["meta"]] + walked.quarantine["file"].to_list()
    names = [Path(file).relative_to(folder).as_posix() for file in read]
    folders = {"planted": "planted/*", "replay/code": "replay/code/*"}
    assert listed == Counter(folders.get(Path(name).parent.as_posix(), name) for name in names)


def test_every_planted_row_meets_its_fate(walked: Walk) -> None:
    assert wrong(walked) == []


def test_no_other_row_is_lost(walked: Walk) -> None:
    planted = set(place(walked).values())
    lost = walked.dropped.filter(~pl.col("id").is_in(list(planted)))
    assert lost.select("id", "rule", "detail").rows() == []
    assert set(walked.quarantine["id"]) <= planted


def test_every_robustness_row_survives(walked: Walk) -> None:
    noisy = walked.raw.filter(pl.col("source") == "robustness")["id"].to_list()
    assert len(noisy) == 36
    assert set(noisy) <= set(walked.kept["id"])


def test_rows_of_one_answer_keep_the_allowed_number(walked: Walk) -> None:
    from curation.clean.duplicates import DuplicateParams

    for language in ("en", "zh"):
        rows = [row for row in table() if row.file == "one_answer.tsv" and row.language == language]
        assert Counter(row.fate for row in rows) == {"kept": DuplicateParams().same_answer, "dropped": 2}


def test_repaired_rows_hold_what_was_meant(walked: Walk) -> None:
    ids = place(walked)
    kept = dict(walked.kept.select("id", "messages").iter_rows())

    def text(file: str, record: int) -> str:
        return "\n".join(m["content"] for m in kept[ids[file, record]])

    assert "café that roasts its own beans" in text("characters_en.sharegpt.jsonl", 1)
    assert "déjà vu" in text("characters_en.sharegpt.jsonl", 1)
    assert "豆浆为什么要煮沸" in text("characters_zh.alpaca.json", 1)
    assert "香樟是常绿树，新叶长出来" in text("characters_zh.alpaca.json", 5)
    assert "\u200b" not in text("characters_zh.alpaca.json", 7)
    assert "米饭，豆腐，鱼肉都可以" in text("characters_zh.alpaca.json", 11)
    private = [row for row in table() if row.file == "private.messages.jsonl"]
    for row in private:
        said = text(row.file, row.record)
        assert re.search(r"<[A-Z_]+_1>", said), row
        assert not re.search(r"\d{9,}|@|sk-|AKIA", said), row


@pytest.mark.slow
def test_the_same_with_every_signal(walk: Walker) -> None:
    whole = walk(sources(), perplexity=8)
    assert wrong(whole) == []
    planted = set(place(whole).values())
    assert whole.dropped.filter(~pl.col("id").is_in(list(planted))).select("id", "rule", "detail").rows() == []
