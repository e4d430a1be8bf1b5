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
