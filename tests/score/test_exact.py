"""Exact copies: the kernel against its definition, what counts and what does not, and independence of order and splitting."""

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records as rec
from curation.score.exact import ExactParams, _normal, compute
from curation.score.normal_form import normalize

CHOICES = [
    ExactParams(case=case, punctuation=punctuation, script=script)
    for case in (False, True)
    for punctuation in (False, True)
    for script in ("keep", "fold")
]


def rows(*conversations, **other):
    """Records of (prompt, answer) pairs or lists of (role, content)."""
    made = []
    for number, turns in enumerate(conversations):
        turns = (("user", turns[0]), ("assistant", turns[1])) if isinstance(turns, tuple) else turns
        messages = [rec.message(role, content) for role, content in turns]
        made.append({"id": str(number), "content_hash": str(number), "kind": "chat", "messages": messages} | other)
    return rec.frame(made)


def same(one, other, **params):
    """Whether two texts have one key."""
    return compute(rows((one, "a"), (other, "a")), ExactParams(**params))["key"].n_unique() == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How big is it?", "how  big\nis it"),
        ("Ｈｏｗ　ｂｉｇ", "how big"),
        ("你好，世界！", "你好,世界!"),
        ("你好 世界", "你好世界"),
        ("２０２４年", "2024年"),
        ("3 + 4", "3+4"),
        ("3 * 4", "3*4"),
        ("co\u00adop\u200b", "coop"),
        ("cafe\u0301", "café"),
        ("ﬁne…", "fine"),
        ("**Bold** `code`", "bold code"),
        ("한글", unicodedata.normalize("NFD", "한글")),
        ("STRASSE", "straße"),
        ("- item", "item"),
    ],
)
def test_what_is_set_aside(one, other):
    assert same(one, other)
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("?", "!"),
        ("+", "-"),
        ("1.5", "15"),
        ("12 3", "1 23"),
        ("3*4", "3/4"),
        ("3-4", "34"),
        ("a+b", "ab"),
        ("$5", "€5"),
        ("|-3|", "|3|"),
        ("is it -3", "is it 3"),
        ("कि", "का"),
        ("你好", "您好"),
        ("漢字", "汉字"),
    ],
)
def test_what_is_not(one, other):
    assert not same(one, other)
    assert normalize(one) != normalize(other)


def test_params():
    assert not same("A", "a", case=True)
    assert same("Ａ", "A", case=True)
    assert not same("a b", "a, b", punctuation=True)
    assert same("a \n b", "a b ", punctuation=True)
    assert same("漢字與後台乾淨", "汉字与后台干净", script="fold")
    assert same("看著裡面", "看着里面", script="fold")
    assert not same("汉字", "漢子", script="fold")


def test_roles_order_tools_and_calls_count():
    def keys(*turns, **other):
        return compute(rows(list(turns), **other), ExactParams())["key"][0]

    said = ("user", "one"), ("assistant", "two")
    assert keys(*said) == keys(("user", "ONE"), ("assistant", "Two."))
    different = [
        keys(*said),
        keys(*reversed(said)),
        keys(("user", "onetwo"), ("assistant", "")),
        keys(("user", ""), ("assistant", "onetwo")),
        keys(*said, tools='[{"name": "f"}]'),
        keys(("system", "one"), ("assistant", "two")),
        keys(*said, *said),
    ]
    assert len(set(different)) == len(different)
    messages = [rec.message("user", "one"), rec.message("assistant", None, tool_calls='[{"name": "f"}]')]
    called = rec.frame([{"content_hash": "c", "kind": "chat", "messages": messages}])
    messages = [messages[0], rec.message("assistant", None)]
    without = rec.frame([{"content_hash": "c", "kind": "chat", "messages": messages}])
    assert compute(called, ExactParams())["key"][0] != compute(without, ExactParams())["key"][0]


def test_reasoning_counts_where_there_is_some():
    def key(thought):
        messages = [rec.message("user", "q"), rec.message("assistant", "a", reasoning=thought)]
        return compute(rec.frame([{"content_hash": "c", "kind": "chat", "messages": messages}]), ExactParams())

    assert key("First.")["key"][0] == key("first")["key"][0] != key("Second.")["key"][0]
    assert key(None).equals(key(" \n")) and key(None)["key"][0] != key("First.")["key"][0]
    assert key(None).select("prompt_key", "answer_key").equals(key("First.").select("prompt_key", "answer_key"))
    assert key(None)["key"][0] == "4394642ab2a0559299d9e296df237929"  # as before reasoning counted


def test_sides_have_keys_of_their_own():
    found = compute(rows(("Q?", "Yes."), ("q", "No"), ("Other", "yes")), ExactParams())
    assert found["prompt_key"][0] == found["prompt_key"][1] != found["prompt_key"][2]
    assert found["answer_key"][0] == found["answer_key"][2] != found["answer_key"][1]
    text = rec.frame({"content_hash": t, "kind": "text", "text": t} for t in ("Plain Text", "plain text"))
    keys = compute(text, ExactParams())
    assert keys.select("key", "prompt_key", "answer_key").n_unique() == 1


def test_one_row_a_content_hash_in_order_and_nothing_of_nothing():
    frame = rows(("b", "b"), ("a", "a")).with_columns(content_hash=pl.Series(["z", "y"]))
    found = compute(pl.concat([frame, frame]), ExactParams())
    assert found["content_hash"].to_list() == ["y", "z"]
    assert found.columns == ["content_hash", "key", "prompt_key", "answer_key", "not_applicable"]
    assert compute(frame.clear(), ExactParams()).is_empty()


ODD = "aA1१٣½ⅣﬁßſİıΣς漢汉字，。！？,.!?-−－+＋*~|_^` \t\n\u3000\u00a0…¨´\u0301\u0327\u200b\u200d\ufe0f한ᄒ\u1161\u11ab👍🏽कि\u0e33㍿㎏™①"
texts = st.text(st.sampled_from(ODD), max_size=12) | st.text(max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=2, max_size=6), st.sampled_from(CHOICES))
def test_keys_are_equal_just_where_normal_forms_are(said, params):
    forms = [normalize(t, **params.model_dump()) for t in said]
    hashes = [tuple(pair) for pair in _normal(pl.Series(said, dtype=pl.String), params).tolist()]
    for one in range(len(said)):
        for other in range(one):
            assert (forms[one] == forms[other]) == (hashes[one] == hashes[other]), (said[one], said[other])


@settings(max_examples=200, deadline=None)
@given(texts, st.sampled_from(CHOICES))
def test_a_normal_form_is_its_own(text, params):
    form = normalize(text, **params.model_dump())
    if normalize(form, **params.model_dump()) == form:  # NFKC and case folding are not always stable themselves
        one, other = _normal(pl.Series([text, form]), params).tolist()
        assert one == other


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=12), st.randoms(), st.integers(0, 12))
def test_order_and_splitting_change_nothing(said, random, cut):
    frame = rows(*said)
    whole = compute(frame, ExactParams())
    order = list(range(len(said)))
    random.shuffle(order)
    assert compute(frame[order], ExactParams()).equals(whole)
    parts = [compute(part, ExactParams()) for part in (frame[:cut], frame[cut:])]
    assert pl.concat(parts).sort("content_hash").equals(whole)
