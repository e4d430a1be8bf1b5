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
    """Pairs of keys `one`, `other` that must stay together: content hashes of near pairs, ids of parents, groups."""
    me = ("id:" + pl.col("id")).alias("one")
    found = [rows.select(me, ("hash:" + pl.col("content_hash")).alias("other"))]
    group = pl.format("group:{}:{}", pl.col("source").fill_null(""), "group")
    found.append(rows.filter(pl.col("group").fill_null("") != "").select(me, group.alias("other")))
    lineage = rows.filter(pl.col("parents").list.len() > 0).select("id", "parents").explode("parents")
    found.append(lineage.select(me, ("id:" + pl.col("parents")).alias("other")))
    present = rows.select("content_hash").unique()
    for sidecar in near.values():
        for column in ("neighbours", "against"):
            listed = sidecar.filter(pl.col(column).list.len() > 0).select("content_hash", pl.col(column).alias("pair"))
            pairs = listed.explode("pair").unnest("pair").filter(pl.col("similarity") >= floor)
            pairs = pairs.join(present, on="content_hash", how="semi")
            pairs = pairs.join(present, left_on="other", right_on="content_hash", how="semi")
            found.append(
                pairs.select(
                    ("hash:" + pl.col("content_hash")).alias("one"), ("hash:" + pl.col("other")).alias("other")
                )
            )
    return pl.concat(found).drop_nulls()


def components(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], floor: float) -> np.ndarray:
    """For each row the number of its connected component; equal numbers must stay together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = links(rows, near, floor)
    keys = pl.concat([edges["one"], edges["other"]]).unique().rename("key").to_frame().with_row_index("node")
    ends = [
        edges.select(pl.col(c).alias("key")).join(keys, on="key", maintain_order="left")["node"] for c in edges.columns
    ]
    one, other = (e.to_numpy() for e in ends)
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(keys.height, keys.height))
    _, numbers = connected_components(graph, directed=False)
    return np.asarray(numbers[one[: rows.height]])  # the first edges are those of the rows themselves, in their order


def split(rows: pl.DataFrame, near: Mapping[str, pl.DataFrame], params: HeldoutParams) -> pl.DataFrame:
    """`id`, `cluster` and `side`: heldout, train, or kin (a made row that is kin to a held-out one), in the order of `rows`."""
    made = pl.col("origin").fill_null("") == "synthetic"
    eligible = rows.filter(~made)
    members = eligible.select("id", "content_hash").with_columns(
        pl.Series("number", components(eligible, near, params.near))
    )
    named = members.with_columns(pl.col("content_hash").min().over("number").alias("cluster"))
    names = named.select(pl.col("cluster").unique())
    out = pl.Series("out", [unit_hash(params.seed, n) < params.share for n in names["cluster"]], dtype=pl.Boolean)
    named = named.join(names.with_columns(out), on="cluster", how="left").select(
        "id", "cluster", pl.when("out").then(pl.lit("heldout")).otherwise(pl.lit("train")).alias("side")
    )
    sides = rows.select("id", "content_hash", made.alias("made")).join(
        named, on="id", how="left", maintain_order="left"
    )
    if sides["made"].any():
        whole = sides.with_columns(pl.Series("number", components(rows, near, params.near)))
        touched = whole.filter(pl.col("side") == "heldout").select(pl.col("number").unique(), touched=True)
        kin = whole.join(touched, on="number", how="left", maintain_order="left")["touched"].fill_null(False)
        sides = sides.with_columns(
            pl.coalesce("cluster", "content_hash").alias("cluster"),
            pl.when("made")
            .then(pl.when(kin).then(pl.lit("kin")).otherwise(pl.lit("train")))
            .otherwise("side")
            .alias("side"),
        )
    return sides.select("id", "cluster", "side")
