"""Near duplicates from parquet to pairs, clusters and ledger: ours beside the peers, and a corpus that grows by a thousandth.

    python -m benchmarks.near --rows 1000 10000 100000 1000000  # what `make bench` runs
    python -m benchmarks.near --rows 20000 --only ours rensa --runs 3

The corpus is that of benchmarks/corpus.py. Each run has its own process; imports, compilation and a warm-up on 200 rows are not
counted, runs are interleaved and medians are shown. What each contender does:

- ours: `near.compute` (pairs with their true Jaccard, parquet) and `duplicates.decide` (clusters by survivor, ledger), as the stages do.
- rensa, datasketch: the loop of their manuals: cut shingles, sketch, query, insert; candidates whose estimated similarity reaches
  the limit are pairs, and a row goes when a kept one is its pair.
- text-dedup, datatrove, SemHash: each in a venv of its own in the cache folder, by its own interface, set as its documentation
  advises for a threshold of 0.8 (benchmarks/peers.py). They start from a column of texts.

One judge for all (benchmarks/near_judge.py): shingles of five words or Chinese characters, and true Jaccard. `pairs`: planted pairs at or above
0.8; recall is the share of them that do not both stay. Precision is the share of dropped rows that reach 0.8 with a row that stays.
`lost` are clusters of which nothing stays.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from benchmarks import peers
from benchmarks.corpus import Corpus, build
from benchmarks.near_judge import LIMIT, NGRAM, Judge, shingles
from benchmarks.process import run
from curation import records as rec

FLOOR, PERMUTATIONS, BANDS = 0.5, 128, 32
COLUMNS = ("content_hash", "kind", "messages", "text")
# More rows would take a contender long: the sentence encoder reads ten long texts a second,
# datatrove's four stages some hundred, the Python loops some thousand.
MOST = {"rensa": 100_000, "datasketch": 100_000, "text-dedup": 100_000, "datatrove": 10_000, "semhash": 1_000}


ONCE = 20  # seconds; a peer with its own environment that took longer is not run again


def ours(path: Path, out: Path) -> None:
    from curation.score.near import NearParams, compute

    params = NearParams(floor=FLOOR, permutations=PERMUTATIONS, ngram_words=NGRAM, ngram_chars=NGRAM)
    sidecar = compute(rec.read(path, columns=COLUMNS), params)
    rec.write(sidecar, out.with_suffix(".pairs"), "content_hash")
    ledger(path, sidecar).write_parquet(out)


def ledger(path: Path, sidecar: pl.DataFrame) -> pl.DataFrame:
    """`clean`'s rows of rule near_duplicate when there is no other signal: `content_hash`, `duplicate_of`, `similarity`."""
    from curation.clean import duplicates

    # A row without a pair cannot go. `clean` looks at all rows for its other rules.
    sidecar = sidecar.filter(pl.col("neighbours").list.len() > 0)
    paired = rec.read(path, columns=("content_hash", "kind")).join(sidecar, on="content_hash", how="semi")
    rows = paired.select(
        pl.col("content_hash").alias("id"),
        "content_hash",
        "kind",
        pl.lit([], pl.List(pl.String)).alias("parents"),
        pl.lit([], pl.List(pl.String)).alias("tags"),
        pl.lit(None, pl.String).alias("verdict"),
        pl.lit("human").alias("origin"),
        pl.lit(None, pl.String).alias("task_type"),
        pl.lit(0).alias("length.answer_chars"),
        pl.lit("").alias("exact.answer_key"),
    )
    signals = {
        "exact": sidecar.select("content_hash", key="content_hash"),
        "near": sidecar,
        "semantic": sidecar.clear(),
    }
    gone = duplicates.decide(rows, signals, duplicates.DuplicateParams(near=LIMIT), None)
    return gone.select(pl.col("id").alias("content_hash"), "duplicate_of", pl.col("value").alias("similarity"))


def texts(path: Path) -> Iterable[tuple[str, str]]:
    for key, messages in rec.read(path, columns=["content_hash", "messages"]).iter_rows():
        yield key, "\n".join(m["content"] for m in messages)


def of_pairs(pairs: Iterable[tuple[str, str]], out: Path) -> None:
    """Rows in the order of content hashes; each goes when a kept row is its pair."""
    alike: dict[str, list[str]] = {}
    for pair in pairs:
        alike.setdefault(max(pair), []).append(min(pair))
    gone: dict[str, str] = {}
    for key in sorted(alike):
        if kept := next((other for other in alike[key] if other not in gone), None):
            gone[key] = kept
    columns = {"content_hash": list(gone), "duplicate_of": list(gone.values())}
    pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).write_parquet(out)


def rensa(path: Path, out: Path) -> None:
    from rensa import RMinHash, RMinHashLSH

    lsh = RMinHashLSH(threshold=FLOOR, num_perm=PERMUTATIONS, num_bands=BANDS)
    sketches: list[tuple[str, RMinHash]] = []
    pairs = []
    for key, text in texts(path):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=42)
        sketch.update(list(shingles(text)))
        pairs += [(key, sketches[i][0]) for i in lsh.query(sketch) if sketch.jaccard(sketches[i][1]) >= LIMIT]
        lsh.insert(len(sketches), sketch)
        sketches.append((key, sketch))
    of_pairs(pairs, out)


def datasketch(path: Path, out: Path) -> None:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    sketches: dict[str, MinHash] = {}
    pairs = []
    for key, text in texts(path):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([s.encode() for s in shingles(text)])
        pairs += [(key, other) for other in lsh.query(sketch) if sketch.jaccard(sketches[other]) >= LIMIT]
        lsh.insert(key, sketch)
        sketches[key] = sketch
    of_pairs(pairs, out)


LOOPS: dict[str, Callable[[Path, Path], None]] = {"ours": ours, "rensa": rensa, "datasketch": datasketch}
CONTENDERS = (*LOOPS, *peers.PEERS)


def grown(corpus: Corpus, folder: Path) -> dict[str, float]:
    """Seconds of one full run, and of the new rows on the index of the others; raises AssertionError unless survivors are the same."""
    from curation.clean import near_copies
    from curation.score.near import NearParams
    from curation.score.near_index import NearIndex

    params = NearParams(floor=FLOOR, permutations=PERMUTATIONS, ngram_words=NGRAM, ngram_chars=NGRAM)

    def add(index: Path, path: Path) -> float:
        start = time.perf_counter()
        at = NearIndex(index, params)
        at.add(rec.read(path, columns=COLUMNS)).write_parquet(folder / "new-pairs.parquet")
        near_copies.choose(at, LIMIT).write_parquet(folder / "ledger.parquet")
        return time.perf_counter() - start

    for path in (corpus.warm, corpus.new):  # compiles
        add(folder / "warm", path)
        ours(path, folder / "warm.parquet")
    built = add(folder / "index", corpus.records)
    grew = add(folder / "index", corpus.new)
    both = folder / "both.parquet"
    rec.write(pl.concat([rec.read(corpus.records), rec.read(corpus.new)]), both)
    start = time.perf_counter()
    ours(both, folder / "whole.parquet")
    full = time.perf_counter() - start
    one, other = pl.read_parquet(folder / "whole.parquet"), pl.read_parquet(folder / "ledger.parquet")
    if set(one["content_hash"]) != set(other["content_hash"]):
        raise AssertionError(f"{corpus.rows} rows and the new ones: the survivors are not those of a full run")
    return {"index": built, "new": grew, "full": full}


def measure(name: str, path: Path, warm: Path, out: Path) -> None:
    """One run in this process: prints seconds as JSON, writes the ledger."""
    LOOPS[name](warm, out)
    start, worked = time.perf_counter(), sum(os.times()[:4])
    LOOPS[name](path, out)
    print(json.dumps({"seconds": time.perf_counter() - start, "cpu": sum(os.times()[:4]) - worked}))


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def compared(corpus: Corpus, names: list[str], runs: int, work: Path) -> tuple[str, dict[str, float]]:
    """The table of one corpus, and the median seconds of each contender."""
    text = work / "texts.parquet"
    pl.DataFrame(texts(corpus.records), schema=["id", "text"], orient="row").write_parquet(text)
    found: dict[str, list[dict[str, float]]] = {}
    left_out: dict[str, str] = {}
    for turn in range(runs):
        for name in names:
            if name in left_out or (name in found and name not in LOOPS and found[name][0]["seconds"] > ONCE):
                continue
            note = (
                f"more than {MOST[name]:,} rows would take too long" if corpus.rows > MOST.get(name, math.inf) else None
            )
            out = work / f"{name}.parquet"
            if note is None and name in LOOPS:
                files = [str(p) for p in (corpus.records, corpus.warm, out)]
                result = run([sys.executable, "-m", "benchmarks.near", "--measure", name, *files])
            elif note is None:
                result = peers.command(name, text, out, work / name)
                result = result if isinstance(result, str) else run(result)
            else:
                result = note
            if isinstance(result, str):
                left_out[name] = result
                print(f"{corpus.rows:,} rows: {name} is left out: {result}", file=sys.stderr, flush=True)
                continue
            found.setdefault(name, []).append(result)
            print(
                f"{corpus.rows:,} rows, run {turn + 1} of {runs}: {name} {result['seconds']:.2f} s",
                file=sys.stderr,
                flush=True,
            )
    judge = Judge(corpus)
    seconds = {name: statistics.median(r["seconds"] for r in results) for name, results in found.items()}
    lines = []
    for name, results in found.items():
        score = judge(work / f"{name}.parquet")
        times = seconds[name] / seconds["ours"] if "ours" in seconds else math.nan
        lines.append([
            name, f"{seconds[name]:.2f}", f"{corpus.rows / seconds[name]:,.0f}", f"{times:.1f}",
            f"{statistics.median(r['cpu'] for r in results):.2f}",
            f"{max(r['peak_mb'] for r in results):,.0f}", f"{score['recall']:.4f}", f"{score['precision']:.4f}",
            f"{score['dropped']:,.0f}", f"{score['lost']:.0f}",
        ])  # fmt: skip
    heads = ("", "seconds", "rows/s", "times ours", "CPU s", "peak MB", "recall", "precision", "dropped", "lost")
    known = pl.read_parquet(corpus.known, columns=["text"])["text"]
    title = (
        f"{corpus.rows:,} rows of mean {known.str.len_bytes().mean():.0f} bytes, {len(judge.cluster):,} clusters of two and more, "
        f"{len(judge.pairs):,} planted pairs at {LIMIT} or above; median of {runs}"
    )
    missing = "".join(f"\n\n{name} is left out: {why}." for name, why in left_out.items())
    return f"{title}\n\n{table(heads, lines)}{missing}", seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--runs", type=int, default=3, help="runs of corpora up to 100,000 rows; larger ones have one")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--grown", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        name, *files = args.measure
        measure(name, *map(Path, files))
        return
    if args.grown:
        rows, folder = args.grown
        print(json.dumps(grown(build(int(rows), args.seed), Path(folder))))
        return
    before: tuple[int, dict[str, float]] | None = None
    growth, increments = [], []
    for rows in args.rows:
        print(f"{rows:,} rows: the corpus", file=sys.stderr, flush=True)
        corpus = build(rows, args.seed)
        work = Path(tempfile.mkdtemp(prefix="near-"))
        try:
            said, seconds = compared(corpus, args.only, args.runs if rows <= 100_000 else 1, work)
            print(f"\n{said}", flush=True)
            if before and before[0] >= 10_000:  # smaller ones measure the start
                names = [name for name in seconds if name in before[1]]
                power = {n: math.log(seconds[n] / before[1][n]) / math.log(rows / before[0]) for n in names}
                growth.append([f"{before[0]:,} → {rows:,}", ", ".join(f"{n} {p:.2f}" for n, p in power.items())])
            before = rows, seconds
            if "ours" in args.only:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.near",
                    "--seed",
                    str(args.seed),
                    "--grown",
                    str(rows),
                    str(work),
                ]
                took = run(command)
                if isinstance(took, str):
                    raise SystemExit(f"the growing corpus failed: {took}")
                share = took["new"] / took["full"]
                cells = (f"{took['full']:.2f}", f"{took['index']:.2f}", f"{took['new']:.3f}", f"{share:.1%}")
                increments.append([f"{rows:,} + {rows // 1000:,}", *cells])
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if growth:
        print(f"\nExponent of growth (seconds ~ rows^x)\n\n{table(('', 'exponent'), growth)}")
    if increments:
        heads = ("rows", "full run, s", "index built, s", "new rows on it, s", "of the full run")
        print(f"\nA corpus that grows; the survivors are those of the full run\n\n{table(heads, increments)}")


if __name__ == "__main__":
    main()
