"""Evol-Instruct: what is parsed from a model's words, and why it is refused."""

from __future__ import annotations

import pytest

from curation.completion import Answer
from curation.synthesize import evol
from curation.synthesize.evol import EvolParams, answer_fault, instruction_fault, parse_answer, parse_instruction

P = EvolParams()
OLD = "How do I keep basil alive in a dark kitchen during winter?"


@pytest.mark.parametrize(
    ("said", "parsed"),
    [
        ("New request: Why is the sky blue?<|im_end|>", "Why is the sky blue?"),
        ("**New request:** Why is the sky blue?\n", "Why is the sky blue?"),
        ('"Why is the sky blue?"', "Why is the sky blue?"),
        ('Is "blue" a noun or "an adjective"', 'Is "blue" a noun or "an adjective"'),
        ("#Rewritten Prompt#: Explain tides.</s>", "Explain tides."),
        ("新题：为什么天是蓝的？", "为什么天是蓝的？"),
        ("“为什么天是蓝的？”", "为什么天是蓝的？"),
        ("New request:", ""),
    ],
)
def test_parse_instruction(said: str, parsed: str) -> None:
    assert parse_instruction(said) == parsed


def test_parse_answer_strips_only_the_stop_text_at_the_end() -> None:
    assert parse_answer(" The token <|im_end|> ends a turn.<|im_end|>\n") == "The token <|im_end|> ends a turn."


@pytest.mark.parametrize(
    ("new", "answer", "reason"),
    [
        (
            "How do I keep basil alive in a dark kitchen when the lamp draws at most 12 watts?",
            Answer("x", "stop"),
            None,
        ),
        ("", Answer("", "stop"), "empty"),
        ("How do I keep basil alive", Answer("x", "length"), "cut_off"),
        ("", Answer(failure="budget"), "budget"),
        ("", Answer(failure="request_failed"), "request_failed"),
        ("I'm sorry, but I can't do that.", Answer("x", "stop"), "refused"),
        ("抱歉，我无法改写这个题目。", Answer("x", "stop"), "refused"),
        ("How do I keep basil alive", Answer("x", "content_filter"), "refused"),
        ("How do I keep Basil alive in a dark kitchen during winter", Answer("x", "stop"), "copied_parent"),
        ("Write a short poem about rain without the words wet, water, or cloud", Answer("x", "stop"), "copied_example"),
        ("The new request asks about basil.", Answer("x", "stop"), "echoed_prompt"),
        ("How? " * 200, Answer("x", "stop"), "too_long"),
    ],
)
def test_instruction_faults(new: str, answer: Answer, reason: str | None) -> None:
    assert instruction_fault(answer, new, OLD, evol.examples("constraints.en"), P) == reason


@pytest.mark.parametrize(
    "new",
    [
        "I can't fall asleep before midnight; which two habits should I change first, and why?",
        "I cannot write with my right hand after the fall. Which exercises help?",
        "I'm sorry I missed my sister's wedding; write her a letter that does not sound like an excuse.",
        "Sorry, what is the difference between a gable and a hip roof?",
        "I am unable to lift my arm above the shoulder: name three causes.",
        "As an AI researcher, how would you explain overfitting to a child?",
        "我无法入睡，睡前哪两个习惯最该先改？为什么？",
        "我不能吃辣，推荐三道川味但不辣的家常菜。",
        "我无法完成每天一万步的目标，怎样分成三段来走？",
        "对不起这三个字，怎样说才显得真诚？",
        "抱歉，我上次没听懂：潮汐为什么一天有两次？",
        "作为AI产品经理，怎样向老人介绍语音助手？",
    ],
)
def test_the_first_person_of_an_instruction_is_the_user(new: str) -> None:
    assert instruction_fault(Answer("x", "stop"), new, OLD, (), P) is None


@pytest.mark.parametrize(
    "new",
    [
        "I cannot fulfill this request.",
        "I can't help with that. Is there something else?",
        "I'm sorry, I can't.",
        "Sorry, but as an AI language model I have no kitchen.",
        "As an AI, I do not cook.",
        "I apologize, but I am unable to provide a new request.",
        "很抱歉，我不能回答这个问题。",
        "对不起，作为一个人工智能助手，我没有厨房。",
        "我无法满足您的要求。",
        "作为一个语言模型，我不会做饭。",
    ],
)
def test_a_refusal_is_no_instruction(new: str) -> None:
    assert instruction_fault(Answer("x", "stop"), new, OLD, (), P) == "refused"


@pytest.mark.parametrize(
    "new",
    [
        "阳台朝北，罗勒怎么养？\n新题：阳台朝北又没有灯，罗勒怎么养？",
        "改写题目，使回答需要几步推理。",
        "让题目在同一件事上问得更深，使它更难。",
        "Which lamp suits basil?\nRequest: Which lamp suits basil in a dark hall?",
    ],
)
def test_the_prompt_given_again_is_no_instruction(new: str) -> None:
    assert instruction_fault(Answer("x", "stop"), new, OLD, (), P) == "echoed_prompt"


def test_a_new_question_may_be_asked_for() -> None:
    new = "老师要出一道新题考勾股定理，怎样让它贴近生活？"
    assert instruction_fault(Answer("x", "stop"), new, OLD, (), P) is None


def test_answer_faults() -> None:
    stop = Answer("x", "stop")
    assert answer_fault(stop, "Give it a lamp for fourteen hours a day.", OLD, P) is None
    assert answer_fault(stop, OLD, OLD, P) == "copied_instruction"
    assert answer_fault(Answer("x", "length"), "Give it", OLD, P) == "cut_off"


@pytest.mark.parametrize("operation", evol.OPERATIONS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_prompt_files(operation: str, language: str) -> None:
    turns = evol._turns(f"{operation}.{language}")
    assert [role for role, _ in turns] == ["system", *["user", "assistant"] * 3, "user"]
    assert sum(text.count("{instruction}") for _, text in turns) == 1
    assert all(len(text) > 4 for text in evol.examples(f"{operation}.{language}"))
    filled = evol._filled(f"{operation}.{language}", "a {brace} and {instruction}")
    assert filled[-1][1].endswith("a {brace} and {instruction}")
