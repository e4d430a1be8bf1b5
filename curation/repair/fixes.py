"""People's fixes: new texts for single messages, as the review page or a hand writes them to data/review/fixes.jsonl.

One JSON object a line: `{"id": "luya-0f…", "message": 1, "content": "the new text", "by": "mei", "note": "wrong price"}`.
`message` counts from 0; null means the text of a text row or, of a conversation, the last assistant turn.
A later line for the same place overrules an earlier one.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from curation.errors import ConfigError, DataError

# The ids of made records; the names of synthesize's recipes, which repair does not import (a test compares them).
MADE = re.compile(r"(evol|noise)-[0-9a-f]{16}(?:-\d+)?")
KEYS = ("id", "message", "content", "by", "note")


@dataclass(frozen=True)
class Fix:
    """A new text for one message of one record."""

    id: str
    message: int | None
    content: str
    by: str
    note: str = ""
    where: str = ""  # file:line, for errors


def parse(lines: Iterable[str], where: str) -> list[Fix]:
    """The fixes of a JSONL file; blank lines are skipped. Raises ConfigError with a line for every faulty line."""
    fixes, faults = [], []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                fixes.append(_fix(line, f"{where}:{number}"))
            except ConfigError as error:
                faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return fixes


def belonging(fixes: Sequence[Fix], ids: Iterable[str], synthetic: bool) -> list[Fix]:
    """Those of `fixes` that are meant for the corpus with these ids; one file serves the raw and the generated corpus.

    Records that a recipe made are named for it (`evol-…`). A fix for an id that neither corpus knows stays with the
    one that its form points to, so that `check` can name it there.
    """
    known = set(ids)
    return [fix for fix in fixes if fix.id in known or bool(MADE.fullmatch(fix.id)) == synthetic]


def check(fixes: Sequence[Fix], ids: Iterable[str]) -> None:
    """Raises DataError when a fix is meant for a record that is not among `ids`."""
    known = set(ids)
    unknown = list(
        dict.fromkeys(
            f"{fix.id!r} ({fix.where})" if fix.where else repr(fix.id) for fix in fixes if fix.id not in known
        )
    )
    if unknown:
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise DataError(
            f"fixes: no such record: {shown}; ids are those of records.parquet before repair: correct the id, or delete the line."
        )


def place(fix: Fix, roles: Sequence[str] | None) -> int | None:
    """The index of the message that a fix means, None for a text row; raises DataError. `roles`: of the record's messages."""
    if roles is None:
        if fix.message is not None:
            raise DataError(f"{fix.where}: record {fix.id!r} is a text; found message {fix.message}; accepted: null.")
        return None
    answers = [i for i, role in enumerate(roles) if role == "assistant"]
    if fix.message is None and answers:
        return answers[-1]
    if fix.message is None or fix.message >= len(roles):
        raise DataError(
            f"{fix.where}: record {fix.id!r} has {len(roles)} messages; found message {json.dumps(fix.message)}; "
            f"accepted: 0 to {len(roles) - 1}."
        )
    return fix.message


def _fix(line: str, where: str) -> Fix:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON ({error}); accepted: one object a line with {', '.join(KEYS)}.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: found {_kind(value)}; accepted: one object a line with {', '.join(KEYS)}.")
    for key in value:
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "; remove it."
            raise ConfigError(f"{where}: unknown key {key!r}; accepted: {', '.join(KEYS)}{hint}")
    for key, accepted in (("id", "a record's id"), ("content", "the new text, not empty"), ("by", "who made the fix")):
        if not isinstance(value.get(key), str) or not value[key].strip():
            found = f"found {json.dumps(value[key], ensure_ascii=False)}" if key in value else "missing"
            raise ConfigError(f"{where}: {key}: {found}; accepted: {accepted}.")
    index = value.get("message")
    if isinstance(index, bool) or not (index is None or (isinstance(index, int) and index >= 0)):
        raise ConfigError(
            f"{where}: message: found {json.dumps(index, ensure_ascii=False)}; accepted: a number counting from 0, or null."
        )
    note = value.get("note") or ""
    if not isinstance(note, str):
        raise ConfigError(f"{where}: note: found {_kind(note)}; accepted: text.")
    return Fix(value["id"], index, value["content"], value["by"], note, where)


def _kind(value: Any) -> str:
    return {
        list: "a list",
        dict: "an object",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }.get(type(value), "null")
