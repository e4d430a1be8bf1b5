"""Chinese numbers: sentences with their spans (tests/data/pii_zh.jsonl, all numbers invented), and the checksums."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from curation.repair import PiiParams, find
from curation.repair.pii_zh import company_code, id_card

SENTENCES = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data/pii_zh.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=range(len(SENTENCES)))
def test_sentence(sentence: dict) -> None:  # type: ignore[type-arg]
    text = sentence["text"]
    found = [(s.type, text[s.start : s.end]) for s in find(text, PiiParams())]
    assert found == [(s["type"], text[s["start"] : s["end"]]) for s in sentence["spans"]]


def test_there_is_something_to_measure() -> None:
    kinds = Counter(span["type"] for sentence in SENTENCES for span in sentence["spans"])
    assert kinds.total() >= 250
    ours = ("id_card", "phone", "card", "passport", "plate", "company_code", "qq", "wechat")
    assert min(kinds[kind] for kind in ours) >= 15, kinds
    assert sum(not sentence["spans"] for sentence in SENTENCES) >= 50


def test_check_digits() -> None:
    assert id_card("11010519491231002X")  # the example of GB 11643-1999
    assert id_card("11010519491231002x")
    assert not id_card("110105194912310021")
    assert not id_card("11010519491331002X")  # no 13th month
    assert company_code("91350100M000100Y43")  # the example of GB 32100-2015
    assert not company_code("91350100M000100Y44")


@pytest.mark.parametrize(
    "text",
    [
        "QQ" + "群号" * 50_000,
        "微信" * 100_000,
        "护照" * 100_000,
        "密码" * 100_000,
        "微信：" + "a-" * 100_000,
        "0755 " * 50_000,
    ],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    start = time.process_time()
    assert find(text, PiiParams()) == []
    assert time.process_time() - start < 2
