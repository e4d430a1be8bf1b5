"""The language model that reads requests: what it is given, what becomes of types that it does not know, when none is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from curation import records as rec
from curation.label import form, reader, task_type, taxonomy

ROOT = Path(__file__).parent.parent.parent
TREE = taxonomy.load(ROOT / "curation/label/taxonomy.yaml")


def frame(*prompts: str):
    made = []
    for number, prompt in enumerate(prompts):
        messages = [rec.message("user", prompt), rec.message("assistant", "…")]
        made.append({"id": str(number), "kind": "chat", "messages": messages})
    return rec.rehash(rec.frame(made))


def test_what_is_read_of_a_row():
    assert reader.text("几点了？", "", "三点。") == ("几点了？", "三点。")
    assert reader.text("What time?", "Be brief.", "") == ("Be brief. || What time?", "")
    asked, answer = reader.text("问" * 400, "s" * 300, "答" * 100)
    assert asked == "s" * 160 + " … " + "s" * 80 + " || " + "问" * 124 + " … " + "问" * 62
    assert answer == "答" * 53


@pytest.mark.slow
def test_what_stands_around_request_and_answer():
    from curation.models import load_tokenizer

    tokenizer = load_tokenizer(reader.MODEL)
    rows = reader.encode(tokenizer, [("几点了？", "三点。"), ("What time is it?", ""), ("词 " * 400, "词 " * 400)])
    assert tokenizer.decode(rows[0]) == "<bos>Request: 几点了？\nAnswer: 三点。\nThe type of task is:"
    assert tokenizer.decode(rows[1]) == "<bos>Request: What time is it?\nAnswer: \nThe type of task is:"
    assert len(rows[2]) == len(reader.encode(tokenizer, [("", "")])[0]) + sum(reader.TOKENS)


def test_what_the_head_gets_does_not_see_what_stands_behind_a_text():
    states = torch.tensor([[[3.0, 4.0], [9.0, 9.0]], [[1.0, 0.0], [0.0, 2.0]]])
    found = reader.pooled(states, torch.tensor([1, 2])) / reader.POOLED
    two = 5**0.5
    want = [[0.6, 0.8, 0.6, 0.8], [1 / two, 2 / two, 0.0, 1.0]]
    assert torch.allclose(found, torch.tensor(want))


def test_the_head_knows_every_type_that_requests_can_have():
    assert set(reader.types()) == set(TREE.types) - {"tool_use", "text"}


def test_a_type_that_it_does_not_know_is_left_to_words():
    scorer = task_type.Scorer(TREE)
    scorer.types = ["writing", "unheard_of"]
    read = np.zeros((1, len(reader.types())))
    read[0, reader.types().index("math")] = 3.0
    assert scorer.by_type(read).tolist() == [[0.0, 3.0 - task_type.UNKNOWN]]


def test_where_words_are_sure_the_reader_is_not_asked(monkeypatch):
    prompts = ["Translate into Chinese: good morning", "hm"]
    scorer = task_type.Scorer(TREE)
    scores = scorer.scores([form.read([rec.message("user", p), rec.message("assistant", "…")]) for p in prompts])
    assert scorer.unsure(scores).tolist() == [False, True]
    asked = []
    monkeypatch.setattr(
        reader, "read", lambda texts, progress: asked.extend(texts) or np.eye(1, len(reader.types())) * 9
    )
    said = task_type.assign(frame(*prompts), TREE)
    assert asked == [("hm", "…")]
    assert [s[0] for s in said] == ["translation", reader.types()[0]]


def test_words_alone_load_no_model(monkeypatch):
    monkeypatch.setattr("curation.models.load_language_model", lambda name: pytest.fail("a model was loaded"))
    said = task_type.assign(frame("Translate into Chinese: good morning"), TREE, by_meaning=False)
    assert said[0][0] == "translation"


@pytest.mark.slow
def test_order_and_company_change_nothing_and_what_was_read_is_not_read_again(cache_folder, monkeypatch):
    prompts = ["怎么退货？", "Write a haiku about rain.", "17 × 3 = ?", "把这句话改得客气些：快点给我回信。", "hm"]
    there = task_type.assign(frame(*prompts), TREE)
    monkeypatch.setattr("curation.models.load_language_model", lambda name: pytest.fail("a model was loaded"))
    monkeypatch.setattr(reader, "_scores", lambda texts: pytest.fail("read again"))
    assert task_type.assign(frame(*prompts[::-1]), TREE) == there[::-1]
    assert [said[0] for said in there[:4]] == ["open_qa", "writing", "math", "rewriting"]
