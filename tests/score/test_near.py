"""Near duplicates against brute force, against datasketch, and on texts made to break them."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records as rec
from curation.clean import near_copies
from curation.errors import DataError
from curation.progress import silent
from curation.score import near, near_index
from curation.score.near import NearParams, banding, compute

UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "IDEOGRAPHIC", "MYANMAR", "KHMER", "COMBINING KATAKANA")


def chat(prompt: str, answer: str, key: str | None = None, **other: object) -> dict[str, object]:
    messages = [rec.message("user", prompt), rec.message("assistant", answer)]
    return {
        "id": key,
        "content_hash": key or rec.content_hash(messages, None, None),
        "kind": "chat",
        "messages": messages,
        **other,
    }


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return rec.frame(rows)


def pairs(sidecar: pl.DataFrame, column: str = "neighbours") -> dict[tuple[str, str], float]:
    rows = sidecar.select("content_hash", column).explode(column).drop_nulls().unnest(column).iter_rows()
    return {(a, b): s for a, b, s in rows}


def units(*texts: str) -> list[str]:
    """Units by the definition in words, a character at a time."""
    found: list[str] = []
    for text in texts:
        word = ""
        for c in unicodedata.normalize("NFKC", text).casefold() + " ":
            category = unicodedata.category(c)
            if category in ("Cf", "Me") or "VARIATION SELECTOR" in unicodedata.name(c, ""):
                continue
            single = category[0] in "LMN" and unicodedata.name(c, "").startswith(UNSPACED)
            if category[0] in "LMN" and not single:
                word += c
                continue
            found += [word] if word else []
            found += [c] if single else []
            word = ""
    return found


def shingle_set(*texts: str, words: int = 5, chars: int = 5) -> set[tuple[str, ...]]:
    listed = units(*texts)
    sizes = [chars if len(u) == 1 and unicodedata.name(u, "").startswith(UNSPACED) else words for u in listed]
    found = {tuple(listed[i : i + n]) for i, n in enumerate(sizes) if i + n <= len(listed)}
    return found or ({tuple(listed)} if listed else set())


def jaccard(a: set[object], b: set[object]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def test_exact_values_of_four_rows() -> None:
    found = compute(
        frame(
            chat("one two three four five six", "seven eight", "a"),
            chat("One, two, three: FOUR five six", "seven nine", "b"),
            chat("今天天气很好我们去", "公园散步吧", "c"),
            chat("今天天气很好，我们去", "公园跑步吧！", "d"),
        ),
        NearParams(),
    )
    expected = pl.DataFrame(
        {
            "content_hash": ["a", "b", "c", "d"],
            # a and b: 4 shingles each, 3 in common; c and d: 10 each, 7 in common
            "neighbours": [
                [{"other": "b", "similarity": 0.6}],
                [{"other": "a", "similarity": 0.6}],
                [{"other": "d", "similarity": 0.5385}],
                [{"other": "c", "similarity": 0.5385}],
            ],
            "against": [[], [], [], []],
            "group": ["a", "b", "c", "d"],
            "not_applicable": [None] * 4,
        },
        schema=found.schema,
    )
    assert found.equals(expected)
    assert (
        pairs(
            compute(
                frame(chat("one two three four five", "six", "a"), chat("two three four five six", "six", "b")),
                NearParams(),
            )
        )
        == {}
    )


def test_schema_is_the_same_with_and_without_pairs() -> None:
    empty = compute(rec.frame([]), NearParams())
    full = compute(frame(chat("a", "b", "x"), chat("a!", "b", "y")), NearParams(), against=frame(chat("a", "b", "z")))
    assert empty.schema == full.schema
    assert len(empty) == 0
    assert empty.columns == ["content_hash", "neighbours", "against", "group", "not_applicable"]


@pytest.mark.parametrize("text", ["", "😀🎉", "\x00", "，。！？…", " \n\t", "\u200b\ufeff", "---", "❤️", "+-=/"])
def test_without_a_letter_or_digit_there_are_no_units(text: str) -> None:
    found = compute(frame(chat(text, text, "x"), chat("hello", "there", "y")), NearParams())
    assert found.rows()[0] == ("x", None, None, None, "no_units")
    assert found.rows()[1] == ("y", [], [], "y", None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＡＢＣ １２３ ｘｙｚ", "abc 123 xyz"),  # full width
        ("cafe\u0301 noir", "CAF\u00c9 noir"),  # a mark composes
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8 사람", "한국 사람"),  # Hangul letters compose
        ("straße eins", "STRASSE eins"),  # case folding makes two letters of one
        ("ｶﾞｷﾞ です", "ガギ です"),  # half-width kana and their marks
        ("25℃ 的水", "25°C的水"),  # one sign becomes sign and letter
        ("dis\u00adcon\u200btinued", "discontinued"),  # what nobody sees
        ("I ❤️ NY\x00now", "i ny now"),
        ("１️⃣ first", "1 first"),
        ("羽 豈", "羽\uf900"),  # compatibility ideographs
    ],
)
def test_forms_of_one_text_are_one_group(one: str, other: str) -> None:
    found = compute(frame(chat(one, "ok", "a"), chat(other, "ok", "b")), NearParams())
    assert found["group"].to_list() == ["a", "a"]
    assert pairs(found) == {("a", "b"): 1.0, ("b", "a"): 1.0}


def test_short_texts_count_whole() -> None:
    found = compute(
        frame(chat("hi", "yes", "a"), chat("Hi!", "yes.", "b"), chat("hi", "no", "c"), chat("yes", "hi", "d")),
        NearParams(),
    )
    assert pairs(found) == {("a", "b"): 1.0, ("b", "a"): 1.0}


def test_sides() -> None:
    rows = frame(
        chat("what is the capital of France please tell", "Paris it is", "a"),
        chat("what is the capital of France please tell", "I do not know this, I am very sorry indeed", "b"),
        chat("name some large town anywhere in Europe for me", "Paris it is", "c"),
    )
    assert pairs(compute(rows, NearParams(side="prompt"))).keys() == {("a", "b"), ("b", "a")}
    assert pairs(compute(rows, NearParams(side="answer"))).keys() == {("a", "c"), ("c", "a")}
    assert pairs(compute(rows, NearParams())) == {}


def test_text_rows_have_no_prompt_and_may_resemble_a_conversation() -> None:
    rows = frame(
        {"content_hash": "t", "kind": "text", "text": "a b c d e f g"},
        {"content_hash": "u", "kind": "text", "text": "A B C D E F G."},
        chat("a b c", "d e f g", "v"),
    )
    assert compute(rows, NearParams())["group"].to_list() == ["t", "t", "t"]
    assert compute(rows, NearParams(side="answer"))["group"].to_list() == ["t", "t", "v"]
    assert compute(rows, NearParams(side="prompt"))["not_applicable"].to_list() == ["no_units", "no_units", None]


def test_tool_calls_count_and_the_system_prompt_does_not() -> None:
    def called(system: str, city: str) -> dict[str, object]:
        call = json.dumps([{"function": {"name": "weather", "arguments": json.dumps({"city": city})}}])
        turns = [
            rec.message("system", system),
            rec.message("user", "weather"),
            rec.message("assistant", "", tool_calls=call),
        ]
        return {"content_hash": f"{system}-{city}", "kind": "chat", "messages": turns}

    found = compute(frame(called("x", "Rome"), called("y", "Rome"), called("x", "Oslo")), NearParams(floor=0.9))
    assert pairs(found).keys() == {("x-Rome", "y-Rome"), ("y-Rome", "x-Rome")}


def test_turns_without_content_and_rows_without_turns() -> None:
    bare = {"content_hash": "a", "kind": "chat", "messages": [rec.message("user", "x") | {"content": None}]}
    none = {"content_hash": "b", "kind": "chat", "messages": []}
    null = {"content_hash": "c", "kind": "text", "text": None}
    assert compute(frame(bare, none, null), NearParams())["not_applicable"].to_list() == ["no_units"] * 3


def test_many_copies_are_a_star_around_the_first_eight() -> None:
    copies = [chat("the same text said again and again", "." * i, f"k{i:03}") for i in range(100)]
    alike = chat("the same text said again and again and again", "", "z")
    found = compute(frame(*copies, alike), NearParams(floor=0.4))
    assert set(found["group"]) == {"k000", "z"}
    lengths = dict(zip(found["content_hash"], found["neighbours"].list.len(), strict=True))
    assert lengths["k000"] == 100  # 99 copies and z
    assert lengths["k007"] == 100
    assert lengths["k008"] == 8
    assert lengths["z"] == 8
    listed = pairs(found)
    assert all(listed[b, a] == s for (a, b), s in listed.items())
    assert listed["k099", "k000"] == 1.0
    assert listed["k000", "z"] == 0.6


def test_against_pairs_across_only() -> None:
    own = frame(
        chat("one two three four five", "six seven", "a"),
        chat("one two three four five", "six seven!", "b"),
        chat("x", "y", "c"),
    )
    other = frame(
        chat("one two three four five", "six seven", "p"),
        chat("one two three four five", "six seven eight", "q"),
        chat("one two three four five", "six, seven", "r"),
    )
    found = compute(own, NearParams(), against=other)
    assert pairs(found) == {("a", "b"): 1.0, ("b", "a"): 1.0}
    expected = {("p", 1.0), ("q", 0.75), ("r", 1.0)}
    for row in ("a", "b"):
        assert {(b, s) for (a, b), s in pairs(found, "against").items() if a == row} == expected
    assert found["against"].to_list()[2] == []
    assert compute(own, NearParams(), against=rec.frame([])).equals(compute(own, NearParams()))


def test_a_crowd_is_bounded_and_every_row_of_it_meets_the_first() -> None:
    rng = random.Random(3)
    words = [f"word{i}" for i in range(60)]
    rows = [chat(" ".join([*words, rng.choice("abcdefgh") + str(i)]), "ok", f"k{i:04}") for i in range(400)]
    whole, bounded = compute(frame(*rows), NearParams()), compute(frame(*rows), NearParams(crowd=10))
    assert whole["neighbours"].list.len().to_list() == [399] * 400
    listed = pairs(bounded)
    assert len(listed) < 0.2 * 400 * 399
    assert {b for a, b in listed if a == "k0000"} == {f"k{i:04}" for i in range(1, 400)}
    assert listed.items() <= pairs(whole).items()


def test_banding() -> None:
    assert banding(128, 0.5) == (32, 4)
    assert banding(128, 0.7) == (18, 7)
    assert banding(16, 0.1) == (16, 1)
    for floor in np.arange(0.2, 1.0, 0.05):
        bands, rows = banding(128, float(floor))
        assert 1 - (1 - min(1.0, floor + 0.1) ** rows) ** bands >= 0.98


alphabet = st.sampled_from(
    [
        *"abcXYZ019 ,.-_'",
        *"你好世界，。ａＢ　",
        "\u0301",
        "é",
        "ß",
        "℃",
        "①",
        "ｶ",
        "ﾞ",
        "\u200d",
        "️",
        "😀",
        "한",
        "ก",
        "\x00",
        "\n",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet, max_size=60), min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 6))
def test_the_kernel_cuts_the_shingles_of_the_definition(texts: list[str], words: int, chars: int) -> None:
    rows = frame(*(chat(t, t[::-1], f"{i:02}") for i, t in enumerate(texts)))
    work = near._digests([near._rows(rows)], NearParams(ngram_words=words, ngram_chars=chars), silent)
    wanted = [shingle_set(t, t[::-1], words=words, chars=chars) for t in texts]
    cut = [set(work.sets[s : s + n].tolist()) for s, n in zip(work.start, work.count, strict=True)]
    assert [len(s) for s in cut] == work.count.tolist() == [len(s) for s in wanted]
    for i, j in itertools.combinations(range(len(texts)), 2):
        assert len(cut[i] & cut[j]) == len(wanted[i] & wanted[j])
        assert (work.identity[i] == work.identity[j]) == (wanted[i] == wanted[j]) or not wanted[i] | wanted[j]


def test_long_and_repetitive_texts() -> None:
    long = " ".join(f"w{i}" for i in range(100_000))
    again = "ha " * 50_000
    other = "哈" * 70_000
    work = near._digests(
        [near._rows(frame(chat(long, "x", "a"), chat(again, "", "b"), chat("", other, "c")))], NearParams(), silent
    )
    assert work.count.tolist() == [99_997, 1, 1]


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> pl.DataFrame:
    """600 rows of real data, Chinese, English and tool calls, and edited copies of a third of them."""
    rng = random.Random(1)
    rows = []
    for name in ("alpaca_en_demo", "alpaca_zh_demo"):
        for row in json.loads((shared_data / f"LLaMA-Factory/{name}.json").read_text(encoding="utf-8"))[:250]:
            rows.append((row["instruction"] + "\n" + row["input"], row["output"]))
    for row in json.loads((shared_data / "FastChat/dummy_conversation.json").read_text(encoding="utf-8"))[:150]:
        rows.append((row["conversations"][0]["value"], row["conversations"][1]["value"]))
    copies = []
    for prompt, answer in rows[::3]:
        cut = list(answer)
        for _ in range(rng.choice((0, 1, 2, 5)) * len(cut) // 100):
            cut[rng.randrange(len(cut))] = rng.choice("好e的 ")
        copies.append((prompt + "?", "".join(cut)))
    return rec.frame(chat(p, a) for p, a in rows + copies).unique("content_hash", maintain_order=True)


def truth(records: pl.DataFrame) -> dict[tuple[str, str], float]:
    sets = [
        (h, shingle_set(*(m["content"] for m in messages)))
        for h, messages in records.select("content_hash", "messages").iter_rows()
    ]
    found = {}
    for (a, x), (b, y) in itertools.combinations(sorted(sets, key=lambda s: s[0]), 2):
        if min(len(x), len(y)) >= 0.5 * max(len(x), len(y)) and (value := jaccard(x, y)) >= 0.5:
            found[a, b] = value
    return found


def test_brute_force_agrees(corpus: pl.DataFrame) -> None:
    found = {(a, b): s for (a, b), s in pairs(compute(corpus, NearParams())).items() if a < b}
    wanted = truth(corpus)
    assert len(wanted) > 150
    assert found == {pair: round(wanted[pair], 4) for pair in found}  # nothing that is not so
    for limit, share in ((0.8, 0.999), (0.6, 0.98), (0.5, 0.95)):
        sought = [p for p, s in wanted.items() if s >= limit]
        assert sum(p in found for p in sought) >= share * len(sought)


def test_datasketch_finds_no_more(corpus: pl.DataFrame) -> None:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=128, params=(32, 4))
    sketches, sets = {}, {}
    for h, messages in corpus.select("content_hash", "messages").iter_rows():
        sets[h] = shingle_set(*(m["content"] for m in messages))
        sketches[h] = MinHash(num_perm=128)
        sketches[h].update_batch([" ".join(s).encode() for s in sets[h]])
        index.insert(h, sketches[h])
    theirs = {(h, o) for h in sets for o in index.query(sketches[h]) if h != o and jaccard(sets[h], sets[o]) >= 0.8}
    ours = {p for p, s in pairs(compute(corpus, NearParams())).items() if s >= 0.8}
    assert len(theirs) > 100
    assert len(theirs & ours) >= 0.98 * len(theirs)
    assert len(ours) >= len(theirs)


def test_order_of_rows_and_repeats_change_nothing(corpus: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    other = corpus.gather_every(5)
    first = compute(corpus, NearParams(), against=other)
    assert first.equals(compute(corpus, NearParams(), against=other))
    shuffled = corpus.sample(fraction=1.0, shuffle=True, seed=4)
    assert first.equals(compute(pl.concat([shuffled, corpus.head(40)]), NearParams(), against=other.reverse()))
    monkeypatch.setenv("CURATION_WORKERS", "64")  # one thread
    monkeypatch.setattr(near, "_SLICE", 37)
    assert first.equals(compute(corpus, NearParams(), against=other))


def test_a_part_of_the_rows_has_the_pairs_of_the_part(corpus: pl.DataFrame) -> None:
    part = corpus.gather_every(2)
    kept = set(part["content_hash"])
    small = compute(corpus, NearParams(crowd=10_000)).filter(pl.col("content_hash") == pl.col("group"))
    both = {p: s for p, s in pairs(small).items() if p[0] in kept and p[1] in kept}
    assert both.items() <= pairs(compute(part, NearParams(crowd=10_000))).items()


def test_all_of_a_corpus_is_found_against_itself(corpus: pl.DataFrame) -> None:
    found = compute(corpus.head(200), NearParams(), against=corpus)
    same = found.filter(pl.col("group") == pl.col("content_hash")).explode("against").unnest("against")
    assert (
        same.filter(pl.col("other") == pl.col("content_hash"))["similarity"].to_list()
        == [1.0] * same["content_hash"].n_unique()
    )
    inside = {
        p: s for p, s in pairs(found).items() if p[0] == dict(found.select("content_hash", "group").iter_rows())[p[0]]
    }
    assert inside.items() <= pairs(found, "against").items()


def test_reasoning_is_of_the_conversation() -> None:
    def thinking(thought: str, key: str) -> dict[str, object]:
        messages = [rec.message("user", "q"), rec.message("assistant", "a", reasoning=thought)]
        return {"content_hash": key, "kind": "chat", "messages": messages}

    rows = frame(
        thinking("one two three four five six seven", "a"),
        thinking("one two three four five six eight", "b"),  # 5 shingles each, with q before and a after; 3 in common
        thinking("这里说的完全是另外一件事情", "c"),
        chat("q one two three four five six seven", "a", "d"),
    )
    found = compute(rows, NearParams(floor=0.4))
    assert pairs(found) == {(x, y): 0.4286 if "b" in (x, y) else 1.0 for x, y in itertools.permutations("abd", 2)}
    assert compute(rows, NearParams(side="answer"))["group"].n_unique() == 1


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    compute(frame(chat("a", "b"), chat("c", "d")), NearParams(), progress=lambda *step: told.append(step))
    assert told == [("near", 2, 2)]


def grown(folder: Path, parts: list[pl.DataFrame], params: NearParams) -> near_index.NearIndex:
    """An index that is opened anew for each part."""
    for part in parts:
        near_index.NearIndex(folder, params).add(part)
    return near_index.NearIndex(folder, params)


def test_an_index_that_grows_is_what_one_run_gives(corpus: pl.DataFrame, tmp_path: Path) -> None:
    whole = compute(corpus, NearParams())
    parts = [corpus.head(500), corpus.slice(500, 1), corpus.slice(490, 60), corpus.slice(550)]
    index = grown(tmp_path / "parts", parts, NearParams())
    assert index.sidecar().equals(whole)
    once = grown(tmp_path / "once", [corpus.reverse()], NearParams())
    assert once.sidecar().equals(whole)
    gone = near_copies.choose(index, 0.8)
    assert len(gone) > 100
    assert gone.equals(near_copies.choose(once, 0.8))


def test_an_index_with_crowds_is_what_one_run_gives(tmp_path: Path) -> None:
    rng = random.Random(3)
    words = [f"word{i}" for i in range(60)]
    rows = [chat(" ".join([*words, rng.choice("abcdefgh") + str(i)]), "ok", f"k{i:04}") for i in range(200)]
    rng.shuffle(rows)
    rows += [rows[7] | {"content_hash": "a000"}, chat("", "", "zz"), chat("others", "entirely", "y")]
    params = NearParams(crowd=10)
    index = grown(tmp_path, [frame(*part) for part in (rows[:8], rows[8:100], rows[100:201], rows[201:])], params)
    assert index.sidecar().equals(compute(frame(*rows), params))
    assert len(index._parts) == 4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text("abc 你", max_size=8), st.integers(0, 3)), max_size=24), st.integers(2, 5))
def test_however_an_index_is_parted_it_is_what_one_run_gives(said: list[tuple[str, int]], crowd: int) -> None:
    params = NearParams(ngram_words=1, ngram_chars=1, crowd=crowd, floor=0.3)
    rows = [chat(text, text[:2], f"{n * 7 % 25:02}") for n, (text, _) in enumerate(said)]
    parts = [[row for row, (_, part) in zip(rows, said, strict=True) if part == n] for n in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        index = grown(Path(folder), [frame(*part) for part in parts], params)
        whole = compute(frame(*rows), params)
        assert index.sidecar().equals(whole)
        listed, kept = pairs(whole), set()
        group = dict(whole.select("content_hash", "group").iter_rows())
        for row in sorted(key for key, of in group.items()):  # the rule of survivors, in words
            if not any(
                group[k] == group[row] is not None or listed.get((group[row], group[k]), 0) >= 0.6 for k in kept
            ):
                kept.add(row)
        assert set(near_copies.choose(index, 0.6)["content_hash"]) == set(group) - kept


def test_copies_name_the_kept_row_that_is_most_alike(tmp_path: Path) -> None:
    rows = frame(
        chat("one two three four five six seven", "", "b"),
        chat("One two three four five six seven!", "", "a"),
        chat("one two three four five six seven eight", "", "c"),
        chat("two three four five six seven eight nine", "", "d"),
        chat("nothing at all", "", "e"),
    )
    index = near_index.NearIndex(tmp_path, NearParams())
    found = index.add(rows)
    assert sorted(found.rows()) == [("a", "c", 0.75), ("c", "d", 0.6)]
    assert near_copies.choose(index, 0.6).rows() == [("b", "a", 1.0), ("c", "a", 0.75)]
    assert index.add(rows).rows() == []


def test_an_index_outlives_an_add_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [chat(f"one two three four five six {word}", "ok", word) for word in ("seven", "eight", "nine")]
    index = near_index.NearIndex(tmp_path, NearParams())
    index.add(frame(rows[0]))
    (tmp_path / "new-left").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(DataError, match=r"cannot be added to \(disk full\)"):
            index.add(frame(*rows[1:]))
    assert index.sidecar().equals(compute(frame(rows[0]), NearParams()))
    index.add(frame(*rows[1:]))
    assert index.sidecar().equals(compute(frame(*rows), NearParams()))
    assert near_index.NearIndex(tmp_path, NearParams()).sidecar().equals(index.sidecar())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000", "000001", "params.json"]


def test_an_index_with_a_gap_is_refused(tmp_path: Path) -> None:
    index = near_index.NearIndex(tmp_path, NearParams())
    for word in ("seven", "eight", "nine"):
        index.add(frame(chat(f"one two three four five six {word}", "ok", word)))
    (tmp_path / "000001").rename(tmp_path / "aside")
    with pytest.raises(DataError, match=r"000002 stands where part 000001 should; restore that part, or remove"):
        near_index.NearIndex(tmp_path, NearParams())
    (tmp_path / "aside").rename(tmp_path / "000001")
    (tmp_path / "params.json").unlink()
    with pytest.raises(DataError, match=r"params\.json: no such file beside the parts of an index"):
        near_index.NearIndex(tmp_path, NearParams())


def test_an_index_of_other_params_is_refused(tmp_path: Path) -> None:
    near_index.NearIndex(tmp_path, NearParams(seed=1))
    with pytest.raises(DataError, match=r"params\.json: the index was made with .*; name another folder\.$"):
        near_index.NearIndex(tmp_path, NearParams())
