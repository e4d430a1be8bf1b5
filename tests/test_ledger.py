import polars as pl

from curation.ledger import EDITS, balance, chain
from curation.records import frame


def test_balance_holds_when_every_id_went_somewhere_once():
    assert balance("clean", {"in": ["a", "b", "c"]}, {"kept": ["c", "a"], "dropped": ["b"]}) is None


def test_balance_names_the_lost_row():
    broken = balance("clean", {"repaired": ["a", "b"]}, {"kept": ["a"], "dropped": []})
    assert broken.sentence() == "clean: in repaired, but in none of kept, dropped: b"


def test_balance_names_the_row_from_nowhere():
    broken = balance("mix", {"cleaned": ["a"]}, {"train": ["a", "x"]})
    assert broken.sentence() == "mix: in train, but in none of cleaned: x"


def test_balance_names_the_row_in_two_places():
    broken = balance("clean", {"in": ["a"]}, {"kept": ["a"], "dropped": ["a"]})
    assert broken.sentence() == "clean: went out more than once (dropped and kept): a"


def edits(*rows):
    keys = ("id", "step", "rule", "hash_before", "hash_after")
    return frame([dict(zip(keys, r, strict=True)) for r in rows], EDITS)


def test_chain_follows_the_edits_from_hash_to_hash():
    found = edits(("a", 0, "mojibake", "h1", "h2"), ("a", 1, "pii", "h2", "h3"))
    assert chain("repair", {"a": "h1", "b": "h9"}, {"a": "h3", "b": "h9"}, found) is None


def test_chain_breaks_where_an_edit_was_taken_out():
    found = edits(("a", 1, "pii", "h2", "h3"))
    broken = chain("repair", {"a": "h1"}, {"a": "h3"}, found)
    assert broken.sentence() == "repair: changed without an entry in edits: a"


def test_chain_breaks_on_an_edit_of_a_row_that_never_came():
    broken = chain("repair", {"a": "h1"}, {"a": "h1"}, edits(("z", 0, "pii", "h1", "h2")))
    assert broken.ids == ("z",)
    assert isinstance(found := edits(), pl.DataFrame) and chain("repair", {"a": "h"}, {"a": "h"}, found) is None
