"""data/review/verdicts.jsonl: which rows a person accepts or rejects."""

from __future__ import annotations

import json
from pathlib import Path

from curation.errors import ConfigError


def read(path: Path) -> dict[str, str]:
    """id → accept or reject; the last word on an id holds. Raises ConfigError naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            id_, verdict = entry["id"], entry["verdict"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f'{path}:{number}: found {error!s}; accepted: {{"id": …, "verdict": "accept" or "reject"}}.'
            ) from None
        if verdict not in ("accept", "reject"):
            raise ConfigError(f"{path}:{number}: verdict is {verdict!r}; accepted: accept, reject.")
        found[id_] = verdict
    return found
