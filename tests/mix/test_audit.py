"""`curation audit` recounts the mixture by part."""

import json

import polars as pl
import pytest

from curation import records
from curation.mix import HELDOUT, TRAIN, UNUSED
from pipelines import audit, paths
from tests.mix.rows import FULL, decided


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """data/mixed of a small pool, without texts."""
    got = decided(FULL, ratios={"general": 1, "domain": 1}, unit="rows", exhaustion="repeat", max_epochs=2)
    monkeypatch.chdir(tmp_path)
    for name, frame, schema in (
        ("train", got.train, TRAIN),
        ("heldout", got.heldout, HELDOUT),
        ("unused", got.unused, UNUSED),
    ):
        whole = frame.with_columns(pl.lit(None, t).alias(n) for n, t in schema.items() if n not in frame.columns)
        records.write(whole.select(pl.col(n).cast(t) for n, t in schema.items()), paths.MIXED / f"{name}.parquet")
    (paths.MIXED / "manifest.json").write_text(json.dumps(got.manifest))
    half = FULL.height // 2
    for corpus, ids in zip(paths.CORPORA.values(), (FULL["id"][:half], FULL["id"][half:]), strict=True):
        records.write(ids.to_frame(), corpus.cleaned / "records.parquet")
    return got.manifest


def test_a_true_manifest_passes(mixed):
    said, broken = audit._mix()
    assert broken is None
    assert said.startswith("260 in = ")


def test_a_manifest_that_says_another_part_is_a_break(mixed):
    there = mixed["mixture"]["domain"]["achieved"]["tokens"]
    mixed["mixture"]["domain"]["achieved"]["tokens"] += 5
    (paths.MIXED / "manifest.json").write_text(json.dumps(mixed))
    _, broken = audit._mix()
    assert broken is not None
    assert broken.problem == f"data/mixed/manifest.json says {there + 5} tokens of domain; the files hold {there}"
