"""The encoder that reads requests: what it is given, what becomes of types that it does not know, when no model is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curation import records as rec
from curation.label import reader, task_type, taxonomy

ROOT = Path(__file__).parent.parent.parent
TREE = taxonomy.load(ROOT / "curation/label/taxonomy.yaml")


def frame(*prompts: str):
    made = []
    for number, prompt in enumerate(prompts):
        messages = [rec.message("user", prompt), rec.message("assistant", "…")]
        made.append({"id": str(number), "kind": "chat", "messages": messages})
    return rec.rehash(rec.frame(made))


def test_what_is_read_of_a_row():
    assert reader.text("几点了？", "", "三点。") == ("query: 几点了？", "三点。")
    assert reader.text("What time?", "Be brief.", "") == ("query: Be brief. || What time?", "")
    asked, answer = reader.text("问" * 400, "s" * 300, "答" * 100)
    assert asked == "query: " + "s" * 160 + " … " + "s" * 80 + " || " + "问" * 124 + " … " + "问" * 62
    assert answer == "答" * 53


@pytest.mark.slow
def test_an_answer_stands_behind_the_end_mark_of_its_request():
    from curation.models import load_encoder

    tokenizer = load_encoder(reader.ENCODER)[0].tokenizer
    alone, both = reader.encode(tokenizer, [("query: hi", ""), ("query: hi", "你好")])
    assert both[: len(alone)] == alone
    assert tokenizer.decode(both[len(alone) :]) == "你好</s>"
    long = reader.encode(tokenizer, [("词 " * 400, "词 " * 400)])[0]
    assert len(long) == sum(reader.TOKENS) - 1


def test_the_head_knows_every_type_that_requests_can_have():
    assert set(reader.types()) == set(TREE.types) - {"tool_use", "text"}


def test_a_type_that_it_does_not_know_is_left_to_words():
    scorer = task_type.Scorer(TREE)
    scorer.types = ["writing", "unheard_of"]
    read = np.zeros((1, len(reader.types())))
    read[0, reader.types().index("math")] = 3.0
    assert scorer.by_type(read).tolist() == [[0.0, 3.0 - task_type.UNKNOWN]]


def test_words_alone_load_no_model(monkeypatch):
    monkeypatch.setattr("curation.models.load_encoder", lambda name: pytest.fail("a model was loaded"))
    said = task_type.assign(frame("Translate into Chinese: good morning"), TREE, by_meaning=False)
    assert said[0][0] == "translation"


@pytest.mark.slow
def test_order_and_company_change_nothing_and_what_was_read_is_not_read_again(cache_folder, monkeypatch):
    prompts = ["怎么退货？", "Write a haiku about rain.", "17 × 3 = ?", "把这句话改得客气些：快点给我回信。", "hm"]
    there = task_type.assign(frame(*prompts), TREE)
    monkeypatch.setattr("curation.models.load_encoder", lambda name: pytest.fail("a model was loaded"))
    monkeypatch.setattr(reader, "_scores", lambda texts: pytest.fail("read again"))
    assert task_type.assign(frame(*prompts[::-1]), TREE) == there[::-1]
    assert [said[0] for said in there[:4]] == ["open_qa", "writing", "math", "rewriting"]
