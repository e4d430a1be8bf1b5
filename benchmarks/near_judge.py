"""One judge for all finders of near duplicates: true Jaccard on shingles of five words or Chinese characters, cut here."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.corpus import UNIT, Corpus

LIMIT, NGRAM = 0.8, 5


def shingles(text: str) -> set[str]:
    units = UNIT.findall(text.lower())
    return {" ".join(units[i : i + NGRAM]) for i in range(max(1, len(units) - NGRAM + 1))}


class Judge:
    """Recall, precision and clusters lost whole of a ledger, by true Jaccard on shingles of this file."""

    def __init__(self, corpus: Corpus) -> None:
        rows = pl.read_parquet(corpus.records, columns=["content_hash"])
        known = pl.read_parquet(corpus.known).join(rows, on="content_hash", how="semi", maintain_order="left")
        known = known.filter(pl.len().over("cluster") > 1)
        self.sets = {key: shingles(text) for key, text in known.select("content_hash", "text").iter_rows()}
        self.cluster: dict[int, list[str]] = {}
        self.of = {}
        self.pairs = []
        for key, cluster, original in known.select("content_hash", "cluster", "original").iter_rows():
            self.cluster.setdefault(cluster, []).append(key)
            self.of[key] = cluster
            if original in self.sets and self.jaccard(key, original) >= LIMIT:
                self.pairs.append((key, original))

    def jaccard(self, one: str, other: str) -> float:
        a, b = self.sets[one], self.sets[other]
        shared = len(a & b)
        return shared / (len(a) + len(b) - shared)

    def __call__(self, path: Path) -> dict[str, float]:
        gone = set(pl.read_parquet(path)["content_hash"])
        right = sum(
            any(o not in gone and self.jaccard(key, o) >= LIMIT for o in self.cluster[self.of[key]])
            for key in gone
            if key in self.of
        )
        return {
            "recall": sum(a in gone or b in gone for a, b in self.pairs) / max(1, len(self.pairs)),
            "dropped": len(gone),
            "precision": right / max(1, len(gone)),
            "lost": sum(all(key in gone for key in keys) for keys in self.cluster.values()),
        }
