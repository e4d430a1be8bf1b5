"""The whole of mix: every row in one place, the manifest counted from rows, the order, weights, copies, phases."""

import polars as pl
import pytest

from curation import records
from curation.errors import ConfigError
from curation.mix import HELDOUT, TRAIN, MixParams, manifest, mix, sizes
from curation.mix.split import HeldoutParams
from curation.render import RenderParams
from tests.mix.rows import FULL, decided, frame, labelled, pool, row

CHAT = {"general": 1, "math_code": 1, "domain": 1, "safety": 1}


@pytest.fixture
def measured(renderer, cache_folder):
    """Sizes of frames by the bundled model's tokenizer."""
    render = RenderParams(max_length=256)
    return lambda *frames: sizes.measure(pl.concat(frames), "bundled", render, lambda: renderer)


def test_every_row_is_in_train_heldout_or_unused_and_the_manifest_counts_them(measured):
    rows = [labelled(f"g{i}", "general", f"say {i}", f"number {i} it is") for i in range(30)]
    rows += [labelled(f"d{i}", "domain", f"about product {i}", f"product {i} is fine") for i in range(30)]
    rows.append(labelled("long", "domain", "x " * 300, "y"))
    made = [labelled("m1", "domain", "evolved", "by a model", origin="synthetic", recipe="evol/deepen")]
    made.append(labelled("m2", "domain", "noisyy", "by a person", origin="synthetic", recipe="noise/typo"))
    cleaned, synthesized = (records.frame(r, records.LABELLED) for r in (rows, made))
    params = MixParams(ratios={"general": 1, "domain": 1}, replay=0.0, unit="rows", heldout=HeldoutParams(share=0.2))
    render, counted = RenderParams(max_length=256), measured(cleaned, synthesized)
    got = mix(cleaned, synthesized, {}, counted, params, render, "template")
    ids = [*got["train"]["id"], *got["heldout"]["id"], *got["unused"]["id"]]
    assert sorted(ids) == sorted([*cleaned["id"], *synthesized["id"]])
    reasons = dict(got["unused"].select("id", "reason").iter_rows())
    assert (reasons["long"], reasons["m1"]) == ("over_max_length", "not_reviewed")
    assert "m2" not in reasons or reasons["m2"] == "beyond_target"
    facts = got["manifest"]
    assert facts["train"]["rows"] == got["train"].height
    assert abs(facts["mixture"]["domain"]["achieved_share"]["rows"] - 0.5) <= 0.01 + 1 / facts["train"]["rows"]
    assert list(got["heldout"].columns) == list(HELDOUT)
    assert list(got["train"].columns) == list(TRAIN)
    shuffled = mix(
        cleaned.sample(fraction=1, shuffle=True, seed=3), synthesized, {}, counted, params, render, "template"
    )
    assert shuffled["manifest"] == facts
    assert shuffled["train"].equals(got["train"])
    texts = dict(cleaned.select("id", "content_hash").iter_rows())
    assert all(texts.get(i, h) == h for i, h in records.rehash(got["train"]).select("id", "content_hash").iter_rows())


def test_sizes_are_the_renderers_and_are_measured_once(renderer, measured):
    rows = [
        labelled("zh", "domain", "番茄什么时候播种？", "三月，室内育苗。"),
        labelled("en", "domain", "When to sow?", "In March."),
    ]
    muted = [
        records.message("user", "a"),
        records.message("assistant", "b", loss_weight=0.0),
        records.message("user", "c"),
        records.message("assistant", "d"),
    ]
    rows.append(
        labelled("muted", "domain", "", "")
        | {"messages": muted, "content_hash": records.content_hash(muted, None, None)}
    )
    loud = [m | {"loss_weight": None} for m in muted]
    rows.append(rows[-1] | {"id": "loud", "messages": loud})  # the same content: turn weights are no part of its hash
    data = records.frame(rows, records.LABELLED)
    got = measured(data)
    for id_, tokens, loss_tokens in got.iter_rows():
        encoded = renderer.encode(data.row(by_predicate=pl.col("id") == id_, named=True))
        assert (tokens, loss_tokens) == (len(encoded.ids), encoded.loss_tokens)
    by_id = {i: n for i, _, n in got.iter_rows()}
    assert by_id["muted"] < by_id["loud"]

    def never():
        raise AssertionError("a stored size is not measured again")

    assert sizes.measure(data, "bundled", RenderParams(max_length=256), never).equals(got)


def test_the_manifest_accounts_for_each_fate_by_bucket_task_type_source_and_origin():
    rows = pl.concat([FULL, frame([row("domain", 100, tokens=600), row("domain", 101, loss_tokens=0)])])
    got = decided(rows, unit="rows", ratios=CHAT, size=100, replay=0.1, exhaustion="repeat")
    facts = got.manifest
    assert (
        facts["train"]["rows"] + facts["heldout"]["rows"] + facts["unused"]["rows"] - facts["repeated"]["rows"]
        == rows.height
    )
    assert facts["filtered"]["rows"] + facts["beyond_target"]["rows"] == facts["unused"]["rows"]
    assert facts["filtered"]["by_reason"] == {
        "no_loss_tokens": {"rows": 1, "tokens": row("domain", 101)["tokens"], "loss_tokens": 0},
        "over_max_length": {"rows": 1, "tokens": 600, "loss_tokens": row("domain", 100)["loss_tokens"]},
    }
    for fate in ("train", "repeated", "heldout", "unused", "filtered", "beyond_target"):
        for key in ("bucket", "task_type", "source", "origin"):
            for unit in ("rows", "tokens", "loss_tokens"):
                assert sum(v[unit] for v in facts[fate][f"by_{key}"].values()) == facts[fate][unit]
    assert facts["plan_hash"] == manifest.plan_hash(got.train)
    assert facts["mixture"]["replay"]["target_share"] == 0.1


def test_a_plan_hash_changes_with_order_repeats_and_phase():
    train = decided(FULL, ratios=CHAT, heldout={"share": 0}).train
    first = manifest.plan_hash(train)
    assert manifest.plan_hash(train.sample(fraction=1, shuffle=True, seed=1)) == first
    for other in (pl.col("position").reverse(), pl.col("repeat") + 1, pl.lit("B").alias("phase")):
        assert manifest.plan_hash(train.with_columns(other)) != first


def test_short_answers_are_copied_within_their_target_and_their_share_of_the_loss_is_said():
    rows = [row("domain", i, id=f"short-{i}", content_hash=f"s{i}", tokens=30, loss_tokens=2) for i in range(20)]
    rows += [row("domain", i, tokens=80, loss_tokens=38) for i in range(40)]
    data = frame(rows)
    params = {"ratios": {"domain": 1}, "replay": 0, "unit": "rows", "heldout": {"share": 0}}
    plain = decided(data, **params)
    assert plain.manifest["short_answers"] == {
        "max_loss_tokens": 8, "times": 1,
        "before": {"rows": 20, "share_of_rows": 0.333333, "share_of_loss": 0.025641},  # 40 of 1,560 loss tokens
        "after": {"rows": 20, "share_of_rows": 0.333333, "share_of_loss": 0.025641},
    }  # fmt: skip
    copied = decided(data, **params, short_answers={"times": 4})
    assert copied.train.height == 120
    assert copied.manifest["short_answers"]["before"] == plain.manifest["short_answers"]["before"]
    assert copied.manifest["short_answers"]["after"] == {
        "rows": 80,
        "share_of_rows": 0.666667,
        "share_of_loss": 0.095238,
    }
    short = copied.train.filter(pl.col("id").str.starts_with("short"))
    assert sorted(short.filter(pl.col("id") == "short-3")["repeat"]) == [0, 1, 2, 3]
    positions = short.sort("position").group_by("id").agg(pl.col("position").diff().min().alias("gap"))
    assert (positions["gap"] > 1).mean() > 0.8  # copies do not stand together
    assert copied.manifest["repeated"]["rows"] == 60


def test_weights_multiply_the_loss_weight_of_the_rows_they_name():
    rows = FULL.with_columns(pl.when(pl.col("source") == "s1").then(None).otherwise("weight").alias("weight"))
    factors = [{"source": "s1", "weight": 0.5}, {"bucket": "replay", "weight": 0.2}]
    got = decided(rows, ratios=CHAT, weights=factors, heldout={"share": 0}).train
    for source, bucket, weight in got.select("source", "bucket", "weight").iter_rows():
        assert weight == pytest.approx((0.5 if source == "s1" else 1.0) * (0.2 if bucket == "replay" else 1.0))


def test_rows_of_weight_zero_are_set_aside_so_that_shares_are_of_what_is_learned():
    rows = FULL.with_columns(pl.when(pl.col("id") == "domain-9").then(0.0).otherwise("weight").alias("weight"))
    factors = [{"source": "s0", "weight": 0}, {"bucket": "replay", "weight": 0.5}]
    got = decided(rows, ratios=CHAT, replay=0.1, unit="rows", weights=factors, heldout={"share": 0})
    silent = rows.filter((pl.col("source") == "s0") | (pl.col("id") == "domain-9"))
    assert sorted(got.unused.filter(pl.col("reason") == "zero_weight")["id"]) == sorted(silent["id"])
    assert got.manifest["filtered"]["by_reason"]["zero_weight"]["rows"] == silent.height
    assert not set(silent["id"]) & set(got.train["id"])
    assert (got.train["weight"] > 0).all()
    assert abs(got.manifest["mixture"]["replay"]["achieved_share"]["rows"] - 0.1) <= 0.01
    with pytest.raises(ConfigError, match="^mix: no row for general, math_code, domain, safety "):
        decided(rows, ratios=CHAT, replay=0, weights=[{"min_input_tokens": 1, "weight": 0}])


def test_a_weight_of_zero_leaves_the_exam_as_it_is():
    plain, silenced = (decided(FULL, ratios=CHAT, weights=w) for w in ((), [{"source": "s0", "weight": 0}]))
    assert plain.heldout["id"].to_list() == silenced.heldout["id"].to_list()


def test_short_answers_are_compared_also_where_the_mixture_needs_their_copies():
    rows = frame([row("domain", i, loss_tokens=50, tokens=90) for i in range(40)])
    params = {"ratios": {"domain": 1}, "replay": 0, "unit": "rows", "size": 100, "heldout": {"share": 0}}
    got = decided(rows, **params, short_answers={"max_loss_tokens": 100, "times": 4})
    short = got.manifest["short_answers"]
    assert short["before"] == {"rows": 25, "share_of_rows": 1.0, "share_of_loss": 1.0}
    assert short["after"] == {"rows": 100, "share_of_rows": 1.0, "share_of_loss": 1.0}


def test_short_answers_that_are_repeated_are_counted_once_an_epoch_without_copies():
    rows = [row("domain", i, id=f"short-{i}", content_hash=f"s{i}", tokens=30, loss_tokens=2) for i in range(10)]
    rows += [row("domain", i, tokens=80, loss_tokens=38) for i in range(10)]
    params = {"ratios": {"domain": 1}, "replay": 0, "unit": "rows", "size": 80, "heldout": {"share": 0}}
    got = decided(frame(rows), **params, exhaustion="repeat", max_epochs=2, short_answers={"times": 3})
    assert got.manifest["short_answers"]["before"] == {"rows": 20, "share_of_rows": 0.5, "share_of_loss": 0.05}
    assert got.manifest["short_answers"]["after"]["rows"] == 60


def test_rows_without_loss_tokens_are_in_no_exam():
    rows = FULL.with_columns(pl.when(pl.col("source") == "s1").then(0).otherwise("loss_tokens").alias("loss_tokens"))
    plain, got = (decided(f, ratios=CHAT, heldout={"share": 0.4}) for f in (FULL, rows))
    mute = set(rows.filter(pl.col("source") == "s1")["id"])
    assert mute & set(plain.heldout["id"])
    assert got.heldout["id"].to_list() == [i for i in plain.heldout["id"] if i not in mute]
    assert set(got.unused.filter(pl.col("reason") == "no_loss_tokens")["id"]) == mute


PHASES = [
    {"name": "A", "share": 0.5, "ratios": {"general": 1}, "replay": 0.2},
    {"name": "B", "share": 0.3, "ratios": {"general": 1, "domain": 3}},
    {"name": "C", "share": 0.2, "ratios": {"domain": 1, "safety": 1}, "replay": 0},
]


def test_phases_are_read_in_order_each_with_its_mixture_and_share_of_the_steps():
    rows = pool(general=400, domain=300, safety=150, replay=200)
    got = decided(rows, phases=PHASES, replay=0.1, heldout={"share": 0})
    train = got.train.sort("position")
    assert train["phase"].rle_id().max() == 2
    assert list(train["phase"].unique(maintain_order=True)) == ["A", "B", "C"]
    assert not train.select("id", "repeat").is_duplicated().any()
    whole = train["tokens"].sum()
    targets = {
        "A": {"general": 0.8, "replay": 0.2},
        "B": {"general": 0.225, "domain": 0.675, "replay": 0.1},
        "C": {"domain": 0.5, "safety": 0.5},
    }
    for phase, share in (("A", 0.5), ("B", 0.3), ("C", 0.2)):
        mine = train.filter(pl.col("phase") == phase)
        held = mine["tokens"].sum()
        assert held / whole == pytest.approx(share, abs=0.01)
        said = got.manifest["phases"][phase]
        assert (said["target_share"], said["tokens"]) == (share, held)
        found = dict(mine.group_by("bucket").agg(pl.col("tokens").sum() / held).iter_rows())
        assert found == pytest.approx(targets[phase], abs=2 * 80 / held)
        assert {k: v["target_share"] for k, v in said["mixture"].items()} == pytest.approx(targets[phase])


def test_a_phase_that_the_rows_are_too_few_for_repeats_them_only_when_told():
    rows = pool(general=400, domain=300, safety=10, replay=200)
    stopped = decided(rows, phases=PHASES, replay=0.1, heldout={"share": 0})
    repeated = decided(rows, phases=PHASES, replay=0.1, exhaustion="repeat", max_epochs=3, heldout={"share": 0})
    assert repeated.manifest["train"]["tokens"] > 2.5 * stopped.manifest["train"]["tokens"]
    assert repeated.manifest["repeated"]["by_bucket"].keys() == {"safety"}


def test_an_unknown_bucket_is_named():
    with pytest.raises(ConfigError) as error:
        decided(FULL, ratios={"general": 1, "law": 1})
    assert str(error.value) == "mix.ratios: unknown bucket law; accepted: domain, general, math_code, safety."
