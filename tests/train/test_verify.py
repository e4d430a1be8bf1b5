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
        ({"kind": "sentences", "count": 1}, "It costs 3.5 dollars.", "It costs 3. 5 dollars."),
        ({"kind": "sentences", "count": 1}, "价格是3.5元。", "价格是3。5元。"),
        ({"kind": "sentences", "count": 1}, "他说：“你好。”", "他说：“你好。”她笑了。"),
        ({"kind": "sentences", "count": 1}, 'She said, "Go."', 'She said, "Go." Then she left.'),
        ({"kind": "sentences", "count": 1}, '"Stop!" he said.', '"Stop!" He left.'),
        ({"kind": "bullets", "count": 2}, "- a\n- b", "a\nb"),
        ({"kind": "bullets", "count": 2}, "-帐篷\n- 水壶", "-5度\n-7度"),
        ({"kind": "bullets", "count": 3}, "•帐篷\n● 水壶\n· 绳子", "*帐篷*\n*水壶*\n*绳子*"),
        ({"kind": "bullets", "count": 2}, "● tent\n· rope", "-5 degrees\n-7 degrees"),
        ({"kind": "numbered", "count": 2}, "1. a\n2. b", "1. a"),
        ({"kind": "numbered", "count": 2}, "1、抖开\n2、晾好", "一、抖开\n二、晾好"),
        ({"kind": "numbered", "count": 2}, "1）苹果\n2）梨", "1.5斤苹果\n2.5斤梨"),
        ({"kind": "numbered", "count": 2}, "（1）苹果\n（2）梨", "（2023）苹果\n（2024）梨"),
        ({"kind": "numbered", "count": 2}, "(1) apples\n2) pears", "3.5 apples\n4.5 pears"),
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
        ([1], "f:3: found [1]; accepted: one object a line."),
        (good | {"answer": 5}, "f:3: k: found answer 5; accepted: a number as a string."),
        (good | {"constraints": {"kind": "lines"}}, "f:3: k: has no constraint; accepted: at least one."),
        (
            good | {"constraints": ["lower_case"]},
            "f:3: k: found constraint 'lower_case'; accepted: an object with kind.",
        ),
        (
            good | {"constraints": [{"kind": "lines", "count": "1"}]},
            "f:3: k: lines: found count '1'; accepted: int.",
        ),
        (
            good | {"constraints": [{"kind": "contains", "words": "maple"}]},
            "f:3: k: contains: found words 'maple'; accepted: list[str].",
        ),
    ):
        with pytest.raises(DataError) as error:
            validate(item, "f:3")
        assert str(error.value) == message


def test_thousands_separators_are_read_on_both_sides() -> None:
    validate({"key": "k", "language": "en", "prompt": "p", "answer": "1,234"}, "f:1")
    assert correct({"answer": "1,234"}, "It is 1234.")
    assert not correct({"answer": "1,234"}, "It is 234.")


def test_a_line_ends_at_a_line_feed_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"key":"a","language":"zh","prompt":"一\u2028二","answer":"1"}\n\n', encoding="utf-8")
    assert [item["prompt"] for item in items(path)] == ["一\u2028二"]


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
