"""What must not matter does not: order of rows, splitting into files, parts, processes; and no hostile input loses a row."""

import csv
import io
import json
import random
from collections import Counter

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import ingest as ing
from curation import records as rec
from curation.ingest import IngestParams, SourceParams, ingest, parts, rows, write
from curation.ingest.layout import Turn

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
good_rows = st.one_of(
    st.builds(lambda p, a: {"prompt": p, "completion": a}, texts, texts),
    st.builds(lambda p, a: {"instruction": p, "output": a, "topic": 1}, texts, texts),
    st.builds(
        lambda p, a: {"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": a}]}, texts, texts
    ),
    st.builds(lambda t: {"text": t}, texts),
)
bad_rows = st.sampled_from(
    ['{"prompt": ', "[1]", '{"foo": 1}', '{"prompt": "问"}', '{"prompt": "\\ud83d", "answer": "x"}']
)
lines = st.lists(
    st.one_of(good_rows.map(lambda r: json.dumps(r, ensure_ascii=False)), bad_rows), min_size=1, max_size=12
)
KEPT = [name for name in rec.SCHEMA if name != "meta"]


def run(*paths, **other):
    """(records without their file and line, ids and reasons of the quarantined)."""
    sources = tuple(SourceParams(path=str(path), name="d", **other) for path in paths)
    good, bad = next(ing._ranges(IngestParams(sources=sources), None, lambda *_: None, 1))
    return good.select(KEPT), bad.select("id", "reason", "detail", "raw")


def same(one, other):
    return all(a.equals(b) for a, b in zip(one, other, strict=True))


def split(folder, found, name):
    (folder / name).write_text("\n".join(["", *found]), encoding="utf-8", newline="")
    return folder / name


@given(lines, st.randoms(use_true_random=False))
@quick
def test_order_splitting_and_a_second_run_change_nothing(tmp_path, found, rng):
    found = found + found[:2]  # identical records are told apart by ordinals
    first = run(split(tmp_path, found, "a"), format="jsonl")
    assert first[0].height + first[1].height == len(found)
    assert same(first, run(tmp_path / "a", format="jsonl"))
    mixed = rng.sample(found, len(found))
    assert same(first, run(split(tmp_path, mixed, "b"), format="jsonl"))
    cut = rng.randint(0, len(mixed))
    halves = split(tmp_path, mixed[:cut], "c"), split(tmp_path, mixed[cut:], "e")
    assert same(first, run(*halves, format="jsonl"))


@given(lines, st.integers(40, 200), st.integers(200, 900))
@settings(quick, max_examples=15)
def test_parts_and_ranges_of_any_size_give_the_same_rows(tmp_path, found, part, size):
    path = split(tmp_path, found + found[:3], "a")
    params = IngestParams(sources=(SourceParams(path=str(path), name="d", format="jsonl"),))
    whole = next(ing._ranges(params, None, lambda *_: None, 1))
    spills = tmp_path / "spills"
    spills.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("PART", part), ("RANGE", size), ("IN_MEMORY", 0)):
            patch.setattr(parts, name, value)
        ranges = list(ing._ranges(params, spills, lambda *_: None, 1))
    assert same(whole, [pl.concat(side) for side in zip(*ranges, strict=True)])


def test_processes_and_streams_write_what_one_process_writes(tmp_path, monkeypatch):
    rng = random.Random(0)
    values = [
        json.dumps({"prompt": f"问{rng.randint(0, 900)}", "completion": "答"}, ensure_ascii=False) for _ in range(2000)
    ]
    path = split(tmp_path, [*values, "{broken"], "a.jsonl")
    params = IngestParams(sources=(SourceParams(path=str(path)),))
    whole = ingest(params)
    monkeypatch.setattr(parts, "IN_MEMORY", 0)
    monkeypatch.setattr(parts, "RANGE", 20_000)
    monkeypatch.setattr(parts, "PART", 20_000)
    for workers in (1, 2):
        out = tmp_path / str(workers)
        (out / ".parts").mkdir(parents=True)  # a run that was killed left something
        (out / ".parts" / "000000-000000.good").write_text("half")
        counts = write(params, out / "records.parquet", out / "quarantine.parquet", workers=workers)
        assert counts == ({"a": 2000}, {"broken_json": 1})
        assert sorted(p.name for p in out.iterdir()) == ["quarantine.parquet", "records.parquet"]
        assert same(whole, [pl.read_parquet(out / f"{name}.parquet") for name in ("records", "quarantine")])
    assert (tmp_path / "1/records.parquet").read_bytes() == (tmp_path / "2/records.parquet").read_bytes()


def test_a_late_line_that_is_not_utf8_has_the_whole_file_judged_anew(tmp_path, monkeypatch):
    good = '{"prompt": "你好", "completion": "你好吗"}'
    (tmp_path / "a").write_bytes(b"\n".join([good.encode()] * 50 + [good.encode() + b"\xff"]))
    params = IngestParams(sources=(SourceParams(path=str(tmp_path / "a")),))
    whole = ingest(params)
    assert (whole[0].height, whole[1]["reason"].to_list()) == (50, ["not_utf8"])
    for name, value in (("PART", 100), ("RANGE", 500), ("IN_MEMORY", 0)):
        monkeypatch.setattr(parts, name, value)
    assert same(whole, ingest(params, workers=1))


@given(st.lists(st.tuples(*[st.one_of(st.none(), texts)] * 6), max_size=3), st.one_of(st.none(), texts))
def test_hashes_are_those_of_the_records_module(found, text):
    turns = [Turn(t[0] or "user", t[1] or "", *t[2:]) for t in found]
    expected = rec.content_hash([t._asdict() for t in turns], text, None)
    assert rows.content_hash(turns, text, None) == expected


HOSTILE = [
    "", " ", "\x00", "a\x00b", "\u202eabc\u202c", "👩‍👩‍👧‍👦" * 3, "🏳️‍🌈", "e\u0301" * 50, "\ufeff", "\u2028\u2029", "\r", "\r\n\r\n", "\t",
    '"', "'", "\\", '"""', ",", "]}", "[{", "<|im_start|>", "<|im_start|>user\n", "NaN", "null", "\ud83d", "\udc00\ud800", "𠮷野家",
    "ا\u200fب", "\x1b[31m", "%s%n", "{{name}}", "-0", "1e999", "9" * 5000, "[" * 3000, "\uffff", "\U0010ffff", "锟斤拷",
]  # fmt: skip
KEYS = (
    "prompt completion question answer instruction input output messages conversations chosen rejected label tools system text "
    "content history role from value weight tags group origin license language instances message_id replies question_id"
).split()


def hostile(rng, depth=0):
    """A JSON value that means harm."""
    kind = rng.random()
    if kind < 0.45 or depth > 4:
        return rng.choice(HOSTILE)
    if kind < 0.6:
        return rng.choice([None, True, False, 0, -1, 2**70, 1.5, 10**300, [], {}, [[]], [None]])
    if kind < 0.7:
        value = "x"
        for _ in range(rng.choice([3, 60, 400])):
            value = [value] if rng.random() < 0.5 else {"content": value}
        return value
    if kind < 0.85:
        return [hostile(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice([*KEYS, *HOSTILE[:20]]): hostile(rng, depth + 1) for _ in range(rng.randint(0, 4))}


def records(rng, count):
    """Records that look like every layout, with hostile values in any place."""
    roles = ["user", "assistant", "system", "tool", "human", "gpt", "function_call", "", None, 5, "\ud83d"]

    def turn():
        keys = rng.choice([("role", "content"), ("from", "value")])
        extra = rng.sample(["tool_calls", "function_call", "name", "reasoning", "loss_weight", "tool_call_id"], 2)
        made = {keys[0]: rng.choice(roles), keys[1]: rng.choice(["q", hostile(rng)])}
        return rng.choice([made, made, made | {k: hostile(rng) for k in extra}, hostile(rng)])

    def tree(depth):
        replies = [tree(depth + 1) for _ in range(rng.randint(0, 2))] if depth < 3 else hostile(rng)
        return {
            "text": hostile(rng),
            "role": rng.choice(roles[:2]),
            "replies": replies,
            "rank": rng.choice([0, 1, None, hostile(rng)]),
        }

    for _ in range(count):
        value = {rng.choice(KEYS): hostile(rng) for _ in range(rng.randint(0, 4))}
        shape = rng.randrange(8)
        if shape == 0:
            value |= {
                rng.choice(["messages", "conversations", "chosen", "prompt"]): [
                    turn() for _ in range(rng.randint(0, 4))
                ]
            }
        elif shape == 1:
            value |= {"prompt": tree(0)}
        elif shape == 2:
            value |= {"instruction": "q", "output": hostile(rng)}
        elif shape == 3:
            value |= {
                "text": "<|im_start|>" + str(rng.choice(HOSTILE)) + "\n" + str(rng.choice(HOSTILE)) + "<|im_end|>"
            }
        yield value if rng.random() < 0.95 else hostile(rng)


def accounted(good, bad, count):
    """Every one of `count` rows is in exactly one of the two."""
    ids = Counter(good["id"].to_list() + bad["id"].to_list())
    assert good.height + bad.height == count
    assert max(ids.values(), default=1) == 1
    assert bad["reason"].null_count() == 0 and good["content_hash"].null_count() == 0


def both(path, **source):
    return next(ing._ranges(IngestParams(sources=(SourceParams(path=str(path), **source),)), None, lambda *_: None, 1))


@pytest.mark.parametrize("seed", range(4))
def test_of_two_thousand_hostile_rows_each_is_kept_or_quarantined(tmp_path, seed):
    rng = random.Random(seed)
    found = list(records(rng, 500))
    if seed == 0:
        found[7] = {"prompt": "x" * 10_000_000, "completion": "题" * 3_000_000}
        found[8] = {"prompt": "y" * 10_000_000}
    escaped = [json.dumps(value) for value in found]
    (tmp_path / "lines").write_text("\n".join(escaped), encoding="utf-8")
    (tmp_path / "raw").write_bytes(
        b"\n".join(json.dumps(v, ensure_ascii=False).encode("utf-8", "surrogatepass") for v in found)
    )
    (tmp_path / "array").write_text("[\n" + ",\n".join(escaped) + "\n]", encoding="utf-8")
    for name, format_ in (("lines", "jsonl"), ("raw", "jsonl"), ("array", "json")):
        accounted(*both(tmp_path / name, format=format_), len(found))
    good, bad = both(tmp_path / "lines", format="jsonl")
    assert sorted([*bad["line"], *(json.loads(m)["line"] for m in good["meta"])]) == list(range(1, 501))


def test_hostile_cells_of_tables(tmp_path):
    rng = random.Random(1)
    cells = [c for c in HOSTILE if "\ud83d" not in c and "\udc00" not in c]
    for separator, name in ((",", "csv"), ("\t", "tsv")):
        table = [[rng.choice(cells) or "a" for _ in range(3)] for _ in range(150)] + [["w" * 10_000_000, "a", "b"]]
        text = io.StringIO()
        csv.writer(text, delimiter=separator).writerows([["prompt", "completion", "tags"], *table])
        (tmp_path / name).write_text(text.getvalue(), encoding="utf-8", newline="")
        accounted(*both(tmp_path / name, format=name), len(table))
    frame = pl.DataFrame(table, schema=["prompt", "completion", "tags"], orient="row")
    frame.write_parquet(tmp_path / "p")
    accounted(*both(tmp_path / "p"), len(table))


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_at_all_stop_ingest(tmp_path, data):
    from curation.errors import DataError

    (tmp_path / "d").write_bytes(data)
    try:
        good, bad = both(tmp_path / "d")
    except DataError:
        return  # a damaged archive or parquet file is named
    assert len({*good["id"], *bad["id"]}) == good.height + bad.height
