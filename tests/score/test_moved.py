import pytest

from curation import records as rec
from curation.score.order import moved
from curation.score.semantic import SemanticParams, compute


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        (
            "The train goes from Oslo to Rome today.",
            "The train goes from Rome to Oslo today.",
            0.2,
        ),  # train goes oslo rome today
        ("小王昨天打了小李", "小李昨天打了小王", 2 / 7),  # 小, 昨, 天, 打, 小 stay in order
        ("用Python学Java很难", "用Java学Python很难", 2 / 6),  # 用, 学, 很, 难 stay in order
        ("How do I return it?", "How do I return this thing?", 0.0),
        ("Oslo!", "oslo", 0.0),
        ("one", "二", 0.0),
        ("", "", 0.0),
    ],
)
def test_share_of_common_words_in_another_order(a, b, share):
    assert moved(a, b) == pytest.approx(share)
    assert moved(b, a) == pytest.approx(share)


def test_pairs_with_moved_words_are_not_written():
    said = [
        "The train goes from Oslo to Rome today.",
        "The train goes from Rome to Oslo today.",
        "Today the train goes.",
    ]
    records = rec.frame({"id": t, "content_hash": t, "kind": "text", "text": t} for t in said)
    one = [1.0, 0.0]
    vectors = rec.pl.DataFrame(
        {"content_hash": said, "prompt": [None] * 3, "answer": [one, [0.999, 0.0447], [0.9999, 0.0141]], "not_applicable": [None] * 3},
        schema_overrides={"prompt": rec.pl.List(rec.pl.Float32), "answer": rec.pl.List(rec.pl.Float32), "not_applicable": rec.pl.String},
    )  # fmt: skip

    def linked(share):
        found = compute(records, SemanticParams(moved=share), embeddings=vectors)
        lists = found.select("content_hash", "neighbours").explode("neighbours").unnest("neighbours")
        return {
            (said.index(a), said.index(b)) for a, b in lists.select("content_hash", "other").drop_nulls().iter_rows()
        }

    assert linked(1.0) == {(a, b) for a in range(3) for b in range(3) if a != b}
    assert linked(0.15) == set()
    assert linked(0.34) == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}
