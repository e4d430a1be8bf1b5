"""Decontamination: speed, planted copies changed in six ways, false hits.

    python -m benchmarks.decontaminate                                  # all that the data at hand allows
    CURATION_TEST_DATA=~/data python -m benchmarks.decontaminate        # with GSM8K, HumanEval, IFEval, MT-Bench

Speed is that of 100,000 rows (mean 500 bytes, 40% Chinese) against 10,000 test prompts of the same sentences with words exchanged,
the hard case: every row shares n-grams with many prompts. Planted copies are of the evaluation sets found in
CURATION_TEST_DATA (default ../shared/data) and, for Chinese, of prompts of alpaca_zh_demo and data/evaluation, each put into
the prompt or the answer of a stranger's row. False hits are those of alpaca_{en,zh}_demo against GSM8K, HumanEval and IFEval.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from benchmarks.corpus import UNIT, edited, sentences
from curation.clean import decontaminate
from curation.clean.decontaminate import DecontaminateParams, Item

DATA = Path(os.environ.get("CURATION_TEST_DATA", "../shared/data"))
SETS = {
    "GSM8K": "grade-school-math/test.jsonl",
    "HumanEval": "human-eval/HumanEval.jsonl.gz",
    "IFEval": "instruction_following_eval/input_data.jsonl",
    "MT-Bench": "FastChat/mt_bench/question.jsonl",
}
WIDE = {ord("!") + n: 0xFF01 + n for n in range(94)}
# Chinese words are taken as two characters, as they are on average; a number is never replaced.
WORD = re.compile(r"[一-鿿]{2}|[^\W\d_一-鿿]+")


def replaced(text: str, rng: random.Random, words: list[str], hanzi: list[str]) -> str:
    """`text` with one word in ten, at random places, exchanged for another; texts of fewer than ten words keep theirs."""
    count = len(WORD.findall(text))
    chosen, number = set(rng.sample(range(count), count // 10)), -1

    def change(match: re.Match[str]) -> str:
        nonlocal number
        number += 1
        if number not in chosen:
            return match[0]
        return rng.choice(hanzi) if match[0][0] >= "一" else rng.choice(words)

    return WORD.sub(change, text)


def ways(
    rng: random.Random, pool: tuple[list[str], list[str]], words: list[str], hanzi: list[str]
) -> dict[str, Callable[[str], str]]:
    def embedded(text: str) -> str:
        own = pool[0] if re.search("[一-鿿]", text) else pool[1]
        before, after = (" ".join(rng.choices(own, k=4)) for _ in range(2))
        return f"{before}\n{text}\n{after}"

    return {
        "verbatim": lambda t: t,
        "case": lambda t: t.swapcase(),
        "punctuation and width": lambda t: re.sub(r"[^\w\s]", lambda _: rng.choice(",.;:!？。、"), t).translate(WIDE),
        "white space": lambda t: re.sub(
            r"\s+", lambda _: rng.choice(("  ", "\n", "\t ", "\u3000")), t.replace("，", "， ")
        ),
        "embedded": embedded,
        "one word in ten": lambda t: replaced(t, rng, words, hanzi),
    }


def rows_of(pairs: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [str(n) for n in range(len(pairs))], "prompt": [p for p, _ in pairs], "answer": [a for _, a in pairs]}
    )


def hit(frame: pl.DataFrame, items: list[Item]) -> pl.DataFrame:
    params = DecontaminateParams()
    return decontaminate.contaminated(decontaminate.measure(frame, items, params), params)


def speed(rows: int, prompts: int, pool: tuple[list[str], list[str]], rng: random.Random) -> None:
    vocabularies = [sorted({u for s in own for u in UNIT.findall(s)}) for own in pool]
    edits = [[edited(s, 0.3, vocabularies[n], rng) for s in rng.choices(own, k=20_000)] for n, own in enumerate(pool)]

    def text(size: int) -> str:
        tongue = int(rng.random() >= 0.4)
        parts: list[str] = []
        while sum(len(p.encode()) for p in parts) < size:
            parts.append(rng.choice(edits[tongue]))
        return " ".join(parts)

    items = [Item(f"set.jsonl:{n} prompt", "prompt", text(250)) for n in range(prompts)]
    frame = rows_of([(text(100), text(int(min(4000, rng.lognormvariate(5.7, 0.7))))) for _ in range(rows)])
    size = (frame["prompt"].str.len_bytes() + frame["answer"].str.len_bytes()).mean()
    hit(frame.head(100), items[:100])  # imports, compilation
    start, worked = time.perf_counter(), time.process_time()
    found = len(hit(frame, items))
    seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    print(
        f"speed: {rows} rows of mean {size:.0f} bytes against {prompts} prompts: {seconds:.1f} s, {cpu:.1f} CPU s, {found} hits"
    )


def load(paths: dict[str, str]) -> list[Item]:
    with tempfile.TemporaryDirectory() as folder:
        for name, path in paths.items():
            if (DATA / path).exists():
                shutil.copyfile(DATA / path, Path(folder, f"{name}{''.join(Path(path).suffixes)}"))
        return decontaminate.load(Path(folder))


def planted(items: list[Item], pool: tuple[list[str], list[str]], rng: random.Random) -> None:
    words = sorted({w for s in pool[1] for w in re.findall(r"[a-z]{3,}", s)})
    hanzi = sorted({w for s in pool[0] for w in re.findall(r"[一-鿿]{2}", s)})
    tongues = {
        "en": [i for i in items if i.kind == "prompt" and not re.search("[一-鿿]", i.text)],
        "zh": [i for i in items if i.kind == "prompt" and len(re.findall("[一-鿿]", i.text)) > 4],
    }
    for tongue, own in tongues.items():
        least = DecontaminateParams().min_units
        sizes = pl.Series([len(UNIT.findall(i.text)) for i in own])
        own = [i for i, n in zip(own, sizes, strict=True) if n >= least]
        strangers = pool[0] if tongue == "zh" else pool[1]
        for name, change in ways(rng, pool, words, hanzi).items():
            pairs = [(change(i.text), rng.choice(strangers)) for i in own]
            pairs = [(p, a) if n % 2 else (a, p) for n, (p, a) in enumerate(pairs)]  # in the answer as well
            found = hit(rows_of(pairs), items)
            missed = sorted({int(n) for n in map(str, range(len(own)))} - {int(n) for n in found["id"]})
            print(
                f"planted {tongue} {name:>22}: {len(found)} of {len(own)} found",
                *(f"\n    missed: {pairs[n][n % 2 == 0]!r:.150}" for n in missed[:3]),
            )


def false_hits(items: list[Item]) -> None:
    for name in ("alpaca_en_demo", "alpaca_zh_demo"):
        rows = json.loads((DATA / f"LLaMA-Factory/{name}.json").read_text(encoding="utf-8"))
        frame = rows_of([(f"{r['instruction']}\n{r['input']}", r["output"]) for r in rows])
        found = hit(frame, items)
        print(f"false hits: {len(found)} of {len(frame)} rows of {name}", *(f"\n    {d}" for d in found["detail"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--prompts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    pool = sentences(Path("data/sources"), rng)
    speed(args.rows, args.prompts, pool, rng)
    own = decontaminate.load(Path("data/evaluation"))
    items = load(SETS)
    demo = DATA / "LLaMA-Factory/alpaca_zh_demo.json"
    if demo.exists():
        rows = json.loads(demo.read_text(encoding="utf-8"))
        asked = [Item(f"alpaca_zh_demo.json:{n} prompt", "prompt", r["instruction"]) for n, r in enumerate(rows, 1)]
    else:
        asked = []
    planted([*items, *own, *asked], pool, rng)
    if demo.exists():
        false_hits([i for i in items if not i.where.startswith("MT-Bench")])
    else:
        print(f"false hits: not measured, {DATA} is absent")


if __name__ == "__main__":
    main()
