"""Formats, compression and damage: content decides, and one bad record costs no good one."""

import gzip
import json

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import ConfigError, DataError
from curation.ingest import IngestParams, SourceParams, ingest, json_text, write
from curation.ingest.raw import detect, read_file

ROW = {"prompt": "你好，请问今天的天气怎么样", "completion": "今天天气很好"}


def run(path, **source):
    return ingest(IngestParams(sources=(SourceParams(path=str(path), **source),)))


def packed(kind):
    line = json.dumps(ROW, ensure_ascii=False)
    table = ["prompt", "completion"], list(ROW.values())
    return {
        "jsonl": line.encode(),
        "json": f"[{line}]".encode(),
        "wrapped": f'{{"version": 1, "data": [{line}]}}'.encode(),
        "csv": "\r\n".join(",".join(f'"{c}"' for c in cells) for cells in table).encode(),
        "tsv": "\n".join("\t".join(cells) for cells in table).encode(),
        "gz": gzip.compress(line.encode()),
        "zst": zstandard.compress(line.encode()),
        "two frames": zstandard.compress(line[:20].encode()) + zstandard.compress(line[20:].encode()),
    }[kind]


@pytest.mark.parametrize("kind", ["jsonl", "json", "wrapped", "csv", "tsv", "gz", "zst", "two frames"])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "txt", "dat"])
def test_the_content_decides_and_not_the_ending(tmp_path, kind, ending):
    (tmp_path / f"d.{ending}").write_bytes(packed(kind))
    good, bad = run(tmp_path / f"d.{ending}")
    assert bad.height == 0
    assert [m["content"] for m in good["messages"][0]] == list(ROW.values())


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_parquet_under_any_name_packed_or_not(tmp_path, ending):
    pl.DataFrame([ROW | {"score": 0.5}]).write_parquet(tmp_path / "d")
    data = (tmp_path / "d").read_bytes()
    (tmp_path / "d").write_bytes(gzip.compress(data) if ending == "jsonl" else data)
    good, _ = run(tmp_path / "d")
    assert json.loads(good["meta"][0])["score"] == 0.5


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"x" * 1000, mtime=0)[:-9], zstandard.compress(b"x" * 1000)[:-3] + b"\xff"],
    ids=["gz", "zst"],
)
def test_a_damaged_archive_is_named(tmp_path, data):
    (tmp_path / "d.gz").write_bytes(data)
    with pytest.raises(DataError, match="d.gz: compressed, but cannot be unpacked .*; fetch the file again."):
        run(tmp_path / "d.gz")


def test_a_table_without_known_columns_is_quarantined_line_by_line(tmp_path):
    (tmp_path / "d.txt").write_text("怎么还\t如何还\t1\n花呗\t借呗\t0\na\tb\t1\n", encoding="utf-8")
    found = list(read_file(tmp_path / "d.txt", "d"))
    assert [(r.line, r.reason, r.raw) for r in found] == [
        (1, "unknown_table", "怎么还\t如何还\t1"),
        (2, "unknown_table", "花呗\t借呗\t0"),
        (3, "unknown_table", "a\tb\t1"),
    ]
    assert found[0].detail == "3 tab-separated fields, no column that is known; a header is accepted"


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ("[Notes] on tea\n", "text"), ("[1, 2]", "json"), ("[true]", "json"), ("[1]\n[2]\n", "jsonl"),
        ("\tindented\n\tcode\n\tmore\n\tlines\n", "text"), ("", "text"), ("prompt,answer\n", "csv"),
        ("one, two\nthree, four\n", "text"),
    ],
)  # fmt: skip
def test_formats_are_told_apart(text, format_):
    assert detect(text) == format_


def test_a_quote_without_its_end_costs_one_row(tmp_path):
    lines = ["question,answer", '"lost,a', *(f"q{n},a{n}" for n in range(5))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    good, bad = run(tmp_path / "t.csv")
    assert (good.height, bad.select("line", "reason", "raw").rows()) == (5, [(2, "broken_csv", '"lost,a')])
    (tmp_path / "t.csv").write_text("\n".join([*lines, '"x","y"']) + "\n")
    good, bad = run(tmp_path / "t.csv")
    assert (good.height, bad["line"].to_list()) == (6, [2])


def test_a_broken_cell_of_prose_makes_no_rows(tmp_path):
    (tmp_path / "t.csv").write_text('question,answer\n"She said\n"well, yes"\nand left, then\nslept",a\nq,a\n')
    good, _ = run(tmp_path / "t.csv")
    assert "q" in [m[0]["content"] for m in good["messages"].to_list()]
    assert not [m for m in good["messages"].to_list() if m[0]["content"].startswith("She said")]


def test_line_separators_of_unicode_end_no_row(tmp_path):
    text = "a\u2028b\x0bc\x85d"
    (tmp_path / "t.csv").write_text(f"question,answer\n{text},x\n", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text(
        json.dumps({"question": text, "answer": "x"}, ensure_ascii=False), encoding="utf-8"
    )
    good, bad = run(tmp_path)
    assert bad.height == 0 and [m[0]["content"] for m in good["messages"].to_list()] == [text, text]


def test_text_after_an_array_is_quarantined(tmp_path):
    (tmp_path / "a.json").write_text('[{"prompt": "p", "completion": "c"}\n]\n{"prompt": "q", "completion": "d"}\n')
    good, bad = run(tmp_path / "a.json")
    assert good.height == 1
    assert bad.select("reason", "detail", "raw").rows() == [
        ("broken_json", "text after the end of the array", '{"prompt": "q", "completion": "d"}')
    ]


def test_plain_text_by_line(tmp_path):
    (tmp_path / "p.txt").write_text("第一\n\nsecond\n", encoding="utf-8")
    good, _ = run(tmp_path / "p.txt", unit="line")
    assert sorted((json.loads(m)["line"], t) for m, t in good.select("meta", "text").iter_rows()) == [
        (1, "第一"),
        (3, "second"),
    ]


elements = st.lists(
    st.sampled_from(
        [
            '{"prompt": "a\\n}{[", "completion": "b"}',
            '{"prompt": "问题", "completion": ["x", {"y": 1.5}]}',
            '{"prompt": "a, "completion": "b"}',
            '{"prompt": "a"',
            "12",
            "tru",
            '"\\ud83d"',
            '{"text": "x\\u00e9😀"}',
        ]
    ),
    max_size=8,
)


@given(elements, st.sampled_from([",", ",\n", " ,\r\n ", "\n"]), st.sampled_from(["]", "", "]\n", "] tail"]))
@settings(max_examples=300, deadline=None)
def test_arrays_read_in_small_windows_give_what_the_whole_text_gives(tmp_path_factory, found, between, end):
    import io

    text = "[" + between.join(found) + end
    whole = list(json_text.array(io.StringIO(text), "a"))
    old = json_text._WINDOW
    try:
        json_text._WINDOW = 7
        small = list(json_text.array(io.StringIO(text), "a"))
    finally:
        json_text._WINDOW = old
    assert [(r.line, r.raw, r.reason, repr(r.value)) for r in small] == [
        (r.line, r.raw, r.reason, repr(r.value)) for r in whole
    ]


def test_nothing_readable_is_an_error_that_leaves_the_quarantine(tmp_path):
    (tmp_path / "d.jsonl").write_text('{"foo": 1}\n')
    good, bad = tmp_path / "out" / "records.parquet", tmp_path / "out" / "quarantine.parquet"
    with pytest.raises(DataError, match="no record could be read; see `curation show` and data/raw/quarantine.parquet"):
        write(IngestParams(sources=(SourceParams(path=str(tmp_path / "d.jsonl")),)), good, bad)
    assert pl.read_parquet(bad)["reason"].to_list() == ["unknown_layout"]
    assert [p.name for p in good.parent.iterdir()] == ["quarantine.parquet"]


def chats(key, said, content):
    """Three records of nested turns, the first broken inside its first turn."""
    roles = ("user", "assistant") if said == "role" else ("human", "gpt")
    good = [json.dumps({key: [{said: r, content: f"{r}{n}"} for r in roles]}, ensure_ascii=False) for n in range(3)]
    return [good[0].replace("0", '" "x', 1), *good[1:]]


NESTED = [("messages", "role", "content"), ("conversations", "from", "value"), ("conversation", "role", "content")]


@pytest.mark.parametrize("keys", NESTED)
@pytest.mark.parametrize("between", [",", ",\n  "])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_broken_turn_costs_its_record_only(tmp_path, keys, between, place):
    broken, *good = chats(*keys)
    found = [*good[:place], broken, *good[place:]]
    (tmp_path / "a.json").write_text(f"[{between.join(found)}]")
    rows, bad = run(tmp_path / "a.json")
    assert sorted(m[0]["content"][-1] for m in rows["messages"].to_list()) == ["1", "2"]
    assert set(rows["kind"]) == {"chat"}
    assert bad.select("reason", "raw").rows() == [("broken_json", broken)]


@pytest.mark.parametrize("keys", NESTED)
def test_a_truncated_array_makes_no_rows_of_turns(tmp_path, keys):
    _, first, last = chats(*keys)
    for size in range(1, len(last)):
        (tmp_path / "a.json").write_text(f"[{first}, {last[:size]}")
        rows, bad = run(tmp_path / "a.json")
        assert (rows.height, set(rows["kind"]), set(bad["reason"])) == (1, {"chat"}, {"broken_json"})


def test_typed_parts_and_calls_of_a_broken_record_are_no_rows(tmp_path):
    parts = (
        '{"messages": [{"role": "user", "content": [{"type": "text", "text": "a" "b"}, {"type": "text", "text": "c"}]}'
    )
    calls = ', {"role": "assistant", "tool_calls": [{"id": "1", "function": {}}, {"id": "2", "function": {}}]}]}'
    good = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}'
    (tmp_path / "a.json").write_text(f"[{parts}{calls}, {good}]")
    rows, bad = run(tmp_path / "a.json")
    assert (rows["kind"].to_list(), bad["raw"].to_list()) == (["chat"], [parts + calls])


def test_elements_of_unknown_keys_are_told_by_those_before_them(tmp_path):
    (tmp_path / "a.json").write_text('[{"content": "one"}, {"content": "two" "x"}, {"content": "three"}]')
    rows, bad = run(tmp_path / "a.json")
    assert (sorted(rows["text"]), bad["raw"].to_list()) == (["one", "three"], ['{"content": "two" "x"}'])


@pytest.mark.parametrize("between", ["", "\n"])
@pytest.mark.parametrize("end", ["]}", "] }\n", '], "note": "n"}', ""])
def test_a_broken_element_of_a_wrapped_list_costs_itself_only(tmp_path, between, end):
    good = [f'{{"instruction": "i{n}", "output": "o"}}' for n in range(2)]
    broken = '{"instruction": "i" "output": "p"}'
    listed = f",{between}".join([good[0], broken, good[1]])
    (tmp_path / "a.json").write_text(f'{{"version": 1, "data": [{between}{listed}{between}{end}')
    rows, bad = run(tmp_path / "a.json")
    assert sorted(m[0]["content"] for m in rows["messages"].to_list()) == ["i0", "i1"]
    assert broken in bad["raw"].to_list() and bad.height == 1 + (end == "")
    assert bad.filter(raw=broken)["line"].item() == (3 if between else 1)


def test_a_broken_record_over_several_lines_is_one_record(tmp_path):
    text = '{\n "messages": [\n  {"role": "user", "content": "q"},\n  {"role": "assistant" "content": "a"}\n ]\n}'
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.jsonl").write_text('{"text": "t"}')
    rows, bad = run(tmp_path)
    assert (rows["text"].to_list(), bad["raw"].to_list()) == (["t"], [text])


def test_a_wrapped_list_with_a_line_for_each_record(tmp_path):
    rows = [f'{{"instruction": "i{n}", "output": "o"}}' for n in range(5)]
    (tmp_path / "a.json").write_text('{"data": [\n' + ",\n".join(rows) + "\n]}")
    good, bad = run(tmp_path / "a.json")
    assert (good.height, bad.height) == (5, 0)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("form", ["{}", "[{}]", '{{"data": [{}]}}'])
def test_nan_is_null_in_every_form(tmp_path, word, form):
    record = f'{{"instruction": "i", "input": NaN, "output": "o", "score": {word}}}'
    (tmp_path / "a").write_text(form.format(record))
    good, bad = run(tmp_path / "a")
    assert bad.height == 0 and good["messages"][0][0]["content"] == "i"
    assert json.loads(good["meta"][0], parse_constant=pytest.fail)["score"] is None


def test_nan_of_parquet_is_null_in_meta(tmp_path):
    pl.DataFrame([ROW | {"score": float("nan"), "more": [float("inf")]}]).write_parquet(tmp_path / "p")
    meta = json.loads(run(tmp_path / "p")[0]["meta"][0], parse_constant=pytest.fail)
    assert (meta["score"], meta["more"]) == (None, [None])


def test_saved_splits_are_read_by_name(tmp_path):
    datasets = pytest.importorskip("datasets")
    splits = {n: datasets.Dataset.from_list([{"prompt": n, "completion": "c"}]) for n in ("train", "test")}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    for split in splits:
        good, bad = run(tmp_path / "saved", split=split)
        assert ([m[0]["content"] for m in good["messages"]], bad.height) == ([split], 0)
    with pytest.raises(ConfigError, match="cannot be loaded .no split 'dev'; it has train, test.;"):
        run(tmp_path / "saved", split="dev")


@pytest.mark.parametrize("format_", ["auto", "text"])
def test_a_binary_file_is_no_text(tmp_path, format_):
    (tmp_path / "a.arrow").write_bytes(b"ARROW1\0\0\xff\xff\xff\xffschema\n\0\xe9\n" * 50)
    (tmp_path / "b.txt").write_text("text", encoding="utf-8")
    good, bad = run(tmp_path, format=format_)
    assert (good["text"].to_list(), bad["reason"].to_list()) == (["text"], ["binary_file"])


def test_a_nul_in_json_costs_its_line_only(tmp_path):
    line = json.dumps(ROW, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(f'{line}\n{{"prompt": "\0"}}\n', encoding="utf-8")
    good, bad = run(tmp_path / "a.jsonl")
    assert (good.height, bad["reason"].to_list()) == (1, ["broken_json"])


@pytest.mark.parametrize("lines", [1, 2, 40])
@pytest.mark.parametrize("byte", [b"\xff", b"\x81", b"\xe4", b"\xe4\xbd"])
def test_a_bad_byte_in_utf8_costs_its_line_and_makes_no_mojibake(tmp_path, lines, byte):
    line = json.dumps(ROW, ensure_ascii=False).encode()
    cut = line.index("天气很".encode())
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([line[:cut] + byte + line[cut:], *[line] * lines]))
    good, bad = run(tmp_path / "a.jsonl")
    assert (set(good["content_hash"]), good.height) == ({good["content_hash"][0]}, lines)
    assert [m["content"] for m in good["messages"][0]] == list(ROW.values())
    assert bad.select("line", "reason").rows() == [(1, "not_utf8")]


def test_gb18030_lines_are_read(tmp_path):
    line = json.dumps(ROW, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_bytes(f"{line}\n{line}\n".encode("gb18030"))
    good, bad = run(tmp_path / "a.jsonl")
    assert (good.height, bad.height) == (2, 0)
    assert [m["content"] for m in good["messages"][0]] == list(ROW.values())


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text(json.dumps(ROW))

    def refuse(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    said = r"a.jsonl: cannot be read \(Permission denied\); restore the file or take it out of ingest.sources."
    with pytest.raises(DataError, match=said):
        run(tmp_path / "a.jsonl")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("new", ["", '"', "}", "]"])
def test_a_damaged_character_costs_one_record_and_makes_no_row_of_a_part(wrapped, new):
    import io

    keys = [{"role": r, "content": [{"type": "text", "text": "t"}] * 2} for r in ("user", "assistant")]
    listed = [{"messages": keys, "tools": [{"name": "f"}] * 2, "n": n} for n in range(3)]
    lines = [json.dumps(value) for value in listed]
    for place in range(1, len(lines[1]) - 1):
        damaged = lines[1][:place] + new + lines[1][place + 1 :]
        text = f"[{lines[0]}, {damaged}, {lines[2]}]"
        stream = io.StringIO(f'{{"version": 1, "data": {text}}}' if wrapped else text)
        found = [r.value for r in json_text.array(stream, "a") if r.reason is None]
        assert listed[0] in found and listed[2] in found
        assert not [v for v in found if isinstance(v, dict) and ("role" in v or "text" in v or "name" in v)]


def read_all(*sources):
    return ingest(IngestParams(sources=tuple(SourceParams(**source) for source in sources)))


def test_a_file_that_entries_name_in_several_ways_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.jsonl").write_text(json.dumps(ROW))
    (tmp_path / "link").symlink_to(tmp_path / "src")
    monkeypatch.chdir(tmp_path)
    ways = ["src/a.jsonl", str(tmp_path / "src" / "a.jsonl"), "src/../src/*.jsonl", "link"]
    for way in (ways, ways[::-1]):
        good, bad = read_all(*({"path": path, "license": path} for path in way))
        assert (good["license"].to_list(), bad.height) == ([way[-1]], 0)


def test_hidden_folders_are_read_only_where_an_entry_says_so(tmp_path, monkeypatch):
    hidden = tmp_path / ".cache" / "src" / ".ipynb_checkpoints"
    hidden.mkdir(parents=True)
    (hidden / "a-checkpoint.jsonl").write_text(json.dumps(ROW))
    (hidden.parent / "a.jsonl").write_text(json.dumps(ROW))
    monkeypatch.chdir(tmp_path / ".cache")
    for path in ("src", "../.cache/src", "src/**/*.jsonl", str(tmp_path / ".cache")):
        assert read_all({"path": path})[0]["source"].to_list() == ["a"]
    for path in ("src/.ipynb_checkpoints", "src/.ipynb_checkpoints/*", "*/.ipynb_checkpoints/*"):
        assert read_all({"path": path})[0]["source"].to_list() == ["a-checkpoint"]


def test_files_of_a_saved_folder_belong_to_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    splits = {n: datasets.Dataset.from_list([{"prompt": n, "completion": "c"}]) for n in ("train", "test")}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "src" / "saved"))
    (tmp_path / "src" / "a.jsonl").write_text(json.dumps(ROW | {"prompt": "a"}))
    (tmp_path / "src" / "state.json").write_text('{"prompt": "other", "completion": "c"}')
    folder, saved = {"path": str(tmp_path / "src")}, str(tmp_path / "src" / "saved")
    own = [{"path": f"{saved}/../saved", "split": split} for split in splits]
    pattern = {"path": str(tmp_path / "src" / "**" / "*")}
    for sources, extra in (([pattern], ["train"]), ([*own, pattern], ["test", "train"]), ([pattern, own[1]], ["test"])):
        good, bad = read_all(*sources)
        assert sorted(m[0]["content"] for m in good["messages"]) == sorted(["a", "other", *extra])
        assert bad.height == 0
    (tmp_path / "src" / "state.json").unlink()
    good, bad = read_all(folder)
    assert (sorted(m[0]["content"] for m in good["messages"]), bad.height) == (["a", "train"], 0)
