"""People's fixes: new texts for single messages, as the review page or a hand writes them to data/review/fixes.jsonl.

One JSON object a line: `{"id": "luya-0f…", "message": 1, "content": "the new text", "by": "mei", "note": "wrong price"}`.
`message` counts from 0; null means the text of a text row or, of a conversation, the last assistant turn.
A later line for the same place overrules an earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curation.errors import ConfigError, DataError
from curation.review import lines

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


def parse(text: Iterable[str], where: str) -> list[Fix]:
    """The fixes of a JSONL file; blank lines are skipped. Raises ConfigError with a line for every faulty line."""
    return lines.parse(text, where, _fix)


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
    value = lines.entry(line, where, KEYS)
    lines.word(value, "content", "the new text, not empty", where)
    lines.word(value, "by", "who made the fix", where)
    index = value.get("message")
    if isinstance(index, bool) or not (index is None or (isinstance(index, int) and index >= 0)):
        raise ConfigError(
            f"{where}: message: found {json.dumps(index, ensure_ascii=False)}; accepted: a number counting from 0, or null."
        )
    note = value.get("note") or ""
    if not isinstance(note, str):
        raise ConfigError(f"{where}: note: found {lines.kind(note)}; accepted: text.")
    return Fix(value["id"], index, value["content"], value["by"], note, where)
