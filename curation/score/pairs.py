"""Pairs as a signal: links between groups of identical rows, written out as lists of neighbours.

So that 10,000 copies do not make 50,000,000 pairs, the 8 smallest content hashes of a group stand for it. They are paired with
each other and with those that stand for similar groups; a further member is paired (1.0) only with the 8 of its own
group. Who asks for all neighbours of a row takes those of all rows with its `group`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import numpy as np

NEIGHBOURS = pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64}))
LINKS = {"first": pl.Int32, "second": pl.Int32, "similarity": pl.Float64}
_COPIES = 8


@dataclass(frozen=True)
class Side:
    """Rows of a corpus in the order of their content hashes.

    `first`: for each row the number of the first identical row (its own when there is none), -1 where none of this applies.
    """

    hashes: pl.Series
    first: np.ndarray

    @property
    def leaders(self) -> np.ndarray:
        """Numbers of the rows that are the first of their group."""
        import numpy as np

        return np.flatnonzero(self.first == np.arange(len(self.first)))


def sidecar(
    own: Side, links: pl.DataFrame, reasons: pl.Series, there: Side | None = None, across: pl.DataFrame | None = None
) -> pl.DataFrame:
    """`content_hash`, `neighbours`, `against`, `group`, `not_applicable` (`reasons`; the others are null where it is not).

    `links` (LINKS) name the leaders of two groups of `own`, each pair once; `across` a leader of `own` and one of `there`.
    `group` is the smallest content hash among identical rows.
    """
    import numpy as np

    lists = {"neighbours": _inside(own, links), "against": _edges(pl.DataFrame(schema=LINKS), own.hashes)}
    if there is not None and across is not None:
        lists["against"] = _edges(_spread(across, _members(own), _members(there, _COPIES)), there.hashes)
    group = own.hashes.gather(np.maximum(own.first, 0)) if len(own.hashes) else own.hashes
    frame = pl.DataFrame({"content_hash": own.hashes, "group": group, "not_applicable": reasons}).with_row_index("row")
    for name, edges in lists.items():
        listed = edges.group_by("row", maintain_order=True).agg(pl.struct("other", "similarity").alias(name))
        frame = frame.join(listed, on="row", how="left", maintain_order="left")
        frame = frame.with_columns(pl.col(name).fill_null(pl.lit([], NEIGHBOURS)))
    applies = pl.col("not_applicable").is_null()
    values = [pl.when(applies).then(pl.col(name)).alias(name) for name in (*lists, "group")]
    return frame.select("content_hash", *values, "not_applicable")


def _inside(own: Side, links: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat(
        [links, links.select(pl.col("second").alias("first"), pl.col("first").alias("second"), "similarity")]
    )
    members, standing = _members(own), _members(own, _COPIES)
    edges = _spread(both, standing, standing)
    alike = members.filter(pl.len().over("leader") > 1) if _repeats(members) else members.clear()
    if len(alike):
        forth = alike.join(standing.select("leader", pl.col("row").alias("to")), on="leader").filter(
            pl.col("row") != pl.col("to")
        )
        back = forth.filter(pl.col("nth") >= _COPIES).select(pl.col("to").alias("row"), pl.col("row").alias("to"))
        copies = pl.concat([forth.select("row", "to"), back]).with_columns(pl.lit(1.0).alias("similarity"))
        edges = pl.concat([edges, copies])
    return _edges(edges, own.hashes)


def _spread(links: pl.DataFrame, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Links between leaders as links between those that stand for them: `row`, `to`, `similarity`."""
    for members, end, name in ((left, "first", "row"), (right, "second", "to")):
        if _repeats(members):
            links = links.join(members.select(pl.col("leader").alias(end), pl.col("row").alias(name)), on=end)
        else:
            links = links.with_columns(pl.col(end).alias(name))
    return links.select("row", "to", "similarity")


def _repeats(members: pl.DataFrame) -> bool:
    return bool(members["nth"].max() or 0)


def _edges(links: pl.DataFrame, other: pl.Series) -> pl.DataFrame:
    """Links as `row`, `other` (content hash), `similarity`, in the order of both."""
    if "row" not in links.columns:
        links = links.select(pl.col("first").alias("row"), pl.col("second").alias("to"), "similarity")
    links = links.sort("row", "to")
    others = other.gather(links["to"]) if len(links) else other.clear()
    return links.select(pl.col("row").cast(pl.UInt32), others.alias("other"), "similarity")


def _members(side: Side, most: int | None = None) -> pl.DataFrame:
    """Rows in groups: `leader` (the first row of its group), `row`, `nth` in the group; no more than `most` of a group."""
    import numpy as np

    rows = np.flatnonzero(side.first >= 0)
    leader = side.first[rows]
    by_group = np.argsort(leader, kind="stable")
    begins = np.flatnonzero(np.diff(leader[by_group], prepend=-1))
    nth = np.empty(len(rows), np.int64)
    nth[by_group] = np.arange(len(rows)) - np.repeat(begins, np.diff(begins, append=len(rows)))
    columns = {"leader": leader, "row": rows, "nth": nth}
    members = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int32))
    return members if most is None else members.filter(pl.col("nth") < most)
