"""Near duplicates from parquet to pairs: ours beside a rensa loop and a datasketch loop.

    python -m benchmarks.near --rows 20000            # all three, interleaved, median of 3
    python -m benchmarks.near --rows 1000000 --only ours --runs 1

The corpus is made from a seed: sentences of data/sources (a word soup without them) with words exchanged, so that rows are
strangers, and planted copies: exact, light, medium and heavy edits. The loops do what their manuals show: a Python loop
that cuts shingles, sketches, inserts and queries, and keeps candidates whose estimated similarity reaches the floor. Each run
has its own process; imports, compilation and a warm-up on 200 rows are not counted.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from curation import records as rec

FLOOR, PERMUTATIONS, BANDS = 0.5, 128, 32
NGRAM = 5
COPIES = {"exact": 0.0, "light": 0.01, "medium": 0.04, "heavy": 0.15}  # share of units that are edited
UNIT = re.compile(r"[㐀-鿿]|[^\W_㐀-鿿]+")


def shingles(text: str) -> set[str]:
    units = UNIT.findall(text.lower())
    return {" ".join(units[i : i + NGRAM]) for i in range(max(1, len(units) - NGRAM + 1))}


def sentences(folder: Path, rng: random.Random) -> tuple[list[str], list[str]]:
    """Chinese and English sentences."""
    found: list[str] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"', path.read_text(encoding="utf-8", errors="ignore"))
        for text in strings:
            found += [s.strip() for s in re.split(r"(?<=[。！？])|(?<=[.!?]) |\\n", text)]
    chinese = sorted({s for s in found if len(re.findall(r"[一-鿿]", s)) > 8})
    english = sorted({s for s in found if len(re.findall(r"[A-Za-z]{2,}", s)) > 6 and not re.search(r"[一-鿿\\]", s)})
    if len(chinese) < 100 or len(english) < 100:
        letters = [chr(c) for c in range(0x4E00, 0x4E00 + 3000)]
        words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5000)]
        chinese = ["".join(rng.choices(letters, k=rng.randint(8, 30))) + "。" for _ in range(3000)]
        english = [" ".join(rng.choices(words, k=rng.randint(6, 20))) + "." for _ in range(3000)]
    return chinese, english


def edited(text: str, share: float, vocabulary: list[str], rng: random.Random) -> str:
    """`text` with `share` of its units exchanged, cut or doubled."""

    def change(match: re.Match[str]) -> str:
        if rng.random() >= share:
            return match[0]
        return rng.choice((rng.choice(vocabulary), "", match[0] * 2))

    return UNIT.sub(change, text) if share else text


def corpus(rows: int, seed: int) -> tuple[pl.DataFrame, list[tuple[int, int]]]:
    """Records in random order (`id` is the number of a row) and the planted pairs (numbers)."""
    rng = random.Random(seed)
    pools = sentences(Path("data/sources"), rng)
    vocabularies = [sorted({u for s in pool for u in UNIT.findall(s)}) for pool in pools]
    made: list[tuple[str, str, int]] = []
    planted, seen = [], set()
    while len(made) < rows:
        if made and rng.random() < 0.2:
            original = rng.randrange(len(made))
            prompt, answer, tongue = made[original]
            share = rng.choice(list(COPIES.values()))
            text = edited(answer, share, vocabularies[tongue], rng)
            if text == answer:
                prompt += "!"
            if (prompt, text) in seen:
                continue
            seen.add((prompt, text))
            made.append((prompt, text, tongue))
            planted.append((original, len(made) - 1))
            continue
        tongue = int(rng.random() >= 0.4)
        size, parts = int(min(4000, rng.lognormvariate(6.12, 0.62))), []
        while sum(len(p.encode()) for p in parts) < size:
            parts.append(edited(rng.choice(pools[tongue]), 0.3, vocabularies[tongue], rng))
        made.append((parts[0], ("" if tongue == 0 else " ").join(parts[1:]) or parts[0], tongue))
    messages = [[rec.message("user", p), rec.message("assistant", a)] for p, a, _ in made]
    frame = rec.frame(
        {"id": str(i), "content_hash": rec.content_hash(m, None, None), "kind": "chat", "messages": m}
        for i, m in enumerate(messages)
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=seed), planted


def ours(path: Path) -> Iterator[tuple[str, str, float]]:
    from curation.score.near import NearParams, compute

    params = NearParams(floor=FLOOR, permutations=PERMUTATIONS, ngram_words=NGRAM, ngram_chars=NGRAM)
    found = (
        compute(rec.read(path, columns=["content_hash", "kind", "messages", "text"]), params)
        .select("content_hash", "neighbours")
        .explode("neighbours")
        .drop_nulls()
    )
    other = pl.col("neighbours").struct.field("other")
    pairs = found.filter(pl.col("content_hash") < other).unnest("neighbours")
    yield from pairs.iter_rows()


def texts(path: Path) -> Iterator[tuple[str, str]]:
    for key, messages in rec.read(path, columns=["content_hash", "messages"]).iter_rows():
        yield key, "\n".join(m["content"] for m in messages)


def rensa(path: Path) -> Iterator[tuple[str, str, float]]:
    from rensa import RMinHash, RMinHashLSH

    lsh = RMinHashLSH(threshold=FLOOR, num_perm=PERMUTATIONS, num_bands=BANDS)
    sketches: list[tuple[str, RMinHash]] = []
    for key, text in texts(path):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=42)
        sketch.update(list(shingles(text)))
        for i in lsh.query(sketch):
            if (similarity := sketch.jaccard(sketches[i][1])) >= FLOOR:
                yield (*sorted((key, sketches[i][0])), similarity)
        lsh.insert(len(sketches), sketch)
        sketches.append((key, sketch))


def datasketch(path: Path) -> Iterator[tuple[str, str, float]]:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, PERMUTATIONS // BANDS))
    sketches: dict[str, MinHash] = {}
    for key, text in texts(path):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([s.encode() for s in shingles(text)])
        for other in lsh.query(sketch):
            if (similarity := sketch.jaccard(sketches[other])) >= FLOOR:
                yield (*sorted((key, other)), similarity)
        lsh.insert(key, sketch)
        sketches[key] = sketch


CONTENDERS = {"ours": ours, "rensa": rensa, "datasketch": datasketch}


def measure(name: str, path: Path, warm: Path, out: Path) -> None:
    """One run in this process: seconds and peak memory as JSON, the pairs as parquet."""
    list(CONTENDERS[name](warm))
    start, worked = time.perf_counter(), time.process_time()
    pairs = list(CONTENDERS[name](path))
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    used = peak()
    pl.DataFrame(pairs, orient="row", schema={"a": pl.String, "b": pl.String, "similarity": pl.Float64}).write_parquet(
        out
    )
    print(json.dumps({"seconds": seconds, "cpu": worked, "peak_mb": used}))


def peak() -> float:
    """Most memory that this process held, in MB. Not `getrusage`: its maximum is inherited from the parent."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def quality(
    found: pl.DataFrame, frame: pl.DataFrame, planted: list[tuple[int, int]], seed: int
) -> tuple[float, int, float]:
    """Recall of planted pairs with true Jaccard ≥ 0.8, how many they are, and the share of 2,000 found pairs that reach the floor."""
    said = {
        key: "\n".join(m["content"] for m in messages)
        for key, messages in frame.select("content_hash", "messages").iter_rows()
    }
    key = dict(frame.select(pl.col("id").cast(pl.Int64), "content_hash").iter_rows())

    def jaccard(a: str, b: str) -> float:
        left, right = shingles(said[a]), shingles(said[b])
        return len(left & right) / len(left | right)

    rng = random.Random(seed)
    wanted = [
        tuple(sorted((key[a], key[b]))) for a, b in rng.sample(planted, min(5000, len(planted))) if key[a] != key[b]
    ]
    wanted = [pair for pair in wanted if jaccard(*pair) >= 0.8]
    pairs = set(found.select("a", "b").iter_rows())
    sample = rng.sample(sorted(pairs), min(2000, len(pairs)))
    right = sum(jaccard(*pair) >= FLOOR for pair in sample)
    return sum(p in pairs for p in wanted) / max(1, len(wanted)), len(wanted), right / max(1, len(sample))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        name, path, warm, out = args.measure
        measure(name, Path(path), Path(warm), Path(out))
        return
    with tempfile.TemporaryDirectory() as folder:
        path, warm = Path(folder, "corpus.parquet"), Path(folder, "warm.parquet")
        frame, planted = corpus(args.rows, args.seed)
        rec.write(frame, path)
        rec.write(frame.head(200), warm)
        size = frame["messages"].list.eval(pl.element().struct.field("content").str.len_bytes()).list.sum().mean()
        print(
            f"{args.rows} rows of mean {size:.0f} bytes, {len(planted)} planted copies, floor {FLOOR}, median of {args.runs}"
        )
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in args.only}
        for _ in range(args.runs):
            for name in args.only:
                arguments = [name, str(path), str(warm), f"{folder}/{name}.parquet"]
                command = [sys.executable, "-m", "benchmarks.near", "--measure", *arguments]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                runs[name].append(json.loads(done.stdout))
        heads = ("", "seconds", "rows/s", "time", "CPU s", "CPU", "recall", "precision", "pairs", "peak MB")
        print("".join(f"{head:>11}" for head in heads))
        first = next(iter(runs.values()))
        for name, measured in runs.items():
            seconds, cpu = (statistics.median(r[key] for r in measured) for key in ("seconds", "cpu"))
            times, cpus = (
                statistics.median(r[key] for r in measured) / statistics.median(r[key] for r in first)
                for key in ("seconds", "cpu")
            )
            found = pl.read_parquet(f"{folder}/{name}.parquet")
            recall, _, precision = quality(found, frame, planted, args.seed)
            memory = max(r["peak_mb"] for r in measured)
            cells = (
                f"{seconds:.2f}", f"{args.rows / seconds:.0f}", f"{times:.1f}x", f"{cpu:.2f}", f"{cpus:.1f}x",
                f"{recall:.4f}", f"{precision:.4f}", str(len(found)), f"{memory:.0f}",
            )  # fmt: skip
            print(f"{name:>11}" + "".join(f"{cell:>11}" for cell in cells))


if __name__ == "__main__":
    main()
