"""The exam: chosen by cluster among human rows, the same for every mixture; leaks stay on one side."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records
from curation.mix import split
from curation.mix.split import HeldoutParams, unit_hash
from curation.score.pairs import LINKS, Side, sidecar
from tests.mix.rows import FULL, decided, frame, labelled, pairs, row


def sides(rows, pairs_=None, **params):
    data = records.frame(rows, records.LABELLED)
    return dict(split.split(data, pairs_ or {}, HeldoutParams(**params)).select("id", "side").iter_rows())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_planted_leaks_stay_on_one_side(seed):
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}") for i in range(16)]
    rows[1]["group"] = rows[2]["group"] = "session"
    rows[10]["group"], rows[10]["source"] = "session", "elsewhere"  # another source's session of the same name
    rows.append(labelled("child", "general", "made", "made", origin="synthetic", parents=["r3"]))
    rows.append(labelled("grandchild", "general", "made again", "made", origin="synthetic", parents=["child"]))
    rows.append(labelled("copy of a child", "general", "made!", "made", origin="synthetic"))
    rows.append(labelled("edited", "general", "a person's", "version", parents=["r6"]))
    rows.append(labelled("same text", "general", "prompt 7", "answer 7"))
    near = {
        "raw": pairs(
            (rows[4]["content_hash"], rows[5]["content_hash"], 0.9),
            (rows[8]["content_hash"], rows[9]["content_hash"], 0.4),
        ),
        "generated": pairs(
            (rows[16]["content_hash"], rows[18]["content_hash"], 0.8), (rows[16]["content_hash"], "gone", 0.9)
        ),
    }
    found = sides(rows, near, share=0.5, seed=seed)
    assert found["r4"] == found["r5"]
    assert found["r1"] == found["r2"]
    assert found["edited"] == found["r6"]
    assert found["same text"] == found["r7"]
    kin = "kin" if found["r3"] == "heldout" else "train"
    assert found["child"] == found["grandchild"] == found["copy of a child"] == kin


def test_what_does_not_belong_together_is_split_apart():
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}", group=f"g{i}") for i in range(40)]
    near = {"raw": pairs(*((rows[i]["content_hash"], rows[i + 1]["content_hash"], 0.4) for i in range(39)))}
    assert set(sides(rows, near, share=0.5).values()) == {"heldout", "train"}
    assert len(set(sides(rows, near, share=0.5, near=0.4).values())) == 1


def test_a_long_chain_is_one_cluster_named_by_its_least_hash():
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}") for i in range(300)]
    hashes = [r["content_hash"] for r in rows]
    near = {"raw": pairs(*zip(hashes, hashes[1:], [0.9] * 299, strict=False))}
    found = split.split(records.frame(rows, records.LABELLED), near, HeldoutParams(share=0.5))
    assert set(found["cluster"]) == {min(hashes)}
    assert set(found["side"]) == {"heldout" if unit_hash(0, min(hashes)) < 0.5 else "train"}


def test_a_made_row_that_links_two_human_rows_moves_neither():
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}") for i in range(30)]
    before = sides(rows, share=0.4)
    link = labelled("link", "general", "x", "y", origin="synthetic", parents=["r1", "r2", "r3", "r4"])
    after = sides([*rows, link], share=0.4)
    assert {i: s for i, s in after.items() if i != "link"} == before


MIXTURES = [
    {}, {"ratios": {"domain": 1}, "replay": 0}, {"unit": "rows", "size": 30}, {"exhaustion": "repeat", "max_epochs": 4},
    {"ratios": "domain_heavy"}, {"exhaustion": "renormalise", "size": 8000}, {"seed": 9}, {"synthesized": "all"},
    {"targets": [{"bucket": "domain", "rows": 7}]}, {"floors": [{"source": "s1", "fraction": 0.3}]},
    {"caps": [{"task_type": "math", "rows": 3}]}, {"task_weights": {"code": 3}}, {"short_answers": {"max_loss_tokens": 12, "times": 3}},
    {"phases": [{"name": "A", "share": 1, "ratios": {"general": 1}}]}, {"weights": [{"source": "s2", "weight": 0.1}]},
    {"ratios": "core_and_tail"}, {"quality": {"temperature": 0.5}},
]  # fmt: skip


def test_every_mixture_sits_the_same_exam():
    rows = FULL.with_columns(pl.int_range(pl.len()).cast(pl.Float64).alias("quality"))
    made = frame(
        [
            row(
                "general",
                i,
                id=f"made-{i}",
                content_hash=f"m{i}",
                origin="synthetic",
                parents=[f"general-{i}"],
                recipe="noise/typo",
                quality=1.0,
            )
            for i in range(20)
        ]
    )
    exams = [decided(rows, made, **params) for params in MIXTURES]
    assert 10 < exams[0].heldout.height < 60
    for exam in exams[1:]:
        assert exam.heldout["id"].to_list() == exams[0].heldout["id"].to_list()
    for exam in exams:
        kin = {f"made-{i.split('-')[1]}" for i in exam.heldout["id"] if i.startswith("general")}
        assert not kin & set(exam.train["id"])
        assert not set(exam.heldout["content_hash"]) & set(exam.train["content_hash"])


def test_planted_leaks_are_not_trained_on_beside_their_kin():
    """Near copy, synthetic child, same group: whichever mixture is asked for, train and held-out share none of them."""
    rows = FULL.with_columns(
        pl.when(pl.col("id").str.ends_with("-7")).then(pl.lit("g")).alias("group"), pl.lit("s").alias("source")
    )
    copies = [(f"h-general-{i}", f"h-domain-{i}", 0.7) for i in range(30)]
    made = frame(
        [
            row(
                "safety",
                i,
                id=f"made-{i}",
                content_hash=f"m{i}",
                origin="synthetic",
                parents=[f"domain-{i}"],
                recipe="noise/cut",
            )
            for i in range(30)
        ]
    )
    for seed in range(10):
        got = decided(rows, made, {"raw": pairs(*copies)}, heldout={"share": 0.3, "seed": seed})
        train, heldout = set(got.train["id"]), set(got.heldout["id"])
        for i in range(30):
            kin = {f"general-{i}", f"domain-{i}", f"made-{i}"}
            assert not (kin & train and kin & heldout)
        group = {f"{b}-7" for b in ("general", "math_code", "domain", "safety", "replay")}
        assert not (group & train and group & heldout)


def test_copies_stay_together_when_those_that_stand_for_their_group_are_gone():
    """Ten rows of one text under other system prompts, x is alike; pairs are named by the first eight, which clean dropped."""
    hashes = pl.Series([f"c{i}" for i in range(10)] + ["x"])
    own = Side(hashes, np.array([0] * 10 + [10]))
    links = pl.DataFrame({"first": [0], "second": [10], "similarity": [0.6]}, schema=LINKS)
    near = {"raw": sidecar(own, links, pl.Series([None] * 11, dtype=pl.String))}
    kept = frame([row("general", i, id=h, content_hash=h) for i, h in enumerate(("c8", "c9", "x", "y"))])
    c8, c9, x, y = split.components(kept, near, 0.5)
    assert c8 == c9 == x != y
    c8, c9, x, y = split.components(kept, near, 0.7)
    assert c8 == c9 != x != y
    alone = kept.filter(pl.col("id") != "c8")
    c9, x, y = split.components(alone, near, 0.5)
    assert c9 == x != y


def test_copies_in_the_other_corpus_stay_together_too():
    raw = Side(pl.Series([f"c{i}" for i in range(10)]), np.zeros(10, np.int64))
    made = Side(pl.Series(["m"]), np.zeros(1, np.int64))
    across = pl.DataFrame({"first": [0], "second": [0], "similarity": [0.9]}, schema=LINKS)
    none, reason = pl.DataFrame(schema=LINKS), pl.Series([None], dtype=pl.String)
    near = {
        "raw": sidecar(raw, none, pl.Series([None] * 10, dtype=pl.String)),
        "generated": sidecar(made, none, reason, raw, across),
    }
    kept = frame([row("general", i, id=h, content_hash=h) for i, h in enumerate(("c9", "m", "y"))])
    c9, m, y = split.components(kept, near, 0.5)
    assert c9 == m != y


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_an_edit_of_a_made_row_stays_with_what_that_was_made_from(seed):
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}") for i in range(8)]
    rows.append(labelled("made", "general", "made", "made", origin="synthetic", parents=["r3"]))
    rows.append(labelled("again", "general", "made again", "made", origin="synthetic", parents=["made", "again"]))
    rows.append(labelled("edited", "general", "a person's", "version", parents=["again"]))
    rows.append(labelled("edited too", "general", "another", "version", parents=["again"]))
    found = sides(rows, share=0.5, seed=seed)
    assert found["edited"] == found["edited too"] == found["r3"]
    assert found["made"] == found["again"] == ("kin" if found["r3"] == "heldout" else "train")
