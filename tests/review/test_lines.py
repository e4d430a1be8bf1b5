"""The files of data/review: what a line may be, which corpus an id belongs to, and ids that no row has."""

from __future__ import annotations

import pytest

from curation.errors import ConfigError
from curation.review import lines
from curation.synthesize import RECIPES

FIRST = "evol-0123456789abcdef"


def test_a_line_ends_where_the_file_says_so(tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_text('\ufeff{"id": "一", "note": "a\u2028b"}\n\n{"id": "b"}', encoding="utf-8")
    found = lines.parse(lines.text(path), "v", lambda line, where: (where, lines.entry(line, where, ("id", "note"))))
    assert found == [("v:1", {"id": "一", "note": "a\u2028b"}), ("v:3", {"id": "b"})]
    assert lines.text(tmp_path / "none.jsonl") == []


def test_another_encoding_is_told(tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_bytes('{"id": "a", "note": "价格错了"}'.encode("gbk"))
    with pytest.raises(ConfigError) as error:
        lines.text(path)
    assert str(error.value) == f"{path}: byte 21 is not UTF-8; save the file as UTF-8."


def test_every_faulty_line_is_named():
    with pytest.raises(ConfigError) as error:
        lines.parse(
            ["[1]", '{"id": "a"}', "", '{"id": ["a"]}', '{"idd": "a"}'], "f", lambda *at: lines.entry(*at, ("id",))
        )
    assert str(error.value).split("\n") == [
        "f:1: found a list; accepted: one object a line with id.",
        'f:4: id: found ["a"]; accepted: a record\'s id.',
        "f:5: unknown key 'idd'; accepted: id; did you mean 'id'?",
    ]


def test_one_file_serves_both_corpora():
    said = ["a", "typo", FIRST, f"{FIRST}-2"]
    assert lines.belonging(said, ["a"], made=False) == {"a", "typo"}
    assert lines.belonging(said, [FIRST], made=True) == {FIRST, f"{FIRST}-2"}
    assert lines.belonging(said, [], made=True) == {FIRST, f"{FIRST}-2"}
    assert lines.belonging(["evol-mine"], ["evol-mine"], made=True) == {"evol-mine"}


def test_made_ids_are_those_of_the_recipes():
    assert all(lines.MADE.fullmatch(f"{recipe}-0123456789abcdef") for recipe in RECIPES)
    assert lines.MADE.pattern.startswith(f"({'|'.join(sorted(RECIPES))})-")


def test_ids_that_no_row_has_are_told():
    given = ["a", "问答-2", "c", "d", "e"]
    assert lines.unknown(given, [*given, "f"], "review/v.jsonl", "data/repaired/raw", "verdicts") is None
    assert lines.unknown([], [], "review/v.jsonl", "data/repaired/raw", "verdicts") is None
    assert lines.unknown(given, ["a"], "review/v.jsonl", "data/repaired/raw", "verdicts") == (
        "review/v.jsonl: 4 of 5 verdicts are on ids that no row of data/repaired/raw has, first c, d, e; "
        "they decide nothing here. Mend the ids, or leave them when the file is for a bigger corpus."
    )
    assert lines.unknown(["x"], ["a"], "l.jsonl", "raw", "labels") == (
        "l.jsonl: 1 of 1 labels are on ids that no row of raw has, first x; "
        "they decide nothing here. Mend the ids, or leave them when the file is for a bigger corpus."
    )
