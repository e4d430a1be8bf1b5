"""The figures of the report are those of the files."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.clean import CleanParams
from curation.report import decisions, diff, makeup, rows, summary, synthesis, training
from curation.report.run import Corpus, Run
from tests.report.conftest import HOSTILE, SECRET


def steps(run: Run) -> dict[str, summary.Step]:
    return {step.stage: step for step in summary.funnel(run)}


def test_every_stage_adds_up(whole):
    found = steps(whole)
    assert list(found) == [
        "ingest",
        "repair@raw",
        "label@raw",
        "clean@raw",
        "synthesize",
        "repair@generated",
        "label@generated",
        "clean@generated",
        "mix",
        "train",
    ]
    assert all(step.balanced for step in found.values())
    assert found["ingest"].came == (("source_rows", 9),)
    assert found["ingest"].went == (("records", 8), ("quarantined", 1))
    assert found["repair@raw"].went == (("edited", 1), ("unchanged", 7))
    assert found["clean@raw"].went == (("kept", 5), ("dropped", 3))
    assert found["synthesize"].came == (("attempts", 2),)
    assert found["synthesize"].went == (("records", 1), ("rejected", 1))
    assert found["mix"].came == (("kept_raw", 5), ("kept_generated", 1))
    assert found["mix"].went == (("train", 3), ("heldout", 1), ("unused", 2))
    assert found["train"].went == (("consumed", 2), ("unreached", 1))
    assert found["train"].notes == (("steps", 2), ("tokens", 40), ("loss_tokens", 20))


def test_a_lost_row_breaks_the_sum_and_is_named(whole):
    short = replace(whole, raw=replace(whole.raw, kept=whole.raw.kept.filter(pl.col("id") != "a-5")))
    step = steps(short)["clean@raw"]
    assert not step.balanced
    assert step.problem == "clean@raw: in records, but in none of kept, dropped: a-5"


def test_stages_that_have_not_run_are_left_out():
    nothing = Run(Corpus("raw"), Corpus("generated"))
    assert summary.funnel(nothing) == []
    assert summary.mixture(nothing) is None
    assert makeup.makeup(nothing) is None
    assert makeup.confusion(nothing) is None
    assert training.curves(nothing) is None
    assert training.heldout(nothing) is None
    assert rows.ledger(nothing, {}, str, 10, 100) == ([], 0)


def test_mixture_is_counted_from_the_rows(whole):
    found = summary.mixture(whole)
    assert found.whole == {"rows": 3, "tokens": 60, "loss_tokens": 30}
    assert [(b.bucket, b.target, b.achieved["rows"], b.share["tokens"]) for b in found.buckets] == [
        ("general", 0.9, 3, 1.0),
        ("domain", 0.1, 0, 0.0),
    ]
    assert found.unused == (("beyond_target", {"rows": 2, "tokens": 40, "loss_tokens": 20}),)
    assert found.made_of["origin"] == (
        ("human", {"rows": 2, "tokens": 40, "loss_tokens": 20}),
        ("synthetic", {"rows": 1, "tokens": 20, "loss_tokens": 10}),
    )


def test_shares_are_counted_by_part_as_targets_are(whole):
    size = {"bucket": "general", "tokens": 10, "loss_tokens": 5, "repeat": 0}
    train = pl.DataFrame([size | {"part": part} for part in ("gold", "general", "general", "general")])
    manifest = {"unit": "rows", "mixture": {"gold": {"target_share": 0.25}, "general": {"target_share": 0.75}}}

    def shares(frame):
        found = summary.mixture(replace(whole, train=frame, manifest=manifest))
        return {b.bucket: (b.target, b.share["tokens"]) for b in found.buckets}

    assert shares(train) == {"gold": (0.25, 0.25), "general": (0.75, 0.75)}
    assert shares(train.drop("part")) == {
        "gold": (0.25, 0.0),
        "general": (0.75, 1.0),
    }  # of a mix from before there were parts


def test_rules_have_drops_limits_and_the_rows_behind_them(whole):
    found = {rule.rule: rule for rule in decisions.rules(whole, CleanParams(), 3, 3)}
    assert found["repetition"].drops == {"raw": 1}
    assert found["repetition"].values == (0.97, 0.97)
    assert found["repetition"].limits == (0.45, 0.45)
    assert found["too_short"].total == 0
    assert found["too_short"].also == 1
    assert sum(rule.total for rule in found.values()) == whole.raw.dropped.height


def test_the_nearest_kept_rows_stand_beside_a_limit(whole):
    found = {rule.rule: rule for rule in decisions.rules(whole, CleanParams(), 3, 1)}
    # Half the limit is passed by the row with 0.3, which is kept; the dropped row with 0.97 is not shown.
    assert found["repetition"].inside == (
        decisions.Inside("a-5", 0.3, CleanParams().answers.max_duplicate_share_steps),
    )
    assert found["near_duplicate"].inside == (decisions.Inside("a-1", 0.7, 0.8),)


def test_examples_run_from_the_mildest_to_the_worst():
    frame = pl.DataFrame({"id": list("abcde"), "value": [9.0, 2.0, 5.0, 3.0, 4.0], "limit": [1.0] * 5})
    assert [row["value"] for row in decisions._spread(frame, 3)] == [2.0, 4.0, 9.0]
    assert [row["value"] for row in decisions._spread(frame, 1)] == [2.0]
    assert decisions._spread(frame.head(0), 3) == ()


def test_clusters_name_survivor_copy_and_difference(whole):
    said = rows.texts(whole, str)
    found, counts = decisions.clusters(whole, {i: row["text"] for i, row in said.items()}, 5)
    assert counts == {"exact_duplicate": (1, 1)}
    (cluster,) = found
    assert (cluster.survivor, cluster.size, cluster.copies[0].id) == ("a-1", 1, "a-2")
    changed = [(kind, text) for kind, text in cluster.copies[0].pieces if kind in ("ins", "del")]
    assert changed == [("del", " "), ("ins", "  "), ("del", "."), ("ins", "!")]


def test_edits_count_rows_places_and_characters(whole):
    (edit,) = decisions.edits(whole, 3)
    assert (edit.rule, edit.corpus, edit.rows, edit.places, edit.details, edit.ids) == (
        "pii",
        "raw",
        1,
        2,
        (("email", 1),),
        ("a-7",),
    )


def test_makeup_counts_kept_rows_by_label(whole):
    found = makeup.makeup(whole)
    assert found.rows == 6
    assert {t.name: t.rows for t in found.types} == {"open_qa": 3, "chat": 2, "math": 1}
    assert dict(found.languages) == {"en": 5, "zh": 1}
    assert {b: dict(k) for b, k in found.buckets}["domain"] == {"zh": 1}
    assert found.low_confidence[0] == ("a-3", 0.4)
    assert sum(n for _, n, _ in found.types[0].subtypes) == 3


def test_alike_answers():
    found = makeup.alike(["Yes.", "yes. ", "It depends on the soil", "It depends on you", "它要看土壤的情况而定"])
    assert (found.distinct, found.commonest, found.times) == (0.8, "yes.", 2)
    assert (found.opening, found.opening_share) == ("it depends on", 0.4)


def test_confusion_compares_with_the_truth(whole):
    found = makeup.confusion(whole)
    assert (found.rows, found.right, found.right_subtype, found.right_bucket) == (3, 2, 1, 2)
    assert found.by_language == {"en": (2, 2), "zh": (0, 1)}
    assert found.wrong == (("a-3", "open_qa", "chat"),)
    assert found.f1 == {"math": 1.0, "open_qa": pytest.approx(2 / 3)}


def test_synthesis_tells_the_fate_of_each_attempt(whole):
    found = {
        r.recipe: r
        for r in synthesis.recipes(whole, rows.texts(whole, str), lambda text: text.replace(SECRET, "<EMAIL>"), 3)
    }
    assert dict(found["noise/typo"].fates) == {"kept": 1}
    assert dict(found["evol/deepen"].fates) == {"refused": 1}
    assert found["evol/deepen"].examples[0].turns[-1] == ["answer", "I cannot, <EMAIL>"]


def test_scores_and_cases(whole):
    assert training.heldout(whole).difference == -0.5
    assert training.curves(whole).best == (2, 2.5)
    assert training.fates(whole) == {"won": 1, "lost": 0, "both": 0, "neither": 0}


def test_the_ledger_has_every_row_and_its_end(whole):
    found, total = rows.ledger(whole, rows.texts(whole, str), lambda text: text.replace(SECRET, "<EMAIL>"), 100, 5000)
    assert total == 8 + 1 + 1 + 1
    fates = {row["i"]: (row["x"], row.get("w")) for row in found}
    assert fates == {
        "a-1": ("train", None),
        "a-2": ("dropped", "exact_duplicate"),
        "a-3": ("unused", "beyond_target"),
        "a-4": ("train", None),
        "a-5": ("heldout", None),
        "a-6": ("dropped", "repetition"),
        "a-7": ("unused", "beyond_target"),
        "a-8": ("dropped", "other_identity"),
        "b-1": ("quarantined", "broken_json"),
        "noise-1": ("train", None),
        "attempt-2": ("rejected", "refused"),
    }
    by_id = {row["i"]: row for row in found}
    assert (by_id["a-1"]["f"], by_id["a-1"]["n"], by_id["a-1"]["u"]["steps"]) == ("data/sources/a.jsonl", 7, [1])
    assert "steps" in by_id["noise-1"]["u"] and by_id["noise-1"]["u"]["steps"] == []
    assert by_id["a-7"]["e"] == [["pii", 2, "email"]]
    assert SECRET not in str(found)


@pytest.mark.slow
def test_what_never_went_through_repair_is_hidden_by_its_finder():
    hide = rows.hider()
    assert hide(f"Write to {SECRET}, or call 13912345678.") == "Write to <EMAIL>, or call <PHONE>."
    assert hide("no one's") == "no one's"


def test_kinds_that_repair_adds_are_hidden_too(monkeypatch):
    import curation.repair as repair
    from curation.repair.pii import PiiTypes

    looked_for = []
    monkeypatch.setattr(repair, "find", lambda text, params: looked_for.append(params.wanted) or [])
    given = repair.RepairParams(pii=repair.PiiParams(types=PiiTypes(url="tag", email="off")))
    for params in (None, repair.RepairParams(), given):
        rows.hider(params)("text")
    default = repair.PiiParams().wanted
    assert looked_for == [default, default, default | {"url"}]


def test_values_that_repair_only_marked_are_hidden(whole):
    mail = pl.lit(["pii:email"])
    marked = replace(whole.raw, repaired=whole.raw.repaired.with_columns(mail.alias("tags")))
    run = replace(whole, raw=marked)
    hide = str.upper
    said = rows.texts(run, hide)
    assert said["a-1"]["turns"] == [["user", "WHAT IS ICE?"], ["assistant", "FROZEN WATER, PLAIN AND SIMPLE AS THAT."]]
    found = {row["i"]: row for row in rows.ledger(run, said, hide, 100, 5000)[0]}
    assert (found["a-2"]["z"], found["a-2"]["m"][0][1]) == ("WHY", "WHAT IS  ICE?")


def test_a_short_ledger_keeps_what_was_refused_first(whole):
    found, total = rows.ledger(whole, rows.texts(whole, str), str, 5, 5000)
    assert total == 11
    assert {row["i"] for row in found} == {"b-1", "attempt-2", "a-2", "a-6", "a-8"}


def test_long_rows_are_cut_and_say_so():
    assert rows.cut([["user", "abc"], ["assistant", "defgh"]], 5) == [["user", "abc"], ["assistant", "de", 3]]


def test_shuffled_files_give_the_same_numbers(whole):
    def shuffled(corpus: Corpus) -> Corpus:
        fields = ("came", "repaired", "labels", "kept", "dropped", "quarantine")
        return replace(
            corpus,
            **{
                f: getattr(corpus, f).sample(fraction=1, shuffle=True, seed=3)
                for f in fields
                if getattr(corpus, f) is not None
            },
        )

    other = replace(whole, raw=shuffled(whole.raw), generated=shuffled(whole.generated))
    assert summary.funnel(other)[3].went == summary.funnel(whole)[3].went
    assert decisions.rules(other, CleanParams(), 3, 3) == decisions.rules(whole, CleanParams(), 3, 3)
    assert makeup.makeup(other) == makeup.makeup(whole)
    assert rows.ledger(other, rows.texts(other, str), str, 100, 5000) == rows.ledger(
        whole, rows.texts(whole, str), str, 100, 5000
    )


def test_diff_by_words_and_characters():
    assert diff.diff("the cat sat", "the dog sat") == [
        ("same", "the "),
        ("del", "cat"),
        ("ins", "dog"),
        ("same", " sat"),
    ]
    assert diff.diff("我爱北京", "我爱上海") == [("same", "我爱"), ("del", "北京"), ("ins", "上海")]


def test_diff_finds_what_differs_late_and_says_what_it_did_not_compare():
    same = "word " * 3000
    found = diff.diff(f"{same}cat {same}", f"{same}dog {same}")
    assert [piece for piece in found if piece[0] in ("del", "ins", "rest")] == [("del", "cat"), ("ins", "dog")]
    found = diff.diff("a b c d e", "f g c h i j", most=3)
    assert found == [("del", "a"), ("ins", "f"), ("same", " "), ("del", "b"), ("ins", "g"), ("rest", "14")]


def test_diff_leaves_out_long_stretches_without_cutting_words():
    same = "word " * 200
    found = diff.diff(same + "x", same + "y", most=5000, around=12)
    assert found[0] == ("gap", "985")
    assert found[1] == ("same", "word word word ") or found[1][1].startswith((" ", "word"))
    assert sum(int(t) if k == "gap" else len(t) for k, t in found if k != "ins") == len(same) + 1


@given(st.text(max_size=200), st.text(max_size=200))
def test_diff_gives_both_texts_again(first, second):
    found = diff.diff(first, second, most=1000, around=1000)
    assert "".join(t for k, t in found if k in ("same", "del")) == first
    assert "".join(t for k, t in found if k in ("same", "ins")) == second


def test_hostile_text_is_there_at_all(whole):
    assert HOSTILE in whole.raw.came["source"].to_list()
