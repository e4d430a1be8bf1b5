from pathlib import Path

import polars as pl
import pytest

from curation import records
from curation.errors import DataError


def chat(*turns, **other):
    messages = [records.message(role, content) for role, content in turns]
    row = {"id": "a", "kind": "chat", "messages": messages, "tags": [], "parents": []} | other
    return row | {"content_hash": records.content_hash(messages, None, row.get("tools"))}


def test_content_hash_changes_with_content_and_not_with_weights():
    one = [records.message("user", "你好"), records.message("assistant", "hi", loss_weight=0.0)]
    two = [records.message("user", "你好"), records.message("assistant", "hi", loss_weight=1.0)]
    other = [records.message("user", "您好"), records.message("assistant", "hi")]
    assert records.content_hash(one, None, None) == records.content_hash(two, None, None)
    assert records.content_hash(one, None, None) != records.content_hash(other, None, None)
    assert records.content_hash(one, None, "[]") != records.content_hash(one, None, None)


def test_sides_join_turns_and_take_the_last():
    rows = records.frame(
        [
            chat(("system", "s"), ("user", "问一"), ("assistant", "a1"), ("user", "q2"), ("assistant", "答二")),
            {"id": "b", "kind": "text", "text": "plain", "tags": [], "parents": []},
        ]
    )
    got = records.sides(rows).select("system", "prompt", "last_prompt", "answer", "last_answer").rows()
    assert got == [("s", "问一\nq2", "q2", "a1\n答二", "答二"), ("", "", "", "plain", "plain")]


def test_same_rows_write_the_same_bytes_whatever_their_order_and_chunks(tmp_path: Path):
    rows = records.frame(
        [
            chat(
                ("user", str(i)),
                ("assistant", "x"),
            ),
        ][0]
        | {"id": f"r{i}"}
        for i in range(50)
    )
    records.write(rows, tmp_path / "a.parquet", "id")
    chunked = pl.concat([rows.tail(20), rows.head(30)], rechunk=False)
    records.write(chunked, tmp_path / "b.parquet", "id")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_missing_and_a_damaged_file_each_get_one_line(tmp_path: Path):
    with pytest.raises(DataError, match=r"none\.parquet: no such file; run the stage that makes it"):
        records.read(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(
        DataError, match=r"bad\.parquet: not a readable parquet file .*; delete it and run `dvc repro` again\."
    ):
        records.read(tmp_path / "bad.parquet")
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "short.parquet")
    with pytest.raises(DataError, match=r"lacks the columns content_hash"):
        records.read(tmp_path / "short.parquet", {"id": pl.String, "content_hash": pl.String})
