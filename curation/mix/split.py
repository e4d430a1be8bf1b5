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
    """Pairs of row numbers `one`, `other` that must stay together: same content, near copies, parents, groups.

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
    return pl.concat([*found, *_alike(known, near, floor)])


def _alike(known: pl.DataFrame, near: Mapping[str, pl.DataFrame], floor: float) -> list[pl.DataFrame]:
    """Links by groups of identical rows: pairs name only the first of a group, which need not be here (curation.score.pairs).

    `known`: content_hash and the row number `one`. The first row of a group that is here stands for the group.
    """
    measured = [
        sidecar if "group" in sidecar.columns else sidecar.with_columns(group=pl.col("content_hash"))
        for sidecar in near.values()
    ]
    found, stand = [], [known]
    for sidecar in measured:
        members = sidecar.select("content_hash", "group").drop_nulls("group")
        first = members.join(known, on="content_hash").group_by("group").agg(pl.col("one").min())
        standing = members.join(first, on="group").select("content_hash", "one")
        found.append(standing.join(known.rename({"one": "other"}), on="content_hash").select("one", "other"))
        stand.append(standing)
    every = pl.concat(stand).unique()
    for sidecar in measured:
        leaders = sidecar.filter(
            pl.col("content_hash") == pl.col("group")
        )  # the list of a group's first row is that of the group
        for column in ("neighbours", "against"):
            listed = leaders.filter(pl.col(column).list.len() > 0).select("content_hash", pl.col(column).alias("pair"))
            pairs = listed.explode("pair").unnest("pair").filter(pl.col("similarity") >= floor)
            pairs = pairs.join(every, on="content_hash").select("one", pl.col("other").alias("content_hash"))
            found.append(pairs.join(every.rename({"one": "other"}), on="content_hash").select("one", "other"))
    return found


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
    eligible = _by_people(rows, made)
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


def _by_people(rows: pl.DataFrame, made: np.ndarray) -> pl.DataFrame:
    """The rows that are not made; to `parents` that are made, those rows' own ancestors are added.

    So a person's edit of a made row stays with what that row was made from, though made rows have no say in the cut.
    """
    people = rows.filter(~made)
    parents = people.select("id", pl.col("parents").alias("parent")).explode("parent").drop_nulls()
    steps = rows.filter(made).select(pl.col("id").alias("parent"), "parents").explode("parents").drop_nulls()
    reached, front = parents, parents
    while front.height:  # ends, since what was reached is not entered again
        front = front.join(steps, on="parent").select("id", pl.col("parents").alias("parent")).unique()
        front = front.join(reached, on=["id", "parent"], how="anti")
        reached = pl.concat([reached, front])
    if reached.height == parents.height:
        return people
    lists = reached.group_by("id").agg(pl.col("parent").sort().alias("parents"))
    return people.drop("parents").join(lists, on="id", how="left", maintain_order="left")


def _names(hashes: pl.Series, numbers: np.ndarray) -> pl.Series:
    """The least content hash of each row's component."""
    shared = np.bincount(numbers)[numbers] > 1 if len(numbers) else np.zeros(0, bool)
    few = pl.DataFrame({"hash": hashes.filter(pl.Series(shared)), "number": numbers[shared]})
    names = hashes.to_numpy().copy()
    names[shared] = few.select(pl.col("hash").min().over("number"))["hash"].to_numpy()
    return pl.Series(names, dtype=pl.String)
