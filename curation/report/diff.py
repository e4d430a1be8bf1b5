"""Differences between two texts by words, and by characters where a script is written without spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_UNIT = re.compile(r"[^\W\d_㐀-鿿豈-﫿぀-ヿ]+|\d+|\s+|.", re.DOTALL)
SAME, ONLY_FIRST, ONLY_SECOND, LEFT_OUT, UNCOMPARED = "same", "del", "ins", "gap", "rest"
Piece = tuple[str, str]


def words(text: str) -> list[str]:
    """Units that together give the text again: words, numbers, runs of blanks, single Chinese characters, single marks."""
    return _UNIT.findall(text)


def diff(first: str, second: str, *, most: int = 1500, around: int = 90) -> list[Piece]:
    """(kind, text) pieces: `same`, `del` (only in the first), `ins` (only in the second), `gap` (same, left out; its length).

    Between the head and the tail that they share, texts are compared up to `most` units, since the time grows with their
    product; what lies beyond comes last, as `rest` (characters of both). Of long stretches that are the same, `around`
    characters on each side stay.
    """
    a, b = words(first), words(second)
    head = _shared(a, b)
    tail = _shared(a[head:][::-1], b[head:][::-1])
    pieces: list[Piece] = [(SAME, "".join(a[:head]))] if head else []
    end = (SAME, "".join(a[len(a) - tail :]))
    a, b = a[head : len(a) - tail], b[head : len(b) - tail]
    rest = sum(map(len, (*a[most:], *b[most:])))
    a, b = a[:most], b[:most]
    for kind, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append((SAME, "".join(a[i:j])))
            continue
        if j > i:
            pieces.append((ONLY_FIRST, "".join(a[i:j])))
        if m > k:
            pieces.append((ONLY_SECOND, "".join(b[k:m])))
    if tail:
        pieces.append(end)
    return _shortened(pieces, around) + ([(UNCOMPARED, str(rest))] if rest else [])


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many units both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _shortened(pieces: Sequence[Piece], around: int) -> list[Piece]:
    found: list[Piece] = []
    for number, (kind, text) in enumerate(pieces):
        head = 0 if number == 0 else around
        tail = 0 if number == len(pieces) - 1 else around
        if len(pieces) == 1:
            head = 4 * around
        if kind != SAME or len(text) <= head + tail + 2 * around:
            found.append((kind, text))
            continue
        before, after = _whole_words(text, head), _whole_words(text, tail, from_end=True)
        left_out = len(text) - len(before) - len(after)
        found += [(k, t) for k, t in ((SAME, before), (LEFT_OUT, str(left_out)), (SAME, after)) if t]
    return found


def _whole_words(text: str, least: int, from_end: bool = False) -> str:
    """The shortest beginning (or end) of at least `least` characters that cuts no unit."""
    taken, size = 0, 0
    units = words(text)[:: -1 if from_end else 1]
    while size < least:
        size += len(units[taken])
        taken += 1
    chosen = units[:taken][:: -1 if from_end else 1]
    return "".join(chosen)
