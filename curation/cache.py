"""A content-addressed store: results that cost minutes, kept by what they depend on.

One SQLite file a kind of result, in the folder named by CURATION_CACHE (default `~/.cache/temper`). SQLite gives what
is needed and hard to write well: two processes may write at once, and a kill at any moment leaves whole entries only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from curation.errors import DataError


def folder() -> Path:
    """The cache folder, made when absent; raises DataError when it cannot be."""
    path = Path(os.environ.get("CURATION_CACHE") or "~/.cache/temper").expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"CURATION_CACHE={path}: cannot be used ({error}); name a folder that can be written."
        ) from None
    return path


class Cache:
    """A persistent mapping from key to bytes. Entries are never changed: the first writer wins."""

    def __init__(self, name: str) -> None:
        self.path = folder() / f"{name}.sqlite"
        try:
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Those of `keys` that are stored, with their values."""
        wanted = list(keys)
        found: dict[str, bytes] = {}
        try:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                found.update(self._db.execute(f"SELECT key, value FROM entries WHERE key IN ({marks})", part))  # noqa: S608
        except sqlite3.Error as error:
            raise self._failure(error) from None
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Store `entries` in one transaction; present keys stay as they are."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?)", entries.items())
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._failure(error) from None

    def close(self) -> None:
        self._db.close()

    def _failure(self, error: sqlite3.Error) -> DataError:
        return DataError(
            f"{self.path}: the cache cannot be used ({error}); free space, or delete the file, then run again."
        )
