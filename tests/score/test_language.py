"""The language signal: each label by example, the exam of 400 texts, and hostile input."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.language import exam
from curation import records as rec
from curation.score import language
from curation.score.codelike import is_code
from curation.score.language import LanguageParams, identify
from curation.score.pinyin import share


@pytest.mark.parametrize(
    ("text", "variety"),
    [
        ("请解释这段代码：\n```python\nprint(1)\n```", "zh"),
        ("著名的乾隆皇帝", "zh"),
        ("什么是API？", "zh"),
        ("比较“lay”和“lie”的含义。", "zh"),
        ("推荐几位歌手，比如 Dua Lipa、Olivia Rodrigo。", "zh"),
        ("你做了什麼？", "zh-Hant"),
        ("我愛你", "zh-Hant"),
        ("呢間舖頭嘅蛋撻好好食", "zh-Hant"),
        ("tā hěn hǎo", "zh-Latn"),
        ("ni3 hao3", "zh-Latn"),
        ("ni hao", "zh-Latn"),
        ("wo men yi qi qu kan dian ying", "zh-Latn"),
        ("He can sing a song.", "en"),
        ("men can run long", "en"),
        ("The Lion King", "en"),
        ("Please review: print(x)", "en"),
        ("import tax on goods is high", "en"),
        ("class struggle: a history", "en"),
        ("Let x = 5 and y = 3. Find x + y.", "en"),
        ("String: level", "en"),
        ("中文 English", "mul"),
        ('"I am happy" 的意思是“我很高兴”。', "mul"),
        ("Je suis étudiant à Paris. I study mathematics at the university. J'aime beaucoup la ville.", "mul"),
        ("print(x)", "code"),
        ("x = 5", "code"),
        ("git push -u origin main", "code"),
        ("SELECT 姓名 FROM 员工;", "code"),
        ('{"名称": "张伟的店", "人数": 3}', "code"),
        ('def f(x):\n    """返回平方，然后结束。"""\n    return x**2', "code"),
        ("- name: web\n  image: nginx\n  ports:\n    - 80:80", "code"),
        ("[1, 2, 3]", "und"),
        ("E = mc^2", "und"),
        ("Xi Jinping", "und"),
        ("HTML, CSS, SQL", "und"),
        ("Cat", "und"),
        ("爱", "und"),
        ("https://docs.google.com/document", "und"),
        ("😂 42 !!", "und"),
        ("", "und"),
        ("東京タワーはとても高いです。", "ja"),
        ("흥미로운 이야기네요", "ko"),
        ("Привет", "ru"),
        ("Πού είναι το λιμάνι;", "el"),
        ("muchas gracias", "es"),
    ],
)
def test_varieties(text: str, variety: str) -> None:
    assert identify(text).variety == variety


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("你做了什麼？", ("zh", "zh-Hant")),
        ("tā hěn hǎo", ("zh", "zh-Latn")),
        ("print(the_first_word_of_the_text)  # print the first word of the text", ("en", "code")),
        ("# 返回两个数的和\ndef add(a, b): return a + b", ("mul", "code")),
        ("a = 2", ("und", "code")),
        ("甲、乙、①、②", ("zh", "zh")),
    ],
)
def test_readers_of_the_language_see_no_varieties(text: str, found: tuple[str, str]) -> None:
    """Chinese stays one group in either script, and code counts as the language of its words, as it always did."""
    assert identify(text)[:2] == found
    assert found[1] != "code" or identify(text).confidence <= 0.5  # below what rules ask for


def test_params_move_the_limits() -> None:
    text = "我们明天一起去 the new museum 看画展"  # 11 characters, 3 words
    assert identify(text, LanguageParams(mixed_share=0.3)).variety == "mul"
    assert identify(text, LanguageParams(mixed_share=0.4)).variety == "zh"
    assert identify("你好", LanguageParams(min_units=3)).variety == "und"


def test_pinyin_needs_syllables_and_words_of_chinese() -> None:
    assert share("wo jintian hen gaoxing") > 0.9
    assert share("zhe ge dongxi duoshao qian") > 0.9
    assert share("please call me when you can") == 0.0
    assert share("la vita e bella") == 0.0
    assert share("Màn đêm buông xuống thành phố") == 0.0


def test_prose_beside_code_is_no_code() -> None:
    assert is_code("for i in range(3):\n    print(i)")
    assert not is_code("The loop prints three numbers.\n\nfor i in range(3):\n    print(i)")
    assert not is_code("下面打印三个数：\nfor i in range(3):\n    print(i)")


def test_the_exam() -> None:
    """At least 0.97 of the judged texts on which the two labellings agree, at most 5% of those above 20 characters unjudged."""
    items = exam()
    agreed = [i for i in items if i.label_a == i.label_b]
    judged = [i for i in agreed if i.said != "und"]
    assert len(agreed) >= 0.97 * len(items)
    assert sum(i.said == i.label_a for i in judged) >= 0.97 * len(judged)
    assert sum(i.said == i.label_a for i in agreed) >= 0.97 * len(agreed)
    long = [i for i in items if len(i.text) > 20]
    assert sum(i.said == "und" for i in long) <= 0.05 * len(long)


def test_the_exam_names_a_changed_text(tmp_path: Path) -> None:
    file = tmp_path / "human-eval/HumanEval.jsonl.gz"
    file.parent.mkdir()
    import gzip

    file.write_bytes(gzip.compress(b'{"canonical_solution": "x", "prompt": "y"}\n' * 164))
    with pytest.raises(ValueError, match=r"HumanEval\.jsonl\.gz \d+\.\w+ is not the text that was labelled\.$"):
        exam(tmp_path)


def test_columns() -> None:
    turns = [rec.message("user", "把這句話翻成英文：我愛你"), rec.message("assistant", "I love you very much.")]
    frame = rec.rehash(rec.frame([{"id": "a", "kind": "chat", "messages": turns, "tags": []}]))
    found = language.compute(frame, LanguageParams())
    assert found.drop("content_hash", "answer_confidence").rows(named=True) == [
        {
            "prompt_language": "zh", "prompt_variety": "zh-Hant", "prompt_confidence": 1.0,
            "answer_language": "en", "answer_variety": "en", "not_applicable": None,
        }
    ]  # fmt: skip
    assert found.schema["answer_confidence"] == pl.Float64


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet="的這 ab=(){};:.\"'<>/\\\n$^-–", max_size=200))
def test_every_text_gets_one_answer(text: str) -> None:
    found = identify(text)
    assert found == identify(text)
    assert 0 <= found.confidence <= 1
    assert found.language == "zh" if found.variety.startswith("zh") else found.language
    assert found.variety in ("code", found.language) or found.language == "zh"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**6, "a " * 10**6, "a  .  b ~ c + d   " * 10**5, "我" * 10**6, "(" * 10**6, "()" * 10**6, "a.b" * 10**6,
        "x = " * 10**6, '"' * 10**6, "[" * 10**6, "A B c" * 10**5, "ni hao " * 10**5, "<" * 10**6, "a@" * 10**6, "x-" * 10**6,
        "\n" * 10**6, "Ab Cd的" * 10**5, "f(a)" * 10**6, "a, " * 10**6, "\u0301" * 10**6, "a1=" * 10**5, "\ud800" * 9, "\x00" * 99,
    ],
    ids=range(23),
)  # fmt: skip
def test_hostile_texts_take_no_time(text: str) -> None:
    start = time.process_time()
    identify(text)
    assert time.process_time() - start < 2
