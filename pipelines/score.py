"""Repaired records → one sidecar a signal in data/signals/<corpus>. `python -m pipelines.score raw`"""

from __future__ import annotations

import sys
import time

import polars as pl

from curation import records
from pipelines import params, paths
from pipelines.stage import Bar, not_measured, off, run


def work(name: str) -> str:
    from curation import score

    corpus = paths.CORPORA[name]
    settings = params.load("score", score.ScoreParams)
    rows = records.read(corpus.repaired / "records.parquet", records.SCHEMA)
    against = records.read(corpus.against / "records.parquet", records.SCHEMA) if corpus.against else None
    have: dict[str, pl.DataFrame] = {}
    took = []
    with Bar() as bar:
        for signal in score.SIGNALS:
            start = time.monotonic()
            have[signal] = score.compute(signal, rows, settings, against=against, have=have, progress=bar)
            records.write(have[signal], corpus.signals / f"{signal}.parquet", "content_hash")
            took.append((time.monotonic() - start, signal))
    slow = ", ".join(f"{signal} {seconds:.1f} s" for seconds, signal in sorted(took, reverse=True)[:3])
    distinct = rows["content_hash"].n_unique()
    return f"{len(have)} signals for {distinct} distinct rows; longest: {slow}{not_measured(off(have))}"


if __name__ == "__main__":
    run(f"score@{sys.argv[1]}", lambda: work(sys.argv[1]))
