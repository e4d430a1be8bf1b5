# ruff: noqa: E501 — a sentence a line, as it is said
"""What cannot be had is refused with the true reason."""

import pytest

from curation.errors import ConfigError
from curation.mix import MixParams, manifest
from curation.params import parse
from tests.mix.rows import FULL, chosen, decided, pool

EVEN = {"general": 1, "math_code": 1, "domain": 1, "safety": 1}
ROWS = {"unit": "rows", "replay": 0, "ratios": EVEN}


def said(rows=FULL, **params):
    with pytest.raises(ConfigError) as error:
        chosen(rows, **ROWS | params)
    return str(error.value)


# FULL: general 60, math_code 50, domain 70, safety 40, replay 40 rows. Classification: 30 in general, 23 in domain.
CASES = [
    (
        {"size": 200},
        "mix.size: 200 rows cannot be had: safety needs 50 rows and has 40; at most 160 with these weights.",
    ),
    (
        {"size": 100, "ratios": {"general": 1, "safety": 9}},
        "mix.size: 100 rows cannot be had: safety needs 90 rows and has 40; at most 44 with these weights.",
    ),
    (
        {"targets": [{"bucket": "domain", "rows": 71}]},
        "mix.targets[0]: bucket domain is asked for 71 rows and 70 are there; ask for less, add rows, or set mix.exhaustion to repeat.",
    ),
    (
        {"targets": [{"bucket": "domain", "tokens": 9000}]},
        "mix.targets[0]: bucket domain is asked for 9000 tokens and 3455 are there; ask for less, add rows, or set mix.exhaustion to repeat.",
    ),
    (
        {"targets": [{"bucket": "domain", "loss_tokens": 911}]},
        "mix.targets[0]: bucket domain is asked for 911 loss_tokens and 910 are there; ask for less, add rows, or set mix.exhaustion to repeat.",
    ),
    (
        {"targets": [{"bucket": "safety", "rows": 90}], "exhaustion": "repeat", "max_epochs": 2},
        "mix.targets[0]: bucket safety is asked for 90 rows and 40 are there, 80 in 2 epochs; ask for less, add rows.",
    ),
    (
        {"targets": [{"bucket": "domain", "fraction": 0.8}, {"bucket": "general", "fraction": 0.3}]},
        "mix.targets: fractions and replay make 1.1 of the whole (domain 0.8 + general 0.3); at most 1 is accepted.",
    ),
    (
        {"replay": 0.1, "targets": [{"bucket": "domain", "fraction": 0.95}]},
        "mix.targets: fractions and replay make 1.05 of the whole (domain 0.95 + replay 0.1); at most 1 is accepted.",
    ),
    (
        {"targets": [{"bucket": "domain", "fraction": 1.0}]},
        "mix.targets: fractions and replay take the whole, and nothing is left for general, math_code, safety of mix.ratios; lower a "
        "fraction, or set those weights to 0.",
    ),
    (
        {"ratios": {"domain": 1}, "targets": [{"bucket": "domain", "fraction": 0.5}]},
        "mix.targets: fractions and replay make 0.5 of the whole, and no part has a weight for the rest; raise a fraction, or give a "
        "part a weight in mix.ratios.",
    ),
    (
        {"size": 30, "targets": [{"bucket": "domain", "rows": 40}]},
        "mix.size: 30 rows cannot be had: targets and fractions need 40 and leave nothing for general, math_code, safety; ask for less, or add rows.",
    ),
    (
        {"size": 90, "ratios": {"domain": 1}, "targets": [{"bucket": "domain", "rows": 40}]},
        "mix.size: 90 rows cannot be had: the targets make 40; ask for less, or add rows.",
    ),
    (
        {"size": 100, "targets": [{"task_type": "classification", "rows": 60}]},
        "mix.size: 100 rows cannot be had: mix.targets[0]: task_type classification is asked for 60 rows and 53 are there; ask for "
        "less, or add rows.",
    ),
    (
        {"size": 40, "floors": [{"task_type": "math", "rows": 11}]},
        "mix.size: 40 rows cannot be had: mix.floors[0]: task_type math is asked for 11 rows, and math_code has room for 10 of them; ask "
        "for less, or add rows.",
    ),
    (
        {"floors": [{"task_type": "math", "rows": 26}]},
        "mix.floors[0]: task_type math is asked for 26 rows and 25 are there; the whole is at most 160 rows with these weights. Ask for "
        "less, or add rows.",
    ),
    (
        {"floors": [{"task_type": "classification", "rows": 30}], "caps": [{"task_type": "classification", "rows": 20}]},
        "mix.floors[0]: task_type classification is asked for 30 rows, and mix.caps[0] stops at 20; the whole is at most 160 rows with "
        "these weights. Ask for less, or add rows.",
    ),
    (
        {"size": 120, "caps": [{"task_type": "safety", "rows": 10}]},
        "mix.size: 120 rows cannot be had: safety needs 30 rows and has 10; ask for less, or add rows.",
    ),
    (
        {"size": 100, "targets": [{"task_type": "math", "rows": 2}, {"task_type": "code", "rows": 3}]},
        "mix.size: 100 rows cannot be had: math_code needs 25 rows and has 5 that targets and caps allow; ask for less, or add rows.",
    ),
    (
        {"size": 500, "exhaustion": "renormalise"},
        "mix.size: 500 rows cannot be had: all parts together hold 220; ask for less, or add rows.",
    ),
    (
        {"size": 400, "exhaustion": "repeat", "max_epochs": 2},
        "mix.size: 400 rows cannot be had: safety needs 100 rows and has 80; ask for less, or add rows.",
    ),
    (
        {"targets": [{"task_type": "clasification", "rows": 3}]},
        "mix.targets[0]: no row has task_type 'clasification'; present: classification, code, extraction, math, open_qa, safety, text.",
    ),
    (
        {"caps": [{"source": "web", "rows": 3}]},
        "mix.caps[0]: no row has source 'web'; present: s0, s1, s2, s3.",
    ),
    (
        {"floors": [{"min_input_tokens": 900, "fraction": 0.1}]},
        "mix.floors[0]: no row has an input of 900 tokens; the longest has 67.",
    ),
    (
        {"ratios": {"domain": 1}, "floors": [{"task_type": "math", "rows": 1}]},
        "mix.floors[0]: task_type math: its rows are in parts that this mixture leaves out; give those a weight in mix.ratios, or "
        "leave the entry out.",
    ),
    (
        {"targets": [{"bucket": "domain", "rows": 3}, {"bucket": "domain", "fraction": 0.1}]},
        "mix.targets[1]: bucket domain has a target already (mix.targets[0]); leave one out.",
    ),
    (
        {"targets": [{"bucket": "domain", "rows": 60}, {"task_type": "math", "fraction": 0.3}]},
        "mix.targets[1]: task_type math is asked for 25 rows, and math_code has room for 8 of them, and with a greater whole "
        "mix.targets[1]: task_type math is asked for 26 rows and 25 are there; the whole is at most 180 rows with these weights. Ask "
        "for less, or add rows.",
    ),
    (
        {"quality": {"temperature": 1.0}},
        "mix.quality.temperature: asks for quality, and no row has a number in the column `quality`; leave it out, or let rows carry one.",
    ),
    (
        {"ratios": "core_and_tail"},
        "mix.parts.core: asks for quality, and no row has a number in the column `quality`; leave it out, or let rows carry one.",
    ),
    (
        {"task_weights": {"maths": 2}},
        "mix.task_weights: no row has task type maths; present: classification, code, extraction, math, open_qa, safety, text.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("params", "reason"), CASES, ids=[str(i) for i in range(len(CASES))])
def test_the_true_reason_is_said(params, reason):
    assert said(**params) == reason


def test_a_bucket_without_rows_is_named():
    assert said(pool(general=10), ratios={"general": 1, "domain": 1}) == (
        "mix: no row for domain (weights ask for some); add rows, or set the weight to 0 (present: general 10 rows)."
    )


def test_a_manifest_off_its_targets_is_refused():
    """What `verify` says when the choice is not what was asked: tampered here, since choosing keeps within half a row."""
    phases = [{"name": "A", "share": 1, "ratios": {"general": 1, "domain": 1}}]
    targets, caps = [{"task_type": "math", "rows": 9}], [{"source": "s0", "fraction": 0.5}]
    for params, change, reason in (
        (
            {"unit": "rows"},
            ("mixture", "domain", "achieved_share", "rows", 0.1),
            "mix.ratios: domain is 10.0% of rows, target 25.0%; 70 rows are there; add rows, lower its weight or raise mix.tolerance (0.01).",
        ),
        (
            {"targets": [{"bucket": "domain", "rows": 20}]},
            ("mixture", "domain", "achieved", "rows", 3),
            "mix.targets: domain holds 3 rows, target 20; add rows, ask for less or raise mix.tolerance (0.01).",
        ),
        (
            {"targets": targets},
            ("limits", 0, "achieved", "rows", 1),
            "mix.targets[0]: task_type math holds 1 rows, target 9; add rows, ask for less or raise mix.tolerance (0.01).",
        ),
        (
            {"caps": caps, "unit": "rows"},
            ("limits", 0, "achieved", "rows", 150),
            "mix.caps[0]: source s0 holds 150 rows, cap 80; add rows, ask for less or raise mix.tolerance (0.01).",
        ),
        (
            {"phases": phases},
            ("phases", "A", "mixture", "domain", "achieved_share", 0.1),
            "mix.phases: domain is 10.0% of phase A, target 50.0%; add rows, make the phase longer or raise mix.tolerance (0.01).",
        ),
    ):
        got = decided(FULL, ratios=EVEN, replay=0, heldout={"share": 0}, **params)
        settings = MixParams.model_validate({"ratios": EVEN, "replay": 0} | params)
        place = got.manifest
        for key in change[:-2]:
            place = place[key]
        place[change[-2]] = change[-1]
        if change[0] == "mixture" and not got.manifest["mixture"]["domain"]["fixed"]:
            got.manifest["mixture"]["domain"]["achieved"]["rows"] = 1
        with pytest.raises(ConfigError) as error:
            manifest.verify(got.manifest, got.train, settings)
        assert str(error.value) == reason


FAULTS = [
    ({"targets": [{"bucket": "domain"}]}, "mix.targets.0: found {'bucket': 'domain'}; value error, exactly one of rows, fraction, tokens, loss_tokens is accepted, found none."),
    ({"caps": [{"bucket": "domain", "rows": 3, "fraction": 0.1}]}, "mix.caps.0: found {'bucket': 'domain', 'rows': 3, 'fraction': 0.1}; value error, exactly one of rows, fraction, tokens, loss_tokens is accepted, found rows, fraction."),
    ({"floors": [{"rows": 3}]}, "mix.floors.0: found {'rows': 3}; value error, exactly one of part, bucket, task_type, source, min_input_tokens is accepted, found none."),
    ({"ratios": {"replay": 1}}, "mix.ratios: found {'replay': 1}; value error, replay is a share of the whole: set mix.replay."),
    ({"ratios": {"general": 0}}, "mix.ratios: found {'general': 0}; value error, weights ≥ 0, at least one above 0, are accepted."),
    ({"ratios": "domain_heavi"}, "mix.ratios: found 'domain_heavi'; value error, no preset 'domain_heavi'; accepted: balanced, domain_heavy, core_and_tail, or weights by bucket (nearest: domain_heavy)."),
    ({"ratios": {"domain": "much"}}, "mix.ratios: found {'domain': 'much'}; value error, numbers by bucket, or one of balanced, domain_heavy, core_and_tail, are accepted."),
    ({"ratios": {"domain": float("nan")}}, "mix.ratios: found {'domain': nan}; value error, finite weights are accepted."),
    ({"ratios": {"domain": float("inf")}}, "mix.ratios: found {'domain': inf}; value error, finite weights are accepted."),
    ({"weights": [{"source": "v1", "weight": float("inf")}]}, "mix.weights.0.weight: found inf; input should be a finite number."),
    ({"weights": [{"source": "v1", "weight": float("nan")}]}, "mix.weights.0.weight: found nan; input should be a finite number."),
    ({"task_weights": {"math": float("inf")}}, "mix.task_weights.math: found inf; input should be a finite number."),
    ({"phases": [{"name": "A", "share": 1, "ratios": {"general": float("nan")}}]}, "mix.phases.0.ratios.general: found nan; input should be a finite number."),
    ({"parts": {"all": {}}}, "mix.parts.all: found {}; value error, at least one of bucket, task_type, source, quality is accepted, found none."),
    ({"exhaustion": "renormalise"}, "value error, exhaustion renormalise fills up to a size; set mix.size."),
    ({"phases": [{"name": "A", "share": 0.5, "ratios": {"general": 1}}]}, "value error, phases: shares add up to 0.5; 1 is accepted."),
    ({"unit": "rows", "phases": [{"name": "A", "share": 1, "ratios": {"general": 1}}]}, "value error, phases: a step is filled by tokens, found unit rows; set mix.unit to tokens."),
]  # fmt: skip


@pytest.mark.parametrize(("params", "reason"), FAULTS, ids=[str(i) for i in range(len(FAULTS))])
def test_params_that_contradict_themselves_are_refused(params, reason):
    with pytest.raises(ConfigError) as error:
        parse(MixParams, params, "mix")
    assert str(error.value).endswith(reason)
