"""Paragraphs that were said before, in texts for replay: the rule beside a Python loop with a set of hashes.

    python -m benchmarks.paragraphs --rows 10000

The corpus is made from a seed: texts of ten paragraphs, 40% Chinese, one paragraph in five from a pool of 2,000 (menus, notices), one
text in twenty that says a paragraph four times, one that is made of the pool. The loop decides the same with the same normal form,
or with `lower()` and `split()` only, and must drop the same rows.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable

import polars as pl
import xxhash

from curation.clean.duplicates import ranked
from curation.clean.paragraphs import ParagraphParams, duplicate_paragraphs
from curation.score.normal_form import normalize

WORD, HAN = re.compile(r"[^\W_\u4e00-\u9fff]+"), re.compile(r"[\u4e00-\u9fff]")


def corpus(rows: int, seed: int) -> pl.DataFrame:
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    letters = [chr(c) for c in range(0x4E00, 0x4E00 + 3000)]

    def paragraph(zh: bool) -> str:
        return "".join(rng.choices(letters, k=30)) + "。" if zh else " ".join(rng.choices(words, k=16)) + "."

    pool = [paragraph(i % 5 < 2) for i in range(2000)]
    texts = []
    for _ in range(rows):
        zh = rng.random() < 0.4
        said = [paragraph(zh) if rng.random() < 0.8 else rng.choice(pool) for _ in range(10)]
        if rng.random() < 0.05:
            said[5:8] = [said[0]] * 3
        if rng.random() < 0.05:
            said[2:] = [rng.choice(pool) for _ in said[2:]]
        texts.append("\n".join(said))
    return pl.DataFrame(
        {
            "id": [f"r{i:07}" for i in range(rows)],
            "text": texts,
            "content_hash": [xxhash.xxh3_128_hexdigest(t.encode()) for t in texts],
        }
    ).with_columns(
        kind=pl.lit("text"),
        verdict=pl.lit(None, pl.String),
        origin=pl.lit("pretrain"),
        tags=pl.lit([], pl.List(pl.String)),
        task_subtype=pl.lit("prose"),
    )


def loop(rows: pl.DataFrame, params: ParagraphParams, normal: Callable[[str], str]) -> set[str]:
    """Ids that the default limits drop."""
    dropped: set[str] = set()
    kept: set[int] = set()
    for id_, text in ranked(rows).select("id", "text").iter_rows():
        own: set[int] = set()
        again = again_chars = shared = chars = pieces = 0
        for line in filter(str.strip, text.split("\n")):
            size = len("".join(line.split()))
            chars, pieces = chars + size, pieces + 1
            if len(HAN.findall(line)) + 2 * len(WORD.findall(line)) < params.min_units:
                continue
            key = xxhash.xxh3_64_intdigest(normal(line).encode())
            if key in own:
                again, again_chars = again + 1, again_chars + size
            elif key in kept:
                shared += size
            own.add(key)
        limits = (params.duplicate_fraction, params.duplicate_char_fraction, params.shared_char_fraction)
        shares = (again / pieces, again_chars / chars, (shared + again_chars) / chars)
        if any(limit is not None and share > limit for share, limit in zip(shares, limits, strict=True)):
            dropped.add(id_)
        else:
            kept |= own
    return dropped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rows, params = corpus(args.rows, args.seed), ParagraphParams()
    ways: dict[str, Callable[[], set[str]]] = {
        "ours": lambda: set(duplicate_paragraphs(rows, params, None)["id"]),
        "loop, same normal form": lambda: loop(rows, params, normalize),
        "loop, lower() and split()": lambda: loop(rows, params, lambda line: " ".join(line.lower().split())),
    }
    ways["ours"]()  # compiles
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    dropped: dict[str, set[str]] = {}
    for _ in range(args.runs):
        for name, way in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            dropped[name] = way()
            took[name].append((time.perf_counter() - start, time.process_time() - cpu))
    seconds = {name: statistics.median(t for t, _ in times) for name, times in took.items()}
    print(f"{rows.height:,} texts, {10 * rows.height:,} paragraphs, median of {args.runs}\n")
    print("| | seconds | CPU s | paragraphs/s | times ours | dropped |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, times in took.items():
        cpu = statistics.median(c for _, c in times)
        print(
            f"| {name} | {seconds[name]:.2f} | {cpu:.2f} | {10 * rows.height / seconds[name]:,.0f} | "
            f"{seconds[name] / seconds['ours']:.1f} | {len(dropped[name])} |"
        )
    print("\nall drop the same rows" if len(set(map(frozenset, dropped.values()))) == 1 else "\nTHE ROWS DIFFER")


if __name__ == "__main__":
    main()
