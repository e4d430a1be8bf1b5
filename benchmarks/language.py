"""How often the language signal is right on the 400 texts of tests/data/language_400.csv: `python -m benchmarks.language`.

Texts of public data sets are named by file, place and hash and read from CURATION_TEST_DATA; without it only the texts
written for this exam are judged. `right` is measured against the first labels, against the second, and where both agree.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from curation.score.language import identify

HERE = Path(__file__).resolve().parents[1]
EXAM = HERE / "tests/data/language_400.csv"
DATA = Path(os.environ.get("CURATION_TEST_DATA", HERE / "../shared/data"))


class Item(NamedTuple):
    """One text with its two labels and what the signal says of it."""

    n: int
    text: str
    label_a: str
    label_b: str
    said: str


def exam(data: Path = DATA) -> list[Item]:
    """The texts that are at hand; raises ValueError when a text of `data` is not the one that was labelled."""
    with EXAM.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        if row["file"] and not (data / row["file"]).exists():
            continue
        text = row["text"] or _text(data / row["file"], row["place"])
        if hashlib.sha256(text.encode()).hexdigest()[:16] != row["hash"]:
            raise ValueError(
                f"{EXAM.name}: text {row['n']}: {row['file']} {row['place']} is not the text that was labelled."
            )
        found.append(Item(int(row["n"]), text, row["label_a"], row["label_b"], identify(text).variety))
    return found


@cache
def _records(path: Path) -> list[Any]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = raw.decode("utf-8")
    if path.suffix == ".json":
        return list(json.loads(text))
    lines = text.split("\n")
    return [json.loads(line) for line in lines if line] if ".jsonl" in path.name else lines


def _text(path: Path, place: str) -> str:
    number, *keys = place.split(".")
    value = _records(path)[int(number)]
    if isinstance(value, str):
        return str(value.rstrip("\r").split("\t")[int(keys[0])]) if keys else value.strip()
    for key in keys:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return str(value)


def lines(items: list[Item]) -> Iterator[str]:
    """What is printed."""
    long = [i for i in items if len(i.text) > 20]
    und = [i for i in long if i.said == "und"]
    yield f"{len(items)} texts; und above 20 characters: {len(und)} of {len(long)} ({len(und) / len(long):.1%})"
    agreed = [i for i in items if i.label_a == i.label_b]
    labelled = [i for i in items if i.label_b]
    if labelled:
        both = sum(i.label_a == i.label_b for i in labelled)
        yield f"the two labellings agree on {both} of {len(labelled)} ({both / len(labelled):.1%})"
    for name, chosen, truth in (
        ("first labels", items, "label_a"),
        ("second labels", labelled, "label_b"),
        ("where both agree", agreed, "label_a"),
    ):
        if chosen:
            right = sum(i.said == getattr(i, truth) for i in chosen)
            judged = [i for i in chosen if i.said != "und"]
            sure = sum(i.said == getattr(i, truth) for i in judged)
            yield f"{name}: right {right}/{len(chosen)} ({right / len(chosen):.3f}); of judged texts {sure}/{len(judged)} ({sure / len(judged):.3f})"
    by_label = Counter(i.label_a for i in items)
    for label, total in by_label.most_common():
        wrong = Counter(i.said for i in items if i.label_a == label and i.said != label)
        yield f"  {label:8} {total - sum(wrong.values()):3}/{total:<3} {dict(wrong) or ''}"
    for i in items:
        if i.said not in (i.label_a, i.label_b):
            yield f"  {i.n}: {i.label_a}/{i.label_b or '-'}, said {i.said}: {i.text[:90]!r}"


if __name__ == "__main__":
    print("\n".join(lines(exam())))
