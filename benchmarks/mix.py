"""A mixture of many rows: seconds and peak memory, from parquet to parquet.

    python -m benchmarks.mix --rows 1000000
    python -m benchmarks.mix --rows 1000000 --only plan

Rows are made from a seed: five buckets, 40 sources, a twentieth of them synthetic children, a tenth with near copies, some in
groups, about 600 bytes of text each. Token counts are given, as they are after a first run (counting them is the tokenizer's
time, about 300 rows a second, and is stored). `plan` decides without texts; `mix` writes train, heldout, unused and manifest.
Each measurement has its own process; imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from curation import records as rec

SHARES = {"general": 0.35, "math_code": 0.25, "domain": 0.25, "safety": 0.05, "replay": 0.1}
VARIANTS = {
    "default": {},
    "repeat": {"exhaustion": "repeat", "ratios": {"general": 1, "math_code": 1, "domain": 1, "safety": 1}},
    "limits": {
        "targets": [{"task_type": "t3", "fraction": 0.02}],
        "floors": [{"source": "s1", "fraction": 0.01}, {"min_input_tokens": 300, "fraction": 0.1}],
        "caps": [{"source": "s2", "fraction": 0.02}],
    },
    "quality": {"ratios": "core_and_tail", "quality": {"temperature": 0.7}, "task_weights": {"t1": 1.5}},
}


def corpus(rows: int, seed: int, folder: Path) -> None:
    """cleaned, synthesized, near, sizes and quality as parquet in `folder`."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(2000)]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 90))) for _ in range(5000)]
    buckets = rng.choices(list(SHARES), SHARES.values(), k=rows)
    sources = rng.choices([f"s{i}" for i in range(40)], k=rows)
    ids = [f"{s}-{rng.getrandbits(64):016x}" for s in sources]
    hashes = [f"{rng.getrandbits(128):032x}" for _ in range(rows)]
    made = [rng.random() < 0.05 and b != "replay" for b in buckets]
    first = pl.Series("first", rng.choices(texts, k=rows))
    second = pl.Series("second", rng.choices(texts, k=rows))
    empty = {n: pl.lit(None, t) for n, t in rec.MESSAGE.to_schema().items()}

    def turn(role: str, text: str) -> pl.Expr:
        return pl.struct(**(empty | {"role": pl.lit(role), "content": pl.col(text)})).cast(rec.MESSAGE)

    frame = pl.DataFrame({"id": ids, "content_hash": hashes, "source": sources, "bucket": buckets, "made": made})
    frame = frame.with_columns(first, second).with_columns(
        pl.concat_list(turn("user", "first"), turn("assistant", "second")).alias("messages"),
        pl.lit("chat").alias("kind"), pl.lit("en").alias("language"), pl.lit("MIT").alias("license"), pl.lit(1.0).alias("weight"),
        pl.when("made").then(pl.lit("synthetic")).otherwise(pl.lit("human")).alias("origin"),
        pl.when("made").then(pl.lit("noise/typo")).alias("recipe"),
        pl.Series("parents", [[rng.choice(ids)] if m else [] for m in made]),
        pl.Series("group", [f"g{rng.randrange(rows // 20)}" if rng.random() < 0.1 else None for _ in ids]),
        pl.Series("task_type", [f"t{rng.randrange(8)}" if b != "math_code" else rng.choice(["code", "math"]) for b in buckets]),
        pl.lit('{"file": "data/sources/some.jsonl", "line": 12345}').alias("meta"),
    )  # fmt: skip
    lacking = {n: pl.lit(None, t) for n, t in rec.LABELLED.items() if n not in frame.columns}
    frame = frame.with_columns(**lacking)
    for name, side in (("cleaned", frame.filter(~pl.col("made"))), ("synthesized", frame.filter("made"))):
        rec.write(side.select(pl.col(n).cast(t) for n, t in rec.LABELLED.items()), folder / f"{name}.parquet", "id")
    pairs: list[list[dict[str, object]]] = [[] for _ in ids]
    for _ in range(rows // 10):
        a, b = rng.randrange(rows), rng.randrange(rows)
        pairs[a].append({"other": hashes[b], "similarity": 0.7})
        pairs[b].append({"other": hashes[a], "similarity": 0.7})
    kind = pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64}))
    near = {"content_hash": hashes, "neighbours": pairs, "against": [[] for _ in ids]}
    rec.write(
        pl.DataFrame(near, schema={"content_hash": pl.String, "neighbours": kind, "against": kind}),
        folder / "near.parquet",
        "content_hash",
    )
    tokens = [rng.randint(30, 700) for _ in ids]
    sizes = pl.DataFrame({"id": ids, "tokens": tokens, "loss_tokens": [rng.randint(1, t - 10) for t in tokens]})
    rec.write(sizes, folder / "sizes.parquet", "id")
    rec.write(
        pl.DataFrame({"content_hash": hashes, "quality": [rng.gauss(0, 1) for _ in ids]}),
        folder / "quality.parquet",
        "content_hash",
    )


def measure(folder: Path, variant: str, only: str) -> None:
    """One run in this process, as JSON."""
    import scipy.sparse.csgraph  # noqa: F401 — imports are not counted

    from curation.mix import THIN, MixParams, bare, decide
    from curation.mix.write import write
    from curation.render import RenderParams

    params = MixParams.model_validate(VARIANTS[variant])
    start, worked = time.perf_counter(), time.process_time()
    places = [folder / f"{n}.parquet" for n in ("cleaned", "synthesized")]
    cleaned, synthesized = (rec.read(path, columns=list(THIN)) for path in places)
    near, sizes = rec.read(folder / "near.parquet"), rec.read(folder / "sizes.parquet")
    quality = rec.read(folder / "quality.parquet") if variant == "quality" else None
    loaded = time.perf_counter()
    given = (cleaned, synthesized, {"raw": near}, sizes, params, RenderParams(), "template")
    decided = bare(decide(*given, quality=quality))
    done = time.perf_counter()
    del given, cleaned, synthesized, near, sizes, quality  # as in pipelines/mix.py
    if only == "mix":
        every = pl.concat([pl.scan_parquet(path) for path in places])
        write(every, decided, folder / "out")
    print(f"  read {loaded - start:.1f} s, decide {done - loaded:.1f} s, write {time.perf_counter() - done:.1f} s", file=sys.stderr)  # fmt: skip
    seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "rows": decided.train.height}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=("plan", "mix"), default="mix")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure[0]), *args.measure[1:])
        return
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # seconds mean little beside other work
    with tempfile.TemporaryDirectory() as folder:
        corpus(args.rows, args.seed, Path(folder))
        print(f"{args.rows} rows, {args.only}")
        for variant in args.variants:
            found = []
            for _ in range(args.runs):
                command = [sys.executable, "-m", "benchmarks.mix", "--measure", folder, variant, args.only]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found.append(json.loads(done.stdout))
            best = sorted(found, key=lambda f: f["seconds"])[len(found) // 2]
            print(
                f"{variant:>10} {best['seconds']:8.1f} s {best['cpu']:8.1f} s CPU {best['peak_mb']:8.0f} MB {best['rows']:>9} rows scheduled",
                flush=True,
            )


if __name__ == "__main__":
    main()
