"""Planted faults, each caught by its check and by no other; silence on a mixture without fault; advice; the mask shown."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records
from curation.errors import DataError
from curation.models import load_language_model, load_tokenizer
from curation.render import Encoded, Renderer, RenderParams
from train import advice
from train.doctor import CHECKS, controls, examine, leaks, not_reached, preflight, refuse
from train.doctor.findings import Finding, failure
from train.doctor.masks import faults
from train.doctor.packing import difference
from train.params import TrainParams

ROOT = Path(__file__).parent.parent.parent
LLAMA = (
    "{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
ALPACA = (
    "{% for m in messages %}{{ '### ' + m.role + ':\\n' + m.content + ('<|im_end|>' if m.role == 'assistant' else '') + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '### assistant:\\n' }}{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + END + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
NO_END = CHATML.replace("END", "('' if m.role == 'assistant' else '<|im_end|>')")
NEW_TOKEN = CHATML.replace("END", "'<|im_end|><|turn|>'")


@dataclass(frozen=True)
class Case:
    """What `examine` is given; a plant returns one that is faulty in one place."""

    train: pl.DataFrame
    heldout: pl.DataFrame
    others: pl.DataFrame | None
    render: RenderParams
    renderer: Renderer
    model: Any

    def examined(self) -> list[Finding]:
        return examine(self.train, self.heldout, self.others, self.render, self.renderer, self.model)

    def findings(self) -> list[tuple[str, str]]:
        return [(f.check, f.said) for f in self.examined()]


class Forgetful:
    """A model that overlooks where packed rows begin."""

    def __init__(self, model: Any) -> None:
        self.inner = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, *, position_ids: Any, **given: Any) -> Any:
        return self.inner(**given)


@pytest.fixture(scope="module")
def healthy(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny model's folder, with weights large enough that what it attends to shows, and an end token that is not at zero."""
    import torch

    made, folder = load_language_model(tiny), tmp_path_factory.mktemp("healthy") / "model"
    with torch.no_grad():
        for weight in made.model.layers.parameters():
            if weight.dim() == 2:
                weight.mul_(10)
        table = made.get_input_embeddings().weight
        table[made.config.pad_token_id] = table[5].flip(0)
    made.save_pretrained(folder)
    load_tokenizer(tiny).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(healthy: str) -> Any:
    return load_language_model(healthy)


@pytest.fixture
def case(mixture: pl.DataFrame, heldout: pl.DataFrame, render: RenderParams, renderer: Renderer, model: Any) -> Case:
    return Case(mixture, heldout, None, render, renderer, model)


def recounted(case: Case) -> Case:
    """`case` with the counts that mix would have written for its rows and renderer."""
    encoded = [case.renderer.encode(r, case.render.turns) for r in case.train.iter_rows(named=True)]
    counts = [
        pl.Series("tokens", [len(e.ids) for e in encoded]),
        pl.Series("loss_tokens", [e.loss_tokens for e in encoded]),
    ]
    return replace(case, train=case.train.with_columns(counts))


def with_row(case: Case, **changes: Any) -> Case:
    """`case` whose row r02 ("Why does ice float?") has other values; r00 stands twice, so another is taken."""
    rows = [r | changes if r["id"] == "r02" else r for r in case.train.iter_rows(named=True)]
    return recounted(replace(case, train=pl.DataFrame(rows, schema=case.train.schema)))


def answered(case: Case, answer: str, loss_weight: float | None = None) -> Case:
    turns = [
        records.message("user", "Why does ice float?"),
        records.message("assistant", answer, loss_weight=loss_weight),
    ]
    return with_row(case, messages=turns)


def asked(case: Case, question: str) -> Case:
    return with_row(case, messages=[records.message("user", question), records.message("assistant", "It is light.")])


NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + CHATML.replace("END", "'<|im_end|>'")
)


def system_refused(case: Case, in_rows: bool) -> Case:
    """`case` with a template that knows no system turn, like Gemma's."""
    refusing = with_template(case, NO_SYSTEM)
    if not in_rows:
        return refusing
    turns = [
        records.message("system", "Be brief."),
        records.message("user", "Why?"),
        records.message("assistant", "So."),
    ]
    rows = [r | {"messages": turns} if r["id"] == "r02" else r for r in refusing.train.iter_rows(named=True)]
    return replace(refusing, train=pl.DataFrame(rows, schema=refusing.train.schema))


def with_template(case: Case, jinja: str, tokenizer: Any = None) -> Case:
    renderer = Renderer(tokenizer or case.renderer.tokenizer)
    renderer.template = jinja
    return recounted(replace(case, renderer=renderer))


def left_padding(case: Case) -> Case:
    tokenizer = copy.deepcopy(case.renderer.tokenizer)
    tokenizer.padding_side = "left"
    return replace(case, renderer=Renderer(tokenizer))


def other_stop(case: Case) -> Case:
    model = copy.deepcopy(case.model)
    model.generation_config.eos_token_id = 0
    return replace(case, model=model)


def untrained_token(case: Case) -> Case:
    import torch

    model = copy.deepcopy(case.model)
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table[case.renderer.tokenizer.eos_token_id] = table.mean(0)
    return replace(case, model=model)


def unknown_token(case: Case) -> Case:
    tokenizer = copy.deepcopy(case.renderer.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]}, replace_extra_special_tokens=False)
    return with_template(case, NEW_TOKEN, tokenizer)


def near_copy(case: Case) -> Case:
    told = (
        "The harbour master keeps a log of every boat that enters after dark, and reads it aloud on Sundays to whoever comes by "
        "for tea, for he thinks that ships like to be remembered."
    )
    copied = told.replace("remembered", "remembered too")
    turns = [records.message("user", "Why does ice float?"), records.message("assistant", told)]
    heldout = case.heldout.with_columns(
        pl.Series("messages", [turns, *case.heldout["messages"].to_list()[1:]], dtype=case.heldout.schema["messages"])
    )
    return answered(replace(case, heldout=heldout), copied)


def child(case: Case) -> Case:
    return with_row(case, parents=["r50"], origin="synthetic")


def grandchild(case: Case) -> Case:
    between = records.frame([{"id": "between", "parents": ["r50"]}], {"id": pl.String, "parents": pl.List(pl.String)})
    return with_row(replace(case, others=between), parents=["between"], origin="synthetic")


def same_group(case: Case) -> Case:
    grouped = case.heldout.with_columns(pl.when(pl.col("id") == "r51").then(pl.lit("g")).alias("group"))
    return with_row(replace(case, heldout=grouped), group="g")


def same_content(case: Case) -> Case:
    return with_row(case, content_hash=case.heldout["content_hash"][0])


PLANTS: dict[str, tuple[Callable[[Case], Case], str, str]] = {
    "template of another model": (
        lambda c: with_template(c, LLAMA), "template",
        "render.template writes <|start_header_id|>, which this tokenizer splits into",
    ),
    "template without the model's markers": (
        lambda c: with_template(c, ALPACA), "template",
        "between question and answer render.template writes '\\n### assistant:\\n', the model's own",
    ),
    "missing end token": (
        lambda c: with_template(c, NO_END), "end_token", "an answer does not end with the end token '<|im_end|>'",
    ),
    "end token at which generation does not stop": (
        other_stop, "end_token", "answers are taught to end with '<|im_end|>' (2), but the model stops at [0]",
    ),
    "left padding": (left_padding, "padding_side", "the tokenizer pads on the left: right for generation, and of no consequence here"),
    "packed rows read each other": (
        lambda c: replace(c, model=Forgetful(c.model)), "packing", "packed rows read each other: with attention 'sdpa' of Forgetful",
    ),
    "untrained token": (untrained_token, "new_token", "<|im_end|> (2): the embedding was never trained"),
    "token without embedding": (unknown_token, "new_token", "<|turn|> (49152): no embedding, the model has 49152"),
    "all-zero mask": (
        lambda c: answered(c, "It is light.", 0.0), "all_zero_mask", "1 row (r02): no token bears loss, so nothing is learned;",
    ),
    "empty answer": (lambda c: answered(c, " "), "empty_answer", "1 row (r02): an empty answer bears loss"),
    "cut answer": (
        lambda c: replace(c, render=c.render.model_copy(update={"max_length": int(c.train["tokens"].max()) - 1})), "cut",
        "tokens, so that ends of answers would be cut; by task type: chat 1; raise render.max_length,",
    ),
    "stale counts": (
        lambda c: replace(c, train=c.train.with_columns(pl.col("loss_tokens") - 1)), "counts",
        "data/mixed/train.parquet: r00 counts ",
    ),
    "control token in an answer": (
        lambda c: answered(c, "Ice is<|im_end|> light."), "control_token_in_text",
        "1 row (r02): a control token of the tokenizer stands in what is learned (<|im_end|>), which would end or open a turn;",
    ),
    "control token in a text": (
        lambda c: with_row(c, kind="text", messages=None, text="A turn<|im_end|> ends."), "control_token_in_text",
        "1 row (r02): a control token of the tokenizer stands in what is learned (<|im_end|>), which would end or open a turn;",
    ),
    "control token in a question": (
        lambda c: asked(c, "What does <|im_end|> mean?"), "control_token_in_text",
        "1 row (r02): a control token of the tokenizer stands in a turn that is only read (<|im_end|>);",
    ),
    "special token in prose": (
        lambda c: answered(c, "Run `git add <filename>`."), "control_token_in_text",
        "1 row (r02): <filename> is one special token to this tokenizer, not the characters that were written;",
    ),
    "system turn that the template refuses": (
        lambda c: system_refused(c, in_rows=True), "template",
        "r02: template: record r02: cannot render a conversation (System role not supported)",
    ),
    "negative weight": (
        lambda c: with_row(c, weight=-1.0), "negative_weight", "1 row (r02): a loss weight is below 0 or not finite",
    ),
    "leak: near copy": (near_copy, "leak", "training and held-out rows share a near copy: 1 of the former, first r02 with r50"),
    "leak: synthetic child": (child, "leak", "training and held-out rows share one lineage: 1 of the former, first r02 with r50"),
    "leak: child of a child": (grandchild, "leak", "training and held-out rows share one lineage: 1 of the former, first r02 with r50"),
    "leak: same group": (same_group, "leak", "training and held-out rows share one group: 1 of the former, first r02 with r51"),
    "leak: same content": (same_content, "leak", "training and held-out rows share the same content: 1 of the former, first r02 with r50"),
    "no rows": (lambda c: replace(c, train=c.train.clear()), "no_rows", "data/mixed/train.parquet has no rows"),
}  # fmt: skip


@pytest.mark.slow
def test_a_mixture_without_fault_is_met_with_silence(case: Case) -> None:
    assert case.findings() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_caught_and_alone(name: str, case: Case) -> None:
    plant, check, said = PLANTS[name]
    found = plant(case).findings()
    # Another model's template ends answers by another token too, and its unknown markers make rows long.
    assert {c for c, _ in found} == (
        {"template", "end_token", "cut"} if said.startswith("render.template writes") else {check}
    )
    assert any(said in s for c, s in found if c == check), found
    assert all("\n" not in s for _, s in found)


HARMLESS = ("left padding", "control token in a question", "special token in prose")


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_training_goes_on_where_nothing_is_wrong(name: str, case: Case) -> None:
    levels = {f.level for f in PLANTS[name][0](case).examined()}
    assert levels == ({"note"} if name == "left padding" else {"advice"} if name in HARMLESS else {"failure"})


@pytest.mark.slow
def test_a_template_without_system_turns_is_sound(case: Case) -> None:
    assert system_refused(case, in_rows=False).findings() == []


@pytest.mark.slow
def test_checks_that_did_not_run_are_said(case: Case) -> None:
    assert not_reached(case.examined()) == []
    assert not_reached(replace(case, train=case.train.clear()).examined()) == [c for c in CHECKS if c != "no_rows"]
    of_rows = ["end_token", "new_token", "counts", "mask", "all_zero_mask", "empty_answer", "control_token_in_text",
               "negative_weight", "packing"]  # fmt: skip
    assert not_reached(system_refused(case, in_rows=True).examined()) == of_rows
    stale = replace(case, train=case.train.with_columns(pl.col("loss_tokens") - 1))
    assert not_reached(stale.examined()) == [c for c in of_rows if c != "counts"]


def test_which_tokens_are_special() -> None:
    tokenizer = load_tokenizer("smollm2-135m-instruct")
    assert len(controls.special(tokenizer)) == 17 and controls.special(tokenizer)["<filename>"] == 6
    assert sorted(controls.markers(tokenizer, CHATML)) == ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
    assert "<repo_name>" in controls.markers(tokenizer, "<repo_name>{{ messages }}")


def test_a_marker_counts_where_it_is_learned() -> None:
    tokenizer = load_tokenizer("smollm2-135m-instruct")
    turns = [
        records.message("user", "什么意思？"), records.message("assistant", "见 <|im_end|>。"),
        records.message("user", "好。"), records.message("assistant", "不客气。"),
    ]  # fmt: skip

    def levels(messages: Any, which: Any = "all", tools: str | None = None) -> list[str]:
        row = {"id": "r", "kind": "chat", "messages": messages, "tools": tools, "text": None, "weight": None}
        return [f.level for f in controls.standing([row], tokenizer, CHATML, which)]

    assert levels(turns) == ["failure"]
    assert levels(turns, "last") == ["advice"]
    assert levels([turns[0], turns[1] | {"loss_weight": 0.0}, *turns[2:]]) == ["advice"]
    assert levels(turns[2:], tools='[{"description": "<|im_start|>"}]') == ["advice"]
    assert levels(turns[2:]) == []
    text = {"id": "t", "kind": "text", "messages": None, "tools": None, "text": "完<|endoftext|>又", "weight": None}
    assert [f.level for f in controls.standing([text], tokenizer, CHATML, "all")] == ["failure"]
    assert [f.level for f in controls.standing([text | {"text": "<repo_name>"}], tokenizer, CHATML, "all")] == [
        "advice"
    ]


def talk(identity: str, *turns: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "content_hash": identity,
        "kind": "chat",
        "messages": list(turns),
        "tags": [],
        "parents": [],
    }


def leaking(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = leaks.leaks(*(records.frame([row], records.LABELLED) for row in (one, other)))
    return [(f.level, f.check, f.said) for f in found]


WORDS = "the harbour master keeps a log of every boat that enters after dark and reads it aloud".split()


@pytest.mark.parametrize("apart", [0, 1, 2, 3, 4])
def test_near_copies_are_refused_only_where_mix_can_part_them(apart: int) -> None:
    """18 words are 14 shingles; each word that one text has more makes one that the other lacks."""
    longer = " ".join([*WORDS, "of", *(f"w{i}" for i in range(4 * apart))])
    one, other = (
        talk(i, records.message("user", text)) for i, text in (("t", longer), ("h", " ".join([*WORDS, "of"])))
    )
    similarity, found = 14 / (14 + 4 * apart), leaking(one, other)
    if similarity >= 0.8:
        said = (
            "training and held-out rows share a near copy: 1 of the former, first t with h; scores would be those of memory: run `dvc "
            "repro mix`; where that changes nothing, set mix.heldout.near to 0.8 or less, or reject one of the two in "
            "data/review/verdicts.jsonl."
        )
        assert found == [("failure", "leak", said)]
    elif similarity >= 0.5:
        said = (
            f"1 row (t): alike to held-out rows by a Jaccard of 0.5 to 0.8, most of all t to h by {similarity:.2f}; scores on these lean "
            "on memory: lower mix.heldout.near (and score.near.floor, which bounds it), or reject one of the two in "
            "data/review/verdicts.jsonl."
        )
        assert found == [("advice", "near_copy", said)]
    else:
        assert found == []


def test_copies_are_measured_as_score_near_measures_them() -> None:
    from curation.score import near

    call = '[{"type": "function", "function": {"name": "water", "arguments": "{\\"days\\": 3}"}}]'

    def asked(text: str) -> list[dict[str, Any]]:
        return [records.message("user", text)]

    def watered(told: str) -> list[dict[str, Any]]:
        calls = records.message("assistant", None, tool_calls=call, reasoning="先看天气。")  # type: ignore[arg-type]
        return [*asked("浇水吗？"), calls, records.message("tool", told), records.message("assistant", "浇过了。")]

    pairs = [
        (asked("Ｈello, WORLD of_mine one two three four"), asked("hello world of mine one two three five")),
        (asked("谢谢"), asked("谢谢！")),
        (watered("ok 好的 3天一次"), watered("ok 好的 9天一次")),
        (asked("わたしは毎日パンを食べます。"), asked("わたしは毎日パンを食べる。")),
        (asked("한국어 는 정말 재미있는 언어 입니다 여러분"), asked("한국어 는 정말 재미있는 언어 입니다 친구")),
        (asked("雨停了，出门看看薄荷"), [records.message("system", "你是园丁。"), *asked("雨停了，出门看看薄荷")]),
    ]
    rows = [talk(f"{i}{side}", *turns) for i, pair in enumerate(pairs) for side, turns in zip("ab", pair, strict=True)]
    frame = records.frame(rows, records.LABELLED)
    sidecar = near.compute(frame, near.NearParams(floor=0.1, permutations=1024))
    theirs = sidecar.explode("neighbours").unnest("neighbours").filter(pl.col("content_hash") < pl.col("other"))
    mine = leaks.near(frame, frame, 0.1).filter(pl.col("one") < pl.col("other"))
    assert {(a, b): round(s, 4) for a, b, s in mine.iter_rows()} == {
        (a, b): s for a, b, s in theirs.select("content_hash", "other", "similarity").iter_rows()
    }
    assert len(mine) == len(pairs)


@pytest.mark.slow
def test_packing_is_measured(case: Case) -> None:
    rows = [case.renderer.encode(r) for r in case.train.head(3).iter_rows(named=True)]
    assert difference(rows, case.model) < 1e-3
    assert difference(rows, Forgetful(case.model)) > 0.1


@pytest.mark.slow
def test_the_train_stage_refuses_before_it_begins(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, healthy: str
) -> None:
    from pipelines import params, paths, train

    leaky = same_group(case)
    unused = case.heldout.clear().with_columns(pl.lit(None, pl.String).alias("reason"))
    for name, frame in {"train": leaky.train, "heldout": leaky.heldout, "unused": unused}.items():
        records.write(frame, tmp_path / paths.MIXED / f"{name}.parquet")
    (tmp_path / "params.yaml").write_text(f"render: {{model: {healthy}, max_length: 96}}\n")
    monkeypatch.chdir(tmp_path)
    params.read.cache_clear()
    try:
        with pytest.raises(DataError) as error:
            train.work()
    finally:
        params.read.cache_clear()
    assert str(error.value) == (
        "preflight: leak: training and held-out rows share one group: 1 of the former, first r02 with r51; scores would be those "
        "of memory: run `dvc repro mix`; data/mixed is not to be edited by hand."
    )
    assert not (tmp_path / "models").exists()


def test_each_failure_is_a_line() -> None:
    with pytest.raises(DataError) as error:
        refuse([failure("cut", "a."), advice.note("size", "b."), failure("leak", "c.")])
    assert str(error.value) == "preflight: cut: a.\npreflight: leak: c."
    refuse([advice.note("size", "b.")])


SAID = st.text("abc 你好，。!\n薄荷é😀", min_size=1, max_size=20).filter(lambda t: t.strip() == t)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(SAID, SAID, st.sampled_from([None, 0.5, 2.0])), min_size=1, max_size=3),
    st.sampled_from(["all", "last"]),
    st.data(),
)
def test_a_mask_is_right_or_found_wrong(renderer_of_bundled: Renderer, turns: Any, which: Any, data: Any) -> None:
    """The renderer's mask has no fault; with any one token more or less it has."""
    messages = [
        m for q, a, w in turns for m in (records.message("user", q), records.message("assistant", a, loss_weight=w))
    ]
    row = {"id": "r", "kind": "chat", "messages": messages, "tools": None, "text": None, "weight": None}
    encoded = renderer_of_bundled.encode(row, which)
    tokenizer = renderer_of_bundled.tokenizer
    assert list(faults([row], [encoded], tokenizer, which)) == []
    place = data.draw(st.integers(0, len(encoded.ids) - 1))
    weights = [*encoded.weights[:place], 0.0 if encoded.weights[place] else 1.0, *encoded.weights[place + 1 :]]
    assert list(faults([row], [Encoded(encoded.ids, weights)], tokenizer, which)) != []


@pytest.fixture(scope="module")
def renderer_of_bundled() -> Renderer:
    return Renderer(load_tokenizer("smollm2-135m-instruct"))


def test_a_tool_call_with_reasoning_and_a_text_have_no_fault(renderer_of_bundled: Renderer) -> None:
    call = '[{"type": "function", "function": {"name": "water", "arguments": "{\\"days\\": 3}"}}]'
    turns = [
        records.message("user", "浇水。"),
        records.message("assistant", None, tool_calls=call, reasoning="三天一次。"),  # type: ignore[arg-type]
        records.message("tool", "ok"),
        records.message("assistant", "好了。"),
    ]
    rows = [
        {"id": "a", "kind": "chat", "messages": turns, "tools": None, "text": None, "weight": None},
        {"id": "b", "kind": "text", "messages": None, "tools": None, "text": "雨停了。", "weight": 0.5},
    ]
    encoded = [renderer_of_bundled.encode(r) for r in rows]
    assert list(faults(rows, encoded, renderer_of_bundled.tokenizer, "all")) == []


def mixed(**columns: Any) -> pl.DataFrame:
    """200 rows that give no ground for advice, with `columns` in place of theirs."""
    n = 200
    rows = [
        {"id": f"t{i:03}", "content_hash": f"h{i}", "kind": "text", "text": " ".join(f"w{i}x{j}" for j in range(20)), "tags": [],
         "bucket": ("general", "domain", "domain", "math_code", "replay")[i % 5], "task_type": ("open_qa", "math")[i % 2]}
        for i in range(n)
    ]  # fmt: skip
    frame = records.frame(rows, records.LABELLED).with_columns(
        pl.lit(100, pl.Int64).alias("tokens"), pl.lit(60, pl.Int64).alias("loss_tokens"), pl.lit(0, pl.Int64).alias("repeat"),
        pl.int_range(n).alias("position"),
    )  # fmt: skip
    return frame.with_columns(**columns)


def advised(
    train: pl.DataFrame, exam: pl.DataFrame | None = None, unused: pl.DataFrame | None = None, **given: Any
) -> dict:
    parameters = given.pop("parameters", int(7e9))
    exam = mixed().head(100) if exam is None else exam
    unused = mixed().clear().with_columns(pl.lit(None, pl.String).alias("reason")) if unused is None else unused
    found = advice.advise(train, exam, unused, TrainParams(**given), RenderParams(), parameters)
    assert found[-1].check == "size"
    return {f.check: f.said for f in found if f.level == "advice"}


def test_no_advice_where_none_is_needed() -> None:
    assert advised(mixed()) == {}


def test_advice() -> None:
    few = pl.when(pl.col("bucket") == "general").then(pl.lit("domain")).otherwise("bucket").alias("bucket")
    assert advised(mixed(bucket=few)) == {
        "general_data": "general rows hold 0.0% of the chat tokens; 10% and more keep general skill: raise mix.ratios.general."
    }
    assert list(advised(mixed().filter(pl.col("bucket") != "replay"))) == ["replay"]
    assert list(advised(mixed(content_hash=pl.lit("h")))) == ["deduplicated"]
    assert list(advised(mixed(text=pl.lit(" ".join(f"word{j}" for j in range(30)))))) == ["deduplicated"]
    assert list(advised(mixed(), mixed().head(20))) == ["heldout_size"]
    assert list(advised(mixed(), mixed().filter(pl.col("task_type") == "math"))) == ["heldout_types"]
    assert advised(mixed(), epochs=5) == {
        "epochs": "200 rows (t000, t001, t002, …): read up to 5 times; beyond 4 more data does more than more epochs: lower "
        "train.epochs, train.max_steps or mix.max_epochs."
    }
    # 200 rows of 100 tokens are ten steps of two sequences of 1024.
    assert advised(mixed(), epochs=9, max_steps=40) == {}
    assert list(advised(mixed(), epochs=9, max_steps=41)) == ["epochs"]
    assert list(advised(mixed(id=pl.lit("t")))) == ["epochs"]
    assert advised(mixed(tokens=pl.lit(2000, pl.Int64)), epochs=9) == {}
    over = mixed().head(80).with_columns(pl.lit("over_max_length").alias("reason"))
    assert advised(mixed(), unused=over) == {
        "left_out": "80 rows over render.max_length = 1024 tokens are left out, none is cut: math 40 of 140, open_qa 40 of 140; "
        "raise render.max_length to keep math, open_qa."
    }


@pytest.mark.parametrize(
    ("parameters", "rate", "said"),
    [
        (135e6, 2e-4, None),
        (135e6, 2e-3, "train.learning_rate 0.002 is above the usual 5e-05–0.001 of LoRA at under 7B."),
        (8e9, 1e-5, "train.learning_rate 1e-05 is below the usual 5e-05–0.0005 of LoRA at 7–14B."),
        (32e9, 1e-5, "train.learning_rate 1e-05 is below the usual 2e-05–0.0003 of LoRA at 14–34B."),
        (72e9, 5e-4, "train.learning_rate 0.0005 is above the usual 1e-05–0.0002 of LoRA at 70B and more."),
    ],
)
def test_the_learning_rate_is_held_against_the_size(parameters: float, rate: float, said: str | None) -> None:
    assert advised(mixed(), parameters=int(parameters), learning_rate=rate).get("learning_rate") == said


def test_the_mask_is_shown(renderer_of_bundled: Renderer) -> None:
    from pipelines.doctor import painted, tokens

    turns = [records.message("user", "薄荷怕什么？"), records.message("assistant", "怕涝。", loss_weight=0.5)]
    row = {"id": "r", "kind": "chat", "messages": turns, "tools": None, "text": None, "weight": None}
    encoded, tokenizer = renderer_of_bundled.encode(row), renderer_of_bundled.tokenizer
    pieces = tokens(encoded, tokenizer)
    assert "".join(text for text, _, _ in pieces) == renderer_of_bundled.text(row)
    assert all("\ufffd" not in text for text, _, _ in pieces)
    assert "".join(text for text, weight, _ in pieces if weight) == "怕涝。<|im_end|>"
    plain = painted(encoded, tokenizer, colours=False).plain
    assert plain == "<|im_start|>user↵\n薄荷怕什么？<|im_end|>↵\n<|im_start|>assistant↵\n⟦怕涝。<|im_end|>⟧×0.5↵\n"
    coloured = painted(encoded, tokenizer, colours=True)
    learned = {s.style for s in coloured.spans if s.start >= coloured.plain.index("怕涝") and "green" in str(s.style)}
    assert learned and "⟦" not in coloured.plain


def test_every_check_and_piece_of_advice_is_explained() -> None:
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    named = set(CHECKS) | set(
        re.findall(r'(?:advice|note)\(\s*"(\w+)"', (ROOT / "train/advice.py").read_text(encoding="utf-8"))
    )
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []
    assert {f"{low}" for low, *_ in advice.SIZES} <= set(
        re.findall(r"\| (under 7B|7–14B|14–34B|70B and more) \|", text)
    )


@pytest.mark.slow
def test_silence_on_the_starter_run() -> None:
    """On data/mixed as `make repro` leaves it."""
    folder = ROOT / "data/mixed"
    if not (folder / "unused.parquet").exists():
        pytest.skip("data/mixed is not there; run `make repro`")
    train, heldout, unused = (pl.read_parquet(folder / f"{n}.parquet") for n in ("train", "heldout", "unused"))
    assert preflight(train, heldout, unused, RenderParams()) == []
    found = advice.advise(train, heldout, unused, TrainParams(), RenderParams(), 134_515_008)
    assert [f for f in found if f.level != "note"] == []


@pytest.mark.slow
def test_the_command_prints_findings_as_json(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, healthy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipelines import doctor, params, paths

    unused = case.heldout.clear().with_columns(pl.lit(None, pl.String).alias("reason"))
    for name, frame in {"train": case.train, "heldout": case.heldout, "unused": unused}.items():
        records.write(frame, tmp_path / paths.MIXED / f"{name}.parquet")
    (tmp_path / "params.yaml").write_text(f"render: {{model: {healthy}, max_length: 96}}\n")
    monkeypatch.chdir(tmp_path)
    params.read.cache_clear()
    try:
        assert doctor.doctor(as_json=True) == 0
        told = json.loads(capsys.readouterr().out)
        doctor.show_mask("r02")
        shown = capsys.readouterr().out
        with pytest.raises(DataError) as error:
            doctor.show_mask("r0")
        stale = case.train.with_columns(pl.col("loss_tokens") - 1)
        records.write(stale, tmp_path / paths.MIXED / "train.parquet")
        assert doctor.doctor() == 1
        printed = capsys.readouterr().out
    finally:
        params.read.cache_clear()
    assert told["passed"] and set(told["checks"]) == set(CHECKS) == set(told["checks_passed"])
    assert told["checks_not_reached"] == []
    assert {f["check"] for f in told["findings"]} >= {"heldout_size", "size"}
    assert printed.splitlines()[-1].startswith(
        "4 of 13 checks passed, 8 not reached (end_token, new_token, mask, all_zero_mask, empty_answer, control_token_in_text, "
        "negative_weight, packing), advice on "
    )
    assert printed.endswith(": the train stage would refuse.\n")
    assert "⟦Ice is less dense than water, so it floats.<|im_end|>⟧" in shown
    assert str(error.value) == "r0: 10 ids begin so: r00, r01, r02, r03, r04; give more of it."
