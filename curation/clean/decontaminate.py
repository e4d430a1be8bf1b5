"""Overlap of rows with evaluation sets: script-aware n-grams, and alignment where words were exchanged.

Units are Chinese characters, words and numbers, without case, width, punctuation or spaces (curation/score/characters.py). A
test item is found where `share` of its n-grams stand in a row's prompt, answer or rest (system prompt, reasoning, tools, calls and
their answers; all its units in sequence, when it has fewer than `ngram`), or where some stretch of the text becomes the item
by edits to less than 1 - `alike` of its units.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from pydantic import Field

from curation.clean import evaluation_sets
from curation.clean.hits import hits
from curation.params import Params

if TYPE_CHECKING:
    import numpy as np

_SLICE = 8192  # rows that are read together: bounds memory
_SEED = 3  # units in a row that an aligned item must share; ten words of which one is exchanged share four
_COMMON = 256  # an n-gram of more items is their template's, and tells none of them from the others
_SHOWN = 24  # units of a span in the ledger
SIDES = ("prompt", "answer", "rest")


class DecontaminateParams(Params):
    """`params.yaml: clean.decontaminate`."""

    ngram: int = Field(5, ge=2)  # units
    share: float = Field(0.5, gt=0, le=1)  # of a test item's n-grams
    alike: float = Field(0.8, gt=0, le=1)  # of a test item's units, in order, others between them counted against it
    min_units: int = Field(5, ge=1)  # shorter test prompts are not looked for: they would match by chance
    min_alike_units: int = Field(8, ge=5)  # shorter test items are not aligned
    min_answer_units: int = Field(20, ge=1)  # shorter test answers are not looked for


@dataclass(frozen=True)
class Item:
    """One text of an evaluation set: where it stands, whether it is a prompt or an answer, and what it says."""

    where: str
    kind: str
    text: str


def load(folder: Path) -> list[Item]:
    """The texts of all evaluation sets of a folder; raises DataError for one that cannot be read."""
    return [Item(*found) for found in evaluation_sets.texts(folder)]


@dataclass(frozen=True)
class _Units:
    """Units of many texts: hash, first and last byte in `data`; text r has units `first[r]` to `first[r + 1]`."""

    hashes: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    first: np.ndarray
    data: np.ndarray

    def excerpt(self, begin: int, end: int) -> str:
        """The text from one unit to before another, in one line, shortened."""
        last = min(end, begin + _SHOWN)
        text = self.data[self.begins[begin] : self.ends[last - 1]].tobytes().decode("utf-8", "replace")
        return f"“{' '.join(text.split())}{'…' if end > last else ''}”"


def _units(texts: pl.Series) -> _Units:
    import numpy as np

    from curation.clean import overlap
    from curation.score import characters
    from curation.score.utf8 import buffers

    texts = texts.fill_null("")
    slow = np.zeros(len(texts), np.bool_)
    for folded in (False, True):
        data, offsets = buffers(texts)
        room = int(offsets[-1] - offsets[0]) + 1
        hashes, first = np.empty(room, np.uint64), np.empty(len(texts) + 1, np.int64)
        begins, ends = np.empty(room, np.int64), np.empty(room, np.int64)
        overlap.units(data, offsets, characters.table(), folded, hashes, begins, ends, first, slow)
        if folded or not slow.any():
            break
        # What needs the whole string is folded, and all is read again: such slices are rare.
        late = slow.tolist()
        texts = pl.Series([characters.fold(t) if s else t for t, s in zip(texts, late, strict=True)], dtype=pl.String)
    return _Units(hashes[: first[-1]], begins, ends, first, data)


@dataclass(frozen=True)
class _Index:
    """N-grams of test items → items, in the form that `overlap.search` reads. `items` are numbers into the list of items."""

    width: int
    widths: np.ndarray  # of items shorter than `width`
    keys: np.ndarray
    postings: np.ndarray
    posted: np.ndarray
    bloom: np.ndarray
    distinct: np.ndarray
    least: np.ndarray


def _index(units: _Units, wanted: np.ndarray, width: int, edits: np.ndarray) -> _Index:
    """Of the items that are `wanted`. `edits`: how many units of each may differ.

    N-grams of more than _COMMON items are passed over, in items that have `width` others.
    """
    import numpy as np

    sizes = np.diff(units.first)
    widths = np.unique(sizes[wanted & (sizes < width)])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    of_width = np.where(sizes < width, sizes, width)
    parts = []
    for each in (width, *widths.tolist()):
        grams = _grams(units, each)
        mine = wanted[owner] & (of_width[owner] == each) & (grams != 0)
        parts.append(pl.DataFrame({"gram": grams[mine], "item": owner[mine]}))
    pairs = pl.concat(parts).unique().with_columns((pl.len().over("gram") > _COMMON).alias("common"))
    rare = (~pl.col("common")).sum().over("item") >= width
    pairs = pairs.filter(~(pl.col("common") & rare)).sort("gram", "item")
    grams, items = pairs["gram"].to_numpy(), pairs["item"].to_numpy()
    keys, begins = np.unique(grams, return_index=True)
    distinct = np.bincount(items, minlength=len(sizes)).astype(np.int64)
    bloom = np.zeros(1 << max(10, len(keys).bit_length() - 2), np.uint64)  # some 16 bits an n-gram
    bits = keys & np.uint64(len(bloom) * 64 - 1)
    np.bitwise_or.at(bloom, bits >> np.uint64(6), np.uint64(1) << (bits & np.uint64(63)))
    least = np.maximum(1, distinct - width * edits)
    return _Index(width, widths, keys, np.append(begins, len(items)), items, bloom, distinct, least)


def _grams(units: _Units, width: int) -> np.ndarray:
    import numpy as np

    from curation.clean import overlap

    out = np.zeros(len(units.hashes), np.uint64)
    overlap.grams(units.hashes, units.first, width, out)
    return out


def measure(frame: pl.DataFrame, items: list[Item], params: DecontaminateParams) -> pl.DataFrame:
    """`frame` with `overlap`, `overlap_limit` and, where it reaches it, `overlap_with` (where, and the matching span).

    `overlap` is the greatest share of a test item's n-grams in the row or, where only that is enough, how alike they are.
    """
    import numpy as np

    from curation.models import threads

    if not items:
        nothing = pl.lit(0.0).alias("overlap"), pl.lit(params.share).alias("overlap_limit")
        return frame.with_columns(*nothing, pl.lit(None, pl.String).alias("overlap_with"))
    tests = _units(pl.Series([item.text for item in items], dtype=pl.String))
    sizes = np.diff(tests.first)
    short = np.array([params.min_answer_units if i.kind == "answer" else params.min_units for i in items], np.int64)
    wanted = sizes >= np.maximum(1, short)
    wanted &= _first_of_its_kind(tests, wanted)
    edits = np.floor((1 - params.alike) * sizes + 1e-9).astype(np.int64)
    whole = _index(tests, wanted, params.ngram, edits)
    aligned = _index(tests, wanted & (sizes >= params.min_alike_units), _SEED, edits)

    def judged(at: int, side: str) -> list[pl.DataFrame]:
        units = _units(_text(frame[at : at + _SLICE], side))
        share = _search(units, tests, whole).with_columns(limit=pl.lit(params.share))
        done = (share["value"] >= params.share).to_numpy()
        alike = _search(units, tests, aligned, done).with_columns(limit=pl.lit(params.alike))
        # How alike says something only where it is enough: two texts of one language are always somewhat alike.
        kinds = [share.with_columns(aligned=0), alike.with_columns(aligned=1).filter(pl.col("value") >= params.alike)]
        return [k.with_columns(pl.col("row") + at, side=pl.lit(SIDES.index(side))) for k in kinds]

    jobs = [(at, side) for at in range(0, max(1, len(frame)), _SLICE) for side in SIDES]
    with ThreadPoolExecutor(threads()) as pool:
        found = pl.concat([part for parts in pool.map(lambda job: judged(*job), jobs) for part in parts])
    best = (
        found.with_columns(reached=pl.col("value") >= pl.col("limit"))
        .sort("row", pl.col("reached").not_(), "aligned", -pl.col("value"), "item", "side")
        .unique("row", keep="first", maintain_order=True)
    )
    spans = pl.Series("overlap_with", [None] * len(frame), dtype=pl.String).to_list()
    for number, side in enumerate(SIDES):
        hit = best.filter(pl.col("reached") & (pl.col("side") == number))
        units = _units(_text(frame[hit["row"]], side))
        for nth, (row, item, by) in enumerate(hit.select("row", "item", "aligned").iter_rows()):
            spans[row] = f"{items[item].where}: {_span(units, nth, tests, item, bool(by))}"
    return frame.with_columns(
        best["value"].alias("overlap"),
        best["limit"].alias("overlap_limit"),
        pl.Series("overlap_with", spans, dtype=pl.String),
    )


def _search(units: _Units, tests: _Units, index: _Index, done: np.ndarray | None = None) -> pl.DataFrame:
    """`row`, `value` (share of n-grams; with `done`, how alike, of the rows that are not) and `item` (-1: none)."""
    import numpy as np

    from curation.clean import overlap

    rows = len(units.first) - 1
    value, of = np.zeros(rows), np.full(rows, -1, np.int64)
    short = np.zeros((len(index.widths), len(units.hashes)), np.uint64)
    for number, width in enumerate(index.widths.tolist()):
        short[number] = _grams(units, width)
    overlap.search(
        units.hashes, units.first, _grams(units, index.width), short, index.widths,
        index.keys, index.postings, index.posted, index.bloom, tests.hashes, tests.first, index.distinct, index.least,
        done is not None, np.zeros(rows, np.bool_) if done is None else done, value, of,
    )  # fmt: skip
    return pl.DataFrame({"row": np.arange(rows), "value": value.round(4), "item": of})


def _text(frame: pl.DataFrame, side: str) -> pl.Series:
    """The prompt, the answer, or the rest of what is rendered of each row; a frame without `messages` has no rest."""
    if side != "rest":
        return frame[side]
    if "messages" not in frame.columns:
        return pl.Series([None] * len(frame), dtype=pl.String)
    role, content = pl.element().struct.field("role"), pl.element().struct.field("content")
    given = pl.when(~role.is_in(["user", "assistant", "tool"])).then(content)
    json = pl.element().struct.field("tool_calls"), pl.when(role == "tool").then(content)
    said = pl.element().struct.field("reasoning"), given, *(j.map_elements(_said, pl.String) for j in json)
    turns = pl.col("messages").list.eval(pl.concat_str(said, separator="\n", ignore_nulls=True)).list.join("\n")
    tools = pl.col("tools").map_elements(_said, pl.String)
    return frame.select(pl.concat_str(turns, tools, separator="\n", ignore_nulls=True))[:, 0]


def _said(text: str) -> str:
    """What JSON says, without its escapes: values one below the other, JSON inside strings as well; other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return "\n".join(_values(orjson.loads(text)))
    except (orjson.JSONDecodeError, RecursionError):
        return text


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item)
    else:
        yield _said(value) if isinstance(value, str) else str(value)


def _first_of_its_kind(tests: _Units, wanted: np.ndarray) -> np.ndarray:
    """False for a test item whose units are those of an earlier one that is wanted."""
    import numpy as np

    seen: set[bytes] = set()
    first = np.ones(len(tests.first) - 1, np.bool_)
    for number in np.flatnonzero(wanted).tolist():
        own = tests.hashes[tests.first[number] : tests.first[number + 1]].tobytes()
        first[number] = own not in seen
        seen.add(own)
    return first


def _span(rows: _Units, row: int, tests: _Units, item: int, aligned: bool) -> str:
    """What of the row is the item: the longest run that both share, or the stretch that is aligned with it."""
    from curation.clean import overlap

    wanted = tests.hashes[tests.first[item] : tests.first[item + 1]]
    first, last = rows.first[row], rows.first[row + 1]
    if aligned:
        begin, end, edits = overlap.stretch(rows.hashes[first:last], wanted)
        return f"{rows.excerpt(first + begin, first + end)} ({len(wanted)} units, {edits} of them changed)"
    begin, length = overlap.longest_run(rows.hashes[first:last], wanted)
    return f"{rows.excerpt(first + begin, first + begin + length)} ({length} units)"


def contaminated(frame: pl.DataFrame, params: DecontaminateParams) -> pl.DataFrame:
    """The row holds a test item: a score on that item would measure memory."""
    hit = pl.col("overlap") >= pl.col("overlap_limit")
    return hits(frame, hit, value=pl.col("overlap"), limit=pl.col("overlap_limit"), detail=pl.col("overlap_with"))
