"""Repaired records → one sidecar a signal in data/signals/<corpus>. `python -m pipelines.score raw`"""

from __future__ import annotations

import time
from collections import Counter

import polars as pl

from curation import records
from pipelines import params, paths
from pipelines.stage import Bar, not_measured, off, run_named


def work(name: str) -> str:
    from curation import score

    corpus = paths.CORPORA[name]
    settings = params.load("score", score.ScoreParams)
    rows = records.read(corpus.repaired / "records.parquet", records.SCHEMA)
    against = records.read(corpus.against / "records.parquet", records.SCHEMA) if corpus.against else None
    have: dict[str, pl.DataFrame] = {}
    took = []
    with Bar() as bar:
        for signal in settings.signals:
            start = time.monotonic()
            have[signal] = score.compute(signal, rows, settings, against=against, have=have, progress=bar)
            records.write(have[signal], corpus.signals / f"{signal}.parquet", "content_hash")
            took.append((time.monotonic() - start, signal))
    if "judge" not in have:  # what was asked for once says nothing of these rows
        (corpus.signals / "judge.parquet").unlink(missing_ok=True)
    slow = ", ".join(f"{signal} {seconds:.1f} s" for seconds, signal in sorted(took, reverse=True)[:3])
    distinct = rows["content_hash"].n_unique()
    judged = graded(have["judge"]) if "judge" in have else ""
    return f"{len(have)} signals for {distinct} distinct rows; longest: {slow}{not_measured(off(have))}{judged}"


def graded(judge: pl.DataFrame) -> str:
    """For the end of a summary: how many rows the judge graded, and why not the others."""
    reasons = Counter(judge["not_applicable"].drop_nulls().to_list()).most_common()
    without = f"; no grade: {', '.join(f'{reason} {n}' for reason, n in reasons)}" if reasons else ""
    return f"; judge: {judge['judge'].count()} rows graded{without}"


if __name__ == "__main__":
    run_named("score", work)
