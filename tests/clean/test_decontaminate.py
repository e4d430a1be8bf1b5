import json

import polars as pl
import pytest

from curation.clean import decontaminate
from curation.clean.decontaminate import DecontaminateParams
from curation.errors import DataError

EN = "A baker sells 24 loaves on Monday and twice as many on Tuesday. How many loaves does she sell on both days together?"
ZH = "水果店上午卖出三十六箱苹果，下午比上午多卖出十二箱，请问这一天一共卖出多少箱苹果？"

CHANGED = {
    "verbatim": (EN, ZH),
    "case and width": (EN.upper(), ZH.replace("，", ",").replace("？", "?")),
    "punctuation": (EN.replace(".", " ;"), ZH.replace("，", "、").replace("？", "！")),
    "white space": (EN.replace(" ", "  \n"), ZH.replace("，", "， \n")),
    "embedded": (
        f"Please help my child with this one. {EN} Explain slowly.",
        f"帮我看看这道作业题：{ZH}请写出详细的步骤。",
    ),
    "one word in ten": (
        EN.replace("baker", "grocer").replace("Tuesday", "Friday"),
        ZH.replace("水果", "商品").replace("一共", "总共").replace("卖出十二", "售出十二"),
    ),
}


def overlap(tmp_path, prompt, answer="ok", **params):
    (tmp_path / "set.jsonl").write_text(
        f"{json.dumps({'prompt': EN})}\n{json.dumps({'question': ZH, 'answer': '84'}, ensure_ascii=False)}\n"
    )
    frame = pl.DataFrame({"id": ["r"], "prompt": [prompt], "answer": [answer]})
    limits = DecontaminateParams(**params)
    measured = decontaminate.measure(frame, decontaminate.load(tmp_path), limits)
    return decontaminate.contaminated(measured, limits).to_dicts()


@pytest.mark.parametrize("language", [0, 1], ids=["en", "zh"])
@pytest.mark.parametrize("change", CHANGED)
def test_changed_copies_are_found(tmp_path, change, language):
    found = overlap(tmp_path, CHANGED[change][language])
    assert len(found) == 1 and found[0]["value"] >= 0.5
    assert found[0]["detail"].startswith(f"set.jsonl:{language + 1} prompt: “")


def test_the_answer_side_is_looked_at_too(tmp_path):
    assert len(overlap(tmp_path, "Tell me a sum.", f"Here is one: {EN}")) == 1


def test_same_kind_of_question_is_no_overlap(tmp_path):
    assert (
        overlap(tmp_path, "A farmer sells 31 eggs on Monday and 12 on Sunday. How many eggs are left in the barn?")
        == []
    )
    assert overlap(tmp_path, "书店上午卖出二十本小说，下午又进货五本，还剩多少本小说？") == []


def test_a_broken_line_of_an_evaluation_set_is_named(tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"prompt": \n')
    with pytest.raises(DataError, match=r"bad\.jsonl:1: not JSON"):
        decontaminate.load(tmp_path)
