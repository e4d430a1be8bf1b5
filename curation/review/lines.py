"""What the files of data/review have in common: one JSON object a line, written by people, with the `id` of a row."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from curation.errors import ConfigError

T = TypeVar("T")
# The ids of made records; the names of synthesize's recipes, which nothing here imports (a test compares them).
MADE = re.compile(r"(evol|noise)-[0-9a-f]{16}(?:-\d+)?")


def text(path: Path) -> list[str]:
    """The file's lines, none where there is no file; raises ConfigError for bytes that are not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig").split("\n") if path.exists() else []
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8.") from None


def parse(lines: Iterable[str], where: str, read: Callable[[str, str], T]) -> list[T]:
    """`read(line, "where:number")` of each line that is not blank; raises ConfigError with a line for every faulty one."""
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(read(line, f"{where}:{number}"))
            except ConfigError as error:
                faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return found


def entry(line: str, where: str, keys: Sequence[str]) -> dict[str, Any]:
    """The object on a line, with `id` and no keys but `keys`; raises ConfigError."""
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON ({error}); accepted: one object a line with {', '.join(keys)}.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: found {kind(value)}; accepted: one object a line with {', '.join(keys)}.")
    for key in value:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "; remove it."
            raise ConfigError(f"{where}: unknown key {key!r}; accepted: {', '.join(keys)}{hint}")
    word(value, "id", "a record's id", where)
    return value


def word(value: dict[str, Any], key: str, accepted: str, where: str) -> str:
    """The text under `key`; raises ConfigError when there is none."""
    found = value.get(key)
    if not isinstance(found, str) or not found.strip():
        said = f"found {json.dumps(found, ensure_ascii=False)}" if key in value else "missing"
        raise ConfigError(f"{where}: {key}: {said}; accepted: {accepted}.")
    return found


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return {
        list: "a list",
        dict: "an object",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }.get(type(value), "null")


def belonging(said: Iterable[str], ids: Iterable[str], made: bool) -> set[str]:
    """Those ids of `said` that are meant for the corpus with `ids`; one file serves the raw and the generated (`made`) corpus.

    Records that a recipe made are named for it (`evol-…`). An id that neither corpus knows stays with the one that its
    form points to, so that it can be named there.
    """
    known = set(ids)
    return {id_ for id_ in said if id_ in known or bool(MADE.fullmatch(id_)) == made}


def unknown(said: Iterable[str], ids: Iterable[str], path: str, rows: str, what: str) -> str | None:
    """A sentence on ids of `said` that are none of `ids`; None when there are none.

    `path` and `rows` say which files these are, `what` is said there: labels, verdicts.
    """
    given = set(said)
    strange = sorted(given - set(ids))
    if not strange:
        return None
    return (
        f"{path}: {len(strange)} of {len(given)} {what} are on ids that no row of {rows} has, "
        f"first {', '.join(strange[:3])}; they decide nothing here. "
        "Mend the ids, or leave them when the file is for a bigger corpus."
    )
