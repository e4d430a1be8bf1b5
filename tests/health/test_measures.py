"""Each measure on small frames, with the figures worked out by hand; Chinese, English and mixed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from curation.health import dependence, homogeneity, lengths, openings, position, prepared, spread, topics
from curation.health.distinct import distinct
from curation.health.units import content, script, units
from tests.health.conversations import labelled, record


def frame(*rows):
    return prepared(labelled(rows))


def test_units_are_characters_and_words():
    assert units("用 Python 写an APP，don't！") == ["用", "python", "写", "an", "app", "don't"]
    assert script("用 Python 写一个脚本") == "zh"
    assert script("Translate 你好 for me please") == "other"
    assert script("") == "other"


def test_content_leaves_grammar_out():
    assert content("我的猫在睡觉") == {"睡觉"}
    assert content("Why do the cats sleep?") == {"cat", "sleep"}


def test_length_buckets():
    found = lengths.measure(frame(record("a", "写首诗", "春" * 16), record("b", "写首诗", "春" * 17)))
    assert found.table.select("side", "rows", "1-16", "17-64").rows() == [
        ("prompt", 2, 1.0, 0.0),
        ("answer", 2, 0.5, 0.5),
    ]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Write a short story about rain.", "write story"),
        ("Could you please summarize the following article: it rained.", "summarize article"),
        ("Given the list of numbers below, find the maximum of them.", "find maximum"),
        ("My cat is ill, what now?", "my cat is …"),
        ("写一个关于雨的故事。", "写 故事"),
        ("请帮我总结这篇文章。", "总结 文章"),
        ("将下面的句子翻译成英文。", "翻译 英文"),
        ("根据以下信息，设计一个系统。", "设计 系统"),
        ("我的猫生病了怎么办", "我的猫生 …"),
        ("写一个 Python 函数，读取 CSV。", "写 函数"),
        ("", " …"),
    ],
)
def test_openings(prompt, said):
    assert openings.opening(prompt) == said


FILLER = "the weather report of yesterday has many words about wind rain snow clouds and nothing else of note whatever "
FILLER_ZH = "昨天的天气预报说了很多关于刮风下雨落雪云层之类的话别的什么也没有提到过"


@pytest.mark.parametrize("third", [0, 1, 2])
@pytest.mark.parametrize(
    ("filler", "key", "answer"), [(FILLER, "Zanzibar ", "Zanzibar."), (FILLER_ZH, "桑给巴尔", "桑给巴尔。")]
)
def test_key_information_is_found_in_its_third(third, filler, key, answer):
    parts = [filler] * 3
    middle = filler.index("wind") if "wind" in filler else len(filler) // 2
    parts[third] = filler[:middle] + key + filler[middle:]
    found = position.measure(frame(record("a", "".join(parts), answer)))
    assert found.table.row(0) == ("writing", 1, *(float(third == n) for n in range(3)), 0)


def test_short_prompts_and_answers_from_elsewhere_are_not_placed():
    rows = (record("a", "Short prompt.", "Prompt."), record("b", FILLER * 3, "Zanzibar."))
    assert position.measure(frame(*rows)).table.row(0) == ("writing", 1, 0.0, 0.0, 0.0, 1)


def test_homogeneity_counts():
    rows = (
        record("a", "1", "a b c d e"),  # runs abcd, bcde
        record("b", "2", "A b, c d!"),  # run abcd
        record("c", "3", "a b c d e."),  # the same text as a
        record("d", "4", "春 夏 秋 冬"),
    )
    one = homogeneity.measure(frame(*rows)).table.row(0, named=True)
    assert one["same_answer"] == 0.5
    assert one["shared_runs"] == round((3 * 2 + 2 * 1) / (3 * 6), 4)  # abcd in 3, bcde in 2, one of its own; 6 in all
    assert (one["same_start"], one["start"]) == (0.0, "")  # no answer goes on after six units


def test_a_noisy_copy_keeps_its_parents_answer_on_purpose():
    copy = record("n", "wrte a pome", "Roses are red.") | {"tags": ["robustness:typo"], "parents": ["a"]}
    found = homogeneity.measure(frame(record("a", "Write a poem", "Roses are red."), copy))
    assert found.table.select("rows", "same_answer").row(0) == (1, 0.0)


def test_distinct_n_of_equally_many():
    assert distinct([["a"] * 2000], 1) == 1 / 2000
    assert distinct([[str(i) for i in range(2001)]], 2) == 1.0
    assert distinct([["a"] * 1999], 1) is None


def test_spread_is_the_mean_over_pairs():
    vectors = np.array([[1, 0], [0, 1], [1, 0]])
    assert spread.spread(vectors) == round((1 + 0 + 1) / 3, 4)
    assert spread.spread(vectors[:1]) is None


def test_spread_counts_what_has_no_vector():
    rows = frame(record("a", "one", "1"), record("b", "二", "2"), record("c", "three", "3"))
    embedding = pl.DataFrame(
        {
            "content_hash": rows["content_hash"][:2],
            "prompt": [[1.0, 0.0], None],
            "not_applicable": [None, "script_not_covered"],
        }
    )
    found = spread.measure(rows, embedding)
    assert found.table.row(0) == ("writing", 3, 1, 2, None)
    assert found.note == "prompts; not applicable: 1 without this signal, 1 in a script that the encoder does not know"


@pytest.mark.parametrize(
    ("users", "turn"),
    [
        (["Why do cats knead?", "By the way, can you book a flight?"], 1),
        (["Why do cats knead?", "Thanks! How do volcanoes erupt under glaciers?"], 1),
        (["Why do cats knead?", "And do dogs?"], None),
        (["Why do cats knead?", "Make it shorter."], None),
        (["Why do cats knead?", "Thank you!"], None),
        (["猫为什么踩奶？", "对了，明天北京天气怎么样？"], 1),
        (["猫为什么踩奶？", "嗯，狗呢？"], None),
        (["猫为什么踩奶？", "你能解释一下量子计算的基本原理吗？"], 1),
        (["接下来我发你日志，帮我看。", "数据库连接超时怎么处理？"], None),  # arranged beforehand
        (["One turn only?"], None),
    ],
)
def test_topic_switches(users, turn):
    assert topics.switch(users, ["ok"] * len(users)) == turn


@pytest.mark.parametrize(
    ("system", "users", "answer", "said"),
    [
        ("You are a helpful assistant.", "Why is the sky blue?", "Because of scattering.", False),
        ("Answer in at most 20 words.", "Why is the sky blue?", "Because of scattering.", True),
        ("Answer in at most 20 words.", "Answer in at most 9 words: why is it blue?", "Because of scattering.", False),
        ("Translate into Chinese.", "Mind the step.", "小心台阶。", True),
        ("Translate into Chinese.", "Mind the step.", "Which step do you mean?", False),
        ("Glossary: pod = 种芯", "What is in the box?", "一个种芯。", True),
        ("你是一个乐于助人的助手。", "天为什么是蓝的？", "因为散射。", False),
        ("只输出一个词。", "天为什么是蓝的？", "散射", True),
        ("请一步一步思考。", "天为什么是蓝的？", "因为散射。", False),
        ("请一步一步思考。", "天为什么是蓝的？", "第一步，光进入大气。", True),
    ],
)
def test_answers_that_show_their_system_prompt(system, users, answer, said):
    assert dependence.depends(system, users, answer) is said
