"""A corpus with known copies, of text that the project carries: sentences of data/sources, exchanged word by word.

40% Chinese, mean 560 bytes. Four rows in five are strangers to each other; the fifth is a copy of an earlier row: exact (another
content hash, the same shingles), light, medium or heavy (1, 4 or 15 of 100 units exchanged, cut or doubled). A row's cluster is
the row that its chain of copies began with. The same rows, seed and sources give the same corpus; it is kept in the cache folder.
"""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from curation import cache
from curation import records as rec

SOURCES = Path("data/sources")
COPIES = {"exact": 0.0, "light": 0.01, "medium": 0.04, "heavy": 0.15}  # share of units that are edited
UNIT = re.compile(r"[㐀-鿿]|[^\W_㐀-鿿]+")
_PART = 50_000  # rows that are made into a frame at a time


@dataclass(frozen=True)
class Corpus:
    """Files of one corpus: `records` (id, content_hash, kind, messages …) and `new`, the thousandth that comes later; `known`: for
    each row of both `content_hash`, `cluster`, `original` (content hash, null: none), `copy` (a key of COPIES) and `text`.
    """

    rows: int
    records: Path
    new: Path
    known: Path
    warm: Path


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


def build(rows: int, seed: int = 7) -> Corpus:
    """The corpus of `rows` rows and a thousandth more, from the cache or made now (12 s for 100,000)."""
    recipe = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(p for p in SOURCES.rglob("*") if p.is_file()):
        recipe.update(path.read_bytes())
    folder = cache.folder() / "benchmarks" / f"corpus-{rows}-{seed}-{recipe.hexdigest()[:12]}"
    made = Corpus(rows, *(folder / f"{name}.parquet" for name in ("records", "new", "known", "warm")))
    if not made.warm.exists():
        for older in folder.parent.glob(f"corpus-{rows}-{seed}-*"):
            shutil.rmtree(older, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        frame, known = _made(rows + rows // 1000, seed)
        rec.write(known, made.known, "content_hash")
        rec.write(frame.head(rows), made.records)
        rec.write(frame.tail(rows // 1000), made.new)
        rec.write(frame.head(200), made.warm)
    return made


def _made(rows: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Records in random order, and what is known of them."""
    rng = random.Random(seed)
    pools = sentences(SOURCES, rng)
    vocabularies = [sorted({u for s in pool for u in UNIT.findall(s)}) for pool in pools]
    made: list[tuple[str, str, int]] = []
    origin: list[tuple[int, int, str | None]] = []  # cluster, original (-1: none), kind of copy
    seen: set[tuple[str, str]] = set()
    while len(made) < rows:
        if made and rng.random() < 0.2:
            original = rng.randrange(len(made))
            prompt, answer, tongue = made[original]
            kind = rng.choice(list(COPIES))
            text = edited(answer, COPIES[kind], vocabularies[tongue], rng)
            if text == answer:
                prompt += "!"
            if (prompt, text) in seen:
                continue
            seen.add((prompt, text))
            made.append((prompt, text, tongue))
            origin.append((origin[original][0], original, kind))
            continue
        tongue = int(rng.random() >= 0.4)
        size, parts = int(min(4000, rng.lognormvariate(6.0, 0.62))), []
        while sum(len(p.encode()) for p in parts) < size:
            parts.append(edited(rng.choice(pools[tongue]), 0.3, vocabularies[tongue], rng))
        prompt, text = parts[0], ("" if tongue == 0 else " ").join(parts[1:]) or parts[0]
        if (prompt, text) in seen:
            continue
        seen.add((prompt, text))
        made.append((prompt, text, tongue))
        origin.append((len(origin), -1, None))
    frames, hashes = [], []
    for begin in range(0, rows, _PART):
        messages = [[rec.message("user", p), rec.message("assistant", a)] for p, a, _ in made[begin : begin + _PART]]
        named = [rec.content_hash(m, None, None) for m in messages]
        frames.append(
            rec.frame(
                {"id": str(begin + i), "content_hash": h, "kind": "chat", "messages": m}
                for i, (h, m) in enumerate(zip(named, messages, strict=True))
            )
        )
        hashes += named
    known = pl.DataFrame(
        {
            "content_hash": hashes,
            "cluster": [c for c, _, _ in origin],
            "original": [None if o < 0 else hashes[o] for _, o, _ in origin],
            "copy": pl.Series([k for _, _, k in origin], dtype=pl.String),
            "text": [f"{p}\n{a}" for p, a, _ in made],
        }
    )
    return pl.concat(frames).sample(fraction=1.0, shuffle=True, seed=seed), known
