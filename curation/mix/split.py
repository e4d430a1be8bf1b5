"""The held-out split: by hash of the cluster among human rows, so that every experiment sits the same exam.

A cluster is what must stay on one side: near-duplicates, rows of one group, lineage. Clusters of eligible rows are cut
first, without the made rows; a made row then follows its kin, and one with kin on both sides or held out is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl
import xxhash
from pydantic import Field

from curation.params import Params


class HeldoutParams(Params):
    """`params.yaml: mix.heldout`."""

    share: float = Field(0.12, ge=0, lt=1)  # of clusters
    seed: int = 0
    near: float = Field(0.5, gt=0, le=1)  # pairs at or above this Jaccard stay together; not below score.near.floor


class Sets:
    """Union–find; the root of a set is its least member, so roots do not depend on the order of unions."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, item: str) -> str:
        parent = self._parent.setdefault(item, item)
        while parent != item:
            self._parent[item] = self._parent[parent]
            item, parent = parent, self._parent[parent]
        return item

    def join(self, one: str, other: str) -> None:
        a, b = self.root(one), self.root(other)
        if a != b:
            self._parent[max(a, b)] = min(a, b)


def unit_hash(seed: int, text: str) -> float:
    """A number in [0, 1) from the seed and a text."""
    return xxhash.xxh3_64_intdigest(text.encode(), seed=seed) / 2**64


def links(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], floor: float) -> Iterable[tuple[str, str]]:
    """Pairs of keys that must stay together: content hashes of near pairs, ids of parents, groups."""
    for id_, content_hash, group, source, parents in rows.select(
        "id", "content_hash", "group", "source", "parents"
    ).iter_rows():
        yield f"id:{id_}", f"hash:{content_hash}"
        if group:
            yield f"id:{id_}", f"group:{source}:{group}"
        for parent in parents or ():
            yield f"id:{id_}", f"id:{parent}"
    present = set(rows["content_hash"])
    for sidecar in near.values():
        for column in ("neighbours", "against"):
            found = sidecar.filter(pl.col(column).list.len() > 0).select("content_hash", column)
            for content_hash, listed in found.iter_rows():
                for pair in listed:
                    if pair["similarity"] >= floor and content_hash in present and pair["other"] in present:
                        yield f"hash:{content_hash}", f"hash:{pair['other']}"


def split(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], params: HeldoutParams) -> pl.DataFrame:
    """`id`, `cluster` and `side`: heldout, train, or kin (a made row that is kin to a held-out one)."""
    eligible = rows.filter(pl.col("origin") != "synthetic")
    sets = Sets()
    for one, other in links(eligible, near, params.near):
        sets.join(one, other)
    least: dict[str, str] = {}
    for id_, content_hash in eligible.select("id", "content_hash").iter_rows():
        root = sets.root(f"id:{id_}")
        least[root] = min(least.get(root, content_hash), content_hash)
    side, cluster = {}, {}
    for id_ in eligible["id"]:
        name = least[sets.root(f"id:{id_}")]
        cluster[id_] = name
        side[id_] = "heldout" if unit_hash(params.seed, name) < params.share else "train"
    whole = Sets()
    for one, other in links(rows, near, params.near):
        whole.join(one, other)
    out = {whole.root(f"id:{i}") for i, s in side.items() if s == "heldout"}
    for id_, content_hash in rows.filter(pl.col("origin") == "synthetic").select("id", "content_hash").iter_rows():
        root = whole.root(f"id:{id_}")
        cluster[id_] = content_hash
        side[id_] = "kin" if root in out else "train"
    ids = rows["id"].to_list()
    return pl.DataFrame({"id": ids, "cluster": [cluster[i] for i in ids], "side": [side[i] for i in ids]})
