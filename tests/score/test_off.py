"""`score.off`: a signal that is left out has a sidecar as any other, without values, and nothing is loaded for it."""

from __future__ import annotations

import sys

import polars as pl
import pytest

from curation import records, score
from curation.clean import CleanParams, clean
from curation.errors import ConfigError
from curation.health import health
from curation.label import LabelParams, label, taxonomy
from curation.mix.params import HeldoutParams
from curation.mix.split import split
from curation.params import parse
from curation.score import ScoreParams
from curation.score.off import SCHEMAS
from pipelines import params as files
from pipelines.stage import not_measured, off

ALL = tuple(SCHEMAS)
PROMPTS = {
    "b": ("Why do bells ring low?", "Large bells swing slowly, so the tone is low."),
    "a": ("豆腐怎么保存？", "泡在淡盐水里冷藏，每天换水。"),
}


def rows() -> pl.DataFrame:
    made = []
    for i, (prompt, answer) in PROMPTS.items():
        messages = [records.message("user", prompt), records.message("assistant", answer)]
        made.append(
            {"id": i, "content_hash": i * 32, "kind": "chat", "messages": messages, "license": "MIT", "origin": "human"}
            | {"language": "und", "tags": [], "parents": []}
        )
    copy = made[0] | {"id": "c"}  # a content hash twice: one row in a sidecar
    return records.frame([*made, copy])


@pytest.mark.parametrize("name", ALL)
def test_every_row_is_off_and_nothing_is_loaded(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "curation.models", None)  # to import it would fail
    found = score.compute(name, rows(), ScoreParams(off=(name,)))
    assert found.to_dicts() == [
        {"content_hash": h * 32, **dict.fromkeys(SCHEMAS[name]), "not_applicable": "off"} for h in "ab"
    ]


@pytest.mark.parametrize("name", ["repetition", "near", "semantic"])
def test_the_schema_is_that_of_the_measured_signal(name):
    given = {"have": {"embedding": score.compute("embedding", rows(), ScoreParams(off=("embedding",)))}}
    assert (
        score.compute(name, rows(), ScoreParams(), **given).schema
        == score.compute(name, rows(), ScoreParams(off=(name,))).schema
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedding", "perplexity"])
def test_the_schema_is_that_of_the_measured_signal_of_a_model(name, cache_folder):
    assert (
        score.compute(name, rows(), ScoreParams()).schema
        == score.compute(name, rows(), ScoreParams(off=(name,))).schema
    )


def test_without_embedding_semantic_has_its_reason():
    found = score.compute("semantic", rows(), ScoreParams(off=("embedding",)), against=rows())
    assert found["not_applicable"].to_list() == ["off", "off"]


def test_what_clean_needs_cannot_be_left_out():
    with pytest.raises(ConfigError) as error:
        parse(ScoreParams, {"off": ["near", "length"]}, "score")
    assert str(error.value) == (
        "score.off.1: found 'length'; input should be 'repetition', 'near', 'embedding', 'semantic' or 'perplexity'."
    )


@pytest.mark.parametrize("key", ["off", '"off"'])
def test_the_key_is_read_with_and_without_quotes(tmp_path, key):
    """PyYAML takes a bare `off` for false; DVC writes it so."""
    path = tmp_path / "params.yaml"
    path.write_text(
        f"score:\n  {key}: [near]\nrepair:\n  mojibake: off\n  unicode_form: yes\n  control_characters: true\n"
    )
    assert files.load("score", ScoreParams, path).off == ("near",)
    from curation.repair import RepairParams

    read = files.load("repair", RepairParams, path)
    assert (read.mojibake, read.unicode_form, read.control_characters) == (False, True, True)


@pytest.fixture
def without() -> dict[str, pl.DataFrame]:
    """All signals of `rows`, each optional one off (length by hand: no tokenizer)."""
    settings = ScoreParams(off=ALL)
    found = {name: score.compute(name, rows(), settings) for name in settings.signals if name != "length"}
    sizes = {
        "content_hash": ["a" * 32, "b" * 32],
        "prompt_chars": [7, 22],
        "answer_chars": [14, 45],
        "last_answer_chars": [14, 45],
    }
    sizes |= {"prompt_tokens": [7, 6], "answer_tokens": [14, 11], "turns": [1, 1]}
    return found | {"length": pl.DataFrame(sizes).with_columns(pl.lit(None, pl.String).alias("not_applicable"))}


def test_label_clean_health_and_the_split_work_without_them(without):
    assert sorted(off(without)) == sorted(ALL)
    labels = label(rows(), taxonomy.load(taxonomy_file()), LabelParams(by_meaning=False))
    kept, dropped = clean(rows(), without, labels, CleanParams())
    assert kept["id"].to_list() == ["a", "b"]
    assert dropped.select("id", "rule", "duplicate_of").rows() == [("c", "exact_duplicate", "b")]
    spread = next(m for m in health(kept, without["embedding"]).measures if m.name == "spread")
    assert spread.note == "prompts; not applicable: 2 off: score.off names the signal"
    assert split(kept, {"raw": without["near"]}, HeldoutParams()).height == 2


def test_summaries_say_what_was_left_out(without):
    assert (
        not_measured(off(without))
        == "; not applicable to any row, off: embedding, near, perplexity, repetition, semantic"
    )
    assert not_measured(off({"exact": without["exact"]})) == ""
    assert off({"near": without["near"].clear()}) == []


def taxonomy_file():
    from pathlib import Path

    return Path(LabelParams().taxonomy)
