"""Noise: the prompt changes, nothing else does; digits, code and quotations stay; the same seed gives the same bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.synthesize import noise, words
from curation.synthesize.noise import NoiseParams, change

P = NoiseParams()
EN = (
    "My neighbour wants to plant tomatoes near the window of our kitchen, about 40 cm from the glass. "
    "Please explain why that might be a problem in winter and what we should check before spring comes around again"
)
ZH = "我的邻居希望明天下午在厨房的窗户旁边准备30盆植物，但是冬天的天气很冷，大家觉得这个办法不安全。请解释原因，然后介绍一个简单的方法"

CUT_EN = (
    "Write a short speech for my grandmother, who turns ninety next Sunday and ran the village library for most of her "
    "life. Make everyone laugh once or twice, and end on a warm note for the family"
)

_WORDS = st.sampled_from(
    [*EN.split(), *re.findall(r".{1,4}", ZH), "`x = 1`", "```\nprint(2)\n```", "“原话 two”", "7/8", "３５"]
)
TEXTS = st.lists(_WORDS, min_size=12, max_size=60).map(" ".join)


def digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(noise.OPERATIONS), st.sampled_from(["en", "zh"]), st.integers(0, 9))
def test_properties(text: str, operation: str, language: str, key: int) -> None:
    changed = change(operation, text, "", language, str(key), P)
    assert changed == change(operation, text, "", language, str(key), P)
    if changed is None:
        return
    assert changed != text
    assert digits(changed) == digits(text)
    assert re.findall(r"```.*?```|`[^`\n]*`|“[^”]*”", changed, re.DOTALL) == re.findall(
        r"```.*?```|`[^`\n]*`|“[^”]*”", text, re.DOTALL
    )
    if operation == "cut":
        assert text.startswith(changed)
        unit = noise._UNIT
        assert len(unit.findall(changed)) >= 0.7 * len(unit.findall(text))


@pytest.mark.parametrize(
    ("operation", "language", "text", "expected"),
    [
        (
            "typo",
            "en",
            EN,
            "My neighbour wants to plant tomatoes neear the window of our kitchen, anout 40 cm from the"
            " glass. Please explain why tat might be a problem in winrer and what we should check befor"
            "e sppring comes around ahain",
        ),
        (
            "typo",
            "zh",
            ZH,
            "我的邻居西望名天下午在厨房的窗户旁边准备30盆直物，但是冬天的天气很冷，大家觉得这个办法不安全。请结释原因，然后介绍一个简蛋的方法",
        ),
        (
            "mix",
            "en",
            EN,
            "My 邻居 想要 to zhi wu tomatoes near the window of our kitchen, about 40 cm from the glass. Pl"
            "ease 解释 why that might be a problem in winter and what we should 检查 以前 spring comes around"
            " again",
        ),
        (
            "mix",
            "zh",
            ZH,
            "我的neighbour希望明天下午在厨房的窗户旁边准备30盆植物，dan sh"
            "i冬天的天气很冷，everyone觉得zhe ge办法不安全。请解释原因，然后jie shao一个简单"
            "的方法",
        ),
        ("cut", "en", CUT_EN, CUT_EN.removesuffix(" a warm note for the family")),
        ("cut", "zh", ZH, ZH.removesuffix("单的方法")),
    ],
)
def test_examples(operation: str, language: str, text: str, expected: str) -> None:
    assert change(operation, text, "", language, "17|a", P) == expected


def test_typos_keep_length_in_chinese_and_first_letters_in_english() -> None:
    zh = change("typo", ZH, "", "zh", "k", P)
    assert zh is not None and len(zh) == len(ZH)
    en = change("typo", EN, "", "en", "k", P)
    assert en is not None
    assert [word[0] for word in en.split()] == [word[0] for word in EN.split()]


@pytest.mark.parametrize("operation", noise.OPERATIONS)
@pytest.mark.parametrize(
    "text",
    [
        "Please proofread this line and mend every typo that you find in it, then tell me what was wrong with it",
        "请把下面这句话里的错别字都找出来，然后告诉我为什么应该这样改，大家觉得这个问题很重要",
        "How many letters are in the word garden, and how many of those letters are in the word kitchen as well",
        "Too short to spoil",
    ],
)  # fmt: skip
def test_tasks_about_wording_are_left_alone(operation: str, text: str) -> None:
    assert change(operation, text, "", "zh" if "请" in text else "en", "k", P) is None


def test_words_of_the_answers_code_stay() -> None:
    text = "write a query over table rides with columns rider and distance that gives every rider whose distance grows over time"
    for key in range(20):
        changed = change("typo", text, "```sql\nSELECT rider, distance FROM rides\n```", "en", str(key), P)
        assert changed is not None
        assert (changed.count("rider"), changed.count("distance"), changed.count("rides")) == (2, 2, 1)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Plan a trip for my family to the coast near Porto, three days", ""),
        ("Plan a trip for my family to the coast near Porto: how do we get there?", ""),
        (
            "Plan a trip for my family to the coast near Porto and leave out the very crowded beaches",
            "No crowded beaches.",
        ),
        ("Plan a trip for my family to the coast near Porto with no crowds", ""),
        ("帮我给全家计划去海边旅行的行程，最好坐火车去，然后安排住在海边的小旅馆", "住在海边的小旅馆。"),
        ("帮我给全家计划去海边旅行的行程，最好坐火车去，怎么安排住宿比较合适", ""),
    ],
)
def test_a_tail_that_matters_is_not_cut(text: str, answer: str) -> None:
    assert all(change("cut", text, answer, "zh" if "帮" in text else "en", str(key), P) is None for key in range(5))


def test_inserted_words_stand_apart_from_letters_and_digits() -> None:
    for key in range(20):
        changed = change("mix", ZH, "", "zh", str(key), NoiseParams(share=0.5))
        assert changed is not None
        assert not re.search(r"[a-z]30|30[a-z]", changed)


def test_the_dictionary_is_sound() -> None:
    to_english, to_chinese = words.dictionary()
    lines = words.WORDS.read_text(encoding="utf-8").splitlines()
    assert len(to_english) == len(lines)
    assert all(re.fullmatch(r"[一-鿿]{2,4}", word) for word in to_english)
    assert all(re.fullmatch(r"[a-z]+(?: [a-z]+)*", word) for word in to_chinese)
    assert len(to_chinese) == sum(len([f for f in line.split("\t")[1].split(",") if f]) for line in lines)
    assert not any(c in noise._KEPT_ZH for word in to_english for c in word)
