"""Evaluation sets in any layout → the texts that must not be trained on.

JSON Lines, JSON, CSV, TSV and Parquet, plain or packed (.gz, .zst), by the readers of curation/ingest; fields of any nesting: what a
text is follows from the name of its field. GSM8K (`question`, `answer`), HumanEval (`prompt`, `canonical_solution`), IFEval
(`prompt`), MT-Bench (`turns`, `choices`) and tables without a header (the first column asks) are read as they come.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from curation.errors import DataError
from curation.ingest import json_text, raw, tables
from curation.ingest.packed import unpacked

PROMPTS = frozenset(
    "prompt prompts question questions instruction instructions input inputs query text problem problem_statement turns turn goal ctx "
    "context passage article story stem sentence premise hypothesis user human 问题 题目 题干 指令 输入".split()
)
ANSWERS = frozenset(
    "answer answers response responses output outputs canonical_solution completion completions solution solutions target targets "
    "choices options endings best_answer correct_answer reference references assistant gpt 答案 回答 输出 解析".split()
)
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": ",", ".tsv": "\t", ".parquet": "parquet"}
_ACCEPTED = ".jsonl, .ndjson, .json, .csv, .tsv, .parquet, also as .gz or .zst"
_BESIDE = (".yaml", ".yml", ".md", ".dvc")  # files that stand beside sets
_SPEAKERS = {"user": "prompt", "human": "prompt", "assistant": "answer", "gpt": "answer"}
_OTHERS = ("system", "developer", "tool", "function", "observation", "function_call")
_WORDS = 5  # a text of fewer says nothing by itself


def texts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(where, `prompt` or `answer`, text) of every evaluation set in a folder.

    Descriptions (.yaml, .yml, .md, .dvc) and files whose names begin with `_` or `.` are passed over. Raises DataError for any
    other ending, for what cannot be read, and for a set or a record without a text: one that is not looked for is a leak.
    """
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        ending = Path(path.name.lower().removesuffix(".gz").removesuffix(".zst")).suffix
        if path.name.startswith(("_", ".")) or ending in _BESIDE:
            continue
        if ending not in _ENDINGS:
            raise DataError(
                f"{path}: no evaluation set by its ending; accepted: {_ACCEPTED}, and {', '.join(_BESIDE)} beside them. "
                "Rename the file, or move it out of the evaluation folder."
            )
        found = False
        for number, value in _records(path, _ENDINGS[ending]):
            items = list(walk(value))
            _check(f"{path}:{number}", value, items)
            for kind, text in items:
                found = True
                yield f"{path.name}:{number} {kind}", kind, text
        if not found and path.stat().st_size > 1:
            raise DataError(f"{path}: {_nothing()}")


def _nothing() -> str:
    known = ", ".join(sorted(PROMPTS | ANSWERS))
    return f"no test item in it; fields that are read: {known}. Rename a field, or move the file out of the evaluation folder."


def _check(where: str, value: Any, items: list[tuple[str, str]]) -> None:
    """Refuse a record of which nothing is read, or a short answer or an answer beside unread prose."""
    if not items:
        raise DataError(f"{where}: {_nothing()}")
    if any(kind == "prompt" for kind, _ in items):
        return
    read = {text for _, text in items}
    unread = [f"`{key}`" for key, text in _strings(value) if text not in read and _prose(text)]
    if unread or not any(_prose(text) for text in read):
        beside = f" beside {', '.join(dict.fromkeys(unread))}, which is not read" if unread else ""
        raise DataError(
            f"{where}: answers only{beside}; names of fields that ask: {', '.join(sorted(PROMPTS))}. Rename a field."
        )


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item, key)


def _prose(text: str) -> bool:
    """Whether there are at least five words or Chinese characters."""
    chinese = len(re.findall("[㐀-鿿]", text))
    return chinese + sum(bool(re.search(r"[^\W\d_㐀-鿿]", word)) for word in text.split()) >= _WORDS


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
            speaker = speaker.strip().lower()
            if speaker in _SPEAKERS or speaker in _OTHERS:
                yield from walk(value.get("content", value.get("value")), _SPEAKERS.get(speaker))
                return
            # Whoever it is: a turn of another speaker, or a record whose `from` says where it comes from.
            yield from walk(value.get("content", value.get("value")), "prompt")
        for key, item in value.items():
            name = str(key).strip().lower()
            if name in ANSWERS or (kind == "answer" and name in PROMPTS):
                yield from walk(item, "answer")
            elif name in PROMPTS:
                yield from walk(item, "prompt")
            elif isinstance(item, (dict, list)):
                yield from walk(item)


def _records(path: Path, form: str) -> Iterator[tuple[int, Any]]:
    """Line (in Parquet, number) and value of each record."""
    name = str(path)
    if form == "parquet":
        yield from ((record.line, record.value) for record in tables.parquet(path, name))
        return
    with unpacked(path, name) as packed:
        data = packed.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read ({error}); accepted: UTF-8, {_ACCEPTED}.") from None
    stream = io.StringIO(text, newline="" if form in (",", "\t") else "\n")
    if form in (",", "\t"):
        yield from _table(stream, name, form)
    elif form == "json" and raw.detect(raw.head(io.StringIO(text))) != "jsonl":
        yield from _whole(json_text.array(stream, name))
    else:
        yield from _whole(json_text.lines(stream, name))


def _whole(records: Iterable[raw.RawRecord]) -> Iterator[tuple[int, Any]]:
    """Line and value; raises DataError for the first record that is broken."""
    for record in records:
        value = record.value
        if record.reason == "broken_json":
            try:
                value = json.loads(record.raw)  # NaN, big numbers and lone surrogates are none of our business
            except (ValueError, RecursionError):
                raise DataError(
                    f"{record.file}:{record.line}: not JSON ({record.detail}); mend or delete the line."
                ) from None
        elif record.reason:
            raise DataError(f"{record.file}:{record.line}: broken table ({record.detail}); mend or delete the line.")
        yield record.line, value


def _table(stream: io.StringIO, name: str, separator: str) -> Iterator[tuple[int, Any]]:
    """Rows by the names of the header or, where it names no field that is read, by the first column, which asks."""
    try:
        first = next((row for row in csv.reader(stream, delimiter=separator, strict=True) if any(row)), [])
    except csv.Error:
        first = []
    stream.seek(0)
    header = [cell.strip().lower() for cell in first]
    if not first or set(header) & (PROMPTS | ANSWERS):
        if twice := sorted({cell for cell in header if cell in PROMPTS | ANSWERS and header.count(cell) > 1}):
            raise DataError(f"{name}: the header names `{twice[0]}` twice, and one would be lost; rename a column.")
        yield from _whole(tables.separated(stream, name, separator))
        return
    names = separator.join(["prompt", *(str(n) for n in range(2, len(first) + 1))])
    headed = io.StringIO(f"{names}\n{stream.read()}", newline="")
    rows = [(line - 1, value) for line, value in _whole(tables.separated(headed, name, separator))]
    if not any(_prose(value["prompt"]) for _, value in rows):
        raise DataError(
            f"{name}: no header with a known field, and no prose in the first column; names of fields that ask: "
            f"{', '.join(sorted(PROMPTS))}. Name the columns in the first line."
        )
    yield from rows
