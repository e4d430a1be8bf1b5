"""Ingest of a large JSONL file: ours beside a `json.loads` loop that makes the same checks.

    python -m benchmarks.ingest --rows 100000           # interleaved, median of 3
    python -m benchmarks.ingest --rows 1000000 --runs 3 # 630 MB in the temporary folder

The file is made from a seed: Alpaca, ShareGPT and messages by turns, 40% Chinese, mean 630 bytes a row. `loop` reads it line by
line with `json.loads`, calls the same layouts, checks and hashes, gathers the same columns and writes the same rows; it differs in
decoder, processes and what it holds in memory. Each run has a process of its own; its whole life counts. Memory is the peak of the
resident set of the process and its children together, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import psutil

KINDS = ("ours", "loop")


def make(path: Path, rows: int) -> None:
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5000)]
    letters = [chr(c) for c in range(0x4E00, 0x4E00 + 3000)]

    def text(size: int) -> str:
        if rng.random() < 0.4:
            return "".join(rng.choices(letters, k=size // 3)) + "。"
        return " ".join(rng.choices(words, k=max(1, size // 6))) + "."

    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            prompt, answer = text(rng.randint(20, 200)), text(rng.randint(100, 700))
            if number % 3 == 0:
                value: dict[str, object] = {"instruction": prompt, "input": "", "output": answer, "topic": number % 50}
            elif number % 3 == 1:
                turns = [{"from": "human", "value": prompt}, {"from": "gpt", "value": answer}]
                value = {"conversations": turns, "id": f"x{number}"}
            else:
                roles = (("system", "You are kind."), ("user", prompt), ("assistant", answer))
                value = {"messages": [{"role": r, "content": c} for r, c in roles]}
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def run(kind: str, path: Path, out: Path) -> None:
    from curation import records as rec
    from curation.ingest import IngestParams, SourceParams, write
    from curation.ingest.rows import Rows
    from curation.ledger import QUARANTINE

    good, bad = out / "records.parquet", out / "quarantine.parquet"
    source = SourceParams(path=str(path))
    if kind == "ours":
        write(IngestParams(sources=(source,)), good, bad)
        return
    rows = Rows(path.stem, source)
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            try:
                value, wrong = json.loads(line), None
            except ValueError as error:
                value, wrong = None, str(error)
            rows.add(path.as_posix(), number, line.encode(), value, wrong and "broken_json", wrong or "")
    kept, refused = (pl.DataFrame(pl.from_arrow(table)) for table in rows.tables())
    rec.write(kept.select(list(rec.SCHEMA)), good, "id")
    rec.write(refused.select(list(QUARANTINE)), bad, "id")


def timed(kind: str, path: Path, out: Path) -> tuple[float, float]:
    """(seconds, peak MB) of one run."""
    start, peak = time.perf_counter(), 0
    command = [sys.executable, "-m", "benchmarks.ingest", "--one", kind, "--file", str(path), "--out", str(out)]
    process = subprocess.Popen(command)
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            peak = max(peak, sum(p.memory_info().rss for p in (watched, *watched.children(recursive=True))))
        time.sleep(0.1)
    if process.returncode:
        sys.exit(f"{kind}: failed")
    return time.perf_counter() - start, peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run(given.one, given.file, given.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.jsonl"
        make(path, given.rows)
        print(f"{given.rows} rows, {path.stat().st_size / 1e6:.0f} MB, {len(os.sched_getaffinity(0))} cores")
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        rows: dict[str, list[tuple[str, str]]] = {}
        for number in range(given.runs):
            for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
                out = Path(folder) / kind
                took, peak = timed(kind, path, out)
                seconds[kind].append(took)
                print(f"  {kind}: {took:.1f} s, {given.rows / took:,.0f} rows/s, peak {peak:,.0f} MB", flush=True)
                rows[kind] = pl.read_parquet(out / "records.parquet", columns=["id", "content_hash"]).rows()
        if rows["ours"] != rows["loop"]:
            sys.exit("ours and loop disagree")
    ratios = [loop / ours for ours, loop in zip(*seconds.values(), strict=True)]
    print(f"ours is {statistics.median(ratios):.2f} times as fast (median of {given.runs}); the same ids and hashes")


if __name__ == "__main__":
    main()
