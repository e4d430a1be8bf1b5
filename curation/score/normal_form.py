"""The normal form in which exact copies are equal: width, case, spaces, punctuation and script set aside as params say.

`normalize` is the definition. `table` says the same of single characters, for the kernel in `curation/score/digests.py`.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

# What a character is, in bits 24-27 of a table entry; the folded code point stands in bits 0-20.
SPACE, MARK, IGNORED, TEXT, NUMBER, SIGN = 0, 1, 2, 3, 4, 5
CLASS, CODE = 24, np.uint32(0x1FFFFF)
EXPANDS, SLOW = np.uint32(1 << 30), np.uint32(1 << 31)  # many characters come of one; only the whole string tells
_HAN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0x20000, 0x2F800), (0x2FA20, 0x33480))  # stands for itself under NFKC
_OTHERS = (
    range(0x3400),
    range(0x4DC0, 0x4E00),
    range(0xA000, 0xD800),
    range(0xF900, 0x20000),
    range(0x2F800, 0x2FA20),
    range(0xE0000, 0xE0200),
)


def character_class(char: str) -> int:
    """SPACE, MARK (punctuation), IGNORED (seen by nobody), TEXT, NUMBER, or SIGN (of mathematics and money)."""
    category = unicodedata.category(char)
    if char.isspace():
        return SPACE
    if category == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
        return IGNORED
    if category[0] == "N":
        return NUMBER
    if category[0] in "LM":
        return TEXT
    return SIGN if category in ("Sm", "Sc") and char not in "~|" else MARK


@lru_cache(maxsize=1)
def simplified() -> dict[int, str]:
    """Traditional code point → simplified character, for `str.translate`."""
    lines = Path(__file__).with_name("traditional.txt").read_text(encoding="utf-8").splitlines()
    return {ord(pair[0]): pair[1] for line in lines if not line.startswith("#") for pair in line.split()}


def fold(text: str, case: bool, script: str) -> str:
    """NFKC (full and half width become one), then without case and in simplified characters, as asked."""
    text = unicodedata.normalize("NFKC", text)
    if not case:
        text = text.casefold()
    return text.translate(simplified()) if script == "fold" else text


def normalize(text: str, *, case: bool = False, punctuation: bool = False, script: str = "keep") -> str:
    """The normal form of `text`.

    With `punctuation`, spaces are collapsed and all else stays. Without, spaces and punctuation go, except where numbers
    would change: a gap between numbers or mathematical signs keeps its punctuation (1.5, 3*4, 2024-01-02), spaces alone
    part two numbers, and a minus right before a digit stays where nothing stands before it. Where nothing else is there,
    punctuation stays, so that `?` and `!` remain two answers.
    """
    text = "".join(c for c in fold(text, case, script) if character_class(c) != IGNORED)
    collapsed = " ".join(text.split())
    if punctuation:
        return collapsed
    parts: list[str] = []
    before, gap = SPACE, ""
    for in_gap, run in ((g, "".join(r)) for g, r in groupby(text, lambda c: character_class(c) <= MARK)):
        if not in_gap:
            after = character_class(run[0])
            parts += [_kept(gap, before, after), run]
            before = character_class(run[-1])
        gap = run if in_gap else ""
    return "".join(parts) or collapsed


def _kept(gap: str, before: int, after: int) -> str:
    """What stays of a gap of spaces and punctuation between characters of these classes (SPACE: nothing stands there)."""
    if before >= NUMBER and after >= NUMBER:
        return "".join(gap.split()) or (" " if gap and before == after == NUMBER else "")
    return "-" if after == NUMBER and gap.endswith("-") and (len(gap) > 1 or before == SPACE) else ""


def _themselves() -> np.ndarray:
    """Entries of Han characters, and of all others as punctuation that stands for itself."""
    entries = np.arange(sys.maxunicode + 1, dtype=np.uint32) | np.uint32(MARK << CLASS)
    for low, high in _HAN:
        letters = [unicodedata.category(chr(code)) == "Lo" for code in range(low, high)]
        entries[low:high] += np.array(letters, np.uint32) * np.uint32(TEXT - MARK << CLASS)
    return entries


@lru_cache(maxsize=4)
def table(case: bool, script: str) -> tuple[np.ndarray, np.ndarray]:
    """Entries by code point (uint32, 0x110000 of them) and the expansions that EXPANDS entries point to.

    An entry is the class and the folded code point; with EXPANDS, bits 0-20 are a place in the expansions, where a length
    and so many entries stand. SLOW marks what may compose with its neighbours: only NFKC of the whole string tells.
    """
    entries = _themselves()
    expansions: list[int] = []
    for code in (code for part in _OTHERS for code in part):
        folded = fold(chr(code), case, script)
        found = [character_class(char) << CLASS | ord(char) for char in folded]
        if len(found) == 1:
            entries[code] = found[0]
        else:
            entries[code] = int(EXPANDS) | len(expansions)
            expansions += [len(found), *found]
        if any(0x1100 <= ord(c) <= 0x11FF or unicodedata.category(c) in ("Mn", "Mc") for c in folded):
            entries[code] |= SLOW
    if script == "fold":
        for code, char in simplified().items():
            entries[code] = TEXT << CLASS | ord(char)
    return entries, np.array(expansions or [0], np.uint32)


@lru_cache(maxsize=1)
def plain_table() -> tuple[np.ndarray, np.ndarray]:
    """Entries for text that is folded already: each character stands for itself."""
    entries = _themselves()
    for code in (code for part in _OTHERS for code in part):
        entries[code] = character_class(chr(code)) << CLASS | code
    return entries, np.zeros(1, np.uint32)
