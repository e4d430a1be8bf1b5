"""Verdict files: what a line may be, and verdicts on rows that are not there."""

import json

import pytest

from curation.errors import ConfigError
from curation.review import verdicts


def test_the_last_word_holds_and_blank_lines_say_nothing(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    said = [("问答-1", "accept"), ("b", "reject"), ("问答-1", "reject")]
    path.write_text("\n\n".join(json.dumps({"id": i, "verdict": v}) for i, v in said), encoding="utf-8")
    assert verdicts.read(path) == {"问答-1": "reject", "b": "reject"}
    assert verdicts.read(tmp_path / "none.jsonl") == {}


def test_another_word_is_refused(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    path.write_text('{"id": "a", "verdict": "ok"}')
    with pytest.raises(ConfigError, match=r"verdicts\.jsonl:1: verdict is 'ok'; accepted: accept, reject\.$"):
        verdicts.read(path)


def test_verdicts_on_ids_that_no_row_has_are_told():
    given = dict.fromkeys(["a", "问答-2", "c", "d", "e"], "accept")
    assert verdicts.unknown(given, ["a", "问答-2", "c", "d", "e", "f"], "review/v.jsonl", "data/repaired/raw") is None
    assert verdicts.unknown({}, [], "review/v.jsonl", "data/repaired/raw") is None
    assert verdicts.unknown(given, ["a"], "review/v.jsonl", "data/repaired/raw") == (
        "review/v.jsonl: 4 of 5 verdicts are on ids that no row of data/repaired/raw has, first c, d, e; "
        "they decide nothing here. Mend the ids, or leave them when the file is for a bigger corpus."
    )
    assert verdicts.unknown({"x": "reject"}, ["a"], "v.jsonl", "raw") == (
        "v.jsonl: 1 of 1 verdicts are on ids that no row of raw has, first x; "
        "they decide nothing here. Mend the ids, or leave them when the file is for a bigger corpus."
    )
