import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records
from curation.errors import ConfigError
from curation.mix import HELDOUT, MixParams, mix, ratios, split
from curation.mix.split import HeldoutParams
from curation.render import RenderParams

NO_PAIRS = pl.DataFrame(
    schema={
        "content_hash": pl.String,
        "neighbours": pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})),
        "against": pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})),
    }
)


def pool(**sizes):
    rows = [
        {"id": f"{bucket}-{i}", "bucket": bucket, "tokens": 20 + (i * 37) % 60, "loss_tokens": 10 + i % 7}
        for bucket, n in sizes.items()
        for i in range(n)
    ]
    return pl.DataFrame(rows)


def labelled(id_, bucket, prompt, answer, **other):
    messages = [records.message("user", prompt), records.message("assistant", answer)]
    return {
        "id": id_, "kind": "chat", "messages": messages, "content_hash": records.content_hash(messages, None, None),
        "bucket": bucket, "task_type": "chat", "task_subtype": "advice", "origin": "human", "source": "s", "tags": [],
        "parents": [], "language": "en", "license": "MIT", "weight": 1.0,
    } | other  # fmt: skip


weights = st.dictionaries(st.sampled_from(["general", "math_code", "domain", "safety"]), st.integers(1, 20), min_size=1)


@settings(max_examples=100, deadline=None)
@given(weights, st.floats(0, 0.2), st.sampled_from(["rows", "tokens", "loss_tokens"]), st.integers(0, 3))
def test_every_feasible_target_is_met_within_half_a_row(weight, replay, unit, seed):
    rows = pool(general=60, math_code=50, domain=70, safety=40, replay=40)
    chosen, targets = ratios.choose(rows, weight, replay, unit, None, seed)
    got = rows.join(chosen, on="id")
    size = pl.lit(1) if unit == "rows" else pl.col(unit)
    achieved = dict(got.group_by("bucket").agg(size.sum() if unit != "rows" else pl.len()).iter_rows())
    largest = 1 if unit == "rows" else rows[unit].max()
    for bucket, target in targets.items():
        assert abs(achieved.get(bucket, 0) - target["target"]) <= largest / 2 + 1e-6


@settings(max_examples=50, deadline=None)
@given(weights, st.integers(1, 30), st.integers(0, 3))
def test_raising_a_share_only_adds_rows_to_that_bucket(weight, more, seed):
    rows = pool(general=60, math_code=50, domain=70, safety=40)
    bucket = sorted(weight)[0]
    raised = weight | {bucket: weight[bucket] + more}
    before, after = (set(ratios.choose(rows, w, 0.0, "tokens", 1500, seed)[0]["id"]) for w in (weight, raised))
    ours = {i for i in before if i.startswith(bucket)}
    assert ours <= after


def test_an_infeasible_size_says_which_bucket_lacks_what():
    rows = pool(general=10, safety=1)
    with pytest.raises(ConfigError) as error:
        ratios.choose(rows, {"general": 1, "safety": 1}, 0.0, "rows", 8, 0)
    assert str(error.value) == (
        "mix.size: 8 rows cannot be had: safety needs 4 rows and has 1; at most 2 with these weights."
    )


def test_a_bucket_without_rows_is_named():
    with pytest.raises(ConfigError, match="mix: no row for domain"):
        ratios.choose(pool(general=10), {"general": 1, "domain": 1}, 0.0, "rows", None, 0)


def pairs(*found):
    sides = {}
    for one, other, similarity in found:
        sides.setdefault(one, []).append({"other": other, "similarity": similarity})
        sides.setdefault(other, []).append({"other": one, "similarity": similarity})
    rows = [{"content_hash": h, "neighbours": n, "against": []} for h, n in sorted(sides.items())]
    return pl.DataFrame(rows, schema=NO_PAIRS.schema)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_near_copies_groups_and_children_stay_on_one_side(seed):
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}") for i in range(12)]
    rows[1]["group"] = rows[2]["group"] = "session"
    rows.append(labelled("child", "general", "made", "made", origin="synthetic", parents=["r3"]))
    frame = records.frame(rows, records.LABELLED)
    near = {"raw": pairs((rows[4]["content_hash"], rows[5]["content_hash"], 0.9))}
    sides = dict(split.split(frame, near, HeldoutParams(share=0.5, seed=seed)).select("id", "side").iter_rows())
    assert sides["r4"] == sides["r5"]
    assert sides["r1"] == sides["r2"]
    assert sides["child"] == ("kin" if sides["r3"] == "heldout" else "train")


def test_a_made_row_that_links_two_human_rows_moves_neither():
    rows = [labelled(f"r{i}", "general", f"prompt {i}", f"answer {i}") for i in range(30)]
    frame = records.frame(rows, records.LABELLED)
    params = HeldoutParams(share=0.4)
    before = dict(split.split(frame, {}, params).select("id", "side").iter_rows())
    link = labelled("link", "general", "x", "y", origin="synthetic", parents=["r1", "r2", "r3", "r4"])
    after = dict(
        split.split(records.frame([*rows, link], records.LABELLED), {}, params).select("id", "side").iter_rows()
    )
    assert {i: s for i, s in after.items() if i != "link"} == before


def test_every_row_is_in_train_heldout_or_unused_and_the_manifest_counts_them(renderer):
    rows = [labelled(f"g{i}", "general", f"say {i}", f"number {i} it is") for i in range(30)]
    rows += [labelled(f"d{i}", "domain", f"about product {i}", f"product {i} is fine") for i in range(30)]
    rows.append(labelled("long", "domain", "x " * 300, "y"))
    made = [labelled("m1", "domain", "evolved", "by a model", origin="synthetic", recipe="evol/deepen")]
    made.append(labelled("m2", "domain", "noisyy", "by a person", origin="synthetic", recipe="noise/typo"))
    cleaned, synthesized = (records.frame(r, records.LABELLED) for r in (rows, made))
    params = MixParams(ratios={"general": 1, "domain": 1}, replay=0.0, unit="rows", heldout=HeldoutParams(share=0.2))
    render = RenderParams(max_length=256)
    got = mix(cleaned, synthesized, {}, renderer, params, render)
    ids = [*got["train"]["id"], *got["heldout"]["id"], *got["unused"]["id"]]
    assert sorted(ids) == sorted([*cleaned["id"], *synthesized["id"]])
    reasons = dict(got["unused"].select("id", "reason").iter_rows())
    assert (reasons["long"], reasons["m1"]) == ("over_max_length", "not_reviewed")
    assert "m2" not in reasons or reasons["m2"] == "beyond_target"
    facts = got["manifest"]
    assert facts["train"]["rows"] == got["train"].height
    assert abs(facts["mixture"]["domain"]["achieved_share"]["rows"] - 0.5) <= 0.01 + 1 / facts["train"]["rows"]
    assert list(got["heldout"].columns) == list(HELDOUT)
    shuffled = mix(cleaned.sample(fraction=1, shuffle=True, seed=3), synthesized, {}, renderer, params, render)
    assert shuffled["manifest"] == facts
    assert shuffled["train"].equals(got["train"])
