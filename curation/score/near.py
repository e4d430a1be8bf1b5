"""Near duplicates: pairs of rows whose sets of shingles are alike, by MinHash and locality-sensitive hashing.

Candidates come from MinHash bands (Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4), and each is
verified by the true Jaccard similarity of its shingle sets, so no pair is wrong; what banding misses stands in `banding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock, local
from typing import TYPE_CHECKING, Literal

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent
from curation.score import pairs

if TYPE_CHECKING:
    import numpy as np

_SLICE = 8192  # rows that are read and hashed together: bounds memory
_ROLES = {"conversation": ("user", "assistant", "tool"), "prompt": ("user",), "answer": ("assistant",)}


class NearParams(Params):
    """`params.yaml: score.near`."""

    ngram_words: int = Field(5, ge=1, le=64)  # units in a shingle that begins with a word
    ngram_chars: int = Field(5, ge=1, le=64)  # … with a character of a script written without spaces
    permutations: int = Field(128, ge=16, le=1024)
    floor: float = Field(0.5, ge=0.1, le=1)  # true Jaccard; pairs below are not written
    side: Literal["conversation", "prompt", "answer"] = "conversation"
    crowd: int = Field(512, ge=2)  # of a crowd that shares a band, each row meets this many
    seed: int = Field(0, ge=0)


def banding(permutations: int, floor: float) -> tuple[int, int]:
    """(bands, rows of a band): the longest bands that still find 98% of the pairs a tenth above the floor.

    A pair of similarity s shares a band with probability 1 - (1 - s^rows)^bands. For 128 and 0.5: 32 bands of 4 find 87%
    of pairs at 0.5, 98.8% at 0.6 and all but one in ten million at 0.8.
    """
    similarity = min(1.0, floor + 0.1)
    for rows in range(16, 1, -1):
        bands = permutations // rows
        if 1 - (1 - similarity**rows) ** bands >= 0.98:
            return bands, rows
    return permutations, 1


def compute(
    records: pl.DataFrame,
    params: NearParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`neighbours` and `against`: other content hashes and Jaccard similarities at or above the floor; `group`.

    The conversation is all turns but the system's, reasoning and tool calls included; a side is its turns without
    them. Text rows have no prompt. A row without a letter or digit is `no_units`, the other columns null.

    `group` is the smallest content hash among the rows with the same shingle set; how pairs among and with large groups are
    bounded stands in curation/score/pairs.py. `against` lists, for every row, those that stand for similar groups there.
    In a bucket of more than `crowd` groups with one band key, each meets only the first `crowd` by content hash.
    """
    import numpy as np

    own, other = _rows(records), _rows(against) if against is not None else None
    work = _digests([own] if other is None else [own, other], params, progress)
    n = len(own.hashes)
    here, there = pairs.Side(own.hashes, _first_of_group(work, 0, n)), None
    links, across = _links(work, here.leaders, n, False, params), None
    if other is not None:
        there = pairs.Side(other.hashes, _first_of_group(work, n, n + len(other.hashes)))
        across = _links(work, np.concatenate([here.leaders, there.leaders + n]), n, True, params)
        across = across.with_columns(pl.col("second") - n)
    reasons = pl.Series([None if count else "no_units" for count in work.count[:n]], dtype=pl.String)
    return pairs.sidecar(here, links, reasons, there, across)


@dataclass(frozen=True)
class _Rows:
    """Distinct rows of a corpus: content hashes in order, the records as they came, and the rank of each in that order."""

    hashes: pl.Series
    records: pl.DataFrame
    rank: np.ndarray


@dataclass(frozen=True)
class _Work:
    """Shingle sets and band keys, by index of row (first the rows of the corpus, then those it is held against)."""

    sets: np.ndarray
    start: np.ndarray
    count: np.ndarray
    identity: np.ndarray
    keys: np.ndarray


def _rows(records: pl.DataFrame) -> _Rows:
    import numpy as np

    # Not `distinct`: sorting frames of messages costs more than all the rest.
    records = records.select("content_hash", "kind", "messages", "text")
    distinct = records["content_hash"].is_first_distinct()
    if not distinct.all():
        records = records.filter(distinct)
    order = records["content_hash"].arg_sort().to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return _Rows(records["content_hash"].gather(order), records, rank)


def turns(records: pl.DataFrame, side: str) -> tuple[pl.Series, np.ndarray]:
    """All turns of a side one below the other, and where those of each row begin (one entry more than rows)."""
    import numpy as np

    turn = pl.element().struct
    said = turn.field("content").fill_null("")
    if side == "conversation":
        parts = [turn.field("reasoning"), said, turn.field("tool_calls")]  # as they are rendered
        said = pl.concat_str(parts, separator="\n", ignore_nulls=True)
    spoken = pl.col("messages").list.eval(said.filter(turn.field("role").is_in(_ROLES[side])))
    text = pl.concat_list(pl.col("text").fill_null("")) if side != "prompt" else pl.lit([], pl.List(pl.String))
    lists = records.select(pl.when(pl.col("kind") == "text").then(text).otherwise(spoken).alias("turns"))["turns"]
    begins = np.zeros(len(records) + 1, np.int64)
    np.cumsum(lists.list.len().fill_null(0).to_numpy(), out=begins[1:])
    return lists.list.explode(keep_nulls=False, empty_as_null=False), begins


def _digests(corpora: list[_Rows], params: NearParams, progress: Progress) -> _Work:
    import numpy as np

    from curation.models import threads
    from curation.score import shingles
    from curation.score.utf8 import buffers

    rows = sum(len(c.hashes) for c in corpora)
    bands, per_band = banding(params.permutations, params.floor)
    start, count = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    identity, keys, slow = np.zeros(rows, np.uint64), np.zeros((rows, bands), np.uint32), np.zeros(rows, np.bool_)
    entries = shingles.table()

    # Room for all sets at their largest; what is not written to takes no memory, and nothing is joined in the end.
    sets = np.empty(sum(_room(c.records) for c in corpora), np.uint64)
    taken, one_by_one, scratch = 0, Lock(), local()

    def hashed(part: pl.DataFrame, where: np.ndarray, folded: pl.Series | None = None) -> np.ndarray:
        nonlocal taken
        said, begins = turns(part, params.side)
        data, offsets = buffers(said if folded is None else folded)
        # A unit takes two bytes at least: itself and a separator or the end of its turn.
        room = (int(offsets[-1] - offsets[0]) + len(said)) // 2 + len(part)
        if len(getattr(scratch, "sets", ())) < room:
            scratch.sets = np.empty(room, np.uint64)
        used = shingles.digest(
            data, offsets, begins, where, folded is not None, entries, params.ngram_words, params.ngram_chars, params.seed,
            bands * per_band, scratch.sets, start, count, identity, keys, slow,
        )  # fmt: skip
        with one_by_one:
            if taken + used > len(sets):  # folded texts may have grown
                sets.resize(taken + used, refcheck=False)
            sets[taken : taken + used] = scratch.sets[:used]
            start[where] += taken
            taken += used
        return where

    def slices() -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        offset = 0
        for corpus in corpora:
            for at in range(0, len(corpus.records), _SLICE):
                yield corpus.records.slice(at, _SLICE), corpus.rank[at : at + _SLICE] + offset
            offset += len(corpus.hashes)

    done = 0
    with ThreadPoolExecutor(threads()) as pool:
        for where in pool.map(lambda s: hashed(*s), slices()):
            done += len(where)
            progress("near", done, rows)
    for part, where in slices():
        late = slow[where]
        if late.any():
            said = turns(part.filter(late), params.side)[0]
            hashed(part.filter(late), where[late], pl.Series([shingles.fold(t) for t in said], dtype=pl.String))
    return _Work(sets[:taken], start, count, identity, keys)


def _room(records: pl.DataFrame) -> int:
    """How many shingles the rows can have at most."""
    turn = records["messages"].list.explode(keep_nulls=False, empty_as_null=False).struct
    texts = [turn.field("content"), turn.field("reasoning"), turn.field("tool_calls"), records["text"]]
    return sum(int(t.str.len_bytes().sum()) for t in texts) // 2 + 2 * (len(texts[0]) + len(records))


def _first_of_group(work: _Work, low: int, high: int) -> np.ndarray:
    """For rows low to high (counted from 0): the first row with the same shingle set; -1 without shingles."""
    import numpy as np

    _, first, inverse = np.unique(work.identity[low:high], return_index=True, return_inverse=True)
    return np.where(work.count[low:high] > 0, first[inverse], -1)


def _links(work: _Work, rows: np.ndarray, own: int, across: bool, params: NearParams) -> pl.DataFrame:
    """Verified pairs among `rows` (indices, in order): `first` < `second`, `similarity`; each once, in no order.

    Band by band the keys are sorted, so rows that share one lie together and no table of buckets is kept.
    """
    import numpy as np

    from curation.models import threads
    from curation.score import shingles

    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    room = max(1 << 14, len(rows))

    def search(band: int, ordered: np.ndarray, low: int, high: int) -> None:
        state = np.array([low, 0, high], np.int64)
        while state[0] < high:
            first, second, similarity = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room)
            n = shingles.pairs(
                ordered, work.keys, band, own, across, params.crowd, work.sets, work.start, work.count, params.floor,
                state, first, second, similarity,
            )  # fmt: skip
            if n:
                found.append((first[:n].copy(), second[:n].copy(), np.round(similarity[:n], 4)))

    numbers = rows.astype(np.uint64)
    with ThreadPoolExecutor(threads()) as pool:
        for band, keys in enumerate(np.ascontiguousarray(work.keys[rows].T) & np.uint32(0xFFFFFFFE)):
            ordered = (keys.astype(np.uint64) << np.uint64(32)) | numbers
            ordered.sort()
            shingles.crowd(ordered, work.keys, band, own, across, params.crowd)
            jobs = [pool.submit(search, band, ordered, low, high) for low, high in pairwise(_cuts(ordered))]
            for job in jobs:
                job.result()
    columns = (
        [np.concatenate(part) for part in zip(*found, strict=True)]
        if found
        else [np.zeros(0, np.int32)] * 2 + [np.zeros(0)]
    )
    return pl.DataFrame(dict(zip(pairs.LINKS, columns, strict=True)), schema=pairs.LINKS)


def _cuts(ordered: np.ndarray) -> list[int]:
    """Positions that part the rows into pieces, none within a bucket."""
    import numpy as np

    shift = np.uint64(32)
    cuts = {0, len(ordered)}
    for at in range(1 << 13, len(ordered), 1 << 13):
        key = ordered[at] >> shift
        cuts.add(int(np.searchsorted(ordered, key << shift)))
    return sorted(cuts)
