"""The held-out split: by hash of the cluster among human rows, so that every experiment sits the same exam.

A cluster is what must stay on one side: near-duplicates, rows of one group, lineage. Clusters of eligible rows are cut
first, without the made rows; a made row then follows its kin, and one that is kin to a held-out row is not used.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import xxhash

from curation.mix.params import HeldoutParams


def unit_hash(seed: int, text: str) -> float:
    """A number in [0, 1) from the seed and a text."""
    return xxhash.xxh3_64_intdigest(text.encode(), seed=seed) / 2**64


def links(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], floor: float) -> pl.DataFrame:
    """Pairs of row numbers `one`, `other` that must stay together: same content, near pairs, parents, groups.

    Rows that share something are each linked to the first that has it, so that no node but rows is needed.
    """
    one = pl.int_range(pl.len(), dtype=pl.Int64).alias("one")
    told = rows.select(one, "id", "content_hash", "source", "group", "parents")

    def first(*keys: str) -> pl.Expr:
        return pl.col("one").min().over(*keys).alias("other")

    by_hash = told.select("content_hash", "one", first("content_hash"))
    found = [by_hash.select("one", "other").filter(pl.col("one") != pl.col("other"))]
    found.append(told.filter(pl.col("group").fill_null("") != "").select("one", first("source", "group")))
    lineage = told.select("one", "parents").filter(pl.col("parents").list.len() > 0).explode("parents")
    known = told.select(pl.col("id").alias("parents"), pl.col("one").alias("other"))
    found.append(lineage.join(known, on="parents").select("one", "other"))
    found.append(lineage.select("one", first("parents")))  # a parent that is not here still holds its children together
    known = by_hash.filter(pl.col("one") == pl.col("other")).select("content_hash", "one")
    for sidecar in near.values():
        for column in ("neighbours", "against"):
            listed = sidecar.filter(pl.col(column).list.len() > 0).select("content_hash", pl.col(column).alias("pair"))
            pairs = listed.explode("pair").unnest("pair").filter(pl.col("similarity") >= floor)
            pairs = pairs.join(known, on="content_hash").select("one", pl.col("other").alias("content_hash"))
            found.append(pairs.join(known.rename({"one": "other"}), on="content_hash").select("one", "other"))
    return pl.concat(found)


def components(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], floor: float) -> np.ndarray:
    """For each row the number of its connected component; equal numbers must stay together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = links(rows, near, floor)
    one, other = edges["one"].to_numpy(), edges["other"].to_numpy()
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(rows.height, rows.height))
    _, numbers = connected_components(graph, directed=False)
    return np.asarray(numbers)


def split(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], params: HeldoutParams) -> pl.DataFrame:
    """`id`, `cluster` and `side`: heldout, train, or kin (a made row that is kin to a held-out one), in the order of `rows`."""
    made = (rows["origin"].fill_null("") == "synthetic").to_numpy()
    eligible = rows.filter(~made)
    clusters = _names(eligible["content_hash"], components(eligible, near, params.near))
    out = np.array([unit_hash(params.seed, name) < params.share for name in clusters], bool)
    heldout = np.zeros(rows.height, bool)
    heldout[~made] = out
    side = np.where(heldout, "heldout", "train").astype(object)
    if made.any():
        numbers = components(rows, near, params.near)
        side[made & np.isin(numbers, numbers[heldout])] = "kin"
    cluster = rows["content_hash"].to_numpy().copy()
    cluster[~made] = clusters.to_numpy()
    return pl.DataFrame(
        {"id": rows["id"], "cluster": pl.Series(cluster, dtype=pl.String), "side": pl.Series(side, dtype=pl.String)}
    )


def _names(hashes: pl.Series, numbers: np.ndarray) -> pl.Series:
    """The least content hash of each row's component."""
    shared = np.bincount(numbers)[numbers] > 1 if len(numbers) else np.zeros(0, bool)
    few = pl.DataFrame({"hash": hashes.filter(pl.Series(shared)), "number": numbers[shared]})
    names = hashes.to_numpy().copy()
    names[shared] = few.select(pl.col("hash").min().over("number"))["hash"].to_numpy()
    return pl.Series(names, dtype=pl.String)
