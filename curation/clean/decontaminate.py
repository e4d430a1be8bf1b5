"""Overlap with evaluation sets, by script-aware n-grams of prompts and of long answers.

Units are Chinese characters, words and numbers, without case, width, punctuation or spaces. A test item with at least
`ngram` units is found when `share` of its n-grams stand in a row; a shorter one when all its units stand there in sequence.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from curation.clean.hits import hits
from curation.errors import DataError
from curation.params import Params

_UNIT = re.compile(r"[㐀-䶿一-鿿豈-﫿]|[^\W\d_㐀-鿿豈-﫿]+|\d+(?:\.\d+)?")
_PROMPT_KEYS = ("prompt", "question", "instruction", "text", "query")
_ANSWER_KEYS = ("answer", "response", "output", "canonical_solution", "completion", "solution")


class DecontaminateParams(Params):
    """`params.yaml: clean.decontaminate`."""

    ngram: int = Field(5, ge=2)  # units
    share: float = Field(0.5, gt=0, le=1)  # of a test item's n-grams
    min_units: int = Field(5, ge=1)  # shorter test prompts are not looked for: they would match by chance
    min_answer_units: int = Field(20, ge=1)  # shorter test answers are not looked for


@dataclass(frozen=True)
class Item:
    """One text of an evaluation set: where it stands and its units."""

    where: str
    units: tuple[str, ...]


def units(text: str) -> list[str]:
    """The units of a text; `Ｂ１ 你好!` gives `b`, `1`, `你`, `好`."""
    return _UNIT.findall(unicodedata.normalize("NFKC", text).casefold())


def load(folder: Path) -> list[Item]:
    """Prompts and answers of every .jsonl (or .jsonl.gz) file of an evaluation folder; raises DataError for a broken line."""
    items: list[Item] = []
    for path in sorted([*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.gz")]):
        for number, line in enumerate(_lines(path), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: not JSON ({error}); mend or delete the line.") from None
            for kind, text in _texts(value):
                items.append(Item(f"{path.name}:{number} {kind}", tuple(units(text))))
    return items


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".gz":
        import gzip

        with gzip.open(path, "rt", encoding="utf-8") as stream:
            yield from stream
    else:
        yield from path.read_text(encoding="utf-8").splitlines()


def _texts(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, keys in (("prompt", _PROMPT_KEYS), ("answer", _ANSWER_KEYS)):
        for key in keys:
            if isinstance(value.get(key), str):
                yield kind, value[key]
    for turn in value.get("turns") or ():
        if isinstance(turn, str):
            yield "prompt", turn
    for turn in value.get("messages") or ():
        if (
            isinstance(turn, dict)
            and isinstance(turn.get("content"), str)
            and turn.get("role") in ("user", "assistant")
        ):
            yield "prompt" if turn["role"] == "user" else "answer", turn["content"]


def measure(frame: pl.DataFrame, items: list[Item], params: DecontaminateParams) -> pl.DataFrame:
    """`frame` with `overlap` (greatest share of a test item found in the row) and `overlap_with` (where, and the span)."""
    index: dict[tuple[str, ...], list[int]] = defaultdict(list)
    wanted: list[int] = []
    n = params.ngram
    for number, item in enumerate(items):
        least = params.min_answer_units if item.where.endswith("answer") else params.min_units
        size = len(item.units)
        if size < least:
            wanted.append(0)
            continue
        width = min(n, size)
        grams = {item.units[i : i + width] for i in range(size - width + 1)}
        wanted.append(len(grams))
        for gram in grams:
            index[gram].append(number)
    widths = sorted({len(gram) for gram in index})
    found: list[tuple[float, str | None]] = []
    for prompt, answer in frame.select("prompt", "answer").iter_rows():
        best: tuple[float, int, str] = (0.0, -1, "")
        for text in (prompt, answer):
            row_units = tuple(units(text or ""))
            counts: dict[int, set[int]] = defaultdict(set)
            for width in widths:
                for i in range(len(row_units) - width + 1):
                    gram = row_units[i : i + width]
                    if gram in index:
                        for number in index[gram]:
                            counts[number].add(hash(gram))
            for number, grams_found in counts.items():
                share = len(grams_found) / wanted[number]
                if share > best[0] or (share == best[0] and 0 <= number < best[1]):
                    best = (share, number, _span(row_units, items[number].units, n))
        found.append((round(best[0], 4), f"{items[best[1]].where}: {best[2]}" if best[1] >= 0 else None))
    overlap = pl.Series("overlap", [f[0] for f in found], dtype=pl.Float64)
    return frame.with_columns(overlap, pl.Series("overlap_with", [f[1] for f in found], dtype=pl.String))


def _span(row: tuple[str, ...], item: tuple[str, ...], n: int) -> str:
    """The longest run of units that both share, shortened for the ledger."""
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    width = min(n, len(item))
    for i in range(len(row) - width + 1):
        places[row[i : i + width]].append(i)
    best = (0, 0)
    for j in range(len(item) - width + 1):
        for i in places.get(item[j : j + width], ()):
            length = width
            while i + length < len(row) and j + length < len(item) and row[i + length] == item[j + length]:
                length += 1
            best = max(best, (length, -i))
    shown = row[-best[1] : -best[1] + min(best[0], 24)]
    text = " ".join(shown)
    text = re.sub(r"(?<=[㐀-鿿]) (?=[㐀-鿿])", "", text)
    return f"“{text}{'…' if best[0] > 24 else ''}” ({best[0]} units)"


def contaminated(frame: pl.DataFrame, params: DecontaminateParams) -> pl.DataFrame:
    """The row holds a test item: a score on that item would measure memory."""
    hit = pl.col("overlap") >= params.share
    return hits(frame, hit, value=pl.col("overlap"), limit=params.share, detail=pl.col("overlap_with"))
