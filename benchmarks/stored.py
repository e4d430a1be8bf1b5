"""Finished runs of a benchmark: one JSON a line in CURATION_CACHE/benchmarks/<name>/runs.jsonl, by code and settings.

A benchmark that is stopped goes on from what stands there, and one that is started again prints what was measured; to
measure anew, change a setting or delete the file. Edits of the code that a run passes through make it another run.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xxhash

from curation.cache import folder

ROOT = Path(__file__).parent.parent
VERSIONS = ("torch", "trl", "transformers", "peft")
# What a training run passes through, beside the benchmark's own file: all of train but what comes after a run.
CODE = ("train/*.py", "curation/render.py", "curation/models.py", "curation/templates/*", "curation/mix/*")
LATER = {"advice", "benchmarks", "compare", "deltas", "evaluate", "gate", "merge", "merge_scores", "verify"}


class Runs:
    """Results by key; `settings` are what all runs of this call share, and `data` files that they read."""

    def __init__(self, name: str, settings: Mapping[str, Any], data: tuple[Path, ...] = ()) -> None:
        self.path = folder() / "benchmarks" / name / "runs.jsonl"
        files = sorted({p for pattern in CODE for p in ROOT.glob(pattern) if p.is_file() and p.stem not in LATER})
        digest = xxhash.xxh3_128()
        for file in [*files, ROOT / "benchmarks" / f"{name}.py", *data]:
            digest.update(file.read_bytes())
        versions = {package: version(package) for package in VERSIONS}
        self._shared = {"settings": dict(settings), "code": digest.hexdigest(), "versions": versions}
        self._stored = {line["key"]: line for line in _lines(self.path)}

    def key(self, **run: Any) -> str:
        return xxhash.xxh3_64_hexdigest(json.dumps([self._shared, run], sort_keys=True).encode())

    def stored(self, **run: Any) -> dict[str, Any] | None:
        return self._stored.get(self.key(**run))

    def get(self, measure: Callable[[], dict[str, Any]], **run: Any) -> dict[str, Any]:
        """What is stored of `run`, else what `measure` finds now, which is stored."""
        known = self.stored(**run)
        if known is None:
            begun = datetime.now(UTC)
            found = measure()
            at = f"{begun:%Y-%m-%d %H:%M}"
            known = {"key": self.key(**run), "at": at, "run": run, **self._shared, "result": found}
            self._stored[known["key"]] = known
            _append(self.path, json.dumps(known, ensure_ascii=False))
        return known["result"] | {"at": known["at"]}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a kill may have left the last one in part."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if begun and path.stat().st_size else "") + line + "\n")


def about(results: list[dict[str, Any]]) -> str:
    """When the runs were made, and with what."""
    times = sorted(r["at"] for r in results)
    packages = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    return f"Runs of {times[0]} to {times[-1]} UTC; Python {platform.python_version()}, {packages}."


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, the first column to the left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
