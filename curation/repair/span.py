"""A found value: what kind, where, how sure; and the small checks that several kinds share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]` is a value of `type`; `score` lies between 0 and 1 (1: proved by a checksum or a fixed form)."""

    type: str
    start: int
    end: int
    score: float


def near(text: str, start: int, end: int, words: re.Pattern[str], before: int = 40, after: int = 0) -> bool:
    """True when `words` occur within so many characters before or after `text[start:end]`, on its line or the one above."""
    left = text[max(0, start - before) : start]
    above = left.rsplit("\n", 2)
    if words.search("\n".join(above[-2:])):
        return True
    return bool(after and words.search(text[end : end + after].split("\n", 1)[0]))


def luhn(digits: str) -> bool:
    """The check of ISO/IEC 7812-1, annex B, over all digits."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """The surest spans, then the longest, of which no two overlap; in the order of the text."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (-s.score, s.start - s.end, s.start, s.type)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)
