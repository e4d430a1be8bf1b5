"""Evaluation sets in any layout → the texts that must not be trained on.

JSON Lines, JSON, CSV, TSV and Parquet, plain or packed (.gz, .zst), with fields of any nesting: what a text is follows from the
name of its field. GSM8K (`question`, `answer`), HumanEval (`prompt`, `canonical_solution`), IFEval (`prompt`), MT-Bench
(`turns`, `choices`) and tables without a header (the first column asks) are read as they come.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from curation.errors import DataError

PROMPTS = frozenset(
    "prompt prompts question questions instruction instructions input inputs query text problem problem_statement turns turn goal ctx "
    "context passage article story stem sentence premise hypothesis user human 问题 题目 题干 指令 输入".split()
)
ANSWERS = frozenset(
    "answer answers response responses output outputs canonical_solution completion completions solution solutions target targets "
    "choices options endings best_answer correct_answer reference references assistant gpt 答案 回答 输出 解析".split()
)
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": ",", ".tsv": "\t", ".parquet": "parquet"}
_ACCEPTED = ".jsonl, .json, .csv, .tsv, .parquet, also as .gz or .zst"
_SPEAKERS = {"user": "prompt", "human": "prompt", "assistant": "answer", "gpt": "answer"}


def texts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(where, `prompt` or `answer`, text) of every evaluation set in a folder; other files (.yaml, .md) are passed over.

    Raises DataError for what cannot be read and for a set without a text: a set that is not looked for is a leak.
    """
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.name.removesuffix(".gz").removesuffix(".zst")
        form = _ENDINGS.get(Path(name).suffix.lower())
        if form is None:
            continue
        found = False
        for number, value in _records(path, form):
            for kind, text in walk(value):
                found = True
                yield f"{path.name}:{number} {kind}", kind, text
        if not found and path.stat().st_size > 1:
            raise DataError(
                f"{path}: no test item in it; fields that are read: {', '.join(sorted(PROMPTS | ANSWERS))}. "
                "Rename a field, or move the file out of the evaluation folder."
            )


def walk(value: Any, kind: str | None = None) -> Iterator[tuple[str, str]]:
    """(`prompt` or `answer`, text) of a record, in the order of its fields."""
    if isinstance(value, str):
        if kind and value.strip():
            yield kind, value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from walk(item, kind)
    elif isinstance(value, dict):
        speaker = value.get("role", value.get("from"))
        if isinstance(speaker, str) and ("content" in value or "value" in value):
            yield from walk(value.get("content", value.get("value")), _SPEAKERS.get(speaker))
            return
        for key, item in value.items():
            name = str(key).strip().lower()
            if name in ANSWERS or (kind == "answer" and name in PROMPTS):
                yield from walk(item, "answer")
            elif name in PROMPTS:
                yield from walk(item, "prompt")
            elif isinstance(item, (dict, list)):
                yield from walk(item)


def _records(path: Path, form: str) -> Iterator[tuple[int, Any]]:
    """Number (of the line, or of the record) and value of each record."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:4] == b"\x28\xb5\x2f\xfd":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        if form == "parquet":
            yield from enumerate(pl.read_parquet(io.BytesIO(data)).iter_rows(named=True), 1)
            return
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zstandard.ZstdError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read ({reason}); accepted: UTF-8, {_ACCEPTED}.") from None
    if form in (",", "\t"):
        yield from _table(text, form)
    elif form == "json":
        value = _parsed(text, f"{path}")
        values = value if isinstance(value, list) else [value]
        yield from enumerate(values, 1)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield number, _parsed(line, f"{path}:{number}")


def _parsed(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        try:
            return json.loads(text)  # NaN, big numbers and lone surrogates are none of our business
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); mend or delete the line.") from None


def _table(text: str, separator: str) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(1 << 30)
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    header: list[str] | None = None
    for number, row in enumerate(rows, 1):
        if number == 1 and {cell.strip().lower() for cell in row} & (PROMPTS | ANSWERS):
            header = row
        elif header:
            yield number, dict(zip(header, row, strict=False))
        elif row:
            yield number, {"prompt": row[0]}
