"""Boolean feedback (KTO): any layout with an answer, and `"label": true` or `false` (`kto_tag`, `thumbs_up`) beside it.

A row that its reader liked is kept and tagged `feedback:up`. One that its reader rejected is no example to learn from: it is
quarantined as `negative_feedback`, whole, so that a person's decision or a rewriting recipe can still find it.
"""

from __future__ import annotations

from typing import Any

from curation.ingest import alpaca, messages, pairs, sharegpt
from curation.ingest.layout import BadRecord

MARKS = ("label", "kto_tag", "thumbs_up")
NEEDS = frozenset(MARKS)
_INSIDE = (messages, sharegpt, alpaca, pairs)
_WORDS = {"true": True, "false": False, "1": True, "0": False}  # tables know no other true


def matches(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(mark), bool) for mark in MARKS) and any(a.matches(value) for a in _INSIDE)


def matches_named(value: dict[str, Any]) -> bool:
    """As `matches`, for a source that says `layout: feedback`: the words true, false, 1 and 0 count as well."""
    return _mark(value) is not None and any(a.matches(value) for a in _INSIDE)


def convert(value: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """The fields of the layout inside; raises BadRecord, for rejected answers too."""
    inside = next(layout for layout in _INSIDE if layout.matches(value))
    fields = inside.convert(value, raw)
    mark = _mark(value)
    if mark is not None and not mark[1]:
        raise BadRecord("negative_feedback", f"`{mark[0]}` is false: its reader rejected this answer")
    return fields | {"tags": ["feedback:up"]}  # the mark itself stays in meta


def _mark(value: dict[str, Any]) -> tuple[str, bool] | None:
    for mark in MARKS:
        found = value.get(mark)
        said = found if isinstance(found, bool) else _WORDS.get(str(found).strip().lower())
        if said is not None:
            return mark, said
    return None
