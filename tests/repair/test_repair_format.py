"""Form of answers: chatter, punctuation, tags."""

from __future__ import annotations

import time

import pytest

from curation.repair.chatter import trim_chatter
from curation.repair.format import FormatParams, care, close_fence, faults, full_width, protected

TIDY = "Turn the key twice, then wait for the green light."
ZH = "先把旧滤芯逆时针拧下来，再装上新的。"


@pytest.mark.parametrize(
    "closing",
    [
        " I hope this helps!", "\n\nLet me know if you have any other questions!", "\n\nHope this helps! 😊",
        " Please feel free to ask if you need further assistance.",
        " If you have any more questions, don't hesitate to ask!",
        " I hope this information is helpful to you. Let me know if you need anything else.",
        " Is there anything else I can help you with today?",
    ],
)  # fmt: skip
def test_english_chatter_goes(closing: str) -> None:
    kept, count = trim_chatter(TIDY + closing, "How do I start it?")
    assert kept == TIDY
    assert count >= 1


@pytest.mark.parametrize(
    "closing",
    [
        "希望对你有帮助！", "\n\n希望这些信息对您有所帮助。", "如果还有问题，随时告诉我。", "如果您有任何其他问题，请随时向我提问！",
        "希望这能帮到你！如需更多帮助，请告诉我。", "\n\n请问您还有什么可以帮您的吗？", "欢迎随时提问～",
    ],
)  # fmt: skip
def test_chinese_chatter_goes(closing: str) -> None:
    kept, count = trim_chatter(ZH + closing, "怎么换滤芯？")
    assert kept == ZH
    assert count >= 1


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("I hope this helps!", "Say something"),  # nothing would remain
        ("好的。希望对你有帮助！", "谢谢"),
        (f"{TIDY} I hope it does not rain, because this helps nobody.", "x"),
        (f"{TIDY} Let me know which of the two you mean.", "x"),  # a question of substance
        (f"{ZH}请告诉我您的机器是哪一年买的。", "x"),
        (f"{ZH}我希望你们能帮助他解决这个困难的问题和处境。", "x"),
        (
            "Dear Ann,\n\nthe parts have arrived today.\n\nLet me know if you have any questions.",
            "Write an email to Ann",
        ),
        ("各位同事：\n会议改到周五下午三点。\n如有问题，请随时联系我。", "写一封通知邮件"),
        ("The sentence for the card could read: I hope this helps!", "What could the card say?"),
        ("如需翻译的话就是这样一句：希望对你有帮助！", "x"),
        (f"{TIDY}\n```\nprint('hi there, world')\n\nHope this helps!\n```", "x"),
        (f"{TIDY}\n```\nprint('hi there, world')\nI hope this helps!", "x"),  # the fence was never closed
    ],
)
def test_what_is_no_chatter_stays(answer: str, prompt: str) -> None:
    assert trim_chatter(answer, prompt) == (answer, 0)


@pytest.mark.parametrize(
    ("answer", "mended", "count"),
    [
        ("你好,世界!很好;是吗?对:不对", "你好，世界！很好；是吗？对：不对", 5),
        ("你好, 世界! 很好", "你好，世界！很好", 2),
        ("时间12:30,共3,000元,见:http://a.cn/x,y?z=1", "时间12:30,共3,000元，见:http://a.cn/x,y?z=1", 1),
        ("用`甲,乙`表示,其中甲为先", "用`甲,乙`表示，其中甲为先", 1),
        ("看这里,代码:\n```\n# 注释,别动\n```\n完了,没了", "看这里，代码:\n```\n# 注释,别动\n```\n完了，没了", 2),
        ("公式 $若x,则y, 且$ 和 \\(甲,乙\\) 成立,显然", "公式 $若x,则y, 且$ 和 \\(甲,乙\\) 成立，显然", 1),
        ('对象 {"名": "甲,乙"} 在此,注意', '对象 {"名": "甲,乙"} 在此，注意', 1),
        ('{"名": "甲,乙"}', '{"名": "甲,乙"}', 0),
        ("产品: iPhone\n品牌: 苹果", "产品: iPhone\n品牌: 苹果", 0),  # one list, one kind of colon
        ("他说OK,好的,走吧", "他说OK,好的，走吧", 1),
        ("already，全角！好", "already，全角！好", 0),
        ("English, with commas: fine?", "English, with commas: fine?", 0),
    ],
)
def test_half_width_punctuation(answer: str, mended: str, count: int) -> None:
    assert full_width(answer, "请问") == (mended, count)
    assert full_width(mended, "请问") == (mended, 0)


def test_who_asks_for_a_format_gets_its_marks() -> None:
    assert full_width("苹果,香蕉,梨", "列出三种水果，用英文逗号隔开") == ("苹果,香蕉,梨", 0)
    assert full_width("类别:科技", "按格式“类别:xx”回答") == ("类别:科技", 0)


@pytest.mark.parametrize(
    ("answer", "tags"),
    [
        ("```py\nprint(1)\n```", set()),
        ("```py\nprint(1)", {"unclosed_fence"}),
        ("（这里没有关上。", {"unclosed_bracket"}),
        ("(a) and 1) are fine, [0, 1) too, :( and :-( also", set()),
        ("See the note (page 3", {"unclosed_bracket"}),
        ("《书名》【注】「引」『言』", set()),
        ("`f(` is code, $[0,1)$ maths", set()),
        ("他说“好\"，就走了。", {"mixed_quotes"}),
        ("他说“好”，她说\"不好\"。", {"mixed_quotes"}),
        ("“Yes,” he said.", set()),
        ("1. a\n2. b\n3. c", set()),
        ("1. a\n2. b\n4. d", {"list_numbering"}),
        ("1、甲\n2、乙\n2、丙", {"list_numbering"}),
        ("1. a\n1. b\n1. c", set()),
        ("1. a\n   1. x\n   2. y\n2. b\n\n1. anew\n2. again", set()),
        ("10. ten\n9. nine\n8. eight", set()),
        ("3.5 metres\n7.2 metres", set()),
    ],
)  # fmt: skip
def test_faults(answer: str, tags: set[str]) -> None:
    assert faults(answer) == tags


def test_close_fence() -> None:
    assert close_fence("See:\n~~~~sh\nls\n") == ("See:\n~~~~sh\nls\n~~~~", 1)
    assert close_fence("1. x\n   ```\n   y") == ("1. x\n   ```\n   y\n   ```", 1)
    assert close_fence("none") == ("none", 0)


def test_care_follows_the_params() -> None:
    answer = "先装上滤芯,再打开开关,然后等十分钟。希望对你有帮助！"
    fixed = "先装上滤芯，再打开开关，然后等十分钟。"
    assert care(answer, "怎么装", True, FormatParams()) == (
        (fixed, {"trailing_chatter": 1, "half_width_punctuation": 2}),
        set(),
    )
    assert (
        care(answer, "怎么装", False, FormatParams())[0][0] == "先装上滤芯，再打开开关，然后等十分钟。希望对你有帮助！"
    )
    tagged = FormatParams(trailing_chatter="tag", half_width_punctuation="tag")
    assert care(answer, "怎么装", True, tagged) == (
        (answer, {}),
        {"format:trailing_chatter", "format:half_width_punctuation"},
    )
    off = FormatParams(trailing_chatter="off", half_width_punctuation="off", unclosed_bracket="off")
    assert care(answer + "（", "怎么装", True, off) == ((answer + "（", {}), set())
    assert care("```\nx", "", True, FormatParams(unclosed_fence="fix")) == (
        ("```\nx\n```", {"unclosed_fence": 1}),
        set(),
    )


def test_long_lines_of_broken_json_and_open_quotes_take_no_time() -> None:
    cut = "{" + ", ".join(f'"名{i}": "值,{i}"' for i in range(3000))
    began = time.process_time()
    assert len(cut) > 40_000 and protected(cut) == []
    assert faults(f'“ 说"{"中" * 40_000}') == {"mixed_quotes"}
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('说{"a": 1,\n "b": 2}完', [(1, 18)]),
        ('{x "a" b: c}', [(0, 12)]),
        ('{a: "b"}', []),  # no colon behind a quote
        ('{\n"a": 1}', []),
        ('{"a" {"b": 1}}', [(5, 13)]),
    ],
)
def test_what_counts_as_json(text: str, kept: list[tuple[int, int]]) -> None:
    assert protected(text) == kept
