"""Semantic duplicates: pairs of rows whose prompts and whose answers mean nearly the same, by sentence embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
from pydantic import Field

from curation.errors import DataError
from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides
from curation.score import pairs
from curation.score.order import moved

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 1024  # rows held against all the others at once
_SLACK = 1e-3  # searched in float32 with this much to spare, decided in float64


class SemanticParams(Params):
    """`params.yaml: score.semantic`."""

    floor: float = Field(0.8, gt=0, le=1)  # the smaller of the two cosines; pairs below are not written
    crowd: int = Field(512, ge=2)  # a row is paired with this many of the rows before it, most alike first
    exact_rows: int = Field(100_000, ge=0)  # more rows than this are searched approximately
    seed: int = Field(0, ge=0)  # of the cells of the approximate search
    moved: float = Field(
        1.0, ge=0, le=1
    )  # of the common words, the share that may stand in another order; 1: not looked at


def compute(
    records: pl.DataFrame,
    params: SemanticParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
    embeddings: pl.DataFrame,
    against_embeddings: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """`neighbours` and `against`: other content hashes and similarities at or above the floor; `group`: see pairs.py.

    Similarity is the smaller of the cosine of prompts and the cosine of answers; for text rows that of the texts. Chat and
    text rows never pair. `embeddings` and `against_embeddings` are sidecars of the signal `embedding`, nothing is encoded
    here. Rows without one have its reason, chat rows without a side `no_prompt` or `no_answer`; their other columns are null.

    A pair whose prompts or answers share their words but not their order (order.py, more than `moved`) is not written: encoders
    take "A beat B" and "B beat A" for one.

    Up to `exact_rows` rows are compared each with each. Beyond, both vectors together are searched in an inverted file
    (faiss IndexIVFFlat, 4√n cells, the 32 nearest visited), which may miss pairs near the floor. `group` is the smallest
    content hash among rows with equal vectors.

    Raises DataError when embeddings are missing for a row, or differ in dimension between the corpora.
    """
    import numpy as np

    if against is not None and against_embeddings is None:
        raise DataError(
            "signal semantic: rows to differ from, but no embeddings of them; compute the signal embedding of them first."
        )
    own = _joined(records, embeddings)
    other = _joined(against, against_embeddings) if against is not None and against_embeddings is not None else None
    texts = [dict(_texts(f)) if f is not None and params.moved < 1 else {} for f in (records, against)]
    hashes = [f["content_hash"].to_list() if f is not None else [] for f in (own, other)]

    def in_order(links: pl.DataFrame, there: int) -> pl.DataFrame:
        if params.moved == 1:
            return links
        pairs_ = zip(links["first"], links["second"], strict=True)
        said = ((texts[0][hashes[0][i]], texts[there][hashes[there][j]]) for i, j in pairs_)
        return links.filter([max(map(moved, *both)) <= params.moved for both in said])

    found: dict[str, list[pl.DataFrame]] = {"links": [], "across": []}
    first = np.full(len(own), -1, np.int64)
    first_there = np.full(0 if other is None else len(other), -1, np.int64)
    for kind in ("chat", "text"):
        rows, vectors = _vectors(own, kind)
        leaders = _group(rows, vectors, first)
        mine = [side[leaders] for side in vectors]
        found["links"].append(
            in_order(_named(_search(mine, mine, True, params, progress), rows[leaders], rows[leaders]), 0)
        )
        if other is not None:
            rows_there, vectors_there = _vectors(other, kind)
            leaders_there = _group(rows_there, vectors_there, first_there)
            theirs = [side[leaders_there] for side in vectors_there]
            if len(mine[0]) and len(theirs[0]) and mine[0].shape[1] != theirs[0].shape[1]:
                raise DataError(
                    f"signal semantic: embeddings of {mine[0].shape[1]} and of {theirs[0].shape[1]} dimensions; "
                    "compute the signal embedding of both corpora with one model (score.embedding.model)."
                )
            links = _search(mine, theirs, False, params, progress)
            found["across"].append(in_order(_named(links, rows[leaders], rows_there[leaders_there]), 1))
    here = pairs.Side(own["content_hash"], first)
    links = pl.concat(found["links"])
    if other is None:
        return pairs.sidecar(here, links, own["reason"])
    return pairs.sidecar(
        here, links, own["reason"], pairs.Side(other["content_hash"], first_there), pl.concat(found["across"])
    )


def _joined(records: pl.DataFrame, embeddings: pl.DataFrame) -> pl.DataFrame:
    """Distinct rows in order: `content_hash`, `kind`, `prompt`, `answer` (vectors), `reason`."""
    rows = records.select("content_hash", "kind").unique("content_hash", keep="any").sort("content_hash")
    rows = rows.join(
        embeddings.with_columns(pl.lit(True).alias("known")), on="content_hash", how="left", maintain_order="left"
    )
    unknown = rows.filter(pl.col("known").is_null())
    if len(unknown):
        raise DataError(
            f"signal semantic: no embedding for {len(unknown)} of {len(rows)} rows, first {unknown['content_hash'][0]}; "
            "compute the signal embedding of these records first."
        )
    no_prompt = (pl.col("kind") == "chat") & pl.col("prompt").is_null()
    missing = pl.when(pl.col("answer").is_null()).then(pl.lit("no_answer")).when(no_prompt).then(pl.lit("no_prompt"))
    return rows.with_columns(pl.coalesce("not_applicable", missing).alias("reason"))


def _texts(records: pl.DataFrame) -> Iterator[tuple[str, tuple[str, str]]]:
    """Content hash, (prompt, answer)."""
    for hash_, prompt, answer in sides(records).select("content_hash", "prompt", "answer").iter_rows():
        yield hash_, (prompt or "", answer or "")


def _vectors(rows: pl.DataFrame, kind: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Numbers of the rows of a kind that have vectors, and these (float32, one array a side)."""
    import numpy as np

    some = rows.with_row_index("row").filter(pl.col("reason").is_null() & (pl.col("kind") == kind))
    names = ("prompt", "answer") if kind == "chat" else ("answer",)
    width = len(some["answer"][0]) if len(some) else 0
    sides = [
        some[name].explode().to_numpy().reshape(-1, width) if width else np.zeros((0, 0), np.float32) for name in names
    ]
    return some["row"].to_numpy().astype(np.int64), [np.ascontiguousarray(s, np.float32) for s in sides]


def _group(rows: np.ndarray, sides: list[np.ndarray], first: np.ndarray) -> np.ndarray:
    """Positions of the rows that are first with their vectors; notes the first row of each in `first`."""
    import numpy as np
    import xxhash

    seen: dict[bytes, int] = {}
    leaders = [
        seen.setdefault(xxhash.xxh3_128_digest(b"".join(s[i].tobytes() for s in sides)), i) for i in range(len(rows))
    ]
    positions = np.array(leaders, np.int64)
    first[rows] = rows[positions]
    return np.flatnonzero(positions == np.arange(len(rows)))


def _named(links: pl.DataFrame, rows: np.ndarray, there: np.ndarray) -> pl.DataFrame:
    """Links by row number instead of by position."""
    ends = {"first": rows[links["first"].to_numpy()], "second": there[links["second"].to_numpy()]}
    return pl.DataFrame({**ends, "similarity": links["similarity"]}, schema=pairs.LINKS)


def _search(
    mine: list[np.ndarray], theirs: list[np.ndarray], inside: bool, params: SemanticParams, progress: Progress
) -> pl.DataFrame:
    """Links by position, `first` in `mine`, `second` in `theirs`; within one corpus each pair once."""
    import numpy as np

    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    exact = max(len(mine[0]), len(theirs[0])) <= params.exact_rows
    for begin, row, to in (_each_with_each if exact else _cells)(mine, theirs, inside, params):
        similarity = np.ones(len(row))
        for ours, others in zip(mine, theirs, strict=True):
            np.minimum(similarity, _cosine(ours, others, row, to), out=similarity)
        similarity = np.round(similarity, 4)
        keep = similarity >= params.floor
        row, to, similarity = row[keep], to[keep], similarity[keep]
        order = np.lexsort((to, -similarity, row))
        row, to, similarity = row[order], to[order], similarity[order]
        nth = np.arange(len(row)) - np.searchsorted(row, row)
        few = nth < params.crowd
        columns.append((row[few], to[few], similarity[few]))
        progress("semantic", min(begin + _BLOCK, len(mine[0])), len(mine[0]))
    if not columns:
        return pl.DataFrame(schema=pairs.LINKS)
    joined = [np.concatenate(part) for part in zip(*columns, strict=True)]
    return pl.DataFrame(dict(zip(pairs.LINKS, joined, strict=True)), schema=pairs.LINKS)


def _cosine(a: np.ndarray, b: np.ndarray, row: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Cosines of a[row] and b[to] in float64, some thousands at a time: stored vectors are of length 1 to 4 decimals only."""
    import numpy as np

    found = np.empty(len(row))
    for i in range(0, len(row), 8192):
        x, y = a[row[i : i + 8192]].astype(np.float64), b[to[i : i + 8192]].astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
        found[i : i + 8192] = np.einsum("ij,ij->i", x, y) / lengths
    return found


def _each_with_each(
    mine: list[np.ndarray], theirs: list[np.ndarray], inside: bool, params: SemanticParams
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    import numpy as np

    for begin in range(0, len(mine[0]), _BLOCK):
        end = begin + _BLOCK
        until = end if inside else len(theirs[0])  # within a corpus a row meets those before it
        smaller = mine[0][begin:end] @ theirs[0][:until].T
        for ours, others in zip(mine[1:], theirs[1:], strict=True):
            np.minimum(smaller, ours[begin:end] @ others[:until].T, out=smaller)
        row, to = np.nonzero(smaller >= params.floor - _SLACK)
        row += begin
        keep = to < row if inside else slice(None)
        yield begin, row[keep], to[keep]


def _cells(
    mine: list[np.ndarray], theirs: list[np.ndarray], inside: bool, params: SemanticParams
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Where both cosines reach the floor, so does their mean, the inner product of the joined vectors."""
    import faiss
    import numpy as np

    ours, others = (np.hstack(sides) / np.sqrt(np.float32(len(sides))) for sides in (mine, theirs))
    if not len(ours) or not len(others):
        return
    cells = max(1, min(int(4 * len(others) ** 0.5), len(others) // 39))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(others.shape[1]), others.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = params.seed + 1
    index.train(others)
    index.add(others)
    index.nprobe = min(32, cells)
    for begin in range(0, len(ours), _BLOCK):
        limits, _, to = index.range_search(ours[begin : begin + _BLOCK], params.floor - _SLACK)
        counts = (limits[1:] - limits[:-1]).astype(np.int64)
        row = np.repeat(np.arange(len(counts)), counts) + begin
        keep = to < row if inside else slice(None)
        yield begin, row[keep], to[keep]
