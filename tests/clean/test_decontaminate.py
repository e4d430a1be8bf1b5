import gzip
import json
import os
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import records as rec
from curation.clean import decontaminate
from curation.clean.decontaminate import DecontaminateParams, Item
from curation.errors import DataError

DATA = Path(os.environ.get("CURATION_TEST_DATA") or Path(__file__).parents[3] / "shared/data")

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


@pytest.mark.parametrize("text", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("where", ["system", "reasoning", "calls", "tool", "tool JSON", "schemas"])
def test_what_is_rendered_beside_the_sides_is_looked_at_too(tmp_path, where, text):
    escaped = json.dumps({"n": 1, "asked": f"Task:\n{text}"})
    call = json.dumps([{"id": "1", "type": "function", "function": {"name": "f", "arguments": escaped}}])
    turns = {
        "system": rec.message("system", text),
        "reasoning": rec.message("assistant", "ok", reasoning=f"Let me see. {text}"),
        "calls": rec.message("assistant", "", tool_calls=call),
        "tool": rec.message("tool", text),
        "tool JSON": rec.message("tool", escaped),
    }
    said = [rec.message("user", "Hi."), turns.get(where, rec.message("assistant", "ok"))]
    tools = json.dumps([{"type": "function", "function": {"name": "f", "description": text}}])
    rows = [{"id": "r", "kind": "chat", "messages": said, "tools": tools if where == "schemas" else None}]
    rows += [{"id": "t", "kind": "text", "text": "Nothing."}]
    overlap(tmp_path, "")
    params = DecontaminateParams()
    frame = rec.sides(rec.frame(rows))
    measured = decontaminate.measure(frame, decontaminate.load(tmp_path), params)
    assert measured["overlap"].to_list() == [1.0, 0.0]
    (found,) = decontaminate.contaminated(measured, params).to_dicts()
    assert found["detail"].startswith(f"set.jsonl:{1 + (text == ZH)} prompt: “{text[:8]}")


def test_json_nested_beyond_reason_is_text():
    messages = [rec.message("user", "?"), rec.message("tool", '{"a":' * 1000 + json.dumps(EN) + "}" * 1000)]
    frame = rec.sides(rec.frame([{"id": "r", "kind": "chat", "messages": messages}]))
    measured = decontaminate.measure(frame, [Item("s:1 prompt", "prompt", EN)], DecontaminateParams())
    assert measured["overlap"].to_list() == [1.0]


def test_a_short_answer_hides_no_prompt_of_the_same_words():
    items = [
        Item("s:1 answer", "answer", "the cat sat on the mat"),
        Item("s:2 prompt", "prompt", "The cat sat on the mat"),
    ]
    frame = pl.DataFrame({"id": ["r"], "prompt": ["The cat sat on the mat."], "answer": [""]})
    measured = decontaminate.measure(frame, items, DecontaminateParams())
    assert measured["overlap_with"].to_list() == ["s:2 prompt: “The cat sat on the mat” (6 units)"]


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


def test_the_ledger_shows_the_span_as_it_stands_in_the_row(tmp_path):
    (said,) = overlap(tmp_path, f"Zuerst: {EN.upper()} Danke.")
    assert said["detail"] == (
        "set.jsonl:1 prompt: “A BAKER SELLS 24 LOAVES ON MONDAY AND TWICE AS MANY ON TUESDAY. HOW MANY LOAVES DOES SHE SELL ON "
        "BOTH DAYS TOGETHER” (23 units)"
    )
    (said,) = overlap(tmp_path, f"帮忙：{ZH}谢谢")
    assert said["detail"] == "set.jsonl:2 prompt: “水果店上午卖出三十六箱苹果，下午比上午多卖出十二箱…” (38 units)"
    assert (said["value"], said["limit"]) == (1.0, 0.5)


def test_words_exchanged_are_found_by_alignment(tmp_path):
    changed = "A grocer sells 24 rolls on Friday and twice as many on Sunday. How few loaves does he sell on both days together?"
    assert overlap(tmp_path, changed, alike=0.9) == []
    (said,) = overlap(tmp_path, f"Well. {changed} Thanks.", alike=0.7)
    assert (said["value"], said["limit"]) == (0.7391, 0.7)
    assert said["detail"].startswith("set.jsonl:1 prompt: “A grocer sells 24 rolls") and said["detail"].endswith(
        "(23 units, 6 of them changed)"
    )


def test_full_width_and_decomposed_text_is_folded(tmp_path):
    assert len(overlap(tmp_path, EN.translate({ord("!") + n: 0xFF01 + n for n in range(94)}))) == 1
    (tmp_path / "more.jsonl").write_text(json.dumps({"prompt": "Où est le café préféré de la fée à Orléans ?"}))
    assert (
        len(
            overlap(
                tmp_path, "Ou\u0300 est le cafe\u0301 pre\u0301fe\u0301re\u0301 de la fe\u0301e a\u0300 Orle\u0301ans ?"
            )
        )
        == 1
    )


RECORDS = [{"question": EN, "answer": "#### 72"}, {"question": ZH, "answer": "84"}]


def lines(records):
    return "\n".join(json.dumps(r, ensure_ascii=False) for r in records)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gsm8k.jsonl", lines(RECORDS)),
        ("humaneval.jsonl.gz", gzip.compress(lines({"task_id": "H", "prompt": r["question"]} for r in RECORDS).encode(), mtime=0)),
        ("ifeval.jsonl", lines({"key": 1, "prompt": r["question"], "kwargs": [{"n": 3}]} for r in RECORDS)),
        ("mt_bench.jsonl", lines([{"question_id": 81, "turns": [EN, ZH], "reference": ["-", "-"]}])),
        ("list.json", json.dumps(RECORDS)),
        ("split.json", json.dumps({"version": 1, "data": [{"id": 1, "question": {"stem": EN, "choices": [{"text": "7"}]}}, {"题目": ZH}]})),
        ("chat.jsonl", lines([{"messages": [{"role": "user", "content": EN}]}, {"conversations": [{"from": "human", "value": ZH}]}])),
        ("table.csv", f'id,Question\n1,"{EN}"\n2,"{ZH}"\n'),
        ("no_header.csv", f'"{EN}",A,B\n"{ZH}",C,D\n'),
        ("table.tsv.zst", zstandard.compress(f"question\tanswer\n{EN}\t72\n{ZH}\t84\n".encode())),
        ("windows.jsonl", b"\xef\xbb\xbf" + lines(RECORDS).replace("\n", "\r\n").encode()),
    ],
)  # fmt: skip
def test_any_layout(tmp_path, name, data):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "task.yaml").write_text("task: mine\n")
    items = decontaminate.load(tmp_path)
    frame = pl.DataFrame(
        {"id": ["en", "zh", "no"], "prompt": [EN.lower(), "好", "Hi there."], "answer": ["72", ZH, "Hello!"]}
    )
    params = DecontaminateParams()
    found = decontaminate.contaminated(decontaminate.measure(frame, items, params), params)
    assert found["id"].to_list() == ["en", "zh"]
    assert found["detail"].str.starts_with(name).all()


def test_parquet(tmp_path):
    pl.DataFrame(RECORDS).write_parquet(tmp_path / "set.parquet")
    assert [(i.where, i.kind) for i in decontaminate.load(tmp_path)] == [
        ("set.parquet:1 prompt", "prompt"), ("set.parquet:1 answer", "answer"),
        ("set.parquet:2 prompt", "prompt"), ("set.parquet:2 answer", "answer"),
    ]  # fmt: skip


def test_a_set_without_a_known_field_is_no_gap(tmp_path):
    (tmp_path / "odd.jsonl").write_text('{"aufgabe": "Wie viele Brote?"}\n')
    with pytest.raises(
        DataError, match=r"odd\.jsonl:1: no test item in it; fields that are read: .*question.* Rename a field"
    ):
        decontaminate.load(tmp_path)
    (tmp_path / "odd.jsonl").write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(
        DataError, match=r"odd\.jsonl: compressed, but cannot be unpacked \(.*\); fetch the file again\.$"
    ):
        decontaminate.load(tmp_path)
    (tmp_path / "odd.jsonl").write_text("\n")
    assert decontaminate.load(tmp_path) == []


GOOD = lines(RECORDS).encode()


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("set.csv", 'question,answer\n"What is it?,A\nAnd what is this?,B\n', r"set\.csv:2: broken table \(.*RFC 4180.*\); mend"),
        ("set.csv", "Question,question\nWhat is it?,A\n", r"set\.csv: the header names `question` twice, and one would be lost"),
        ("set.csv", "question,answer\nWhat, is it?,A\n", r"set\.csv:2: broken table \(3 fields; the header names 2\); mend"),
        ("set.csv", f"1,{EN}\n2,{ZH}\n", r"set\.csv: no header with a known field, and no prose in the first column; .* Name the columns"),
        ("set.csv", f"id,question_text,answer\n1,{EN},B\n", r"set\.csv:2: answers only beside `question_text`, which is not read; names"),
        ("set.jsonl", json.dumps({"question_text": EN, "answer": "B"}), r"set\.jsonl:1: answers only beside `question_text`, which is not"),
        ("set.jsonl", lines([RECORDS[0], {"frage": "12 + 7 = ?", "answer": "19"}]), r"set\.jsonl:2: answers only; names of"),
        ("set.jsonl", lines([RECORDS[0], {"note": "none"}]), r"set\.jsonl:2: no test item in it; fields that are read"),
        ("set.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-20], r"set\.jsonl\.gz: compressed, but cannot be unpacked"),
        ("set.jsonl.gz", gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 40, r"set\.jsonl\.gz: compressed, but cannot be unpacked"),
        ("set.jsonl.zst", zstandard.compress(GOOD)[:-20], r"set\.jsonl\.zst: compressed, but cannot be unpacked"),
        ("set.jsonl", ZH.encode("gb18030"), r"set\.jsonl: cannot be read \(.*\); accepted: UTF-8, \.jsonl"),
        ("set.parquet", b"PAR1PAR1", r"set\.parquet: not a readable parquet file"),
        ("set.txt", EN, r"set\.txt: no evaluation set by its ending; accepted: \.jsonl, .* Rename the file, or move it out"),
        ("set.xlsx.gz", b"", r"set\.xlsx\.gz: no evaluation set by its ending"),
    ],
)  # fmt: skip
def test_gaps_of_a_set_are_refused(tmp_path, name, data, error):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(DataError, match=error):
        decontaminate.load(tmp_path)


def test_what_is_read_all_the_same(tmp_path):
    chat = [
        {"role": "system", "content": "Be brief."},
        {"from": "Human", "value": ZH},
        {"role": "narrator", "content": EN},
    ]
    records = [
        {"from": "gsm8k", "content": "x", "question": EN},
        {"messages": chat},
        {"answer_id": "x", "choices": [{"turns": [EN]}], "score": float("nan")},
    ]
    (tmp_path / "set.jsonl").write_text(lines(records))
    (tmp_path / "set.json").write_text(lines(RECORDS[:1]))  # lines, whatever the ending says
    (tmp_path / "set.csv").write_bytes(f'question,answer\r"{EN}",72\r"{ZH}",84\r'.encode())
    for beside in ("_defaults", ".gitignore", "README.md", "set.jsonl.dvc", "task.yaml"):
        (tmp_path / beside).write_text("beside")
    assert [(i.where, i.text) for i in decontaminate.load(tmp_path)] == [
        ("set.csv:2 prompt", EN), ("set.csv:2 answer", "72"), ("set.csv:3 prompt", ZH), ("set.csv:3 answer", "84"),
        ("set.json:1 prompt", EN), ("set.json:1 answer", "#### 72"),
        ("set.jsonl:1 prompt", "x"), ("set.jsonl:1 prompt", EN), ("set.jsonl:2 prompt", ZH), ("set.jsonl:2 prompt", EN),
        ("set.jsonl:3 answer", EN),
    ]  # fmt: skip


def test_short_answers_are_not_looked_for_but_long_ones_are(tmp_path):
    long = "She sells 48 loaves on Tuesday, which together with the 24 loaves of Monday makes 72 loaves on both days in all."
    (tmp_path / "set.jsonl").write_text(
        lines([{"question": EN, "answer": long}, {"question": ZH, "answer": "一共卖出八十四箱苹果"}])
    )
    items = decontaminate.load(tmp_path)
    frame = pl.DataFrame({"id": ["a", "b"], "prompt": ["?", "?"], "answer": [long, "一共卖出八十四箱苹果"]})
    measured = decontaminate.measure(frame, items, DecontaminateParams())
    assert measured["overlap"].to_list() == [1.0, 0.0]


def test_a_template_of_many_items_tells_none_of_them():
    template = "Read the following question with care and answer with the letter of the right choice only: what do {} {} eat in {}?"
    words = [f"{a}{b}" for a in "bcdfghklmnprstvz" for b in ("ara", "olo", "uni", "ebe")]
    items = [
        Item(f"s:{n} prompt", "prompt", template.format(words[n % 64], words[n // 8], words[-n % 61]))
        for n in range(400)
    ]
    other = template.format("old", "badgers", "winter")
    frame = pl.DataFrame({"id": ["other", "own"], "prompt": [other, items[77].text], "answer": ["", ""]})
    measured = decontaminate.measure(frame, items, DecontaminateParams())
    assert measured["overlap"].to_list()[1] == 1.0 and measured["overlap"].to_list()[0] < 0.5


WORDS = "the a baker farmer sells buys 24 31 loaves eggs on monday how many 水 果 店 上 午 卖 出 苹 ， 。 ?".split()
said = st.lists(st.sampled_from(WORDS), max_size=24).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(said, said), min_size=1, max_size=8), st.lists(said, max_size=6), st.randoms(), st.integers(0, 8)
)
def test_order_and_splitting_change_nothing(rows, tests, random, cut):
    params = DecontaminateParams(ngram=3, min_answer_units=3)
    items = [Item(f"s:{n} prompt", "prompt", t) for n, t in enumerate(tests)]
    frame = pl.DataFrame(
        {"id": [str(n) for n in range(len(rows))], "prompt": [p for p, _ in rows], "answer": [a for _, a in rows]},
        schema=dict.fromkeys(("id", "prompt", "answer"), pl.String),
    )
    whole = decontaminate.measure(frame, items, params)
    parts = [decontaminate.measure(part, items, params) for part in (frame[:cut], frame[cut:])]
    assert pl.concat(parts).equals(whole)
    assert (
        decontaminate.measure(frame.sample(fraction=1, shuffle=True, seed=random.randrange(99)), items, params)
        .sort(pl.col("id").cast(int))
        .equals(whole)
    )


@settings(max_examples=150, deadline=None)
@given(said, said)
def test_share_and_alignment_are_what_they_are_defined_as(row, test):
    """Against brute force: n-grams as sets, alignment as the least edit distance to any stretch."""
    import re

    def units(text):
        return re.findall(r"[一-鿿]|[a-z]+|[0-9]+", text)

    own, wanted = units(row), units(test)
    params = DecontaminateParams(ngram=3, min_units=1, share=1.0, alike=0.5, min_alike_units=5)
    frame = pl.DataFrame({"id": ["r"], "prompt": [row], "answer": [""]})
    measured = decontaminate.measure(frame, [Item("s:1 prompt", "prompt", test)], params)
    if not wanted:
        assert measured["overlap"][0] == 0
        return
    width = min(3, len(wanted))
    grams = {tuple(wanted[i : i + width]) for i in range(len(wanted) - width + 1)}
    have = {tuple(own[i : i + width]) for i in range(len(own) - width + 1)}
    share = len(grams & have) / len(grams)
    column = list(range(len(wanted) + 1))
    best = column[-1]
    for unit in own:
        next_ = [0]
        for j, other in enumerate(wanted, 1):
            next_.append(min(column[j] + 1, next_[-1] + 1, column[j - 1] + (unit != other)))
        column, best = next_, min(best, next_[-1])
    alike = 1 - best / len(wanted)
    if share < 1 and alike >= 0.5 and len(wanted) >= 5 and grams & have and measured["overlap_limit"][0] == 0.5:
        assert measured["overlap"][0] == round(alike, 4)
    else:
        assert measured["overlap"][0] == round(share, 4)
        assert share == 1 or alike < 0.5 or len(wanted) < 5 or not grams & have


SETS = ("grade-school-math/test.jsonl", "human-eval/HumanEval.jsonl.gz", "instruction_following_eval/input_data.jsonl")


@pytest.mark.skipif(not DATA.exists(), reason=f"public test data is not at {DATA}; set CURATION_TEST_DATA")
def test_published_sets_as_they_come(tmp_path):
    for name in (*SETS, "FastChat/mt_bench/question.jsonl"):
        path = DATA / name
        (tmp_path / path.name).write_bytes(path.read_bytes())
    items = decontaminate.load(tmp_path)
    kinds = pl.DataFrame([(i.where.split(":")[0], i.kind) for i in items], schema=["set", "kind"], orient="row")
    assert sorted(kinds.group_by("set", "kind").len().rows()) == [
        ("HumanEval.jsonl.gz", "answer", 164), ("HumanEval.jsonl.gz", "prompt", 164), ("input_data.jsonl", "prompt", 541),
        ("question.jsonl", "answer", 70), ("question.jsonl", "prompt", 160), ("test.jsonl", "answer", 1319), ("test.jsonl", "prompt", 1319),
    ]  # fmt: skip
    params = DecontaminateParams()
    items = [i for i in items if not i.where.startswith("question")]
    for demo in ("alpaca_en_demo", "alpaca_zh_demo"):
        rows = json.loads((DATA / f"LLaMA-Factory/{demo}.json").read_text(encoding="utf-8"))
        frame = pl.DataFrame(
            {
                "id": [str(n) for n in range(len(rows))],
                "prompt": [f"{r['instruction']}\n{r['input']}" for r in rows],
                "answer": [r["output"] for r in rows],
            }
        )
        assert len(decontaminate.contaminated(decontaminate.measure(frame, items, params), params)) == 0
