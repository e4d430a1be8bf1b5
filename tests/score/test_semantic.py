"""Semantic pairs over hand-made vectors, against brute force, exact and approximate."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from curation import records as rec
from curation import score
from curation.errors import DataError
from curation.score.semantic import SemanticParams, compute

EMBEDDINGS = {
    "content_hash": pl.String,
    "prompt": pl.List(pl.Float32),
    "answer": pl.List(pl.Float32),
    "not_applicable": pl.String,
}
EAST, NORTH, NORTHEAST = [1.0, 0.0], [0.0, 1.0], [0.7071, 0.7071]
NEARLY = [0.9, 0.4359]  # cosine 0.9 with EAST


def corpus(*rows: tuple[str, str, object, object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records and embeddings from (content hash, kind, vector of the prompt, vector of the answer)."""
    records = rec.frame({"id": h, "content_hash": h, "kind": kind} for h, kind, _, _ in rows)
    listed = [(h, p, a, None if p or a else "script_not_covered") for h, _, p, a in rows]
    return records, pl.DataFrame(listed, orient="row", schema=EMBEDDINGS)


def pairs(sidecar: pl.DataFrame, column: str = "neighbours") -> dict[tuple[str, str], float]:
    rows = sidecar.select("content_hash", column).explode(column).drop_nulls().unnest(column).iter_rows()
    return {(a, b): s for a, b, s in rows}


def random_corpus(rows: int, seed: int = 0, width: int = 32) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Vectors around some centres, a tenth of the rows equal to another."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(rows // 6 + 1, 2, width))
    made = centres[rng.integers(len(centres), size=rows)] + rng.normal(size=(rows, 2, width)) * rng.uniform(
        0.02, 0.5, (rows, 1, 1)
    )
    made[rng.integers(rows, size=rows // 10)] = made[rng.integers(rows, size=rows // 10)]
    made = np.round(made / np.linalg.norm(made, axis=2, keepdims=True), 4)
    return corpus(*((f"h{i:05}", "chat", p.tolist(), a.tolist()) for i, (p, a) in enumerate(made)))


def brute(embeddings: pl.DataFrame, floor: float) -> dict[tuple[str, str], float]:
    sides = []
    for name in ("prompt", "answer"):
        side = np.array(embeddings[name].to_list(), np.float64)
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        sides.append(side @ side.T)
    similarity = np.round(np.minimum(*sides), 4)
    np.fill_diagonal(similarity, -1)
    keys = embeddings["content_hash"].to_list()
    return {(keys[a], keys[b]): float(similarity[a, b]) for a, b in zip(*np.nonzero(similarity >= floor), strict=True)}


def test_the_smaller_cosine_counts() -> None:
    records, embeddings = corpus(
        ("a", "chat", EAST, EAST), ("b", "chat", EAST, NEARLY), ("c", "chat", NORTH, EAST), ("d", "chat", NEARLY, EAST)
    )
    found = compute(records, SemanticParams(), embeddings=embeddings)
    expected = pl.DataFrame(
        {
            "content_hash": ["a", "b", "c", "d"],
            "neighbours": [
                [{"other": "b", "similarity": 0.9}, {"other": "d", "similarity": 0.9}],
                [{"other": "a", "similarity": 0.9}, {"other": "d", "similarity": 0.9}],
                [],
                [{"other": "a", "similarity": 0.9}, {"other": "b", "similarity": 0.9}],
            ],
            "against": [[], [], [], []],
            "group": ["a", "b", "c", "d"],
            "not_applicable": [None] * 4,
        },
        schema=found.schema,
    )
    assert found.equals(expected)


def test_the_floor_is_met_after_rounding() -> None:
    records, embeddings = corpus(("a", "chat", EAST, EAST), ("b", "chat", EAST, NEARLY))
    assert len(pairs(compute(records, SemanticParams(floor=0.9), embeddings=embeddings))) == 2
    assert pairs(compute(records, SemanticParams(floor=0.9001), embeddings=embeddings)) == {}


def test_text_rows_pair_by_their_text_and_never_with_a_conversation() -> None:
    records, embeddings = corpus(("a", "chat", EAST, EAST), ("b", "text", None, EAST), ("c", "text", None, NEARLY))
    found = compute(records, SemanticParams(), embeddings=embeddings)
    assert pairs(found) == {("b", "c"): 0.9, ("c", "b"): 0.9}


def test_reasons() -> None:
    rows = (("a", "chat", None, None), ("b", "chat", EAST, None), ("c", "chat", None, EAST), ("d", "text", None, EAST))
    records, embeddings = corpus(*rows)
    found = compute(records, SemanticParams(), embeddings=embeddings)
    assert found["not_applicable"].to_list() == ["script_not_covered", "no_answer", "no_prompt", None]
    assert found["neighbours"].to_list() == [None, None, None, []]
    assert found["group"].to_list() == [None, None, None, "d"]
    none = compute(records.head(1), SemanticParams(), embeddings=embeddings)
    assert none.rows() == [("a", None, None, None, "script_not_covered")]
    assert compute(records.clear(), SemanticParams(), embeddings=embeddings).schema == found.schema


def test_equal_vectors_are_a_group() -> None:
    rows = [(f"k{i:02}", "chat", EAST, EAST) for i in range(20)]
    records, embeddings = corpus(*rows, ("z", "chat", EAST, NEARLY))
    found = compute(records, SemanticParams(), embeddings=embeddings)
    assert found["group"].to_list() == ["k00"] * 20 + ["z"]
    assert found["neighbours"].list.len().to_list() == [20] * 8 + [8] * 12 + [8]
    assert pairs(found)["k19", "k07"] == 1.0
    assert pairs(found)["z", "k00"] == 0.9


def test_against() -> None:
    records, embeddings = corpus(("a", "chat", EAST, EAST), ("b", "chat", EAST, NEARLY), ("t", "text", None, NORTH))
    other, other_embeddings = corpus(
        ("p", "chat", EAST, EAST), ("q", "chat", NORTH, EAST), ("u", "text", None, NORTH), ("v", "text", None, EAST)
    )
    found = compute(
        records, SemanticParams(), embeddings=embeddings, against=other, against_embeddings=other_embeddings
    )
    assert pairs(found, "against") == {("a", "p"): 1.0, ("b", "p"): 0.9, ("t", "u"): 1.0}
    assert pairs(found) == {("a", "b"): 0.9, ("b", "a"): 0.9}


def test_what_is_missing_is_named() -> None:
    records, embeddings = corpus(("a", "chat", EAST, EAST), ("b", "chat", EAST, EAST))
    with pytest.raises(DataError) as error:
        compute(records, SemanticParams(), embeddings=embeddings.head(1))
    assert str(error.value) == (
        "signal semantic: no embedding for 1 of 2 rows, first b; compute the signal embedding of these records first."
    )
    with pytest.raises(DataError, match="rows to differ from, but no embeddings of them"):
        compute(records, SemanticParams(), embeddings=embeddings, against=records)
    other, wide = corpus(("p", "chat", [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]))
    with pytest.raises(
        DataError,
        match="embeddings of 2 and of 3 dimensions; compute the signal embedding of both corpora with one model",
    ):
        compute(records, SemanticParams(), embeddings=embeddings, against=other, against_embeddings=wide)


def leaders(found: pl.DataFrame) -> set[str]:
    return set(found.filter(pl.col("group") == pl.col("content_hash"))["content_hash"])


def test_brute_force_agrees() -> None:
    records, embeddings = random_corpus(2500)
    found = compute(records, SemanticParams(), embeddings=embeddings)
    wanted = brute(embeddings, 0.8)
    assert len(wanted) > 3000
    assert pairs(found) == wanted  # no group has more than eight rows here


def test_the_approximate_search_finds_no_wrong_pair_and_nearly_all_close_ones() -> None:
    records, embeddings = random_corpus(6000)
    exact = pairs(compute(records, SemanticParams(), embeddings=embeddings))
    found = pairs(compute(records, SemanticParams(exact_rows=0), embeddings=embeddings))
    assert found.items() <= exact.items()
    close = [p for p, s in exact.items() if s >= 0.95]
    assert sum(p in found for p in close) >= 0.99 * len(close) > 100
    assert len(found) >= 0.95 * len(exact)


def test_against_a_corpus_is_the_same_search() -> None:
    records, embeddings = random_corpus(800)
    found = compute(records, SemanticParams(), embeddings=embeddings, against=records, against_embeddings=embeddings)
    assert {p: s for p, s in pairs(found, "against").items() if p[0] != p[1]} == pairs(found)


@pytest.mark.parametrize("exact_rows", [0, 10_000])
def test_order_of_rows_changes_nothing(exact_rows: int) -> None:
    records, embeddings = random_corpus(1500)
    params = SemanticParams(exact_rows=exact_rows)
    first = compute(records, params, embeddings=embeddings)
    mixed = pl.concat([records.sample(fraction=1.0, shuffle=True, seed=2), records.head(10)])
    assert first.equals(compute(mixed, params, embeddings=embeddings.reverse()))


def test_a_crowd_is_bounded_by_the_most_alike_before() -> None:
    angles = np.linspace(0, 1.2, 60)
    vectors = [[float(np.cos(a)), float(np.sin(a))] for a in angles]
    records, embeddings = corpus(*((f"k{i:02}", "text", None, v) for i, v in enumerate(vectors)))
    assert len(pairs(compute(records, SemanticParams(floor=0.3), embeddings=embeddings))) == 60 * 59
    bounded = pairs(compute(records, SemanticParams(floor=0.3, crowd=2), embeddings=embeddings))
    assert {b for a, b in bounded if a == "k30"} == {"k28", "k29", "k31", "k32"}


def test_the_room_hands_over_the_embeddings_at_hand() -> None:
    records, embeddings = corpus(("a", "chat", EAST, EAST), ("b", "chat", EAST, NEARLY))
    have = {"embedding": embeddings}
    found = score.compute("semantic", records, score.ScoreParams(), have=have, against=records, against_have=have)
    assert pairs(found) == {("a", "b"): 0.9, ("b", "a"): 0.9}
    assert len(pairs(found, "against")) == 4


def test_vectors_of_either_corpus_are_made_with_the_other_in_view(monkeypatch) -> None:
    """With `embedding.rows: candidates` a row whose only twin is in the other corpus has to be encoded."""
    (records, vectors), (there, others) = corpus(("a", "chat", EAST, EAST)), corpus(("b", "chat", EAST, EAST))
    seen = []

    def compute_embedding(rows, params, *, against=None, progress=None):
        seen.append((rows["content_hash"].to_list(), against["content_hash"].to_list()))
        return vectors if rows is records else others

    monkeypatch.setattr("curation.score.embedding.compute", compute_embedding)
    found = score.compute("semantic", records, score.ScoreParams(), against=there)
    assert pairs(found, "against") == {("a", "b"): 1.0}
    assert seen == [(["a"], ["b"]), (["b"], ["a"])]
