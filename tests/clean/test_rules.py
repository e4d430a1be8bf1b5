"""docs/rules.md is held against the code: every rule and param is named, every example is kept or dropped by its rule."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation import records as rec
from curation import score
from curation.clean import ABOUT_PROMPTS, BINDING, LAST_RULES, RULES, CleanParams, clean, decontaminate, form, joined
from curation.clean.answers import AnswerParams
from curation.clean.claims import ClaimParams
from curation.clean.form import FormParams, cut
from curation.errors import DataError
from curation.ingest import IngestParams, SourceParams, ingest
from curation.label import LABEL_COLUMNS

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", DOC, re.DOTALL | re.MULTILINE))
ASIDE = ("verdict", "beside", "nll", "evaluation", "reviewed", "task_type")
PAIRS = {
    "near_duplicate": ("near",),
    "semantic_duplicate": ("near", "semantic"),
}  # what an example has to be compared by
Example = dict[str, Any]


def examples(rule: str) -> list[Example]:
    block = re.search(r"```jsonl\n(.*?)\n```", SECTIONS[rule], re.DOTALL)
    assert block, rule
    return [json.loads(line) for line in block[1].split("\n")]


EVERY = [(rule, n) for rule in SECTIONS for n in range(len(examples(rule)))]


def test_every_rule_stands_in_the_page_in_the_order_in_which_it_is_tried() -> None:
    assert list(SECTIONS) == [*RULES, *LAST_RULES]


def test_every_param_stands_in_the_page_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", DOC, re.MULTILINE))
    defaults = {
        f"{section}.{name}": json.loads(json.dumps(value))
        for section, params in CleanParams()
        for name, value in params.model_dump(mode="json").items()
    }
    assert {name: json.loads(value) for name, value in listed.items()} == defaults


def test_binding_rules_and_those_about_prompts_are_named() -> None:
    head = DOC.split("\n## ")[0]
    for name in BINDING | ABOUT_PROMPTS:
        assert f"`{name}`" in head, name


def test_every_rule_has_examples_kept_and_dropped_in_both_languages() -> None:
    def chinese(example: Example) -> bool:
        asked = example.get("prompt", example.get("text")) or example["messages"][0]["content"]
        return bool(re.search("[㐀-鿿]", asked if len(asked.strip()) > 1 else str(example["answer"])))

    for rule in SECTIONS:
        found = {(e["verdict"], chinese(e)) for e in examples(rule)}
        missing = {("dropped", True), ("dropped", False), ("kept", True), ("kept", False)} - found
        assert missing <= ({("dropped", True)} if rule == "semantic_duplicate" else set()), (rule, missing)


def record(example: Example) -> dict[str, Any]:
    """The example as a record of an ingest layout."""
    row = {key: value for key, value in example.items() if key not in ASIDE}
    if isinstance(row.get("answer"), dict):
        kind, count = next(iter(row["answer"].items()))
        row["answer"] = (
            " ".join(map(str, range(count))) if kind == "numbers" else "".join(chr(0x4E00 + i) for i in range(count))
        )
    return row


def corpus(rows: list[dict[str, Any]], folder: Path) -> pl.DataFrame:
    """Records of rows in any layout, in their order, their ids `0`, `1`, …"""
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    records, quarantine = ingest(IngestParams(sources=(SourceParams(path=str(path), license="MIT"),)))
    assert quarantine.height == 0, quarantine["detail"].to_list()
    line = pl.Series([json.loads(meta)["line"] - 1 for meta in records["meta"]])
    return records.with_columns(line.cast(pl.String).alias("id")).sort(line)


def signals_of(records: pl.DataFrame, nll: dict[str, float], pairs: tuple[str, ...] = ()) -> dict[str, pl.DataFrame]:
    """Real signals; perplexity as given, and pairs of those kinds that are named."""
    settings = score.ScoreParams()
    signals = {
        name: score.compute(name, records, settings) for name in ("language", "length", "repetition", "exact", *pairs)
    }
    pair = pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64}))
    none = signals["exact"].select("content_hash", neighbours=pl.lit([], dtype=pair), against=pl.lit([], dtype=pair))
    signals = {"near": none, "semantic": none} | signals
    measured = [
        (h, nll.get(i), None, 99, None)
        for i, h in records.select("id", "content_hash").unique("content_hash").iter_rows()
    ]
    columns = {
        "content_hash": pl.String,
        "nll": pl.Float64,
        "perplexity": pl.Float64,
        "scored_tokens": pl.Int64,
        "not_applicable": pl.String,
    }
    signals["perplexity"] = pl.DataFrame(measured, schema=columns, orient="row")
    return signals


def labels_of(records: pl.DataFrame, task_types: dict[str, str]) -> pl.DataFrame:
    rows = [
        {
            "id": i,
            "task_type": task_types.get(i, "open_qa"),
            "task_type_by": "labeller",
            "bucket": "general",
            "tags": tags,
        }
        for i, tags in records.select("id", "tags").iter_rows()
    ]
    return rec.frame(rows, LABEL_COLUMNS)


def judged(example: Example, folder: Path, params: CleanParams | None = None, pairs: tuple[str, ...] = ()) -> list[str]:
    """The rules that drop the example, the first first."""
    crowd = []
    if "nll" in example:
        crowd = [
            {
                "prompt": f"给我第{n}个数。" if n % 2 else f"Give me number {n}.",
                "answer": f"第{n}个数在这里。" if n % 2 else f"Number {n} is here.",
            }
            for n in range(60)
        ]
    rows = [record(example), *example.get("beside", []), *crowd]
    records = corpus(rows, folder)
    nll = {"0": example["nll"]} if "nll" in example else {}
    nll |= {str(len(rows) - len(crowd) + n): 2.4 + 0.02 * (n % 10) for n in range(len(crowd))}
    labels = labels_of(records, {"0": example["task_type"]} if "task_type" in example else {})
    labels = labels.with_columns(task_type=pl.lit(example.get("task_type", "open_qa")))
    evaluation = None
    if "evaluation" in example:
        evaluation = folder / "evaluation"
        evaluation.mkdir(exist_ok=True)
        (evaluation / "set.jsonl").write_text(json.dumps({"prompt": example["evaluation"]}), encoding="utf-8")
    _, dropped = clean(
        records,
        signals_of(records, nll, pairs),
        labels,
        params or CleanParams(),
        verdicts={"0": example["reviewed"]} if "reviewed" in example else {},
        evaluation=evaluation,
    )
    found = dropped.filter(pl.col("id") == "0")
    return [found["rule"][0], *found["also"][0]] if found.height else []


# Examples that need no other rows: they are judged together, each rule over all of them.
ALONE = [
    (rule, n) for rule, n in EVERY if rule in RULES and not {"nll", "evaluation", "reviewed"} & examples(rule)[n].keys()
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, dict[str, pl.DataFrame], pl.DataFrame]:
    """Records, signals and labels of the examples of ALONE, in their order."""
    given = [examples(rule)[n] for rule, n in ALONE]
    records = corpus([record(e) for e in given], tmp_path_factory.mktemp("alone"))
    task_types = {str(i): e["task_type"] for i, e in enumerate(given) if "task_type" in e}
    return records, signals_of(records, {}), labels_of(records, task_types)


@pytest.fixture(scope="module")
def hit(alone: tuple[pl.DataFrame, dict[str, pl.DataFrame], pl.DataFrame]) -> dict[str, set[str]]:
    """Rule → ids that it would drop."""
    frame = decontaminate.measure(joined(*alone, {}), [], CleanParams().decontaminate)
    return {rule: set(find(frame, CleanParams())["id"]) for rule, find in RULES.items()}


@pytest.mark.parametrize(("rule", "number"), ALONE)
def test_example(rule: str, number: int, hit: dict[str, set[str]]) -> None:
    dropped = str(ALONE.index((rule, number))) in hit[rule]
    assert dropped == (examples(rule)[number]["verdict"] == "dropped")


@pytest.mark.parametrize(("rule", "number"), [which for which in EVERY if which not in ALONE])
def test_example_among_others(rule: str, number: int, tmp_path: Path) -> None:
    example = examples(rule)[number]
    by = judged(example, tmp_path, pairs=PAIRS.get(rule, ()))
    assert (rule in by) == (example["verdict"] == "dropped"), by


def test_accepting_overrides_every_rule_but_the_binding_ones(alone: tuple) -> None:
    everything = dict.fromkeys(alone[0]["id"], "accept")
    _, dropped = clean(*alone, CleanParams(), verdicts=everything)
    assert set(dropped["rule"]) == {"disallowed_license", "pii_drop"}
    assert set(dropped["also"].explode().drop_nulls()) <= BINDING


def test_accepting_never_overrides_decontamination(tmp_path: Path) -> None:
    assert judged(examples("contaminated")[0] | {"reviewed": "accept"}, tmp_path) == ["contaminated"]


def test_noise_on_purpose_is_exempt_from_rules_about_prompts(alone: tuple) -> None:
    records, signals, labels = alone
    noisy = pl.lit(["robustness:typo"])
    _, dropped = clean(records.with_columns(tags=noisy), signals, labels.with_columns(tags=noisy), CleanParams())
    rules = {*dropped["rule"], *dropped["also"].explode().drop_nulls()}
    assert not rules & ABOUT_PROMPTS
    assert {"too_short", "other_identity", "repetition"} <= rules


def test_noise_in_a_prompt_is_not_taken_for_broken_characters(tmp_path: Path) -> None:
    row = {"prompt": "怎么给皮鞋上油\ufffd\ufffd", "answer": "薄薄一层，阴干后擦亮。", "tags": ["robustness:ocr"]}
    assert judged(row, tmp_path) == []
    assert judged(row | {"tags": []}, tmp_path) == ["broken_characters"]
    assert judged(row | {"answer": "薄薄上一层鞋油\ufffd，阴干后擦亮。"}, tmp_path) == ["broken_characters"]


def test_limits_are_params(tmp_path: Path) -> None:
    echo = {"prompt": "Is it raining?", "answer": "Is it raining? No."}
    assert judged(echo, tmp_path, CleanParams(answers=AnswerParams(echo_share=0.5, min_units=0))) == ["prompt_echo"]
    assert judged(echo, tmp_path, CleanParams(answers=AnswerParams(echo_share=1.0, min_units=0))) == []
    said = {"prompt": "Who are you?", "answer": "I am Qwen, a model by Alibaba."}
    assert judged(said, tmp_path) == ["other_identity"]
    assert judged(said, tmp_path, CleanParams(claims=ClaimParams(own_names=("Qwen",)))) == []
    tags = {"prompt": "How do I fold a map?", "answer": "Along the <b>old</b> creases, the cover outside."}
    assert judged(tags, tmp_path, CleanParams(form=FormParams(max_markup=2))) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Use a low fire. Stir it slowly and keep the lid off until the", "ends in “off until the”"),
        ("先烧水，再下面。水开之后加半碗凉水，等它再开一次的时候把", "ends in “再开一次的时候把”"),
        ("```python\nx = 1", "a code block is not closed"),
        (
            "Three steps:\n\n1. Wash it well.\n2. Dry it with a cloth.\n3. Then rub the oil in with your bare hand while",
            "ends in “re hand while”",
        ),
        ("Kind regards,\nMarit", None),
        ("一、洗净\n二、晾干\n三、抹油", None),
        ("Dear Ada,\n\nThank you for the jam. It did not last a day.\n\nWarmly,\nTom", None),
        ("The result is x = 4", None),
        ("红色", None),
        ("Done! 🎉", None),
        ("```python\nx = 1\n```", None),
    ],
)
def test_where_a_text_is_cut(text: str, why: str | None) -> None:
    found = cut(text, FormParams().open_end_units)
    assert found == why or (why and found and found.startswith("ends in") and why.startswith("ends in"))


def test_tool_conversations(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "unit": {"enum": ["km", "mi"]}},
        "required": ["n"],
    }
    tools = [{"type": "function", "function": {"name": "convert", "parameters": schema}}]

    def fault(arguments: str) -> list[str]:
        call = {"id": "c1", "function": {"name": "convert", "arguments": arguments}}
        turns = [
            {"role": "user", "content": "Convert five."},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
        records = corpus([{"messages": turns, "tools": tools}], tmp_path)
        frame = joined(records, signals_of(records, {}), labels_of(records, {}), {})
        return RULES["invalid_tool_call"](frame, CleanParams())["detail"].to_list()

    assert fault('{"n": 5, "unit": "km"}') == []
    assert fault('{"n": 5.0}') == []
    assert fault('{"n": "5"}') == ["message 2: 'n' of 'convert' is str; accepted: integer"]
    assert fault('{"n": true}') == ["message 2: 'n' of 'convert' is bool; accepted: integer"]
    assert fault('{"n": 5, "unit": "ly"}') == ["message 2: 'unit' of 'convert' is none of the declared values"]
    assert fault('{"unit": "km"}') == ["message 2: 'convert' lacks n"]
    assert fault('{"n": 5, "m": 1}') == ["message 2: 'convert' has no argument m"]
    assert fault("[5]") == ["message 2: the arguments of 'convert' are list; an object is accepted"]


def test_every_hit_reports_its_value_and_limit(tmp_path: Path) -> None:
    records = corpus([record(examples("too_short")[0]), record(examples("broken_characters")[0])], tmp_path)
    frame = joined(records, signals_of(records, {}), labels_of(records, {}), {})
    assert RULES["too_short"](frame, CleanParams()).rows() == [("0", 4.0, 8.0, "units, where prose is asked for")]
    assert form.broken_characters(frame, FormParams()).rows() == [("1", 2.0, 0.0, "places that an encoding error left")]


def test_a_missing_signal_or_label_is_an_error_and_no_pass(tmp_path: Path) -> None:
    records = corpus(
        [{"prompt": "Who came?", "answer": "Only Ada."}, {"prompt": "谁来了？", "answer": "只有小王。"}], tmp_path
    )
    signals, labels = signals_of(records, {}), labels_of(records, {})
    first, last = sorted(records["content_hash"])
    nothing = [pl.lit(None).alias(c) for c in signals["repetition"].columns if c != "content_hash"]
    for name, sidecar, lacking in (
        ("near", signals["near"].clear(), (2, first)),
        ("exact", signals["exact"].filter(pl.col("content_hash") == first), (1, last)),
        ("repetition", signals["repetition"].with_columns(nothing), (2, first)),
    ):
        with pytest.raises(DataError) as error:
            clean(records, signals | {name: sidecar}, labels, CleanParams())
        assert str(error.value) == (
            f"signal {name}: neither a value nor a reason for {lacking[0]} content hashes, the first {lacking[1]}; a missing value "
            "is no pass. Run `dvc repro score@raw` (score@generated for made rows) first."
        )
    with pytest.raises(DataError) as error:
        clean(records, signals, labels.tail(1), CleanParams())
    assert str(error.value) == (
        "labels: none for 1 rows, the first 0; run `dvc repro label@raw` (label@generated for made rows) first."
    )


def test_labels_of_an_older_record_lose_no_tag(tmp_path: Path) -> None:
    row = {"prompt": "Who rents unit 4?", "answer": "A tenant with a passport on file.", "tags": ["pii_drop:passport"]}
    records = corpus([row], tmp_path)
    labels = labels_of(records, {}).with_columns(tags=pl.lit(["safety:refusal"]))
    frame = joined(records, signals_of(records, {}), labels, {})
    assert frame["tags"].to_list() == [["safety:refusal", "pii_drop:passport"]]
    assert RULES["pii_drop"](frame, CleanParams())["detail"].to_list() == ["personal data: passport"]


def test_rules_are_not_slow(tmp_path: Path) -> None:
    rows = [record(e) for rule in RULES for e in examples(rule)]
    records = corpus(rows, tmp_path)
    one = decontaminate.measure(
        joined(records, signals_of(records, {}), labels_of(records, {}), {}), [], CleanParams().decontaminate
    )
    many = pl.concat(
        [one.with_columns(pl.format("{}-{}", pl.lit(n), "id").alias("id")) for n in range(20_000 // len(rows))]
    )
    start = time.perf_counter()
    for rule in RULES.values():
        rule(many, CleanParams())
    # A fortieth of the promise, so that a busy machine does not fail the test; benchmarks measure the promise itself.
    assert many.height / (time.perf_counter() - start) > 500


def test_the_longest_turn_is_the_long_answer_and_not_the_conversation(tmp_path: Path) -> None:
    def talk(asked: str, *answers: str) -> Example:
        return {
            "messages": [{"role": r, "content": c} for a in answers for r, c in (("user", asked), ("assistant", a))]
        }

    def han(start: int, end: int) -> str:
        return "".join(chr(0x4E00 + i) for i in range(start, end)) + "。"

    english = " ".join(map(str, range(900)))
    assert judged(talk("Count on, please.", english + ".", english + " 900."), tmp_path) == []
    assert judged(talk("接着写不同的字。", han(0, 1500), han(1500, 3000)), tmp_path) == []
    assert judged(talk("Count on, please.", "0.", " ".join(map(str, range(1300))) + "."), tmp_path)[0] == "too_long"
    assert judged(talk("接着写不同的字。", "好。", han(0, 2500)), tmp_path)[0] == "too_long"
