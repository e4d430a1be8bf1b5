"""repair(): rows in, rows and edits out; the chain of hashes, placeholders, protected noise, fixes, idempotence."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from curation import records as rec
from curation.errors import ConfigError, DataError
from curation.ingest.layout import call_text
from curation.ledger import EDITS, chain
from curation.params import parse
from curation.repair import Fix, PiiParams, RepairParams, repair
from curation.repair.pii import PiiTypes

PARAMS = RepairParams()


def rows(*given_: dict[str, Any]) -> pl.DataFrame:
    basic = {
        "kind": "chat",
        "language": "zh",
        "source": "s",
        "license": "MIT",
        "origin": "human",
        "tags": [],
        "weight": 1.0,
    }
    return rec.rehash(rec.frame([basic | {"id": f"r{i}"} | row for i, row in enumerate(given_)]))


def chat(*turns: tuple[str, str], **other: Any) -> dict[str, Any]:
    return {"messages": [rec.message(role, content) for role, content in turns]} | other


def contents(frame: pl.DataFrame, row: int = 0) -> list[str]:
    return [m["content"] for m in frame["messages"][row]]


def hashes(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("id", "content_hash").iter_rows())


def test_clean_rows_come_back_as_they_were() -> None:
    frame = rows(
        chat(("user", "怎么换滤芯？"), ("assistant", "先拧下旧的，再装上新的。")),
        {"kind": "text", "text": "def f():\n    pass\n"},
    )
    repaired, edits = repair(frame, [], PARAMS)
    assert_frame_equal(repaired, frame)
    assert edits.height == 0
    assert dict(edits.schema) == EDITS
    empty, edits = repair(frame.head(0), [], PARAMS)
    assert empty.height == edits.height == 0


def test_steps_are_chained_in_order() -> None:
    frame = rows(
        chat(
            ("user", "ÄãºÃ，cafe\u0301\u200b 在哪？邮箱mara@kestrelyard.net"),
            ("assistant", "在河边,走十分钟就到，已回复mara@kestrelyard.net。希望对你有帮助！"),
        )
    )
    repaired, edits = repair(
        frame, [Fix("r0", 0, "ÄãºÃ，cafe\u0301\u200b 在哪儿？邮箱mara@kestrelyard.net", "mei", "口语")], PARAMS
    )
    assert contents(repaired) == ["你好，café 在哪儿？邮箱<EMAIL_1>", "在河边，走十分钟就到，已回复<EMAIL_1>。"]
    assert edits.select("id", "step", "rule", "count", "detail").rows() == [
        ("r0", 0, "people_fix", 1, "message 0 by mei"),
        ("r0", 1, "mojibake", 1, "GBK read as Latin-1 ×1"),
        ("r0", 2, "unicode_form", 1, "NFC ×1"),
        ("r0", 3, "control_characters", 1, "invisible character ×1"),
        ("r0", 4, "pii", 2, "email ×2"),
        ("r0", 5, "format", 2, "half_width_punctuation ×1, trailing_chatter ×1"),
    ]
    assert chain("repair", hashes(frame), hashes(repaired), edits) is None
    assert_frame_equal(rec.rehash(repaired), repaired)


def test_order_of_rows_and_other_columns_do_not_matter() -> None:
    frame = rows(
        chat(("user", "hi  "), ("assistant", "a\u200bb"), meta='{"x": "kestrelyard"}', tools="[]"),
        chat(("user", "ok"), ("assistant", "fine")),
        {"kind": "text", "text": "text \r\n"},
    )
    repaired, edits = repair(frame, [], PARAMS)
    again, edits_again = repair(frame.sort("id", descending=True), [], PARAMS)
    assert_frame_equal(repaired, again)
    assert_frame_equal(edits, edits_again)
    untouched = [c for c in frame.columns if c not in ("messages", "text", "content_hash", "tags")]
    assert_frame_equal(repaired.select(untouched), frame.select(untouched))
    assert repaired["text"][2] == "text\n"
    assert repaired["messages"][2] is None


def test_a_later_step_may_uncover_work_for_an_earlier_one() -> None:
    frame = rows(chat(("user", "A caf\u00c3\u200b\u00a9 by the sea"), ("assistant", "ok")))
    repaired, edits = repair(frame, [], PARAMS)
    assert contents(repaired)[0] == "A café by the sea"
    assert edits["rule"].to_list() == ["control_characters", "mojibake"]
    assert chain("repair", hashes(frame), hashes(repaired), edits) is None


def test_a_conversation_about_encodings_keeps_its_examples() -> None:
    frame = rows(
        chat(
            ("user", "为什么会出现 ÄãºÃ 这样的乱码？"),
            ("assistant", "因为GBK的字节被当作 Latin-1 读了，例如 Ã© 与 é。"),
        )
    )
    assert_frame_equal(repair(frame, [], PARAMS)[0], frame)


def test_placeholders_are_the_same_in_all_turns_and_numbered_by_first_appearance() -> None:
    frame = rows(
        chat(
            ("system", "Owner: jo@kestrelyard.net"),
            ("user", "我的QQ：273849516，也可以写 Mara@kestrelyard.net 或 JO@kestrelyard.net，电话139 1627 3845"),
            ("assistant", "已记下 273849516、13916273845 和 mara@kestrelyard.net。"),
        )
    )
    repaired, edits = repair(frame, [], PARAMS)
    assert contents(repaired) == [
        "Owner: <EMAIL_1>",
        "我的QQ：<QQ_1>，也可以写 <EMAIL_2> 或 <EMAIL_1>，电话<PHONE_1>",
        "已记下 <QQ_1>、<PHONE_1> 和 <EMAIL_2>。",
    ]
    assert edits["detail"].to_list() == ["email ×4, phone ×2, qq ×1, repeated value ×1"]


def test_placeholders_of_an_earlier_repair_keep_their_numbers() -> None:
    frame = rows(chat(("user", "<EMAIL_1> and jo@kestrelyard.net"), ("assistant", "ok")))
    assert contents(repair(frame, [], PARAMS)[0])[0] == "<EMAIL_1> and <EMAIL_2>"


def test_reasoning_and_plain_texts_are_repaired_too() -> None:
    message = rec.message("assistant", "好的。", reasoning="他的手机是13916273845\u200b")
    frame = rows(
        {"messages": [rec.message("user", "记一下"), message]}, {"kind": "text", "text": "写信到 jo@kestrelyard.net\n"}
    )
    repaired, _ = repair(frame, [], PARAMS)
    assert repaired["messages"][0][1]["reasoning"] == "他的手机是<PHONE_1>"
    assert repaired["text"][1] == "写信到 <EMAIL_1>\n"


def test_edits_never_hold_what_was_hidden() -> None:
    values = ["jo@kestrelyard.net", "13916273845", "11010519491231002X", "Tq7#mZ2p", "AKIAQ7WZ3MX5KD2RT8NB"]
    frame = rows(
        chat(("user", f"{values[0]} {values[1]} {values[2]} 密码：{values[3]} {values[4]}"), ("assistant", "好的"))
    )
    repaired, edits = repair(frame, [], PARAMS)
    assert contents(repaired)[0] == "<EMAIL_1> <PHONE_1> <ID_CARD_1> 密码：<PASSWORD_1> <API_KEY_1>"
    stored = json.dumps([repaired.to_dicts(), edits.to_dicts()], ensure_ascii=False)
    assert not [value for value in values if value in stored]


def test_tool_calls_stay_json_and_keep_other_bytes() -> None:
    arguments = '{"to":  "jo@kestrelyard.net", "phone": 13916273845, "n": 1.50, "名": "\\u4e2d文", "list": ["a", "13916273845"]}'
    calls = call_text([("call_1", "send_email", arguments)])
    frame = rows(
        {
            "messages": [
                rec.message("user", "Send it"),
                rec.message("assistant", "", tool_calls=calls),
                rec.message("tool", "sent to jo@kestrelyard.net\u200b", tool_call_id="call_1"),
            ]
        }
    )
    repaired, edits = repair(frame, [], PARAMS)
    call = json.loads(repaired["messages"][0][1]["tool_calls"])[0]
    assert call["id"] == "call_1"
    assert call["function"]["name"] == "send_email"
    assert call["function"]["arguments"] == (
        '{"to":  "<EMAIL_1>", "phone": "<PHONE_1>", "n": 1.50, "名": "\\u4e2d文", "list": ["a", "<PHONE_1>"]}'
    )
    assert contents(repaired)[2] == "sent to <EMAIL_1>"
    assert chain("repair", hashes(frame), hashes(repaired), edits) is None
    clean = rows(
        {
            "messages": [
                rec.message("user", "x"),
                rec.message("assistant", "", tool_calls=call_text([(None, "f", '{"a":  1}')])),
            ]
        }
    )
    assert_frame_equal(repair(clean, [], PARAMS)[0], clean)


def test_meta_is_redacted_as_the_conversation_is() -> None:
    """What ingest keeps of preference pairs and trees; the place of the row, keys, numbers and spaces stay."""
    before = (
        '{"file": "qq_12345678.json", "line": 7, "rejected": [{"role":"assistant", "content": "写信到 anna@mail.cn 或 bo@mail.cn"}],'
        ' "score": 0.50, "tree": "{\\"text\\": \\"Call  13812345678\\"}", "phone": 13912345678}'
    )
    after = (
        '{"file": "qq_12345678.json", "line": 7, "rejected": [{"role":"assistant", "content": "写信到 <EMAIL_1> 或 <EMAIL_2>"}],'
        ' "score": 0.50, "tree": "{\\"text\\": \\"Call  <PHONE_1>\\"}", "phone": "<PHONE_2>"}'
    )
    said = chat(("user", "怎么联系？"), ("assistant", "写信到 anna@mail.cn"), meta=before)
    only = chat(
        ("user", "How?"), ("assistant", "By letter."), meta='{"note": "my password: hunter2x", "again": "hunter2x"}'
    )
    frame = rows(said, only)
    repaired, edits = repair(frame, [], PARAMS)
    assert contents(repaired) == ["怎么联系？", "写信到 <EMAIL_1>"]
    assert repaired["meta"].to_list() == [after, '{"note": "my password: <PASSWORD_1>", "again": "<PASSWORD_1>"}']
    assert edits.select("id", "rule", "count", "detail").rows() == [
        ("r0", "pii", 5, "email ×1, email in meta ×2, phone in meta ×2"),
        ("r1", "pii", 2, "password in meta ×1, repeated value in meta ×1"),
    ]
    assert chain("repair", hashes(frame), hashes(repaired), edits) is None
    assert edits["hash_before"][1] == edits["hash_after"][1] == frame["content_hash"][1]
    again, none = repair(repaired, [], PARAMS)
    assert none.height == 0
    assert_frame_equal(again, repaired)


def test_values_in_meta_are_tagged_dropped_or_left_by_the_same_params() -> None:
    meta = '{"rejected": "Write to anna@mail.cn"}'
    frame = rows(chat(("user", "How?"), ("assistant", "By letter."), meta=meta))
    for action, tags in (("tag", ["pii:email"]), ("drop", ["pii_drop:email"]), ("off", [])):
        params = RepairParams(pii=PiiParams(types=PiiTypes(email=action)))
        repaired, edits = repair(frame, [], params)
        assert (repaired["meta"][0], repaired["tags"].to_list(), edits.height) == (meta, [tags], 0)


@pytest.mark.parametrize("meta", [None, "", "anna@mail.cn", "[" * 100_000, '{"file": "a", "line": 1}'])
def test_meta_that_holds_nothing_to_redact_stays(meta: str | None) -> None:
    frame = rows(chat(("user", "How?"), ("assistant", "By letter."), meta=meta))
    assert_frame_equal(repair(frame, [], PARAMS)[0], frame)


def test_half_a_pair_in_meta_stays_an_escape() -> None:
    frame = rows(chat(("user", "How?"), ("assistant", "By letter."), meta='{"a": "\\ud83d anna@mail.cn"}'))
    assert repair(frame, [], PARAMS)[0]["meta"].to_list() == ['{"a": "\\ud83d <EMAIL_1>"}']


def test_a_password_made_on_request_is_an_answer() -> None:
    frame = rows(chat(("user", "帮我生成一个12位的随机密码"), ("assistant", "好的，您的密码：Tq7#mZ2p!x9K")))
    assert_frame_equal(repair(frame, [], PARAMS)[0], frame)


def test_actions_tag_and_drop_leave_the_value_and_mark_the_row() -> None:
    types = PiiTypes(email="tag", id_card="drop", phone="off")
    params = RepairParams(pii=PiiParams(types=types))
    frame = rows(
        chat(("user", "jo@kestrelyard.net 11010519491231002X 13916273845"), ("assistant", "ok"), tags=["rag:conflict"])
    )
    repaired, edits = repair(frame, [], params)
    assert repaired["tags"].to_list() == [["rag:conflict", "pii:email", "pii_drop:id_card"]]
    assert_frame_equal(repaired.drop("tags"), frame.drop("tags"))
    assert edits.height == 0
    assert_frame_equal(repair(repaired, [], params)[0], repaired)


def test_noise_on_purpose_keeps_its_prompt() -> None:
    prompt = "ÄãºÃ cafe\u0301\u200b 怎么走,jo@kestrelyard.net"
    answer = "沿河走十分钟,再左转。cafe\u0301。希望对你有帮助！"
    noisy = chat(
        ("user", "ÄãºÃ"), ("assistant", "您好"), ("user", prompt), ("assistant", answer), tags=["robustness:typo"]
    )
    repaired, _ = repair(rows(noisy), [], PARAMS)
    # The last prompt loses only what is invisible or private; earlier turns and the answer are repaired as any other.
    assert contents(repaired) == ["你好", "您好", "ÄãºÃ cafe\u0301 怎么走,<EMAIL_1>", "沿河走十分钟，再左转。café。"]


def test_faults_of_form_are_tagged() -> None:
    frame = rows(chat(("user", "写代码"), ("assistant", "如下（示例：\n```py\nprint(1)")))
    repaired, edits = repair(frame, [], PARAMS)
    assert repaired["tags"].to_list() == [["format:unclosed_bracket", "format:unclosed_fence"]]
    assert edits.height == 0


def test_format_care_is_for_answers_and_chatter_for_the_last() -> None:
    said = "先开灯,再加水就可以开始种了。希望对你有帮助！"
    frame = rows(chat(("user", said), ("assistant", said), ("user", "谢谢"), ("assistant", said)))
    assert contents(repair(frame, [], PARAMS)[0]) == [
        said, "先开灯，再加水就可以开始种了。希望对你有帮助！", "谢谢", "先开灯，再加水就可以开始种了。"
    ]  # fmt: skip


def test_fixes() -> None:
    frame = rows(
        chat(("user", "价格？"), ("assistant", "299元"), ("user", "贵"), ("assistant", "是")),
        {"kind": "text", "text": "旧"},
    )
    fixes = [
        Fix("r0", 1, "399元", "mei"),
        Fix("r0", 1, "699元", "jo"),
        Fix("r0", None, "确实不便宜。", "jo"),
        Fix("r1", None, "新", "jo"),
    ]
    repaired, edits = repair(frame, fixes, PARAMS)
    assert contents(repaired) == ["价格？", "699元", "贵", "确实不便宜。"]
    assert repaired["text"][1] == "新"
    assert edits.select("id", "rule", "count", "detail").rows() == [
        ("r0", "people_fix", 2, "message 1 by jo, message 3 by jo"),
        ("r1", "people_fix", 1, "text by jo"),
    ]
    assert chain("repair", hashes(frame), hashes(repaired), edits) is None
    again, edits = repair(repaired, fixes, PARAMS)
    assert_frame_equal(again, repaired)
    assert edits.height == 0
    with pytest.raises(DataError, match="no such record: 'zzz'"):
        repair(frame, [Fix("zzz", None, "x", "jo")], PARAMS)


def test_steps_can_be_left_out() -> None:
    frame = rows(chat(("user", "ÄãºÃ cafe\u0301\u200b"), ("assistant", "ok")))
    none = RepairParams(mojibake=False, unicode_form=False, control_characters=False, end_tokens=False)
    assert_frame_equal(repair(frame, [], none)[0], frame)


def test_params_name_what_is_accepted() -> None:
    with pytest.raises(ConfigError) as raised:
        parse(RepairParams, {"pii": {"types": {"emial": "redact"}}}, "repair")
    assert "repair.pii.types.emial: unknown key" in str(raised.value)
    assert "did you mean 'email'?" in str(raised.value)
    with pytest.raises(ConfigError, match="repair.format.mixed_quotes: found 'fix'; input should be 'off' or 'tag'"):
        parse(RepairParams, {"format": {"mixed_quotes": "fix"}}, "repair")


PIECES = st.sampled_from(
    [
        "你好", "世界", "hello ", "café", "e\u0301", "\u200b", "\u200d", "❤️", "👩", "\ufeff", "\r\n", " \n", "\n\n", "Ã", "©", "Ã©",
        "ÄãºÃ", "中文测试".encode().decode("gb18030"), "\ufffd", "锟斤拷", "jo@kestrelyard.net", "13916273845", "139", "16273845",
        "电话", "QQ：273849516", "273849516", "密码：", "Tq7#mZ2p", "<EMAIL_1>", "(212) 736-5000", "4532 0151 1283 0366", "card ",
        ",", "!", "：", ":", "。", "“", '"', "（", "`", "```\n", "$", "1. ", "\n2. ", "希望对你有帮助！", "如果还有问题，随时告诉我。",
        " I hope this helps!", "\x1b[31m", "\x85", "\u00ad", "\U0001f3f4\U000e0067", "身份证11010519491231002X", "浙H8K27Q",
        "1.2.3.4", "47.98.213.66", "https://a.kestrelyard.net/x,y", "乱码", "生成密码",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_repairing_twice_changes_nothing(prompt: str, reasoning: str, answer: str, noisy: bool) -> None:
    messages = [rec.message("user", prompt), rec.message("assistant", answer, reasoning=reasoning)]
    frame = rows({"messages": messages, "tags": ["robustness:typo"] if noisy else []}, {"kind": "text", "text": answer})
    once, edits = repair(frame, [], PARAMS)
    assert chain("repair", hashes(frame), hashes(once), edits) is None
    assert_frame_equal(rec.rehash(once), once)
    twice, more = repair(once, [], PARAMS)
    assert more.height == 0
    assert_frame_equal(twice, once)


def test_tool_schemas_are_redacted_and_stay_schemas() -> None:
    """Their texts only: names, types, keys, numbers and all other bytes stay; a value found there goes everywhere."""
    before = (
        '[{"type": "function", "function": {"name": "mail", "description": "发给 wang.lei@qq.com, key AKIAQ7XZ3LPM9TRW2VBD",'
        ' "parameters": {"type":  "object", "properties": {"13812345678": {"type": "string", "enum": ["jo@kestrelyard.net"],'
        ' "default": "{\\"to\\": \\"jo@kestrelyard.net\\"}"}, "n": {"type": "integer", "maximum": 13812345678}}}}}]'
    )
    after = (
        '[{"type": "function", "function": {"name": "mail", "description": "发给 <EMAIL_2>, key <API_KEY_1>",'
        ' "parameters": {"type":  "object", "properties": {"13812345678": {"type": "string", "enum": ["<EMAIL_1>"],'
        ' "default": "{\\"to\\": \\"<EMAIL_1>\\"}"}, "n": {"type": "integer", "maximum": 13812345678}}}}}]'
    )
    frame = rows(
        chat(("user", "写信给 jo@kestrelyard.net"), ("assistant", "好的"), tools=before),
        chat(("user", "AbcX12#xyz?"), ("assistant", "ok"), tools='[{"name": "f", "description": "密码：AbcX12#xyz"}]'),
        chat(("user", "hi"), ("assistant", "ok"), tools='[{"name": "f",  "parameters": {"phone": "string"}}]'),
    )
    repaired, edits = repair(frame, [], PARAMS)
    assert repaired["tools"].to_list() == [
        after,
        '[{"name": "f", "description": "密码：<PASSWORD_1>"}]',
        frame["tools"][2],
    ]
    assert [contents(repaired, n)[0] for n in (0, 1)] == ["写信给 <EMAIL_1>", "<PASSWORD_1>?"]
    assert edits.select("id", "rule", "count", "detail").rows() == [
        ("r0", "pii", 5, "api_key in tools ×1, email ×1, email in tools ×3"),
        ("r1", "pii", 2, "password in tools ×1, repeated value ×1"),
    ]
    assert chain("repair", hashes(frame), hashes(repaired), edits) is None
    assert_frame_equal(rec.rehash(repaired), repaired)
    again, none = repair(repaired, [], PARAMS)
    assert none.height == 0
    assert_frame_equal(again, repaired)


def test_values_in_tools_tag_the_row_and_placeholders_there_keep_their_numbers() -> None:
    tools = '[{"name": "f", "description": "Ask jo@kestrelyard.net, not <EMAIL_7>"}]'
    frame = rows(chat(("user", "hi"), ("assistant", "ok"), tools=tools))
    params = RepairParams(pii=PiiParams(types=PiiTypes(email="tag")))
    repaired, edits = repair(frame, [], params)
    assert (repaired["tags"].to_list(), repaired["tools"][0], edits.height) == ([["pii:email"]], tools, 0)
    assert "Ask <EMAIL_8>, not <EMAIL_7>" in repair(frame, [], PARAMS)[0]["tools"][0]
