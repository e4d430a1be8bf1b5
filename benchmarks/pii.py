"""How well personal data is found, as a table: `python -m benchmarks.pii`.

English: the annotated texts of presidio-research (synth_dataset_v2.json), read from CURATION_TEST_DATA. Chinese: the
sentences of tests/data/pii_zh.jsonl (all numbers invented). False hits: 1,000 clean rows in each language. A hit is right
when type, beginning and end are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from curation.repair import PiiParams, find
from curation.repair.pii import PiiTypes
from curation.repair.span import luhn

HERE = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CURATION_TEST_DATA", HERE / "../shared/data"))
# What the annotators call it, and what we do.
KINDS = {
    "EMAIL_ADDRESS": "email", "CREDIT_CARD": "card", "IP_ADDRESS": "ip", "IBAN_CODE": "iban", "DOMAIN_NAME": "url", "URL": "url",
    "PHONE_NUMBER": "phone", "US_SSN": "ssn",
}  # fmt: skip
WELL_FORMED = ("email", "card", "ip", "iban", "url")
Counts = dict[str, list[int]]  # type → right, false, missed


def english(source: Path) -> Counts:
    """Counts by type over the annotated English texts."""
    params = PiiParams(types=PiiTypes(url="redact"))
    counts: Counts = {kind: [0, 0, 0] for kind in KINDS.values()}
    for row in json.loads(source.read_text(encoding="utf-8")):
        text = row["full_text"]
        wanted = {
            (KINDS[s["entity_type"]], s["start_position"], s["end_position"])
            for s in row["spans"]
            if s["entity_type"] in KINDS
        }
        found = {(s.type, s.start, s.end) for s in find(text, params) if s.type in counts}
        # A card that fails its check digit is not well-formed: nobody is asked to find it.
        _count(counts, found, {w for w in wanted if w[0] != "card" or w in found or luhn(text[w[1] : w[2]])})
    return counts


def chinese(source: Path = HERE / "tests/data/pii_zh.jsonl") -> Counts:
    """Counts by type over our own Chinese sentences."""
    counts: Counts = {}
    for line in source.read_text(encoding="utf-8").splitlines():
        sentence = json.loads(line)
        found = {(s.type, s.start, s.end) for s in find(sentence["text"], PiiParams())}
        _count(counts, found, {(s["type"], s["start"], s["end"]) for s in sentence["spans"]})
    return counts


def _count(counts: Counts, found: set[Any], wanted: set[Any]) -> None:
    for place, spans in enumerate((wanted & found, found - wanted, wanted - found)):
        for kind, _, _ in spans:
            counts.setdefault(kind, [0, 0, 0])[place] += 1


def false_hits(source: Path) -> list[tuple[int, str]]:
    """Row and type of every hit in rows that hold no personal data."""
    rows = json.loads(source.read_text(encoding="utf-8"))
    params = PiiParams()
    return [(i, s.type) for i, row in enumerate(rows) for text in row.values() if text for s in find(text, params)]


def micro_f1(counts: Counts, kinds: Iterable[str]) -> float:
    """F1 over the sums of right, false and missed of these types."""
    right, false, missed = (sum(counts[kind][place] for kind in kinds) for place in range(3))
    return 2 * right / (2 * right + false + missed)


def table(title: str, counts: Counts) -> Iterator[str]:
    """The counts as lines of a Markdown table."""
    yield f"| {title} | right | false | missed | F1 |"
    yield "|---|--:|--:|--:|--:|"
    for kind, (right, false, missed) in sorted(counts.items()):
        yield f"| {kind} | {right} | {false} | {missed} | {2 * right / max(1, 2 * right + false + missed):.3f} |"


def main() -> None:
    """Print the tables."""
    own = chinese()
    print("\n".join(table("Chinese", own)))
    print(f"\nmicro F1 {micro_f1(own, own):.3f} over {sum(c[0] + c[2] for c in own.values())} spans\n")
    annotated = DATA / "presidio-research/synth_dataset_v2.json"
    if not annotated.exists():
        print(f"{annotated} is absent: set CURATION_TEST_DATA for the English table and the false hits.")
        return
    counts = english(annotated)
    print("\n".join(table("English", counts)))
    print(
        f"\nmicro F1 {micro_f1(counts, WELL_FORMED):.3f} ({', '.join(WELL_FORMED)}); phone {micro_f1(counts, ['phone']):.3f}\n"
    )
    for language in ("en", "zh"):
        source = DATA / f"LLaMA-Factory/alpaca_{language}_demo.json"
        print(f"false hits in {source.name}: {false_hits(source)}")


if __name__ == "__main__":
    main()
