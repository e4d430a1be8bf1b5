"""data/review/verdicts.jsonl: which rows a person accepts or rejects."""

from __future__ import annotations

from pathlib import Path

from curation.errors import ConfigError
from curation.review import lines

KEYS = ("id", "verdict", "by", "note")


def read(path: Path) -> dict[str, str]:
    """id → accept or reject; the last word on an id holds. Raises ConfigError with a line for every faulty line."""
    return dict(lines.parse(lines.text(path), str(path), _verdict))


def _verdict(line: str, where: str) -> tuple[str, str]:
    entry = lines.entry(line, where, KEYS)
    verdict = entry.get("verdict")
    if verdict not in ("accept", "reject"):
        raise ConfigError(f"{where}: verdict is {verdict!r}; accepted: accept, reject.")
    return entry["id"], verdict
