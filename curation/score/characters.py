"""Units of text and the code points that make them, for kernels that read UTF-8 bytes (near copies, decontamination).

A unit is one character of a script written without spaces (Chinese characters, kana, Thai, Lao, Khmer, Burmese) or a word of
any other; case, width, punctuation, symbols and spaces do not count (NFKC, case-folded).
"""

from __future__ import annotations

import sys
import unicodedata
from functools import lru_cache

import numpy as np

# Classes of code points, in bits 24-26 of a table entry; the folded code point stands in bits 0-20.
IGNORED, WORD, CHARACTER = 1, 2, 3  # 0: a separator
CLASS, CODE, SLOW = 24, np.uint32(0x1FFFFF), np.uint32(1 << 31)  # slow: only a whole-string NFKC tells
_UNSPACED = (
    (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip
_PLAIN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0x20000, 0x2F800), (0x2FA20, 0x40000))  # Han that stands for itself
_OTHERS = (
    range(0x3400),
    range(0xA000, 0xD800),
    range(0xF900, 0x20000),
    range(0x2F800, 0x2FA20),
    range(0xE0000, 0xE0200),
)


def fold(text: str) -> str:
    """`text` in the form in which units are compared."""
    return unicodedata.normalize("NFKC", text).casefold()


def character_class(code: int) -> int:
    """0 for a separator, or IGNORED, WORD, CHARACTER, of a folded code point."""
    category = unicodedata.category(chr(code))
    if category in ("Cf", "Me") or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return IGNORED  # joiners, soft hyphens, variation selectors: seen by nobody
    if category[0] not in "LMN":
        return 0
    return CHARACTER if any(low <= code <= high for low, high in _UNSPACED) else WORD


@lru_cache(maxsize=1)
def table() -> np.ndarray:
    """Entry by code point (uint32, 0x110000 of them): class, folded code point, and whether that needs the whole string."""
    entries = np.zeros(sys.maxunicode + 1, np.uint32)
    for low, high in _PLAIN:
        entries[low:high] = np.arange(low, high, dtype=np.uint32) | np.uint32(CHARACTER << CLASS)
    for code in (code for part in _OTHERS for code in part):
        char = chr(code)
        folded = char.casefold() if code < 0x80 else fold(char)
        classes = [character_class(ord(c)) for c in folded]
        if not any(classes):
            continue  # only separators, however many
        # Marks and Hangul vowels and tails may compose with what stands before them.
        composes = any(0x1100 <= ord(c) <= 0x11FF or unicodedata.category(c) in ("Mn", "Mc") for c in folded)
        if len(folded) == 1:
            entries[code] = np.uint32(ord(folded) | classes[0] << CLASS)
        else:
            entries[code] = np.uint32(code | character_class(code) << CLASS)
        if (composes or len(folded) > 1) and set(classes) != {IGNORED}:
            entries[code] |= SLOW
    return entries
