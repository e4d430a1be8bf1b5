"""Which near copies go, over all rows of an index that grows, ranked by content hash alone: no record is read.

`duplicates.decide` follows the same rule with the whole ranking and all signals; where content hashes rank, survivors are the same.
"""

from __future__ import annotations

import polars as pl

from curation.score.near_index import NearIndex, as_series


def choose(index: NearIndex, limit: float) -> pl.DataFrame:
    """Rows that go when the smallest content hash ranks first: `content_hash`, `duplicate_of`, `similarity`, in the order of hashes.

    Rows are visited by rank, and one goes when a kept row reaches `limit`; the most alike is named, of several the last.
    Only rows that have a pair or an equal are looked at, so a million strangers cost nothing.
    """
    import numpy as np

    from curation.score import near_lookup

    ends, similarity = index.links()
    alike = similarity >= limit
    ends, similarity = ends[alike], similarity[alike]
    numbers, place = np.unique(ends, return_inverse=True)
    place = place.reshape(ends.shape)
    order = np.argsort(index.first_hashes(numbers), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    kept_by, best = near_lookup.choose(len(numbers), rank[place], similarity)

    group = index.group()
    size = np.bincount(group[group >= 0], minlength=index.groups())
    lost = np.full(len(size), -1, np.int64)  # the group that a group goes for
    value = np.ones(len(size))
    gone = np.flatnonzero(kept_by >= 0)
    lost[numbers[order[gone]]], value[numbers[order[gone]]] = numbers[order[kept_by[gone]]], best[gone]
    rows = np.flatnonzero(group >= 0)
    rows = rows[(lost[group[rows]] >= 0) | (size[group[rows]] > 1)]
    hashes, own = index.hashes(rows), group[rows]
    goes = (lost[own] >= 0) | (hashes != index.first_hashes(own))
    hashes, own = hashes[goes], own[goes]
    survivor = index.first_hashes(np.where(lost[own] >= 0, lost[own], own))
    columns = {"content_hash": as_series(hashes), "duplicate_of": as_series(survivor), "similarity": value[own]}
    return pl.DataFrame(columns).sort("content_hash")
