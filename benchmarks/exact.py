"""Exact duplicates: ours beside a Python set of hashes over normalised strings, interleaved.

    python -m benchmarks.exact --rows 100000
    python -m benchmarks.exact --rows 1000000 --runs 3

The corpus is made from a seed: mean 500 bytes, 40% Chinese, a fifth of the rows copies with other case, width, punctuation or
spaces. The set normalises by what Python offers (NFKC, casefold, one regular expression), hashes by XXH3 and keeps what it has not
seen, one key a row: once over texts that are Python strings already, once from the column of messages as ours does. Ours makes
three keys (conversation, prompt, answer) and marks first occurrences; it finds a few copies less, since it keeps 1.5 apart from 15.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import polars as pl
import xxhash

from curation import records as rec

NOT_TEXT = re.compile(r"[\W_]+")
_WIDE = str.maketrans({"，": ",", "。": ".", "？": "?", "！": "!"})


def texts(rows: int, seed: int) -> tuple[list[str], list[str]]:
    """Prompts and answers: words and characters drawn by frequency, a fifth of the rows altered copies."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 9))) for _ in range(20000)]
    weights = [1 / (n + 10) for n in range(len(words))]
    english = rng.choices(words, weights, k=400_000)
    english = [w.capitalize() + "." if rng.random() < 0.08 else w + "," if rng.random() < 0.05 else w for w in english]
    letters = [chr(0x4E00 + n) for n in rng.sample(range(8000), 4000)]
    chinese = rng.choices(letters, [1 / (n + 10) for n in range(4000)], k=400_000)
    chinese = "".join(c + rng.choice("，，，。？！") if rng.random() < 0.08 else c for c in chinese)
    prompts: list[str] = []
    answers: list[str] = []
    for _ in range(rows):
        if prompts and rng.random() < 0.2:
            at = rng.randrange(len(prompts))
            change = rng.choice((str.upper, lambda t: t.translate(_WIDE), lambda t: f"  {t}\n", lambda t: t + "!"))
            prompts.append(prompts[at])
            answers.append(change(answers[at]))
            continue
        size = max(40, min(4000, int(rng.lognormvariate(5.9, 0.6))))
        if rng.random() < 0.4:
            at, n = rng.randrange(390_000), size // 3
            prompts.append(chinese[at : at + 20])
            answers.append(chinese[at + 20 : at + n])
        else:
            at, n = rng.randrange(390_000), size // 6
            prompts.append(" ".join(english[at : at + 9]))
            answers.append(" ".join(english[at + 9 : at + n]))
    return prompts, answers


def frame(prompts: list[str], answers: list[str]) -> pl.DataFrame:
    """Records of the rows, made column by column."""

    def turn(role: str, column: str) -> pl.Expr:
        own = {"role": pl.lit(role), "content": pl.col(column)}
        fields = rec.MESSAGE.to_schema().items()
        return pl.struct(own.get(name, pl.lit(None, dtype)).alias(name) for name, dtype in fields).alias(column)

    sides = pl.DataFrame({"prompt": prompts, "answer": answers}).select(
        turn("user", "prompt"), turn("assistant", "answer")
    )
    messages = sides.select(pl.concat_list("prompt", "answer").alias("messages"))
    return messages.with_columns(
        pl.int_range(pl.len()).cast(pl.String).str.zfill(32).alias("content_hash"),
        pl.lit("chat").alias("kind"),
        pl.lit(None, pl.String).alias("text"),
        pl.lit(None, pl.String).alias("tools"),
    ).rechunk()


def python_set(strings: Iterable[str], rows: int) -> int:
    """Rows that are copies of an earlier one."""
    seen: set[bytes] = set()
    for text in strings:
        normal = NOT_TEXT.sub("", unicodedata.normalize("NFKC", text).casefold())
        seen.add(xxhash.xxh3_128_digest(normal.encode()))
    return rows - len(seen)


def joined(records: pl.DataFrame) -> Iterator[str]:
    for (messages,) in records.select("messages").iter_rows():
        yield "\n".join(m["content"] for m in messages)


def ours(records: pl.DataFrame) -> int:
    from curation.score.exact import ExactParams, compute

    return int((~compute(records, ExactParams())["key"].is_first_distinct()).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    prompts, answers = texts(args.rows, args.seed)
    records = frame(prompts, answers)
    strings = [f"{p}\n{a}" for p, a in zip(prompts, answers, strict=True)]
    size = np.mean([len(s.encode()) for s in strings[:20_000]])
    print(f"{args.rows} rows of mean {size:.0f} bytes, median of {args.runs}")
    contenders: dict[str, Callable[[], int]] = {
        "ours": lambda: ours(records),
        "set, strings": lambda: python_set(strings, args.rows),
        "set, records": lambda: python_set(joined(records), args.rows),
    }
    ours(records.head(1000))  # imports, compilation
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    found: dict[str, int] = {}
    for _ in range(args.runs):
        for name, run in contenders.items():
            start, worked = time.perf_counter(), time.process_time()
            found[name] = run()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - worked)
    for name in contenders:
        seconds = statistics.median(wall[name])
        print(
            f"{name:>12} {seconds:8.2f} s {statistics.median(cpu[name]):8.2f} CPU s {args.rows / seconds:10.0f} rows/s {found[name]:8} copies"
        )
    for name in ("set, strings", "set, records"):
        wall_ratio, cpu_ratio = (
            statistics.median(slow / fast for slow, fast in zip(taken[name], taken["ours"], strict=True))
            for taken in (wall, cpu)
        )
        print(f"ours is {wall_ratio:.1f} times as fast as the Python {name} ({cpu_ratio:.1f} times by CPU time)")


if __name__ == "__main__":
    main()
