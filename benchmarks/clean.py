"""`clean` with another threshold, on rows that are scored already: seconds from parquet to parquet, and that no model is loaded.

    python -m benchmarks.clean --rows 100000
    python -m benchmarks.clean --rows 100000 --profile

Rows are made from a seed: sentences of data/sources with words exchanged, mean 600 bytes, 40% Chinese, a tenth of the rows synthetic,
some with several turns; exact copies, and near and semantic pairs from clusters of 2 to 12 rows. Each run has its own
process, and its seconds are those of the whole process, imports and compiled kernels included.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.corpus import UNIT, edited, sentences
from curation import records as rec
from curation.label import LABEL_COLUMNS
from curation.score import exact, pairs

SIGNALS = ("language", "length", "repetition", "exact", "near", "semantic", "perplexity")
TYPES = ("open_qa", "writing", "chat", "math", "code", "classification", "reasoning")


def scored(rows: int, seed: int) -> tuple[pl.DataFrame, dict[str, pl.DataFrame], pl.DataFrame]:
    """Records, signals and labels."""
    rng = random.Random(seed)
    own = sentences(Path("data/sources"), rng)
    vocabularies = [sorted({u for s in pool for u in UNIT.findall(s)}) for pool in own]
    pools = [[edited(s, 0.3, vocabularies[n], rng) for s in rng.choices(pool, k=20_000)] for n, pool in enumerate(own)]

    def text(tongue: int, size: int) -> str:
        parts: list[str] = []
        while sum(len(p.encode()) for p in parts) < size:
            parts.append(rng.choice(pools[tongue]))
        return ("" if tongue == 0 else " ").join(parts)

    made: list[dict] = []
    for n in range(rows):
        tongue = int(rng.random() >= 0.4)
        turns = [("user", text(tongue, 80)), ("assistant", text(tongue, int(min(4000, rng.lognormvariate(5.9, 0.7)))))]
        if rng.random() < 0.1:
            turns += [("user", text(tongue, 60)), ("assistant", text(tongue, 200))]
        if made and rng.random() < 0.03:
            turns = [(m["role"], m["content"].swapcase() + " ") for m in rng.choice(made)["messages"]]
        messages = [rec.message(role, content) for role, content in turns]
        made.append(
            {"id": f"r{n:07}", "content_hash": rec.content_hash(messages, None, None), "kind": "chat", "messages": messages,
             "language": "zh" if tongue == 0 else "en", "source": "made", "license": "MIT", "tags": [], "parents": [],
             "origin": "synthetic" if rng.random() < 0.1 else "human", "meta": "{}"}
        )  # fmt: skip
    records = rec.frame(made)
    labels = rec.frame(
        ({"id": f"r{n:07}", "task_type": rng.choice(TYPES), "task_type_by": "labeller", "bucket": "general", "tags": []} for n in range(rows)),
        LABEL_COLUMNS,
    )  # fmt: skip
    return records, signals_of(records, seed), labels


def signals_of(records: pl.DataFrame, seed: int) -> dict[str, pl.DataFrame]:
    sides = rec.sides(records).unique("content_hash").sort("content_hash")
    none = pl.lit(None, pl.String).alias("not_applicable")
    draw = np.random.default_rng(seed)
    n = len(sides)
    language = sides.select(
        "content_hash",
        *(pl.col("language").alias(f"{s}_language") for s in ("prompt", "answer")),
        *(pl.lit(0.95).alias(f"{s}_confidence") for s in ("prompt", "answer")),
        none,
    )
    length = sides.select(
        "content_hash",
        *(pl.col(s).str.len_chars().cast(pl.Int64).alias(f"{s}_chars") for s in ("prompt", "answer", "last_answer")),
        (pl.col("answer").str.len_bytes() // 4).cast(pl.Int64).alias("answer_tokens"),
        none,
    )
    keys = sides.select("content_hash")
    repetition = keys.with_columns(
        pl.Series("duplicate_share", (draw.random(n) ** 8).round(4)),
        pl.Series("longest_run", draw.integers(0, 12, n)),
        none,
    )
    perplexity = keys.with_columns(
        pl.Series("nll", draw.normal(2.5, 0.4, n).round(4)), pl.Series("scored_tokens", draw.integers(5, 500, n)), none
    )
    found = {"language": language, "length": length, "repetition": repetition, "perplexity": perplexity}
    found["exact"] = exact.compute(records, exact.ExactParams())
    for name, share in (("near", 0.2), ("semantic", 0.1)):
        found[name] = clusters(keys["content_hash"], share, draw)
    return found


def clusters(hashes: pl.Series, share: float, draw: np.random.Generator) -> pl.DataFrame:
    """A table of pairs: `share` of the rows in clusters of 2 to 12, each row paired with most others of its own."""
    order = draw.permutation(len(hashes))[: int(share * len(hashes))]
    first, second, at = [], [], 0
    while at < len(order):
        own = np.sort(order[at : at + int(draw.integers(2, 13))])
        at += len(own)
        for i in range(len(own)):
            for j in range(i + 1, len(own)):
                if draw.random() < 0.8:
                    first.append(own[i])
                    second.append(own[j])
    similarity = draw.uniform(0.5, 1.0, len(first)).round(4)
    links = pl.DataFrame({"first": first, "second": second, "similarity": similarity}, schema=pairs.LINKS)
    reasons = pl.Series([None] * len(hashes), dtype=pl.String)
    return pairs.sidecar(pairs.Side(hashes, np.arange(len(hashes))), links, reasons)


def run(folder: Path, near: float, profile: bool) -> None:
    """One run in this process, as `python -m pipelines.clean` does it."""
    from curation.clean import CleanParams, clean

    start = time.perf_counter()
    params = CleanParams.model_validate({"duplicates": {"near": near}})
    records = rec.read(folder / "records.parquet", rec.SCHEMA)
    signals = {name: rec.read(folder / f"{name}.parquet") for name in SIGNALS}
    labels = rec.read(folder / "labels.parquet")
    if profile:
        import cProfile
        import pstats

        watch = cProfile.Profile()
        watch.enable()
    kept, dropped = clean(records, signals, labels, params, evaluation=Path("data/evaluation"))
    if profile:
        watch.disable()
        pstats.Stats(watch).sort_stats("cumtime").print_stats(45)
    rec.write(kept, folder / "kept.parquet", "id")
    rec.write(dropped, folder / "dropped.parquet", "id")
    loaded = sorted({"torch", "transformers", "sentence_transformers"} & sys.modules.keys())
    rules = ", ".join(f"{rule} {n}" for rule, n in sorted(dropped["rule"].value_counts().iter_rows()))
    print(
        f"near {near}: {time.perf_counter() - start:.1f} s, {time.process_time():.1f} CPU s, {len(kept)} kept, {len(dropped)} dropped: {rules}; models loaded: {loaded or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the made rows; those that are there are used again")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(Path(args.run[0]), float(args.run[1]), args.profile)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        if not (folder / "labels.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            records, signals, labels = scored(args.rows, args.seed)
            rec.write(records, folder / "records.parquet", "id")
            for name, sidecar in signals.items():
                rec.write(sidecar, folder / f"{name}.parquet", "content_hash")
            rec.write(labels, folder / "labels.parquet", "id")
        seconds = []
        for near in (0.8, 0.7, 0.9):
            start = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.clean", "--run", str(folder), str(near)]
            subprocess.run(command + ["--profile"] * args.profile, check=True)
            seconds.append(time.perf_counter() - start)
        print(
            f"{args.rows} rows: {statistics.median(seconds):.1f} s with another threshold (median of {len(seconds)} processes)"
        )


if __name__ == "__main__":
    main()
