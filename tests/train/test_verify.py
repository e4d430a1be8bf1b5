import json
from decimal import Decimal
from pathlib import Path

import pytest

from curation.errors import DataError
from train.benchmarks import items, tasks
from train.verify import CONSTRAINTS, correct, holds, last_number, validate

EVALUATION = Path("data/evaluation")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("6 + 9 = 15", 15), ("答案是１５。", 15), ("1,250 metres", 1250), ("3.50", Decimal("3.5")), ("−4", -4), ("no idea", None),
        ("15.0", 15),
    ],
)  # fmt: skip
def test_last_number(text: str, number: Decimal | int | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize(
    ("constraint", "right", "wrong"),
    [
        ({"kind": "contains", "words": ["Maple"]}, "a maple bow", "an oak bow"),
        ({"kind": "contains", "words": ["月光"]}, "月光照着石桥。", "阳光照着石桥。"),
        ({"kind": "lacks", "words": ["sour"]}, "sharp", "Sour!"),
        ({"kind": "lacks", "words": ["白", "冷"]}, "雪落满院。", "一片白。"),
        ({"kind": "words", "least": 2, "most": 3}, "one two three", "one two three four"),
        ({"kind": "characters", "least": 2, "most": 6}, "一盏 旧马灯", "挂在门边的旧马灯"),
        ({"kind": "sentences", "count": 2}, "One. Two!", "Only one."),
        ({"kind": "sentences", "count": 2}, "一句。两句？", "一句。两句。三句。"),
        ({"kind": "sentences", "count": 1}, "no full stop", "One. two"),
        ({"kind": "bullets", "count": 2}, "- a\n- b", "a\nb"),
        ({"kind": "bullets", "count": 2}, "- 帐篷\n- 水壶", "-帐篷\n-水壶"),
        ({"kind": "numbered", "count": 2}, "1. a\n2. b", "1. a"),
        ({"kind": "numbered", "count": 2}, "1、抖开\n2、晾好", "一、抖开\n二、晾好"),
        ({"kind": "lines", "count": 2}, "a\n\nb", "a"),
        ({"kind": "json_only", "keys": ["城市"]}, '{"城市": "泉州"}', '```json\n{"城市": "泉州"}\n```'),
        ({"kind": "json_only", "keys": ["a", "b"]}, '{"b": 1, "a": 2}', '{"a": 2}'),
        ({"kind": "lower_case"}, "quiet fog", "Quiet fog"),
        ({"kind": "lower_case"}, "the 2 lamps", "灯塔"),
        ({"kind": "upper_case"}, "WET PAINT", "Wet PAINT"),
        ({"kind": "starts_with", "text": "总之，"}, "总之，要午休。", "要午休，总之。"),
        ({"kind": "ends_with", "text": "敬请谅解。"}, "抱歉，敬请谅解。", "敬请谅解。谢谢。"),
        ({"kind": "language", "language": "zh"}, "键盘有很多键。", "键盘有Enter键。"),
        ({"kind": "language", "language": "en"}, "At dusk.", "At dusk 黄昏."),
        ({"kind": "one_of", "options": ["yes", "no"]}, "Yes.", "Yes, it is."),
        ({"kind": "one_of", "options": ["是", "不是"]}, "不是。", "不是鱼。"),
    ],
)
def test_each_constraint_holds_and_fails(constraint: dict, right: str, wrong: str) -> None:
    assert holds(constraint, right)
    assert not holds(constraint, wrong)


def test_every_constraint_must_hold_and_an_empty_answer_is_wrong() -> None:
    item = {
        "prompt": "Say it.",
        "constraints": [{"kind": "lacks", "words": ["x"]}, {"kind": "words", "least": 1, "most": 2}],
    }
    assert correct(item, " two words \n")
    assert not correct(item, "three words here")
    assert not correct(item, "  ")
    assert not correct(item, "Say it.")
    assert correct({"answer": "200"}, "It is 200.0")
    assert not correct({"answer": "200"}, "It is 200, not 300.")


def test_faulty_items_are_named() -> None:
    good = {"key": "k", "language": "en", "prompt": "p"}
    for item, message in (
        ({"key": "k"}, "f:3: lacks 'language'; accepted: key, language, prompt, and answer or constraints."),
        (good, "f:3: k: has both answer and constraints, or neither; accepted: one of them."),
        (good | {"answer": "many"}, "f:3: k: found answer 'many'; accepted: a number as a string."),
        (good | {"constraints": []}, "f:3: k: has no constraint; accepted: at least one."),
        (
            good | {"constraints": [{"kind": "loud"}]},
            f"f:3: k: unknown constraint 'loud'; accepted: {', '.join(CONSTRAINTS)}.",
        ),
        (good | {"constraints": [{"kind": "lines", "n": 1}]}, "f:3: k: lines has n; accepted: count."),
    ):
        with pytest.raises(DataError) as error:
            validate(item, "f:3")
        assert str(error.value) == message


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"key":"a","language":"en","prompt":"p","answer":"1"}\n{"key":')
    with pytest.raises(DataError, match=r"t\.jsonl:2: not JSON"):
        items(path)


def test_the_benchmark_has_four_tasks_of_twelve_items_of_their_own() -> None:
    assert tasks(EVALUATION) == ["arithmetic_en", "arithmetic_zh", "constraints_en", "constraints_zh"]
    found = {name: items(EVALUATION / f"{name}.jsonl") for name in tasks(EVALUATION)}
    assert {name: len(of) for name, of in found.items()} == dict.fromkeys(found, 12)
    prompts = [item["prompt"] for of in found.values() for item in of]
    assert len(set(prompts)) == 48
    assert {c["kind"] for name in found for i in found[name] for c in i.get("constraints", ())} == set(CONSTRAINTS)
    # Repeating the prompt must not count as following it.
    echoes = [i["key"] for of in found.values() for i in of if correct(i, i["prompt"])]
    assert echoes == []
    assert json.dumps(found)
