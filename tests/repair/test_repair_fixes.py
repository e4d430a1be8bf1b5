"""fixes.jsonl: what is read, and the sentence for each way in which a line can be wrong."""

from __future__ import annotations

import json

import pytest

from curation.errors import ConfigError, DataError
from curation.repair.fixes import Fix, check, parse, place

GOOD = {"id": "a-1", "message": 1, "content": "新文本", "by": "mei", "note": "价格错了"}


def line(**other: object) -> str:
    return json.dumps(GOOD | other, ensure_ascii=False)


def test_parse() -> None:
    lines = [
        line(),
        "",
        '{"id": "b", "message": null, "content": "x", "by": "jo"}',
        '{"id": "c", "content": "y", "by": "jo"}',
    ]
    assert parse(lines, "fixes.jsonl") == [
        Fix("a-1", 1, "新文本", "mei", "价格错了", "fixes.jsonl:1"),
        Fix("b", None, "x", "jo", "", "fixes.jsonl:3"),
        Fix("c", None, "y", "jo", "", "fixes.jsonl:4"),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{broken", "f:1: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
         "accepted: one object a line with id, message, content, by, note."),
        ("[1]", "f:1: found a list; accepted: one object a line with id, message, content, by, note."),
        (line(mesage=1), "f:1: unknown key 'mesage'; accepted: id, message, content, by, note; did you mean 'message'?"),
        (line(zzz=1), "f:1: unknown key 'zzz'; accepted: id, message, content, by, note; remove it."),
        (line(id=7), "f:1: id: found 7; accepted: a record's id."),
        (line(content=" "), 'f:1: content: found " "; accepted: the new text, not empty.'),
        ('{"id": "a", "content": "x"}', "f:1: by: missing; accepted: who made the fix."),
        (line(message="1"), 'f:1: message: found "1"; accepted: a number counting from 0, or null.'),
        (line(message=-1), "f:1: message: found -1; accepted: a number counting from 0, or null."),
        (line(message=True), "f:1: message: found true; accepted: a number counting from 0, or null."),
        (line(note=["a"]), "f:1: note: found a list; accepted: text."),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse([text], "f")
    assert str(raised.value) == error


def test_every_wrong_line_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse(["[1]", line(), "7"], "f")
    assert [fault.split(":")[1] for fault in str(raised.value).splitlines()] == ["1", "3"]


def test_unknown_ids_are_named() -> None:
    check([Fix("a", None, "x", "jo")], ["a", "b"])
    with pytest.raises(DataError) as raised:
        check([Fix("a", None, "x", "jo"), Fix("q", None, "x", "jo", "", "f:2")], ["a"])
    assert str(raised.value) == (
        "fixes: no such record: 'q' (f:2); ids are those of records.parquet before repair: correct the id, or delete the line."
    )


def test_place() -> None:
    roles = ["user", "assistant", "user", "assistant", "tool"]
    assert place(Fix("a", None, "x", "jo"), roles) == 3
    assert place(Fix("a", 2, "x", "jo"), roles) == 2
    assert place(Fix("a", None, "x", "jo"), None) is None
    with pytest.raises(DataError) as raised:
        place(Fix("a", 5, "x", "jo", "", "f:9"), roles)
    assert str(raised.value) == "f:9: record 'a' has 5 messages; found message 5; accepted: 0 to 4."
    with pytest.raises(DataError) as raised:
        place(Fix("a", 0, "x", "jo", "", "f:9"), None)
    assert str(raised.value) == "f:9: record 'a' is a text; found message 0; accepted: null."
