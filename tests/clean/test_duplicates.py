import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records
from curation.clean import duplicates, joined
from curation.clean.duplicates import DuplicateParams
from curation.label import LABEL_COLUMNS

PAIR = pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64}))


def corpus(rows, near=(), semantic=()):
    """A joined frame and its signals; `rows`: (id, prompt, answer, other fields), pairs by id."""
    made, labels = [], []
    for id_, prompt, answer, other in rows:
        messages = [records.message("user", prompt), records.message("assistant", answer)]
        made.append(
            {"id": id_, "kind": "chat", "messages": messages, "content_hash": records.content_hash(messages, None, None),
             "origin": "human", "language": "en", "tags": [], "parents": [], "source": "s", "license": "MIT"} | other
        )  # fmt: skip
        labels.append({"id": id_, "task_type": "chat", "tags": other.get("tags", []), "bucket": "general"})
    frame = records.frame(made)
    hashes = {r["id"]: r["content_hash"] for r in made}
    distinct = sorted(set(hashes.values()))

    def sidecar(pairs):
        found = {h: [] for h in distinct}
        for one, other, similarity in pairs:
            found[hashes[one]].append({"other": hashes[other], "similarity": similarity})
            found[hashes[other]].append({"other": hashes[one], "similarity": similarity})
        return pl.DataFrame(
            {"content_hash": distinct, "neighbours": [found[h] for h in distinct], "against": [[] for _ in distinct]},
            schema={"content_hash": pl.String, "neighbours": PAIR, "against": PAIR},
        )

    from curation.score import exact, length

    sizes = frame.unique("content_hash").select(
        "content_hash",
        pl.col("messages").list.last().struct.field("content").str.len_chars().cast(pl.Int64).alias("answer_chars"),
    )
    language = pl.DataFrame({"content_hash": distinct}).with_columns(
        pl.lit("en").alias("answer_language"), pl.lit("en").alias("prompt_language")
    )
    signals = {
        "exact": exact.compute(frame, exact.ExactParams()), "near": sidecar(near), "semantic": sidecar(semantic),
        "length": sizes, "language": language,
    }  # fmt: skip
    assert length
    return joined(frame, signals, records.frame(labels, LABEL_COLUMNS), {}), signals


def decide(rows, near=(), semantic=(), against=None, **params):
    frame, signals = corpus(rows, near, semantic)
    found = duplicates.decide(frame, signals, DuplicateParams(**params), against)
    return {i: (rule, of) for i, rule, of in found.select("id", "rule", "duplicate_of").iter_rows()}


def test_copies_with_other_case_width_and_spaces_keep_one_row():
    rows = [
        ("a", "How big is it?", "Very Big", {}),
        ("b", "how  big is it", "very big!", {}),
        ("c", "Ｈow big is it?", "Very Big", {}),
    ]
    dropped = decide(rows)
    assert len(dropped) == 2 and {rule for rule, _ in dropped.values()} == {"exact_duplicate"}
    assert len({of for _, of in dropped.values()} - dropped.keys()) == 1


def test_human_rows_survive_synthetic_ones():
    rows = [("made", "p one", "same", {"origin": "synthetic"}), ("human", "p two", "same", {})]
    assert decide(rows, near=[("made", "human", 0.9)]) == {"made": ("near_duplicate", "human")}


def test_a_chain_drops_nothing_on_hearsay():
    rows = [(i, f"prompt {i}", f"answer {i}", {}) for i in "abc"]
    dropped = decide(rows, near=[("a", "b", 0.85), ("b", "c", 0.85), ("a", "c", 0.6)])
    for one, (_, survivor) in dropped.items():
        assert {one, survivor} != {"a", "c"}
    assert len(dropped) in (1, 2)


def test_below_the_threshold_nothing_goes():
    rows = [(i, f"prompt {i}", f"answer {i}", {}) for i in "ab"]
    assert decide(rows, near=[("a", "b", 0.79)], semantic=[("a", "b", 0.94)]) == {}
    assert {v[0] for v in decide(rows, semantic=[("a", "b", 0.96)]).values()} == {"semantic_duplicate"}


def test_noise_on_purpose_is_no_copy_of_its_parent_or_sibling():
    noisy = {"tags": ["robustness:typo"], "parents": ["p"], "origin": "synthetic"}
    rows = [
        ("p", "how do plants grow", "they do", {}),
        ("n", "hwo do plants grow", "they do", noisy),
        ("m", "how do plnts grow", "they do", noisy),
    ]
    pairs = [("p", "n", 0.9), ("p", "m", 0.9), ("n", "m", 0.9)]
    assert decide(rows, near=pairs, semantic=pairs) == {}
    stranger = [*rows, ("q", "how do plants grow?!", "they do.", {"origin": "synthetic"})]
    assert decide(stranger, near=[*pairs, ("q", "p", 0.95)]) == {"q": ("exact_duplicate", "p")}


def test_one_answer_over_many_prompts_is_capped():
    rows = [(f"r{i}", f"prompt {i}", "We value your message and will reply soon.", {}) for i in range(5)]
    dropped = decide(rows, same_answer=3)
    assert len(dropped) == 2 and {rule for rule, _ in dropped.values()} == {"homogeneous_answer"}
    assert decide([(i, f"prompt {i}", "yes", {}) for i in "abcdef"], same_answer=3) == {}


def test_synthetic_rows_of_one_type_meet_a_lower_limit():
    made = {"origin": "synthetic"}
    rows = [("a", "p a", "x", made), ("b", "p b", "y", made)]
    assert [v[0] for v in decide(rows, near=[("a", "b", 0.65)]).values()] == ["near_duplicate"]


def test_a_later_member_of_a_group_of_identical_rows_finds_the_survivor_of_another():
    rows = [(i, f"prompt {i}", f"answer {i}", {}) for i in "abcd"]
    frame, signals = corpus(rows, near=[("a", "d", 0.9)])
    hashes = dict(frame.select("id", "content_hash").iter_rows())
    first = min(hashes["a"], hashes["b"], hashes["c"])
    group = {h: (first if i in "abc" else h) for i, h in hashes.items()}
    listed = [{"other": hashes["d"], "similarity": 0.9}]
    empty = pl.lit([], dtype=PAIR)
    # Only the first row of the group {a, b, c} lists d; a and b, c are identical shingle sets.
    signals["near"] = signals["near"].with_columns(
        group=pl.col("content_hash").replace_strict(group),
        neighbours=pl.when(pl.col("content_hash") == first)
        .then(pl.lit(listed, dtype=PAIR))
        .when(pl.col("content_hash") == hashes["d"])
        .then(pl.lit([{"other": first, "similarity": 0.9}], dtype=PAIR))
        .otherwise(empty),
    )
    dropped = duplicates.decide(frame, signals, DuplicateParams(), None)
    assert dropped.height == 3 and dropped["duplicate_of"].n_unique() == 1


edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from([0.6, 0.8, 0.9])), max_size=15)


@settings(max_examples=40, deadline=None)
@given(edges, st.randoms())
def test_survivors_do_not_depend_on_order_and_no_cluster_is_lost(found, random):
    rows = [(f"r{i}", f"prompt {i}", f"answer {i}", {}) for i in range(8)]
    pairs = [
        (f"r{a}", f"r{b}", s)
        for a, b, s in {(min(a, b), max(a, b)): (min(a, b), max(a, b), s) for a, b, s in found if a != b}.values()
    ]
    first = decide(rows, near=pairs)
    random.shuffle(rows)
    assert decide(rows, near=pairs) == first
    strong = {frozenset((a, b)) for a, b, s in pairs if s >= 0.8}
    for one, (_, survivor) in first.items():
        assert survivor not in first and frozenset((one, survivor)) in strong
    kept = {r[0] for r in rows} - first.keys()
    assert not any(pair <= kept for pair in strong)


def greedy(rows, near, semantic, across, params, there):
    """The rule in words: best rank first, a row goes when a kept row is its copy; exact before near before semantic.

    `there`: the key of the row `before` in the other corpus.
    """

    def kin(row, other, other_parents):
        noisy = any(t.startswith("robustness:") for t in row["tags"])
        return noisy and (other in row["parents"] or bool(set(row["parents"]) & set(other_parents)))

    kept, gone = [], {}
    for row in rows:
        if row["key"] == there and not kin(row, "before", ["p"]):
            gone[row["id"]] = ("exact_duplicate", 1.0, "before")
            continue
        same = [k["id"] for k in kept if k["key"] == row["key"] and not kin(row, k["id"], k["parents"])]
        if same:
            gone[row["id"]] = ("exact_duplicate", 1.0, same[0])
            continue
        for rule, pairs, floor in (
            ("near_duplicate", near, params.near),
            ("semantic_duplicate", semantic, params.semantic),
        ):
            found = []
            for other in kept:
                limit = floor
                if rule == "near_duplicate" and row["origin"] == other["origin"] == "synthetic":
                    limit = params.synthetic_near
                value = pairs.get(frozenset((row["id"], other["id"])), 0)
                if value >= limit and not kin(row, other["id"], other["parents"]):
                    found.append((value, other["id"]))
            outside = across.get(row["id"], 0) if rule == "near_duplicate" else 0
            if outside >= floor and not kin(row, "before", ["p"]):
                found.append((outside, "before"))
            if found:
                gone[row["id"]] = (rule, *max(found))
                break
        else:
            kept.append(row)
    return gone


similar = st.sampled_from([0.55, 0.65, 0.8, 0.9, 0.96])
links = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda p: p[0] < p[1]), similar, max_size=14
)
traits = st.fixed_dictionaries(
    {
        "origin": st.sampled_from(["human", "log", "synthetic"]),
        "tags": st.sampled_from([[], ["robustness:typo"]]),
        "parents": st.lists(st.sampled_from(["r0", "r1", "p", "q"]), max_size=2),
    }
)


@settings(max_examples=80, deadline=None)
@given(st.lists(traits, min_size=7, max_size=7), st.lists(st.integers(0, 9), min_size=7, max_size=7), links, links,
       st.dictionaries(st.integers(0, 6), similar, max_size=3), st.randoms(), st.integers(0, 7))  # fmt: skip
def test_the_kernel_decides_as_the_rule_says_in_any_order_and_once(others, said, near, semantic, across, random, cut):
    rows = [(f"r{i}", f"prompt {said[i]}", f"answer {said[i]}!{' ' * i}", others[i]) for i in range(7)]
    by_id = [[(f"r{a}", f"r{b}", s) for (a, b), s in pairs.items()] for pairs in (near, semantic)]
    frame, signals = corpus(rows, *by_id)
    hashes = dict(frame.select("id", "content_hash").iter_rows())
    listed = {hashes[f"r{i}"]: [{"other": "h", "similarity": s}] for i, s in across.items()}
    signals["near"] = signals["near"].with_columns(
        pl.Series("against", [listed.get(h, []) for h in signals["near"]["content_hash"]], dtype=PAIR)
    )
    keys = dict(zip(*signals["exact"].select("content_hash", "key"), strict=True))
    there = keys[hashes["r6"]]
    against = pl.DataFrame(
        {"id": ["later", "before"], "content_hash": ["h", "h"], "parents": [["x"], ["p"]], "key": [there, there]}
    )
    params = DuplicateParams()
    found = duplicates.decide(frame, signals, params, against)
    order = duplicates.ranked(frame).join(signals["exact"].select("content_hash", "key"), on="content_hash")
    pairs = [{frozenset((a, b)): s for a, b, s in pairs} for pairs in by_id]
    expected = greedy(order.sort("_unreviewed", "_origin", "_noisy", "content_hash", "id").to_dicts(), *pairs,
                      {f"r{i}": s for i, s in across.items()}, params, there)  # fmt: skip
    assert {i: (r, v, o) for i, r, v, o in found.select("id", "rule", "value", "duplicate_of").iter_rows()} == expected
    shuffled = frame.sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    split = pl.concat([shuffled[cut:], shuffled[:cut]])
    assert duplicates.decide(split, signals, params, against).sort("id").equals(found.sort("id"))
    left = frame.join(found.select("id"), on="id", how="anti")
    assert duplicates.decide(left, signals, params, against).is_empty()


def test_an_exact_copy_in_the_other_corpus_goes_without_near_and_semantic():
    """They are off, and of rows without a letter or digit near says nothing."""
    from curation.score import exact

    rows = [
        ("a", "What is a fjord?", "A drowned valley.", {}),
        ("b", "峡湾是什么？", "被海水淹没的山谷。", {}),
        ("c", "→", "……", {}),
        ("d", "用 Python 打印 hi", "print('hi')", {"tags": ["robustness:typo"], "parents": ["x4"]}),
        ("e", "What is a loch?", "A lake.", {}),
    ]
    said = [("what is  a FJORD", "a drowned valley"), ("峡湾是什么", "被海水淹没的山谷"), ("→", "……"), rows[3][1:3]]
    there, _ = corpus([(f"x{n}", prompt, answer, {}) for n, (prompt, answer) in enumerate(said, 1)])
    against = there.join(exact.compute(there, exact.ExactParams()).select("content_hash", "key"), on="content_hash")
    assert decide(rows, against=against) == {i: ("exact_duplicate", f"x{n}") for n, i in enumerate("abc", 1)}
    frame, signals = corpus(rows)
    accepted = frame.with_columns(verdict=pl.lit("accept"))
    assert duplicates.decide(accepted, signals, DuplicateParams(), against).is_empty()


def test_limits_below_the_floors_of_score_are_refused(tmp_path):
    from curation.clean import CleanParams
    from curation.errors import ConfigError
    from pipelines import params as files

    path = tmp_path / "params.yaml"
    path.write_text(
        "score:\n  near: {floor: 0.7}\nclean:\n  duplicates: {near: 0.7, synthetic_near: 0.65, semantic: 0.75}\n"
    )
    wrong = [
        "clean.duplicates.synthetic_near: found 0.65; pairs below score.near.floor (0.7) are not written, so 0.7 or more is "
        "accepted; raise it, or lower the floor.",
        "clean.duplicates.semantic: found 0.75; pairs below score.semantic.floor (0.8) are not written, so 0.8 or more is "
        "accepted; raise it, or lower the floor.",
    ]
    with pytest.raises(ConfigError) as error:
        files.below_floor(files.load("clean", CleanParams, path), path)
    assert str(error.value).splitlines() == wrong
    with pytest.raises(ConfigError) as error:
        files.check(path)
    assert str(error.value).splitlines()[-2:] == wrong


SAID = [
    "What is a fjord?",
    "WHAT IS A FJORD",
    "峡湾是什么？",
    "峡湾是什么",
    "",
    "Write it all in lower case, please, and briefly.",
    "…",
]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(SAID), st.sampled_from(SAID)), min_size=1, max_size=9),
    st.randoms(),
    st.integers(0, 9),
)
def test_clean_is_the_same_in_any_order_from_any_split_and_twice(tmp_path_factory, said, random, cut):
    from benchmarks.clean import signals_of
    from curation.clean import CleanParams, clean

    made, labels = [], []
    for n, (prompt, answer) in enumerate(said):
        messages = [records.message("user", prompt), records.message("assistant", answer)]
        made.append(
            {"id": f"r{n}", "kind": "chat", "messages": messages, "content_hash": records.content_hash(messages, None, None),
             "origin": "human", "language": "en", "tags": [], "parents": [], "source": "s", "license": "MIT"}
        )  # fmt: skip
        labels.append({"id": f"r{n}", "task_type": "chat", "tags": [], "bucket": "general"})
    frame, labelled = records.frame(made), records.frame(labels, LABEL_COLUMNS)
    folder = tmp_path_factory.getbasetemp() / "evaluation"
    folder.mkdir(exist_ok=True)
    (folder / "set.jsonl").write_text('{"prompt": "write it all in lower case please, and briefly"}\n')
    signals = signals_of(frame, 3)
    kept, dropped = clean(frame, signals, labelled, CleanParams(), evaluation=folder)
    assert sorted([*kept["id"], *dropped["id"]]) == sorted(frame["id"])
    assert ("contaminated" in dropped["rule"]) == any(SAID[5] in pair for pair in said)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    split = pl.concat([shuffled[cut:], shuffled[:cut]])
    again = clean(split, signals, labelled.reverse(), CleanParams(), evaluation=folder)
    assert again[0].equals(kept) and again[1].equals(dropped)
    survivors = frame.filter(pl.col("id").is_in(kept["id"].to_list()))
    twice = clean(
        survivors, signals, labelled.filter(pl.col("id").is_in(kept["id"].to_list())), CleanParams(), evaluation=folder
    )
    assert twice[0].equals(kept) and twice[1].is_empty()
