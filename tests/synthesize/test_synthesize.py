"""The plan, and the fate of every attempt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from curation import records as rec
from curation.completion import Answer, Request
from curation.errors import ConfigError
from curation.params import parse
from curation.synthesize import ATTEMPTS, PLAN, REASONS, SynthesizeParams, plan, synthesize

TOOLS = '[{"type": "function", "function": {"name": "look_up"}}]'


def row(number: int, language: str, other: dict[str, Any]) -> dict[str, Any]:
    prompt = (
        f"Please explain to my neighbour number {number} why plants near a cold window need more light during winter, "
        "and what we should check before spring comes around again"
        if language == "en"
        else f"请给{number}号的邻居解释，冬天窗户旁边的植物为什么需要时间适应，然后介绍一个简单的方法，大家都觉得这个问题很重要"
    )
    messages = [rec.message("system", "Hi.")] if number % 4 == 0 else []
    messages += [rec.message("user", prompt), rec.message("assistant", f"Answer {number}.\n", loss_weight=0.5)]
    return {
        "id": f"r{number}", "kind": "chat", "messages": messages, "language": language, "source": "s", "license": "MIT",
        "origin": "human", "group": f"g{number}", "tags": ["x"], "weight": 2.0, "task_type": "open_qa", "bucket": "general",
        "tools": TOOLS if number % 4 == 1 else None,
    } | other  # fmt: skip


@pytest.fixture(scope="module")
def cleaned() -> pl.DataFrame:
    rows = [row(n, "en" if n % 2 else "zh", {}) for n in range(60)]
    rows += [row(n, "en", other) for n, other in enumerate((
        {"origin": "synthetic"}, {"tags": ["robustness:typo"]}, {"bucket": "safety"}, {"task_type": "translation"},
        {"language": "mul"}), 100)]  # fmt: skip
    rows.append(
        {
            "id": "text",
            "kind": "text",
            "text": "Prose. " * 40,
            "language": "en",
            "origin": "pretrain",
            "task_type": "text",
        }
    )
    return rec.rehash(rec.frame(rows, rec.LABELLED))


def params(**given: Any) -> SynthesizeParams:
    return SynthesizeParams(**({"noise": {"rows": 2}, "evol": {"parents": {"en": 5, "zh": 1}}} | given))


class Model:
    """Answers by a script of texts, in turn; notes what it was asked."""

    def __init__(self, *texts: str | Answer) -> None:
        self.texts, self.asked = list(texts), list[Request]()

    def __call__(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked += requests
        answers = [
            self.texts.pop(0) if self.texts else "Water it, lift it to the light, and wait a week." for _ in requests
        ]
        return [a if isinstance(a, Answer) else Answer(a, "stop", 3, 4) for a in answers]


def test_plan_does_not_depend_on_row_order(cleaned: pl.DataFrame) -> None:
    planned = plan(cleaned, params())
    assert planned.schema == pl.Schema(PLAN)
    for seed in range(3):
        assert plan(cleaned.sample(fraction=1, shuffle=True, seed=seed), params()).equals(planned)
    assert not plan(cleaned, params(seed=18)).equals(planned)
    assert planned["attempt"].is_unique().all()
    assert not set(planned["parent"]) & {"r100", "r101", "r102", "r103", "r104", "text"}


def test_personal_data_that_was_only_marked_is_never_sent() -> None:
    rows = [row(2, "en", {"tags": [tag]}) | {"id": tag} for tag in ("pii:email", "pii_drop:phone", "x")]
    planned = plan(rec.rehash(rec.frame(rows, rec.LABELLED)), params())
    assert planned.filter(pl.col("recipe").str.starts_with("evol"))["parent"].to_list() == ["x"]


@pytest.mark.parametrize(("parents", "path"), [({"fr": 1}, "fr"), ({"en": -1}, "en")])
def test_parents_are_of_the_languages_that_prompts_are_in(parents: dict[str, int], path: str) -> None:
    with pytest.raises(ConfigError, match=rf"^synthesize\.evol\.parents\.{path}[^\n]*$"):
        parse(SynthesizeParams, {"evol": {"parents": parents}}, "synthesize")


def test_plan_counts(cleaned: pl.DataFrame) -> None:
    languages = dict(cleaned.select("id", "language").iter_rows())
    planned = plan(cleaned, params()).with_columns(pl.col("parent").replace_strict(languages).alias("language"))
    counts = dict(
        planned.group_by(pl.col("recipe").str.split("/").list.first(), "language").len().select(
            pl.concat_str("recipe", "language", separator=" "), "len"
        ).iter_rows()
    )  # fmt: skip
    assert counts == {"evol en": 5, "evol zh": 1, "noise en": 6, "noise zh": 6}
    noisy = planned.filter(pl.col("recipe").str.starts_with("noise"))
    assert noisy["parent"].is_unique().all()
    # Evol takes neither system prompts nor tools: r<4k> has the one, r<4k+1> the other.
    assert {int(p[1:]) % 4 for p in planned.filter(pl.col("recipe").str.starts_with("evol"))["parent"]} <= {2, 3}


def test_more_attempts_only_add(cleaned: pl.DataFrame) -> None:
    few = plan(cleaned, params(noise={"rows": 1}, evol={"parents": {"en": 2}}))
    assert set(few["attempt"]) < set(plan(cleaned, params())["attempt"])


def test_every_attempt_has_a_fate(cleaned: pl.DataFrame) -> None:
    hard = "Which three signs tell that basil on a shelf lacks light, and which one shows first?"
    model = Model(hard, "Pale leaves.<|im_end|>", "", Answer("Why", "length", 3, 4), hard, "I'm sorry, but no.",
                  Answer(failure="budget", detail="max_requests 6"))  # fmt: skip
    made, attempts = synthesize(cleaned, params(), model)
    assert made.schema == pl.Schema(rec.SCHEMA)
    assert attempts.schema == pl.Schema(ATTEMPTS)
    assert attempts.select(*PLAN).equals(plan(cleaned, params()).sort("attempt"))
    assert sorted(attempts["record"].drop_nulls()) == made["id"].to_list()
    assert (attempts["fate"] == "kept").to_list() == attempts["reason"].is_null().to_list()
    evol = attempts.filter(pl.col("recipe").str.starts_with("evol")).sort("recipe", "attempt")
    assert evol["reason"].to_list()[:5] == [None, "empty", "cut_off", "refused", "budget"]
    assert set(attempts["reason"].drop_nulls()) <= set(REASONS)
    first = json.loads(evol["exchanges"][0])
    assert [e["answer"] for e in first] == [hard, "Pale leaves.<|im_end|>"]
    assert first[1]["messages"][-1] == {"role": "user", "content": hard}
    assert (evol["prompt_tokens"][0], evol["completion_tokens"][0]) == (6, 8)
    record = made.filter(pl.col("id") == evol["record"][0]).row(0, named=True)
    parent = cleaned.filter(pl.col("id") == evol["parent"][0]).row(0, named=True)
    assert [(m["role"], m["content"]) for m in record["messages"]] == [("user", hard), ("assistant", "Pale leaves.")]
    assert record["id"].startswith("evol-") and len(record["id"]) == len("evol-") + 16
    assert record["content_hash"] == rec.content_hash(record["messages"], None, None)
    expected = {k: parent[k] for k in ("language", "license", "group", "weight")} | {
        "origin": "synthetic", "source": "synthetic", "parents": [parent["id"]], "recipe": evol["recipe"][0], "tags": [],
    }  # fmt: skip
    assert {k: record[k] for k in expected} == expected


def test_noise_changes_the_last_prompt_and_nothing_else(cleaned: pl.DataFrame) -> None:
    made, attempts = synthesize(cleaned, params(evol={"parents": {}}, noise={"rows": 4}), Model())
    assert (made.height, attempts.height) == (24, 24)
    parents = {p["id"]: p for p in cleaned.iter_rows(named=True)}
    for record in made.iter_rows(named=True):
        parent = parents[record["parents"][0]]
        kind = record["recipe"].removeprefix("noise/")
        assert record["tags"] == [f"robustness:{kind}", "x"]
        assert record["tools"] == parent["tools"]
        *before, prompt, answer = record["messages"]
        *old_before, old_prompt, old_answer = parent["messages"]
        assert (before, answer) == (old_before, old_answer)
        assert prompt["content"] != old_prompt["content"]
        assert record["content_hash"] != parent["content_hash"]


def test_shuffled_input_gives_the_same_rows(cleaned: pl.DataFrame) -> None:
    class Echo(Model):
        def __call__(self, requests: Sequence[Request]) -> list[Answer]:
            return [Answer(f"Say why {rec.hash16(repr(r).encode())} is so.", "stop", 1, 1) for r in requests]

    one = synthesize(cleaned, params(), Echo())
    for concurrency in (1, 3):
        other = synthesize(cleaned.sample(fraction=1, shuffle=True, seed=5), params(concurrency=concurrency), Echo())
        assert one[0].equals(other[0]) and one[1].equals(other[1])


def test_no_parents(cleaned: pl.DataFrame) -> None:
    made, attempts = synthesize(cleaned.clear(), params(), Model())
    assert (made.shape, attempts.shape) == ((0, len(rec.SCHEMA)), (0, len(ATTEMPTS)))


def test_requests_speak_the_parents_language(cleaned: pl.DataFrame) -> None:
    model = Model()
    synthesize(cleaned, params(noise={"rows": 0}, evol={"parents": {"zh": 1}}), model)
    assert model.asked[0].messages[0][1].endswith("只写新题目。")
    assert model.asked[0].max_tokens == 160
