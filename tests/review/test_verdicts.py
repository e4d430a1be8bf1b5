"""Verdict files: what a line may be."""

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
