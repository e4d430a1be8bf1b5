"""The first tier: which rows may have a twin in meaning, by word vectors alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import records as rec
from curation.errors import ConfigError
from curation.params import parse
from curation.score.candidates import may_have_twins, static_vectors, twins
from curation.score.embedding import EmbeddingParams, compute
from curation.score.semantic import SemanticParams
from curation.score.semantic import compute as semantic

WORDS = {"<unk>": 0, "cat": 1, "dog": 2, "fish": 3, "the": 4, "猫": 5, "狗": 6, "鱼": 7}


class FakeEncoder:
    """Words between spaces and single Chinese characters; each has a direction of its own, the vector of a text is their mean."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.table = np.eye(len(WORDS), dtype=np.float32)
        inner = SimpleNamespace(weight=_Tensor(self.table))
        self.first = SimpleNamespace(auto_model=SimpleNamespace(get_input_embeddings=lambda: inner))

    def __getitem__(self, number: int) -> object:
        return self.first

    def tokenizer(self, texts: list[str], add_special_tokens: bool, **_: object) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        return {"input_ids": [numbers(t) for t in texts]}

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.read += texts
        found = np.array([self.table[numbers(t)].mean(axis=0) for t in texts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)


class _Tensor:
    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def detach(self) -> _Tensor:
        return self

    cpu = detach

    def numpy(self) -> np.ndarray:
        return self.values


def numbers(text: str) -> list[int]:
    return [WORDS.get(w, 0) for part in text.split() for w in ([part] if part.isascii() else part)]


@pytest.fixture
def encoder(monkeypatch, cache_folder):
    fake = FakeEncoder()
    monkeypatch.setattr("curation.models.load_encoder", lambda _: fake)
    return fake


def rows(*said: tuple[str, str]) -> pl.DataFrame:
    """Chat rows of (prompt, answer), text rows of (None, text); the content hash is their number."""
    made = []
    for number, (prompt, answer) in enumerate(said):
        about = {"id": f"r{number}", "content_hash": f"r{number}", "kind": "text" if prompt is None else "chat"}
        said_ = (
            {"text": answer}
            if prompt is None
            else {"messages": [rec.message("user", prompt), rec.message("assistant", answer)]}
        )
        made.append({**about, **said_})
    return rec.frame(made)


def reasons(records: pl.DataFrame, **more: object) -> list[str | None]:
    against = more.pop("against", None)
    params = EmbeddingParams(rows="candidates", tier_floor=0.9, **more)
    return compute(records, params, against=against)["not_applicable"].to_list()


def test_only_rows_with_a_possible_twin_are_encoded(encoder):
    said = [
        ("the cat", "cat fish"),
        ("cat the", "fish cat"),
        ("the cat", "dog dog"),
        ("猫狗", "鱼"),
        ("狗猫", "鱼"),
        ("猫", "鱼"),
    ]
    assert reasons(rows(*said)) == [None, None, "no_candidate", None, None, "no_candidate"]
    assert sorted(encoder.read) == sorted({t for n in (0, 1, 3, 4) for t in said[n]})


def test_what_the_candidates_get_is_what_all_rows_get(encoder):
    records = rows(("the cat", "fish"), ("cat the", "fish"), ("dog", "dog"))
    every = compute(records, EmbeddingParams())
    some = compute(records, EmbeddingParams(rows="candidates", tier_floor=0.9))
    assert some.head(2).equals(every.head(2))
    assert some.row(2) == ("r2", None, None, "no_candidate")
    pairs = [semantic(records, SemanticParams(), embeddings=e).select("neighbours").head(2) for e in (every, some)]
    assert pairs[0].equals(pairs[1])
    assert pairs[0]["neighbours"].list.len().to_list() == [1, 1]


def test_both_sides_must_be_alike_and_a_lone_row_has_no_twin(encoder):
    assert reasons(rows(("cat", "dog"), ("cat", "fish"))) == ["no_candidate"] * 2
    assert reasons(rows(("cat", "dog"), ("fish", "dog"))) == ["no_candidate"] * 2
    assert reasons(rows(("cat", "the dog dog dog dog dog dog dog dog"))) == ["no_candidate"]
    assert compute(rows().clear(), EmbeddingParams(rows="candidates")).is_empty()
    assert encoder.read == []


def test_text_rows_meet_text_rows_only(encoder):
    assert reasons(rows(("cat", "dog fish"), (None, "dog fish"))) == ["no_candidate"] * 2
    assert reasons(rows(("cat", "dog fish"), (None, "dog fish"), (None, "fish dog"))) == ["no_candidate", None, None]


def test_reasons_that_were_there_before_stay(encoder):
    said = [("", ""), ("猫猫猫", "鱼"), ("猫猫猫", "鱼"), ("cat", "dog"), ("cat", "dog")]
    assert reasons(rows(*said)) == ["empty", None, None, None, None]
    assert reasons(rows(*said), model="all-minilm-l6-v2") == [
        "empty",
        "script_not_covered",
        "script_not_covered",
        None,
        None,
    ]
    assert reasons(rows(("cat", ""), ("cat", ""))) == ["no_candidate"] * 2  # a chat row without an answer has no pairs


def test_across_two_corpora_each_is_the_others_against(encoder):
    own, there = (
        rows(("cat", "dog"), ("fish", "fish")),
        rows(("the", "the"), ("cat", "the dog dog dog dog dog dog dog dog")),
    )
    assert reasons(own) == ["no_candidate"] * 2
    assert reasons(own, against=there) == [None, "no_candidate"]
    assert reasons(there, against=own) == ["no_candidate", None]
    params = EmbeddingParams(rows="candidates", tier_floor=0.9)
    found = semantic(
        own, SemanticParams(), embeddings=compute(own, params, against=there),
        against=there, against_embeddings=compute(there, params, against=own),
    )  # fmt: skip
    assert found["against"].to_list()[0] == [{"other": "r1", "similarity": pytest.approx(0.9923)}]


@given(st.permutations(range(7)))
def test_order_of_rows_is_nothing(order):
    said = [("chat", "the cat", "dog"), ("chat", "cat", "dog"), ("chat", "fish", "猫"), ("chat", "fish the", "猫"),
            ("chat", "狗", "狗"), ("text", "", "狗"), ("text", "", "狗")]  # fmt: skip
    found = may_have_twins([said[n] for n in order], [], 0.7, FakeEncoder)
    plain = may_have_twins(said, [], 0.7, FakeEncoder)
    assert [plain[n] for n in order] == found


def test_a_static_vector_is_the_mean_of_word_vectors_rare_words_first():
    found = static_vectors(["The cat!", "the the", "", "cat"], FakeEncoder())
    table = np.eye(8) - 1 / 8
    assert found[2].tolist() == [0.0] * 8
    assert found[1] == pytest.approx(table[4] / np.linalg.norm(table[4]), rel=1e-5)
    # a / (a + p) with a = 0.1: `the` is 3 of 5 tokens, `cat` 2
    mean = 0.1 / 0.5 * table[1] + 0.1 / 0.7 * table[4]
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), rel=1e-5)


def test_a_text_of_signs_alone_is_read_as_it_is():
    found = static_vectors(["🙂", "!?"], FakeEncoder())  # both unknown words to this encoder
    assert found[0].tolist() == found[1].tolist() != [0.0] * 8


@pytest.mark.parametrize("size", [0, 1, 2, 1500, 2600])
def test_twins_are_those_of_a_plain_loop(size):
    rng = np.random.default_rng(size)
    drawn = [rng.normal(size=(2, n, 6)).astype(np.float32) for n in (size, 40)]
    mine, theirs = ([side / np.linalg.norm(side, axis=1, keepdims=True) for side in corpus] for corpus in drawn)
    near = np.minimum(*(side @ side.T for side in mine))
    np.fill_diagonal(near, -1)
    across = np.minimum(*(a @ b.T for a, b in zip(mine, theirs, strict=True)))
    none = [side[:0] for side in mine]
    assert twins(mine, none, 0.93).tolist() == (near >= 0.93).any(axis=1).tolist()
    assert twins(mine, theirs, 0.8).tolist() == ((near >= 0.8).any(axis=1) | (across >= 0.8).any(axis=1)).tolist()


def test_other_words_are_refused():
    with pytest.raises(
        ConfigError, match=r"^score\.embedding\.rows: found 'some'; input should be 'all' or 'candidates'\.$"
    ):
        parse(EmbeddingParams, {"rows": "some"}, "score.embedding")


@pytest.mark.slow
def test_the_bundled_encoders_word_vectors_find_near_copies_in_both_languages(cache_folder):
    said = [
        ("How do I return an item I bought online?", "Open your orders, choose the item and print the label within 30 days."),
        ("How can I return an item that I bought online?", "Open your orders, choose the item, and print the label within 30 days."),
        ("我在网上买的东西怎么退货？", "打开订单，选择商品，在三十天内申请退货即可。"),
        ("我在网上买的东西要怎么退货呢？", "打开订单，选择商品，三十天内申请退货即可。"),
        ("Write a haiku about the sea.", "Waves come and go; a gull asks the wind for its name."),
        ("水的沸点是多少？", "在标准大气压下是一百摄氏度。"),
    ]  # fmt: skip
    found = compute(rows(*said), EmbeddingParams(rows="candidates"))["not_applicable"].to_list()
    assert found == [None] * 4 + ["no_candidate"] * 2
