"""Plain text that was said before: what is cut, what counts, which row stays, and a plain loop that finds the same."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records as rec
from curation.clean.duplicates import ranked
from curation.clean.paragraphs import ParagraphParams, duplicate_paragraphs
from curation.errors import ConfigError
from curation.params import parse
from curation.score import paragraphs
from curation.score.normal_form import normalize

COOKIES = "We use cookies to make this site work and to count visitors."
EELS = "Eels cross the sea to spawn, and nobody has seen them do it yet."
LOCKS = "船闸抬船靠的只是水，先关下闸门，再开上游的水门。"
NOTICE = "本网站使用 Cookie 以改善您的浏览体验。"


def rows(texts, **columns):
    """A frame as `clean` hands it over; ids `0`, `1`, … in the order of content hashes, or as given."""
    hashes = [rec.content_hash(None, text, None) for text in texts]
    frame = pl.DataFrame({"text": texts, "content_hash": hashes}).sort("content_hash", maintain_order=True)
    frame = frame.with_columns(id=pl.int_range(pl.len()).cast(pl.String))
    given = {"kind": "text", "verdict": None, "origin": "pretrain", "task_subtype": "prose"} | columns
    return frame.with_columns(
        *(pl.lit(value, pl.String).alias(name) for name, value in given.items()), tags=pl.lit([], pl.List(pl.String))
    )


def gone(frame, against=None, **params):
    return duplicate_paragraphs(frame, ParagraphParams(**params), against)


def cut(text, unit):
    found = paragraphs.pieces(pl.Series([text]), unit)
    return [text.encode()[b:e].decode().strip() for b, e in found.select("begin", "end").iter_rows()]


@pytest.mark.parametrize(
    ("text", "lines", "sentences"),
    [
        ("一。二！\n\n  \n三", ["一。二！", "三"], ["一。", "二！", "三"]),
        ("他说：“好。”然后走了。", ["他说：“好。”然后走了。"], ["他说：“好。”", "然后走了。"]),
        ("真的？！对。", ["真的？！对。"], ["真的？！", "对。"]),
        ('It is 3.14. Is it?  "Yes!" So', ['It is 3.14. Is it?  "Yes!" So'], ["It is 3.14.", "Is it?", '"Yes!"', "So"]),
        ("J. K. said so, e.g. here.", ["J. K. said so, e.g. here."], ["J. K. said so, e.g. here."]),
        ("用 GPU。Use it. 好", ["用 GPU。Use it. 好"], ["用 GPU。", "Use it.", "好"]),
        ("a\r\nb\u2028c\n", ["a", "b", "c"], ["a", "b", "c"]),
        (" \n\u3000\n", [], []),
        ("", [], []),
    ],
)
def test_where_a_text_is_cut(text, lines, sentences):
    assert cut(text, "paragraph") == lines
    assert cut(text, "sentence") == sentences


def test_sizes_are_characters_without_spaces_and_units():
    found = paragraphs.pieces(pl.Series(["\n", "用 GPU 算", None, "Two words\n\n结束。\n"]), "paragraph")
    assert found.drop("hash_1", "hash_2").rows() == [(1, 0, 11, 5, 4), (3, 0, 10, 8, 4), (3, 10, 21, 3, 2)]


def test_copies_are_those_of_the_normal_form():
    same = ["Ｈello  World!", "hello world", "héllo", "he\u0301llo", "1.5 kg", "15 kg", "用，GPU", "用 gpu"]
    found = paragraphs.pieces(pl.Series(same), "paragraph").select("hash_1", "hash_2").rows()
    assert [found.index(h) for h in found] == [0, 0, 2, 2, 4, 5, 6, 6]


def test_the_ledger_names_the_paragraph_and_the_row_that_keeps_it():
    frame = rows([f"{COOKIES}\n{EELS}", f"{EELS}\n鳗鱼。", f"{NOTICE}\n{LOCKS}", f"{LOCKS}\n闸。"])
    found = gone(frame).sort("id")
    assert found.height == 2
    texts = dict(frame.select("id", "text").iter_rows())
    for row in found.iter_rows(named=True):
        assert row["rule"] == "duplicate_paragraphs" and row["limit"] == 0.5
        quoted = row["detail"].split("“", 1)[1].removesuffix("”").removesuffix("…")
        assert quoted in texts[row["id"]] and quoted in texts[row["duplicate_of"]]
        assert f"in {row['duplicate_of']}:" in row["detail"]
        assert row["duplicate_of"] not in found["id"].to_list()


def test_a_row_that_repeats_itself_names_no_other():
    found = gone(rows([f"{EELS}\n{EELS.upper()}\n{COOKIES}"]))
    said = "1 of 3 paragraphs stand earlier in the row; the longest, 51 characters, twice or more: “"
    assert found.rows() == [("0", "duplicate_paragraphs", 0.3333, 0.3, None, said + EELS.upper()[:59] + "…”")]
    found = gone(rows([f"{LOCKS}\n一\n二\n{LOCKS}"]))
    said = "24 of 50 characters stand in paragraphs that stand earlier in the row; the longest, 24 characters, twice or more: “"
    assert found.rows() == [("0", "duplicate_paragraphs", 0.48, 0.2, None, f"{said}{LOCKS}”")]


def test_at_a_limit_a_row_stays_and_null_is_off():
    half = rows([f"{EELS}\n{EELS}"])
    assert gone(half, duplicate_fraction=0.5, duplicate_char_fraction=0.5).height == 0
    assert gone(half, duplicate_fraction=None, duplicate_char_fraction=None).height == 0
    assert gone(half, duplicate_fraction=0.49, duplicate_char_fraction=None).height == 1
    off = {"duplicate_fraction": None, "duplicate_char_fraction": None, "shared_char_fraction": None}
    assert gone(rows([EELS, EELS + "\n"]), **off).height == 0


def test_short_paragraphs_may_recur():
    menu = rows(["首页\n首页\n首页\nHome\nHome\nHome"])
    assert gone(menu).height == 0
    assert gone(menu, min_units=2).height == 1


def test_code_conversations_and_noise_are_not_judged():
    twice = [f"{EELS}\n{EELS}", f"{LOCKS}\n{LOCKS}"]
    assert gone(rows(twice)).height == 2
    assert gone(rows(twice, task_subtype="code")).height == 0
    assert gone(rows(twice, kind="chat")).height == 0
    assert gone(rows(twice, verdict="accept")).height == 0
    assert gone(rows(twice).with_columns(tags=pl.lit(["robustness:typo"]))).height == 0


def test_a_row_that_goes_keeps_nothing():
    """A repeats itself and goes; B, which shares its paragraph, is then the only one that has it and stays."""
    frame = rows([f"{EELS}\n{EELS}", EELS]).with_columns(
        origin=pl.when(pl.col("text") == EELS).then(pl.lit("log")).otherwise(pl.lit("human"))
    )
    assert ranked(frame)["text"].to_list() == [f"{EELS}\n{EELS}", EELS]
    assert gone(frame)["id"].to_list() == frame.filter(pl.col("text") != EELS)["id"].to_list()


def test_accepted_rows_and_the_other_corpus_keep_what_they_have():
    frame = rows([f"{EELS}\nFirst.", f"{EELS}\nOther."])
    for i in ("0", "1"):
        accepted = frame.with_columns(verdict=pl.when(pl.col("id") == i).then(pl.lit("accept")))
        assert gone(accepted).select("id", "duplicate_of").rows() == [("1" if i == "0" else "0", i)]
    cleaned = rows([EELS]).with_columns(id=pl.lit("cleaned"))
    assert gone(frame, against=cleaned).select("id", "duplicate_of").rows() == [("0", "cleaned"), ("1", "cleaned")]


def test_sentences_find_what_paragraphs_do_not():
    frame = rows([f"{COOKIES} {EELS}", f"{EELS} {COOKIES}", f"{LOCKS}{NOTICE}", f"{NOTICE}{LOCKS}"])
    assert gone(frame).height == 0
    assert gone(frame, unit="sentence").height == 2


def test_an_unknown_unit_is_named():
    with pytest.raises(ConfigError) as error:
        parse(ParagraphParams, {"unit": "line"}, "clean.paragraphs")
    assert str(error.value) == "clean.paragraphs.unit: found 'line'; input should be 'paragraph' or 'sentence'."


def plain_loop(frame, params):
    """The same by a Python loop over lines, a set and a dict: id → row that keeps the longest paragraph."""
    found, keeps = {}, {}
    for i, text in ranked(frame).select("id", "text").iter_rows():
        lines = [line for line in text.split("\n") if line.strip()]
        own, again, again_chars, shared, longest = set(), 0, 0, 0, (0, None)
        for line in lines:
            key, chars = normalize(line), len("".join(line.split()))
            if paragraphs.pieces(pl.Series([line]), "paragraph")["units"][0] < params.min_units:
                continue
            if key in own:
                again, again_chars = again + 1, again_chars + chars
            elif key in keeps:
                shared += chars
                longest = max(longest, (chars, keeps[key]), key=lambda pair: pair[0])
            own.add(key)
        total = sum(len("".join(line.split())) for line in lines)
        if lines and (
            again / len(lines) > params.duplicate_fraction or again_chars / total > params.duplicate_char_fraction
        ):
            found[i] = None
        elif lines and longest[1] is not None and (shared + again_chars) / total > params.shared_char_fraction:
            found[i] = longest[1]
        else:
            keeps |= {key: i for key in own if key not in keeps}
    return found


line = st.sampled_from(
    [
        COOKIES,
        COOKIES.upper(),
        EELS,
        LOCKS,
        NOTICE,
        NOTICE.replace(" ", ""),
        "闸。",
        "One two three four five.",
        "",
        "  ",
    ]
)
text = st.lists(line, min_size=1, max_size=6).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(text, min_size=1, max_size=8), st.randoms(), st.integers(1, 12))
def test_a_plain_loop_finds_the_same_and_order_is_nothing(texts, random, min_units):
    frame = rows(texts)
    params = ParagraphParams(min_units=min_units)
    first = duplicate_paragraphs(frame, params, None)
    assert dict(first.select("id", "duplicate_of").iter_rows()) == plain_loop(frame, params)
    order = list(range(frame.height))
    random.shuffle(order)
    again = duplicate_paragraphs(frame[order], params, None)
    assert again.sort("id").equals(first.sort("id"))
    parted = pl.concat([frame[order][:2], frame[order][2:]], rechunk=False)
    assert duplicate_paragraphs(parted, params, None).sort("id").equals(first.sort("id"))
    survivors = set(frame["id"]) - set(first["id"])
    assert set(first["duplicate_of"].drop_nulls()) <= survivors


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.sampled_from(["paragraph", "sentence"]))
def test_pieces_are_the_whole_text_whatever_it_holds(texts, unit):
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    found = paragraphs.pieces(pl.Series(texts), unit)
    for n, whole in enumerate(texts):
        mine = found.filter(pl.col("text") == n)
        raw = whole.encode()
        parts = [raw[b:e].decode() for b, e in mine.select("begin", "end").iter_rows()]
        assert "".join("".join(parts).split()) == "".join(whole.split()) or not parts
