import gzip
import json
from pathlib import Path

import pytest

from curation.errors import DataError
from curation.ingest import IngestParams, SourceParams, ingest


def run(path: Path, **source):
    return ingest(IngestParams(sources=(SourceParams(path=str(path), license="MIT", **source),)))


def turns(row):
    return [(m["role"], m["content"]) for m in row["messages"]]


def one(tmp_path: Path, value, name="d.jsonl", **source):
    (tmp_path / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    good, bad = run(tmp_path / name, **source)
    assert bad.height == 0, bad["detail"].to_list()
    return good.row(0, named=True)


LAYOUTS = {
    "alpaca": (
        {"instruction": "翻译", "input": "hello", "output": "你好", "system": "s", "history": [["q", "a"]]},
        [("system", "s"), ("user", "q"), ("assistant", "a"), ("user", "翻译\n\nhello"), ("assistant", "你好")],
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}], "system": "s"},
        [("system", "s"), ("user", "问"), ("assistant", "答")],
    ),
    "messages": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "q"}]},
                {"role": "assistant", "content": "a"},
            ]
        },
        [("user", "q"), ("assistant", "a")],
    ),
    "pairs": ({"question": "1+1", "answer": "2", "context": "sums"}, [("user", "sums\n\n1+1"), ("assistant", "2")]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_become_messages(tmp_path, name):
    value, expected = LAYOUTS[name]
    row = one(tmp_path, value)
    assert turns(row) == expected
    assert row["kind"] == "chat" and row["license"] == "MIT" and row["source"] == "d"
    assert json.loads(row["meta"]) == {"file": (tmp_path / "d.jsonl").as_posix(), "line": 1}


def test_text_is_a_row_of_its_own_kind(tmp_path):
    (tmp_path / "p.txt").write_text("第一篇\n\n第二段\n\n\nsecond piece\n", encoding="utf-8")
    good, _ = run(tmp_path / "p.txt", unit="block", origin="pretrain")
    rows = sorted(
        (json.loads(m)["line"], t, k, o) for m, t, k, o in good.select("meta", "text", "kind", "origin").iter_rows()
    )
    assert rows == [(1, "第一篇\n\n第二段", "text", "pretrain"), (6, "second piece", "text", "pretrain")]


def test_what_a_row_says_of_itself_stands_above_the_source(tmp_path):
    row = one(
        tmp_path,
        {"prompt": "p", "completion": "c", "license": "CC0-1.0", "tags": ["x"], "group": 7, "topic": {"a": 1}},
        tags=("y",),
    )
    assert (row["license"], row["tags"], row["group"]) == ("CC0-1.0", ["x", "y"], "7")
    assert json.loads(row["meta"])["topic"] == {"a": 1}


@pytest.mark.parametrize(
    ("said", "parents", "meta"),
    [
        (
            {"parents": ["问答-0123456789abcdef", "a-fedcba9876543210-2"]},
            ["问答-0123456789abcdef", "a-fedcba9876543210-2"],
            {},
        ),
        ({"parent": "a-0123456789abcdef", "parents": ["a-0123456789abcdef"]}, ["a-0123456789abcdef"], {}),
        ({"parent": "root"}, [], {"parent": "root"}),
        ({"parents": ["a-0123456789abcdef", 7]}, [], {"parents": ["a-0123456789abcdef", 7]}),
        ({"parents": {"a": 1}, "parent": None}, [], {"parents": {"a": 1}}),
    ],
)
def test_a_row_made_by_hand_names_its_parents_by_id(tmp_path, said, parents, meta):
    row = one(tmp_path, {"prompt": "你好吗", "completion": "好", "tags": ["robustness:typo"], **said})
    assert row["parents"] == parents
    rest = json.loads(row["meta"])
    assert {key: rest[key] for key in rest.keys() - {"file", "line"}} == meta


def test_tool_schemas_and_arguments_come_out_byte_for_byte(tmp_path):
    line = (
        '{"messages": [{"role": "user", "content": "go"}, {"role": "assistant", "content": null, "tool_calls": '
        '[{"id": "c1", "function": {"name": "f", "arguments": {"z":  1.50, "a": null}}}]}], "tools": [{"b":  1e3, "a": {}}]}'
    )
    (tmp_path / "t.jsonl").write_text(line)
    row = run(tmp_path / "t.jsonl")[0].row(0, named=True)
    assert row["tools"] == '[{"b":  1e3, "a": {}}]'
    calls = json.loads(row["messages"][1]["tool_calls"])
    assert calls[0]["function"] == {"name": "f", "arguments": '{"z":  1.50, "a": null}'}


def test_sharegpt_function_calls(tmp_path):
    value = {
        "conversations": [
            {"from": "human", "value": "天气"},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"city":  "北京"}}'},
            {"from": "observation", "value": "晴"},
            {"from": "gpt", "value": "晴天"},
        ],
        "tools": '[{"name": "weather"}]',
    }
    row = one(tmp_path, value)
    assert [r for r, _ in turns(row)] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(row["messages"][1]["tool_calls"])[0]["function"]["arguments"] == '{"city":  "北京"}'


BAD = {
    "broken_json": '{"prompt": "p", "completion": ',
    "not_an_object": '["a"]',
    "unknown_layout": '{"foo": 1}',
    "missing_answer": '{"instruction": "p"}',
    "unknown_role": '{"messages": [{"role": "user", "content": "q"}, {"role": "narrator", "content": "x"}]}',
    "two_system_turns": '{"messages": [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}',  # noqa: E501
    "unsupported_content": '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}',
    "broken_tools": '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "tools": "[{"}',
    "broken_tool_call": '{"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": "{oops"}]}',
    "lone_surrogate": '{"prompt": "\\ud83d", "completion": "x"}',
    "bad_weight": '{"prompt": "p", "completion": "x", "weight": -1}',
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_records_are_quarantined_with_reason_and_line_and_cost_no_good_row(tmp_path, reason):
    good_line = '{"prompt": "p", "completion": "c"}'
    (tmp_path / "d.jsonl").write_text(f"{good_line}\n{BAD[reason]}\n{good_line}\n", encoding="utf-8")
    good, bad = run(tmp_path / "d.jsonl")
    assert good.height == 2
    expected = "broken_json" if reason == "lone_surrogate" else reason
    assert bad.select("line", "reason", "raw").rows() == [(2, expected, BAD[reason].strip())]


def test_a_broken_array_gives_up_its_good_elements(tmp_path):
    (tmp_path / "a.json").write_text(
        '[\n {"instruction": "one", "output": "1"},\n {"instruction": "two, "output": "2"},\n'
        ' {"instruction": "three", "output": "3"}\n {"instruction": "four", "output": "4"},\n {"instruction": "five", "outp'
    )
    good, bad = run(tmp_path / "a.json")
    assert sorted(r["messages"][0]["content"] for r in good.iter_rows(named=True)) == ["four", "one", "three"]
    assert sorted((r["line"], r["raw"]) for r in bad.iter_rows(named=True)) == [
        (3, '{"instruction": "two, "output": "2"}'),
        (6, '{"instruction": "five", "outp'),
    ]


def test_csv_keeps_line_breaks_inside_cells_and_quarantines_short_rows(tmp_path):
    (tmp_path / "t.csv").write_text('question,answer\n"two\nlines",yes\nonly one\n问,答\n', encoding="utf-8")
    good, bad = run(tmp_path / "t.csv")
    assert sorted(turns(r)[0][1] for r in good.iter_rows(named=True)) == ["two\nlines", "问"]
    assert bad.select("line", "reason", "detail").rows() == [(4, "wrong_field_count", "1 fields; the header names 2")]


def test_encodings_and_compression_are_seen_in_the_content(tmp_path):
    line = '{"prompt": "你好，请问今天的天气怎么样", "completion": "今天天气很好"}\n'
    (tmp_path / "gbk.jsonl").write_bytes(line.encode("gb18030"))
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + line.encode())
    (tmp_path / "wide.jsonl").write_bytes(line.encode("utf-16"))
    (tmp_path / "zip.dat").write_bytes(gzip.compress(line.encode()))
    good, bad = run(tmp_path)
    assert bad.height == 0
    assert good["content_hash"].n_unique() == 1 and good.height == 4


def test_ids_do_not_depend_on_the_order_of_rows_and_tell_copies_apart(tmp_path):
    lines = [
        '{"prompt": "a", "completion": "b"}',
        '{"prompt": "c", "completion": "d"}',
        '{"prompt": "a", "completion": "b"}',
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    first = run(tmp_path / "d.jsonl")[0]
    (tmp_path / "d.jsonl").write_text("\n".join(reversed(lines)))
    second = run(tmp_path / "d.jsonl")[0]
    assert first["id"].to_list() == second["id"].to_list()
    assert first.select("id", "content_hash").equals(second.select("id", "content_hash"))
    assert sum(i.endswith("-2") for i in first["id"]) == 1


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(
        DataError, match="nowhere: no such file, folder or pattern; restore it or take the entry out of params.yaml"
    ):
        run(tmp_path / "nowhere")


def test_saved_dataset_folders_are_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"prompt": "p", "completion": "c"}]).save_to_disk(str(tmp_path / "saved"))
    good, _ = run(tmp_path / "saved")
    assert turns(good.row(0, named=True)) == [("user", "p"), ("assistant", "c")]


def test_public_files_hold_what_is_known_of_them(shared_data):
    good, _ = run(shared_data / "LLaMA-Factory" / "glaive_toolcall_zh_demo.json")
    assert good.height == 300 and good["tools"].null_count() < 300
    good, bad = run(shared_data / "FastChat" / "dummy_conversation.json")
    firsts = {m[0]["content"] for m in good["messages"].to_list()}
    assert (good.height, bad.height, len(firsts)) == (500, 0, 52)
