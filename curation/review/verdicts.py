"""data/review/verdicts.jsonl: which rows a person accepts or rejects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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


def unknown(verdicts: Mapping[str, str], ids: Iterable[str], path: str, rows: str) -> str | None:
    """A sentence on the verdicts whose id is none of `ids`; None when there are none. `path` and `rows` say which files these are."""
    strange = sorted(verdicts.keys() - set(ids))
    if not strange:
        return None
    return (
        f"{path}: {len(strange)} of {len(verdicts)} verdicts are on ids that no row of {rows} has, "
        f"first {', '.join(strange[:3])}; they decide nothing here. "
        "Mend the ids, or leave them when the file is for a bigger corpus."
    )
