"""Each heuristic of the quality score in Chinese, English and mixed text, and what they come to."""

from __future__ import annotations

import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality import auroc, corpora, measure
from curation import records
from curation.score.quality import WEIGHTS, combined, faults, quality, surprise

EN = "Store the rope dry, away from sunlight, and look it over before each climb."
ZH = "把绳子放在干燥避光的地方，每次攀爬之前都要仔细检查一遍。"
MIX = "把 rope 放在干燥的地方，每次 climbing 之前检查一遍，有磨损就换新的。"
ASK_EN, ASK_ZH, ASK_MIX = (
    "What is a good way to keep a rope?",
    "绳子该放在哪里保存才好？",
    "climbing 用的 rope 怎么保存才好？",
)
GOOD = [(ASK_EN, EN), (ASK_ZH, ZH), (ASK_MIX, MIX)]


@pytest.mark.parametrize(("prompt", "answer"), GOOD)
def test_a_good_answer_has_no_fault(prompt, answer):
    assert faults(prompt, answer) == {}
    assert combined({}) == 1.0


CASES = [
    ("empty", 1.0, ASK_EN, "  … "),
    ("empty", 1.0, ASK_ZH, "　—— "),
    ("empty", 1.0, ASK_MIX, "\n"),
    ("short", 0.6586, "Explain how bees find their way.", "Well."),
    ("short", 0.5693, "解释蜜蜂怎样认路。", "很重要。"),
    ("short", 0.3373, "Write an essay about 长城 and its builders.", "长城 was long: many people built it 很多年, at great cost."),
    ("long", 0.585, "Go on.", " ".join(f"a{n}" for n in range(750))),
    ("repetition", 1.0, ASK_EN, EN + " Keep the rope dry at home." * 8),
    ("repetition", 1.0, ASK_ZH, ZH + "把绳子放在干燥的地方。" * 8),
    ("repetition", 1.0, ASK_MIX, MIX + "把 rope 放好。" * 12),
    ("unended", 1.0, ASK_EN, EN + " A rope that has been used for many years should"),
    ("unended", 1.0, ASK_ZH, ZH + "已经用了很多年的绳子就应该"),
    ("unended", 1.0, ASK_MIX, MIX + "用了很多年的 rope 就应该"),
    ("debris", 0.5, ASK_EN, EN + "<br>"),
    ("debris", 1.0, ASK_ZH, ZH + "<|im_end|>"),
    ("debris", 0.5, ASK_MIX, MIX + "\ufffd"),
    ("debris", 0.5, ASK_ZH, ZH + "锟斤拷。"),
    ("balance", 0.5, ASK_EN, "(" + EN),
    ("balance", 0.5, ASK_ZH, "（" + ZH),
    ("balance", 1.0, ASK_ZH, "绳子要放好,避光,还要每次检查一遍。"),
    ("balance", 0.5, ASK_MIX, "1. 把 rope 晾干。\n2. 放好。\n4. 检查一遍。"),
    ("copied", 1.0, ASK_EN, ASK_EN),
    ("copied", 1.0, ASK_ZH, ASK_ZH),
    ("copied", 1.0, "把 rope 放好：重写这句话", "把 rope 放好：重写这句话"),
    ("apart", 1.0, ASK_EN, "Thursday's council meeting was moved to the larger hall, since more guests came than expected."),
    ("apart", 1.0, "长城有多长？", "先想清楚目的，再看手边条件，最后才决定从何处开始动手，做完回头检查。"),
    ("script", 1.0, ASK_EN, ZH),
    ("script", 1.0, ASK_ZH, EN),
    ("boilerplate", 1.0, ASK_EN, "I'm sorry, but I cannot help with keeping a rope."),
    ("boilerplate", 1.0, ASK_ZH, "抱歉，我无法回答关于绳子的问题。"),
    ("boilerplate", 0.8, ASK_MIX, MIX + " 请联系 [Your Name]"),
    ("boilerplate", 0.8, ASK_ZH, ZH + "此致【请填写日期】"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "value", "prompt", "answer"), CASES)
def test_each_fault(fault, value, prompt, answer):
    found = faults(prompt, answer)
    assert found.get(fault) == pytest.approx(value, abs=1e-4), found
    assert combined(found) < 1


@pytest.mark.parametrize("word", ["rope", "绳子", "rope 绳子"])
def test_few_words_said_in_ever_new_orders_are_poor(word):
    text = " ".join(" ".join([word, a, b]) for a in "甲乙丙" for b in ("x", "y", "z", "w")) + "。"
    assert faults(ASK_MIX, text)["poor"] > 0.5


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Write a Python function that adds.", "def add(a, b):\n    return a + b"),
        ("写一个求和的函数", "```python\ndef add(a, b):\n    return a + b\n```"),
        ("Which tag makes bold text in HTML?", "<b>"),
        ("翻译成英文：绳子放在干燥的地方，每次攀爬前检查。", EN),
        ("Translate into Chinese: keep the rope dry and look it over.", ZH),
        ("2 + 2?", "4"),
        ("Which sign means addition?", "+"),
        ("写一首诗，讲一根绳子", "旧绳绕过青山\n也绕过无人的渡口\n一头系着你的归来"),
    ],
)
def test_what_the_request_excuses_is_no_fault(prompt, answer):
    assert faults(prompt, answer) == {}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("Tell me about rope credit, information, exchange and vegetables: {}", False),
        ("请讲讲 information 与 credit：{}", False),
        ("Edit this: {}", True),
        ("Reformat the MySQL tables: {}", True),
        ("把下面的话edit一下：{}", True),
        ("请把listed的几条连起来：{}", True),
    ],
)
def test_words_of_work_on_a_given_text_are_whole_words(asked, given):
    text = "keep the rope dry and out of the sun, then look it over before each climb"
    assert ("copied" not in faults(asked.format(text), f"You should {text}.")) == given


def test_a_refusal_may_be_right_where_the_row_is_about_safety():
    refusal = "I'm sorry, but I cannot help with that."
    assert faults("How do I pick my neighbour's lock?", refusal, safety=True) == {}


def row(n, prompt, answer, **other):
    messages = [records.message("user", prompt), records.message("assistant", answer)]
    given = {"id": str(n), "kind": "chat", "messages": messages, "language": "en", "tags": []}
    return given | {"content_hash": f"{n:032}"} | other


def test_the_score_is_the_product_and_the_worst_turn_counts():
    turns = [("user", ASK_EN), ("assistant", ASK_EN), ("user", ASK_EN), ("assistant", EN)]
    rows = records.frame(
        [
            row(1, ASK_EN, EN),
            row(2, ASK_EN, EN + "<br>"),
            row(3, "", "", messages=[records.message(*turn) for turn in turns]),
            row(4, "", "", kind="text", messages=None, text=ZH),
        ]
    )
    found = quality(rows)
    assert found.select("content_hash", "quality").rows() == [
        (f"{1:032}", 1.0),
        (f"{2:032}", 1 - WEIGHTS["debris"] / 2),
        (f"{3:032}", pytest.approx(1 - WEIGHTS["copied"])),
        (f"{4:032}", 1.0),
    ]
    assert found["faults"].struct.field("debris").to_list() == [0, 0.5, 0, 0]
    assert quality(rows.reverse()).equals(found)


@pytest.mark.parametrize(
    ("good", "noisy"),
    [(ASK_EN, "whta is a godo way to kep a"), (ASK_ZH, "绳子改放在那里保村"), (ASK_MIX, "climing 用的 rpoe")],
)
@pytest.mark.parametrize("answer", [EN, ZH, MIX, EN + "<br>", "抱歉，我无法回答。", ""])
def test_a_bad_prompt_on_purpose_costs_nothing(good, noisy, answer):
    rows = records.frame([row(1, good, answer), row(2, noisy, answer, tags=["robustness:typo"])])
    plain, marked = quality(rows)["quality"].to_list()
    assert marked >= plain
    if answer in ("", EN + "<br>"):  # the answer is judged as any other
        assert marked < 1


def test_surprise_is_told_within_language_and_kind_and_never_of_noisy_rows():
    rows = records.frame(
        [row(n, ASK_EN, EN) for n in range(30)]
        + [row(n, ASK_ZH, ZH, language="zh") for n in range(30, 60)]
        + [row(60, ASK_EN, EN), row(61, ASK_EN, EN, tags=["robustness:typo"]), row(62, ASK_EN, EN)]
    )
    nll = [2.0] * 30 + [5.0] * 30 + [5.0, 5.0, None]
    sidecar = pl.DataFrame(
        {"content_hash": rows["content_hash"], "nll": nll, "scored_tokens": [40] * 62 + [0]},
    )
    found = quality(rows, sidecar)["quality"].to_list()
    assert found[:60] == [1.0] * 60
    assert found[60:] == [pytest.approx(1 - WEIGHTS["surprise"]), 1.0, 1.0]
    assert set(quality(rows)["quality"]) == {1.0}
    assert [surprise(z) for z in (0, 3, -3, 6, 60)] == [0, 0.25, 0.25, 1, 1]


def test_no_model_is_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "curation.models", None)  # to import it would fail
    assert quality(records.frame([row(1, ASK_EN, EN)])).height == 1


@given(st.text(max_size=300), st.text(max_size=300), st.booleans())
def test_any_text_has_a_score_between_0_and_1(prompt, answer, noisy):
    found = faults(prompt, answer, noisy=noisy)
    assert 0 <= combined(found) <= 1
    assert all(0 < value <= 1 for value in found.values())
    assert found.keys() <= WEIGHTS.keys()


def test_auroc_is_that_of_mann_and_whitney():
    assert auroc([1, 0.5], [0.5, 0]) == 0.875
    assert auroc([1, 1], [1]) == 0.5


def test_planted_degradations_are_ranked_below_their_originals():
    lines = measure(corpora()["starter"], each=20)
    assert {(line.kind, line.language): round(line.auroc, 3) for line in lines if line.auroc < 0.85} == {}
    for language in ("en", "zh"):
        found = [line.auroc for line in lines if line.language == language]
        assert len(found) >= 12
        assert sum(found) / len(found) > 0.97
