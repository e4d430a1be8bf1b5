"""Each layout of docs/formats.md: what becomes of it, and what is refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from curation.errors import DataError
from curation.ingest import IngestParams, SourceParams, ingest


def run(path: Path, **source):
    return ingest(IngestParams(sources=(SourceParams(path=str(path), **source),)))


def read(tmp_path: Path, value, **source):
    """(row, None) or (None, quarantined) of one record, which stands beside a good one."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    (tmp_path / "d.jsonl").write_text(text + '\n{"prompt": "p", "completion": "c"}\n', encoding="utf-8")
    good, bad = run(tmp_path / "d.jsonl", **source)
    found = good.filter(pl.col("meta").str.contains('"line": 1[,}]'))
    return (found.row(0, named=True), None) if found.height else (None, bad.filter(line=1).row(0, named=True))


def turns(row):
    return [(m["role"], m["content"]) for m in row["messages"]]


def meta(row):
    return {k: v for k, v in json.loads(row["meta"]).items() if k not in ("file", "line")}


def said(role, content):
    return {"role": role, "content": content}


QA = [("user", "问"), ("assistant", "好答")]
PREFERENCES = {
    "texts": ({"prompt": "问", "chosen": "好答", "rejected": "坏答"}, {"rejected": "坏答"}),
    "question": ({"question": "问", "chosen": "好答", "rejected": "坏答"}, {"rejected": "坏答"}),
    "instruction": ({"instruction": "问", "input": "", "chosen": "好答", "rejected": "x"}, {"rejected": "x"}),
    "sharegpt": (
        {
            "conversations": [{"from": "human", "value": "问"}],
            "chosen": {"from": "gpt", "value": "好答"},
            "rejected": {"from": "gpt", "value": "坏答"},
        },
        {"rejected": {"from": "gpt", "value": "坏答"}},
    ),
    "prompt of turns": (
        {"prompt": [said("user", "问")], "chosen": [said("assistant", "好答")], "rejected": [said("assistant", "x")]},
        {"rejected": [said("assistant", "x")]},
    ),
    "prompt inside": (
        {"prompt": "问", "chosen": [said("user", "问"), said("assistant", "好答")], "rejected": []},
        {"prompt": "问", "rejected": []},
    ),
    "all turns": (
        {"chosen_messages": [said("user", "问"), said("assistant", "好答")], "rejected_messages": [said("user", "问")]},
        {"rejected_messages": [said("user", "问")]},
    ),
    "marks in the text": (
        {"chosen": "\n\nHuman: 问\n\nAssistant: 好答", "rejected": "\n\nHuman: 问\n\nAssistant: 坏"},
        {"rejected": "\n\nHuman: 问\n\nAssistant: 坏"},
    ),
    "two outputs": ({"instruction": "问", "output": ["好答", "坏答"]}, {"output": ["好答", "坏答"]}),
}


@pytest.mark.parametrize("name", PREFERENCES)
def test_of_a_preference_pair_the_chosen_answer_becomes_the_row_and_the_rejected_stays(tmp_path, name):
    value, rest = PREFERENCES[name]
    row, _ = read(tmp_path, value)
    assert (turns(row), row["tags"], meta(row)) == (QA, ["feedback:chosen"], rest)


def test_a_chosen_answer_without_a_prompt_is_refused(tmp_path):
    _, bad = read(tmp_path, {"chosen": "a", "rejected": "b"})
    assert bad["reason"] == "missing_prompt"


@pytest.mark.parametrize("mark", ["label", "kto_tag", "thumbs_up"])
def test_liked_answers_are_kept_and_rejected_ones_quarantined_whole(tmp_path, mark):
    value = {"messages": [said("user", "问"), said("assistant", "好答")], mark: True}
    row, _ = read(tmp_path, value)
    assert (turns(row), row["tags"], meta(row)) == (QA, ["feedback:up"], {mark: True})
    _, bad = read(tmp_path, value | {mark: False})
    assert (bad["reason"], bad["detail"]) == (
        "negative_feedback",
        f"`{mark}` is false: its reader rejected this answer",
    )
    assert json.loads(bad["raw"]) == value | {mark: False}


def test_a_label_that_is_a_word_counts_only_where_the_source_says_feedback(tmp_path):
    value = {"prompt": "q", "completion": "a", "label": "False"}
    assert read(tmp_path, value)[0]["tags"] == []
    (tmp_path / "f.tsv").write_text("prompt\tcompletion\tlabel\nq\ta\tTrue\nq\tb\tfalse\nq\tc\tmaybe\n")
    good, bad = run(tmp_path / "f.tsv", layout="feedback")
    assert [turns(r)[1][1] for r in good.iter_rows(named=True)] == ["a"]
    assert sorted(bad["reason"]) == ["negative_feedback", "unknown_layout"]


CHATML = "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\n问\n二<|im_end|>\n<|im_start|>assistant\n答<|im_end|>"


@pytest.mark.parametrize("text", [CHATML, CHATML.removesuffix("<|im_end|>"), f"\n{CHATML}\n"])
def test_chatml_text_becomes_turns(tmp_path, text):
    expected = [("system", "s"), ("user", "问\n二"), ("assistant", "答")]
    row, _ = read(tmp_path, {"text": text, "topic": 1})
    assert (turns(row), row["kind"], meta(row)) == (expected, "chat", {"topic": 1})
    (tmp_path / "plain.txt").write_text(text, encoding="utf-8")
    assert turns(run(tmp_path / "plain.txt")[0].row(0, named=True)) == expected


def test_a_chatml_prompt_with_its_answer_beside_it(tmp_path):
    value = {"prompt": "<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n", "completion": "好答<|im_end|>"}
    assert turns(read(tmp_path, value)[0]) == QA


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<|im_start|>user\nq<|im_end|>noise<|im_start|>assistant\na<|im_end|>", "broken_chatml"),
        ("<|im_start|>user\nq<|im_start|>assistant\na<|im_end|>", "broken_chatml"),
        ("<|im_start|>bird\nq<|im_end|>", "unknown_role"),
        ("<|im_start|>", "broken_chatml"),
        ("<|im_start|>user\nq<|im_end|>", "missing_answer"),
    ],
)
def test_broken_chatml_is_refused(tmp_path, text, reason):
    assert read(tmp_path, {"text": text})[1]["reason"] == reason


def node(text, role, *replies, **other):
    return {"message_id": text, "text": text, "role": role, "replies": list(replies)} | other


def test_of_a_message_tree_the_best_path_becomes_the_row_and_the_tree_stays(tmp_path):
    best = node("a1", "assistant", node("u2", "prompter", node("a3", "assistant")), node("u1", "prompter"), rank=0)
    tree = node("问", "prompter", node("a0", "assistant", rank=1), best, node("a2", "assistant", rank=0, deleted=True))
    row, _ = read(tmp_path, {"message_tree_id": "t", "tree_state": "x", "prompt": tree})
    assert turns(row) == [("user", "问"), ("assistant", "a1"), ("user", "u2"), ("assistant", "a3")]
    assert meta(row) == {"message_tree_id": "t", "tree_state": "x", "prompt": tree}


def test_paths_end_with_an_answer_thumbs_decide_between_equals_and_loose_messages_are_refused(tmp_path):
    liked = node("b", "assistant", node("more?", "prompter"), emojis={"+1": 3, "-1": 1})
    row, _ = read(tmp_path, {"prompt": node("q", "prompter", node("a", "assistant"), liked)})
    assert turns(row) == [("user", "q"), ("assistant", "b")]
    _, bad = read(tmp_path, {"prompt": node("q", "prompter", node("a", "assistant", review_result=False))})
    assert bad["reason"] == "missing_answer"
    _, bad = read(tmp_path, {"message_id": "1", "parent_id": "0", "role": "assistant", "text": "a"})
    assert bad["reason"] == "loose_message"


def test_typed_calls_reasoning_and_weights_of_a_message(tmp_path):
    line = (
        '{"messages": [{"role": "user", "content": [{"type": "text", "value": "天气"}], "loss_weight": 0.0}, '
        '{"role": "assistant", "content": [{"type": "reasoning", "value": "想"}, {"type": "text", "text": "查"}, '
        '{"type": "tool_call", "value": "{\\"name\\": \\"w\\", \\"arguments\\": {\\"城\\":  1.0}}"}, '
        '{"type": "tool_use", "id": "x", "name": "v", "input": {"b":  2e1}}], "loss_weight": 0.5}, '
        '{"role": "tool", "content": "晴", "tool_call_id": "x", "name": "w"}, '
        '{"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\\"k\\":  1}"}}, '
        '{"role": "assistant", "content": "晴", "reasoning_content": "看"}]}'
    )
    row, _ = read(tmp_path, line)
    assert turns(row) == [("user", "天气"), ("assistant", "查"), ("tool", "晴"), ("assistant", ""), ("assistant", "晴")]
    assert [m["loss_weight"] for m in row["messages"]] == [0.0, 0.5, None, None, None]
    assert [m["reasoning"] for m in row["messages"]] == [None, "想", None, None, "看"]
    assert (row["messages"][2]["tool_call_id"], row["messages"][2]["name"]) == ("x", "w")
    calls = [(c["id"], c["function"]) for c in json.loads(row["messages"][1]["tool_calls"])]
    assert calls == [
        ("call_1", {"name": "w", "arguments": '{"城":  1.0}'}),
        ("x", {"name": "v", "arguments": '{"b":  2e1}'}),
    ]
    assert json.loads(row["messages"][3]["tool_calls"])[0]["function"] == {"name": "f", "arguments": '{"k":  1}'}


@pytest.mark.parametrize("value", ["x", -1, True, [1], 1e999])
def test_a_loss_weight_is_a_number(tmp_path, value):
    turn = {"from": "gpt", "value": "a", "loss_weight": value}
    _, bad = read(tmp_path, {"conversations": [{"from": "human", "value": "q"}, turn]})
    assert bad["reason"] == "bad_weight"


def test_both_key_styles_of_sharegpt_and_a_conversation_as_text(tmp_path):
    listed = [{"role": "Human", "content": "问"}, {"from": "gpt", "value": "好答"}]
    assert turns(read(tmp_path, {"conversations": listed})[0]) == QA
    assert turns(read(tmp_path, {"conversation": json.dumps(listed)})[0]) == QA


def test_pairs_of_turns_self_instruct_and_a_solution(tmp_path):
    value = {"prompt": [said("system", "s"), said("user", "问")], "completion": [said("assistant", "好答")]}
    assert turns(read(tmp_path, value)[0]) == [("system", "s"), *QA]
    value = {"instruction": "翻译", "instances": [{"input": "hi", "output": "你好"}], "is_classification": False}
    row, _ = read(tmp_path, value)
    assert turns(row) == [("user", "翻译\n\nhi"), ("assistant", "你好")] and meta(row) == {"is_classification": False}
    assert read(tmp_path, {"instruction": "x", "instances": [{}, {}]})[1]["reason"] == "several_answers"
    assert turns(read(tmp_path, {"prompt": "def f():", "canonical_solution": " pass"})[0])[1] == ("assistant", " pass")


@pytest.mark.parametrize("value", [{"question_id": 1, "text": "Why?"}, {"question_id": 81, "turns": ["a", "b"]}])
def test_benchmark_questions_have_no_answer(tmp_path, value):
    assert read(tmp_path, value)[1]["reason"] == "missing_answer"


def test_keys_that_a_layout_does_not_use_stay_in_meta_and_large_numbers_stay_exact(tmp_path):
    value = {
        "prompt": "q",
        "completion": "a",
        "response": "b",
        "n": 12345678901234567890123,
        "text": "t",
        "file": "own",
    }
    row, _ = read(tmp_path, value)
    assert turns(row) == [("user", "q"), ("assistant", "a")]
    assert json.loads(row["meta"]) == {"file": "own", "line": 1, "response": "b", "n": value["n"], "text": "t"}


def test_tags_of_a_strange_kind_and_roles_of_a_book_length_are_refused(tmp_path):
    assert read(tmp_path, {"prompt": "q", "completion": "a", "tags": {"x": 1}})[1]["reason"] == "bad_tags"
    _, bad = read(tmp_path, {"messages": [said("x" * 100_000, "q")]})
    assert bad["reason"] == "unknown_role" and len(bad["detail"]) == 400


@pytest.mark.parametrize("value", [{"question": "who?"}, {"prompt": "who?"}, {"instruction": "who?"}])
def test_of_several_answers_none_is_chosen(tmp_path, value):
    key = {"question": "answer", "prompt": "completion", "instruction": "output"}[next(iter(value))]
    _, bad = read(tmp_path, value | {key: ["14 December 1972", "December 1972", "1972"]})
    assert (bad["reason"], bad["detail"]) == ("several_answers", f"`{key}` holds 3 answers; one is accepted")
    assert turns(read(tmp_path, value | {key: ["1972年"]})[0])[-1] == ("assistant", "1972年")
    _, bad = read(tmp_path, {next(iter(value)): ["who?", "when?"], key: "a"})
    assert bad["reason"] == "not_text"


def test_strings_inside_a_turn_are_its_parts(tmp_path):
    listed = [{"role": "user", "content": ["问", {"type": "text", "text": "？"}]}, said("assistant", ["好", "答"])]
    assert turns(read(tmp_path, {"messages": listed})[0]) == [("user", "问？"), ("assistant", "好答")]


@pytest.mark.parametrize("output", ["a", ["a", "b"]])
def test_tools_of_alpaca_are_tools(tmp_path, output):
    row, _ = read(tmp_path, {"instruction": "q", "output": output, "tools": [{"name": "f"}]})
    assert (json.loads(row["tools"]), "tools" in meta(row)) == ([{"name": "f"}], False)


@pytest.mark.parametrize("key", ["images", "audios", "videos"])
def test_pictures_beside_the_text_are_refused(tmp_path, key):
    value = {"messages": [said("user", "<image>Who?"), said("assistant", "a")]}
    _, bad = read(tmp_path, value | {key: ["1.jpg"]})
    assert (bad["reason"], bad["detail"]) == (
        "unsupported_content",
        f"`{key}` beside the text; text alone is accepted",
    )
    for empty in ([], None, "", "[]"):
        assert read(tmp_path, value | {key: empty})[0] is not None


@pytest.mark.parametrize(
    ("said_itself", "code", "kept"),
    [
        ("zh", "zh", False), ("en", "en", False), ("mul", "mul", False), ("und", "und", False), ("ceb", "ceb", False),
        ("zh-Hant-TW", "zh", True), ("zh_CN", "zh", True), ("EN-us", "en", True), ("Chinese", "zh", True),
        ("中文", "zh", True), ("English", "en", True), ("python", "und", True), ("go", "und", True), (7, "und", True),
        (["zh", "en"], "und", True),
    ],
)  # fmt: skip
def test_a_language_is_a_known_code(tmp_path, said_itself, code, kept):
    row, _ = read(tmp_path, {"prompt": "q", "completion": "a", "language": said_itself})
    assert (row["language"], meta(row)) == (code, {"language": said_itself} if kept else {})


@pytest.mark.parametrize(
    "value", [{"prompt": [said("system", "s"), said("user", "问"), said("assistant", "a"), said("user", "b")]}]
)
@pytest.mark.parametrize(("context", "asked"), [("背景", "背景\n\n问"), (0, "0\n\n问"), ("", "问"), (None, "问")])
def test_a_context_stands_before_the_first_question_of_a_prompt_of_turns(tmp_path, value, context, asked):
    expected = [("system", "s"), ("user", asked), ("assistant", "a"), ("user", "b"), ("assistant", "c")]
    row, _ = read(tmp_path, value | {"context": context, "completion": "c"})
    assert (turns(row), meta(row)) == (expected, {})
    row, _ = read(tmp_path, value | {"context": context, "chosen": "c", "rejected": "d"})
    assert (turns(row), meta(row)) == (expected, {"rejected": "d"})


def test_a_zero_beside_the_question_is_text(tmp_path):
    value = {"instruction": "Is it even?", "output": "Yes."}
    assert turns(read(tmp_path, value | {"input": 0})[0])[0] == ("user", "Is it even?\n\n0")
    assert turns(read(tmp_path, {"question": "q", "answer": "a", "context": 0})[0])[0] == ("user", "0\n\nq")
    for empty in ("", None, [], {}, False):
        assert turns(read(tmp_path, value | {"input": empty})[0])[0] == ("user", "Is it even?")


def test_keys_of_messages_without_a_field_stay_in_meta_by_number(tmp_path):
    first = said("user", "问") | {"timestamp": 1.5, "name": "mei", "refusal": None, "audio": []}
    last = said("assistant", "好答") | {"train": False, "model": {"id": "m"}, "reasoning_content": "想", "weight": 1}
    row, _ = read(tmp_path, {"messages": [first, last], "topic": "t", "system": "s"})
    assert meta(row) == {
        "topic": "t",
        "message_keys": {"1": {"timestamp": 1.5}, "2": {"train": False, "model": {"id": "m"}}},
    }
    plain, _ = read(tmp_path, {"messages": [first | {"timestamp": None}, said("assistant", "好答")]})
    assert meta(plain) == {}
    call = {"from": "function_call", "value": '{"name": "f", "arguments": {}}', "name": "f"}
    listed = [{"from": "human", "value": "q", "content": "p"}, call, {"from": "gpt", "value": "a", "id": 7}]
    row, _ = read(tmp_path, {"conversations": listed, "message_keys": "own"})
    kept = {"0": {"value": "q"}, "1": {"name": "f"}, "2": {"id": 7}}
    assert meta(row) == {"message_keys": "own", "message_keys_": kept}
    row, _ = read(tmp_path, {"messages": [said("user", "q"), last | {"reasoning": "2nd"}]})
    assert meta(row)["message_keys"]["1"]["reasoning"] == "2nd"


def test_a_header_that_names_a_column_twice_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("question,answer,note,answer\nq,a,n,b\n")
    said_ = r"t.csv: the header names `answer` twice, and one would be lost; rename a column."
    with pytest.raises(DataError, match=said_):
        run(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("question,answer,,\nq,a,n,\n")
    assert meta(run(tmp_path / "t.csv")[0].row(0, named=True)) == {"column 3": "n", "column 4": ""}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", ["", " \t", "\u3000", "\u00a0 "])
def test_blocks_stand_apart_by_two_lines_with_nothing_on_them(tmp_path, end, blank):
    lines = ["第一", blank, "第二段", blank, blank, "second", blank, blank, blank, "  third", ""]
    (tmp_path / "p.txt").write_bytes(end.join(lines).encode())
    good, _ = run(tmp_path / "p.txt", unit="block")
    assert sorted((json.loads(m)["line"], t) for m, t in good.select("meta", "text").iter_rows()) == [
        (1, end.join(lines[:3])),
        (6, "second"),
        (10, "third"),
    ]
