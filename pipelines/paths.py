"""Where stages keep their files, from the project's root. dvc.yaml says the same; a test compares them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCES = Path("data/sources")
EVALUATION = Path("data/evaluation")
REVIEW = Path("data/review")
FIXES = REVIEW / "fixes.jsonl"
REVIEW_LABELS = REVIEW / "labels.jsonl"
VERDICTS = REVIEW / "verdicts.jsonl"
RAW = Path("data/raw")
GENERATED = Path("data/generated")
CLEANED = Path("data/cleaned")
SYNTHESIZED = Path("data/synthesized")
MIXED = Path("data/mixed")
TAXONOMY = Path("curation/label/taxonomy.yaml")
ADAPTER = Path("models/adapter")
MERGED = Path("models/merged")
MERGED_SCORES = Path("reports/merged")
TRAINING = Path("reports/training")  # DVCLive's files
CONSUMED = Path("models/consumed.parquet")
REPORTS = Path("reports")
ACCEPTED = REPORTS / "accepted.json"


@dataclass(frozen=True)
class Corpus:
    """The places of one corpus: raw becomes cleaned, generated becomes synthesized, by the same four stages."""

    name: str
    came_from: Path  # folder with records.parquet
    cleaned: Path  # folder with records.parquet and dropped.parquet
    against: Path | None  # a cleaned corpus to be different from

    @property
    def repaired(self) -> Path:
        return Path("data/repaired") / self.name

    @property
    def signals(self) -> Path:
        return Path("data/signals") / self.name

    @property
    def labels(self) -> Path:
        return Path("data/labels") / f"{self.name}.parquet"


CORPORA = {
    "raw": Corpus("raw", RAW, CLEANED, None),
    "generated": Corpus("generated", GENERATED, SYNTHESIZED, CLEANED),
}
