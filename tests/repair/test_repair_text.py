"""One Unicode form, nothing invisible, mojibake undone: exact strings, in Chinese, English and mixed text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.repair import mojibake
from curation.repair.text import code_blocks, control_characters, end_tokens, unicode_form

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


def utf8_as_gbk(text: str) -> str:
    return text.encode().decode("gb18030")


@pytest.mark.parametrize(
    ("broken", "sound", "how"),
    [
        ("The cafÃ© isnâ€™t open.", "The café isn’t open.", "fix_encoding"),
        ("ä½\xa0å¥½ï¼Œä¸–ç•Œ", "你好，世界", "fix_encoding"),
        ("他说 donâ€™t worry，然后走了。", "他说 don’t worry，然后走了。", "fix_encoding"),
        ("ÄãºÃ", "你好", "GBK read as Latin-1"),
        ("Reply: ÄãºÃ£¬ÊÀ½ç OK", "Reply: 你好，世界 OK", "GBK read as Latin-1"),
        (utf8_as_gbk("中文测试"), "中文测试", "UTF-8 read as GBK"),
        (utf8_as_gbk(utf8_as_gbk("中文测试")), "中文测试", "UTF-8 read as GBK"),
        ("正常的一行。\n" + utf8_as_gbk("今天天气很好"), "正常的一行。\n今天天气很好", "UTF-8 read as GBK"),
        ("Answer: " + utf8_as_gbk("今天天气很好") + " (end)", "Answer: 今天天气很好 (end)", "UTF-8 read as GBK"),
    ],
)
def test_mojibake_is_undone(broken: str, sound: str, how: str) -> None:
    assert mojibake.undo(broken) == (sound, {how: 1})


@pytest.mark.parametrize(
    "text",
    [
        "锟斤拷锟斤拷",  # what U+FFFD became: the bytes are gone
        "烫烫烫 and \ufffd",
        "娑擃厽鏋",  # twice misread and cut short
        "全角，。！？：；（）“引号”‘单’【】《书》……——",
        "naïve façade, Ação, Größe, ÀÁÂÃÄ, °°°°, ½½¾¾, «»«»",
        "“Curly” and 'straight' — fine… ﬁ ligature &amp; &lt;b&gt; ２０２６ ｶﾅ",
        "涓涓细流，鐘聲，饕餮，浣熊",
        "Привет, мир! Ελληνικά, עברית, 日本語、한국어",
        "plain ASCII",
    ],
)
def test_sound_or_lost_text_stays(text: str) -> None:
    assert mojibake.undo(text) == (text, {})


@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=40))
def test_chinese_is_never_taken_for_mojibake(text: str) -> None:
    once, _ = mojibake.undo(text)
    assert mojibake.undo(once)[0] == once
    if all(c.encode("gb2312", "ignore")[:1] <= b"\xd7" for c in text):
        assert once == text


def test_unicode_form_is_nfc_and_not_nfkc() -> None:
    assert unicode_form("cafe\u0301 A\u030angstro\u0308m 2 ２ ㎏ ﬁ ，！") == (
        "café Ångström 2 ２ ㎏ ﬁ ，！",
        {"NFC": 3},
    )
    assert unicode_form("か\u3099き") == ("がき", {"NFC": 1})
    assert unicode_form("café，世界") == ("café，世界", {})


@pytest.mark.parametrize(
    ("text", "clean", "done"),
    [
        ("a\u200bb\ufeffc", "abc", {"invisible character": 2}),
        ("你\u200b好\u202e世界\u2066", "你好世界", {"invisible character": 3}),
        ("co\u00adop 合\u00ad作", "coop 合作", {"invisible character": 2}),
        ("hidden\U000e0068\U000e0069 text", "hidden text", {"invisible character": 1}),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour", {"line end": 3}),
        ("第一行\r\n第二行", "第一行\n第二行", {"line end": 1}),
        ("\x1b[31mred\x1b[0m\x00 bell\x07", "red bell", {"terminal escape": 2, "invisible character": 2}),
        ("a \nb\t\nc  ", "a\nb\nc", {"trailing white space": 3}),
        ("好。\u3000\n\u3000\u3000段落", "好。\n\u3000\u3000段落", {"trailing white space": 1}),
    ],
)
def test_what_no_reader_sees_goes(text: str, clean: str, done: dict[str, int]) -> None:
    assert control_characters(text) == (clean, done)


@pytest.mark.parametrize(
    "text",
    [
        "tab\tand\nnewline",
        f"{FAMILY} ❤️ 1️⃣ {ENGLAND} 👩🏽\u200d💻",
        "می\u200cخواهم, क्\u200dष, ශ්\u200dරී",  # joiners that spelling needs
        "葛\U000e0100城",  # an ideographic variant
        "line one  \nline two",  # a Markdown line break
        "```\ncode with trailing  \n\n   \n```",
        "\u3000\u3000段首缩进",
        "non\u00a0breaking",
    ],
)
def test_what_is_meant_stays(text: str) -> None:
    assert control_characters(text) == (text, {})


def test_joiners_elsewhere_go() -> None:
    assert control_characters("a\u200cb\u200dc") == ("abc", {"invisible character": 2})
    assert control_characters("中\u200d文") == ("中文", {"invisible character": 1})
    assert control_characters("x\ufe00\ufe01\ufe02")[0] == "x\ufe00"  # runs of selectors hide text


def test_a_replay_text_may_end_with_one_newline() -> None:
    assert control_characters("def f():\n    return 1\n", final_newline=True) == ("def f():\n    return 1\n", {})
    assert control_characters("a\n\n\n", final_newline=True)[0] == "a\n"
    assert control_characters("a\n", final_newline=False)[0] == "a"


def test_code_blocks() -> None:
    text = "x\n```py\na ``` b\n```\ny\n~~~\n```\n~~~\n```"
    assert [(text[start:end], closed) for start, end, closed in code_blocks(text)] == [
        ("```py\na ``` b\n```", True), ("~~~\n```\n~~~", True), ("```", False)
    ]  # fmt: skip
    assert code_blocks("no fence `inline`") == []


@given(st.text(alphabet=st.sampled_from("a中 \n\t\r\u200b\u200d\u200c\ufe0f❤👩`~\u00ad\U000e0067\x1b[0m"), max_size=30))
def test_taking_out_twice_is_once(text: str) -> None:
    # One pass may bring characters together that the next takes out; repair goes on until nothing changes.
    for _ in range(10):
        new, done = control_characters(text)
        assert bool(done) == (new != text)
        if new == text:
            break
        assert len(new) <= len(text)
        text = new
    assert control_characters(text) == (text, {})


@pytest.mark.parametrize(
    ("text", "clean", "tokens"),
    [
        ("yes<|endoftext|>", "yes", 1),
        ("好的。 <|im_end|>\n<|endoftext|>\n", "好的。", 2),
        ("done</s>", "done", 1),
        ("<|endoftext|>", "<|endoftext|>", 0),  # nothing else: for clean, which calls it empty
        ("<s>old</s>", "<s>old</s>", 0),  # struck out
        ("`<|endoftext|>` ends a document.", "`<|endoftext|>` ends a document.", 0),
    ],
)
def test_marks_of_the_end_go(text: str, clean: str, tokens: int) -> None:
    assert end_tokens(text) == (clean, {"end token": tokens} if tokens else {})
    assert end_tokens(clean) == (clean, {})


def test_a_long_run_of_white_space_takes_no_time() -> None:
    began = time.process_time()
    assert end_tokens("a" + " " * 40_000 + "b") == ("a" + " " * 40_000 + "b", {})
    assert end_tokens("a" + " \n" * 20_000 + "<|im_end|> \n") == ("a", {"end token": 1})
    assert time.process_time() - began < 1
