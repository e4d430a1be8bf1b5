"""Whether the quality score ranks planted degradations below their originals: `python -m benchmarks.quality`.

Every row of data/sources, and of `alpaca_{en,zh}_demo.json` under CURATION_TEST_DATA where they are there, that lends itself to a
defect of tests/inject.py gets it, up to `--each` rows a kind and language. AUROC: how often an original of that language (any of those
measured, the degraded row's own or not) is above a degraded row, ties counting half. `own`: how often its own is. `left`: median
score. Perplexity is not used: it needs a model. Kinds that leave the answer as it was are none.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from curation import records as rec
from curation.ingest import IngestParams, SourceParams, ingest
from curation.score.quality import combined, faults
from tests.inject import KINDS, Case, Corpus, case, read

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CURATION_TEST_DATA", ROOT / "../shared/data"))
DEFECTS = (
    "empty_answer", "prompt_echo", "repetition", "wrong_language", "refusal", "identity", "placeholder", "same_answer", "too_short",
    "too_long", "cut_off", "markup", "mojibake", "gbk_as_latin", "replacement", "invisible", "half_width",
)  # fmt: skip


class Line(NamedTuple):
    """One kind in one language."""

    kind: str
    language: str
    rows: int
    auroc: float
    own: float
    left: float


def corpora() -> dict[str, list[Case]]:
    """Cases by corpus: single-turn rows that are not planted, not noisy and not about safety."""
    sources = tuple(SourceParams(path=f"{ROOT}/data/sources/{name}*", license="MIT") for name in ("general", "luya"))
    rows = rec.sides(ingest(IngestParams(sources=sources))[0])
    starter = [
        {"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": a}]}
        for p, a, turns in rows.select("prompt", "answer", "messages").iter_rows()
        if [t["role"] for t in turns] == ["user", "assistant"]
    ]
    found = {"starter": starter}
    for name in ("en", "zh"):
        path = DATA / f"LLaMA-Factory/alpaca_{name}_demo.json"
        if path.exists():
            found.setdefault("alpaca", []).extend(read(path))
    return {name: [c for c in map(case, some) if c] for name, some in found.items()}


def score(row: Case) -> float:
    return combined(faults(row.prompt, row.answer))


def auroc(originals: Sequence[float], degraded: Sequence[float]) -> float:
    """Share of pairs in which the original is above, ties half (Mann and Whitney 1947)."""
    ranked = sorted(originals)
    below = [len(ranked) - (bisect_left(ranked, value) + bisect_right(ranked, value)) / 2 for value in degraded]
    return sum(below) / (len(ranked) * len(degraded))


def measure(cases: Sequence[Case], each: int = 100, seed: int = 7) -> list[Line]:
    """Lines by kind and language; the same for the same cases and seed."""
    lines = []
    for language in ("en", "zh"):
        own = [c for c in cases if c.language == language]
        random.Random(seed).shuffle(own)
        originals = [score(c) for c in own]
        for name in DEFECTS:
            if language not in KINDS[name].languages:
                continue
            corpus, pairs = Corpus(own, random.Random(seed)), []
            for row, before in zip(own, originals, strict=True):
                made = KINDS[name].make(row, corpus)
                if isinstance(made, dict) and len(pairs) < each:
                    # `case` takes no empty answer, so the texts are read here.
                    turns = made.get("messages")
                    answer = turns[-1]["content"] if turns else made["output"]
                    pairs.append((before, score(row.__class__(made, row.prompt, answer, language))))
            if pairs:
                after = [b for _, b in pairs]
                wins = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)
                lines.append(Line(name, language, len(pairs), auroc(originals, after), wins, median(after)))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="one line of JSON a row")
    given = parser.parse_args()
    for name, cases in corpora().items():
        lines = measure(cases, given.each)
        if given.json:
            print(*(json.dumps({"corpus": name, **line._asdict()}) for line in lines), sep="\n")
            continue
        counts = {lang: sum(c.language == lang for c in cases) for lang in ("en", "zh")}
        whole = {lang: median(score(c) for c in cases if c.language == lang) for lang in counts}
        print(
            f"**{name}**: {counts['en']} English and {counts['zh']} Chinese originals, median score {whole['en']:.2f} and {whole['zh']:.2f}.\n"
        )
        print("| kind | language | rows | AUROC | own | left |\n|---|---|--:|--:|--:|--:|")
        for line in lines:
            print(
                f"| {line.kind} | {line.language} | {line.rows} | {line.auroc:.3f} | {line.own:.3f} | {line.left:.2f} |"
            )
        for lang in ("en", "zh"):
            values = [line.auroc for line in lines if line.language == lang]
            print(f"| mean of kinds | {lang} | | {sum(values) / len(values):.3f} | | |")
        print()


if __name__ == "__main__":
    main()
