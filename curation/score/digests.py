"""The kernels of exact copies: UTF-8 bytes → 128-bit hashes of normal forms, without a Python string a row.

Compiled by numba on first use and kept in its cache; import this module late. A hash is two 64-bit lanes, each a chain of
bijections (xor, odd multiple, xor-shift), so that two texts share one by chance in 2⁻¹²⁸.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curation.score import normal_form
from curation.score.utf8 import decode

Array = np.ndarray

_SPACE, _MARK, _IGNORED, _TEXT, _NUMBER = (
    np.int64(kind)
    for kind in (normal_form.SPACE, normal_form.MARK, normal_form.IGNORED, normal_form.TEXT, normal_form.NUMBER)
)
_CLASS, _CODE, _EXPANDS, _SLOW = normal_form.CLASS, normal_form.CODE, normal_form.EXPANDS, normal_form.SLOW
_P1, _P2 = np.uint64(0x9FB21C651E98DF25), np.uint64(0xD6E8FEB86659FD93)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S32, _S30, _S27, _S31 = np.uint64(32), np.uint64(30), np.uint64(27), np.uint64(31)
_S21, _S42 = np.uint64(21), np.uint64(42)
SEED1, SEED2 = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)  # π, as good as any
_BLANK, _HYPHEN = np.uint32(0x20), np.uint32(0x2D)
_LETTERS, _LETTERS_END = np.uint32(normal_form.TEXT << _CLASS), np.uint32((normal_form.TEXT + 1) << _CLASS)


@njit(inline="always")
def _one(h: np.uint64, x: np.uint64) -> np.uint64:
    h = (h ^ x) * _P1
    return h ^ (h >> _S32)


@njit(inline="always")
def _two(h: np.uint64, x: np.uint64) -> np.uint64:
    h = (h ^ x) * _P2
    return h ^ (h >> _S32)


@njit(inline="always")
def _final(h: np.uint64) -> np.uint64:  # the finalizer of splitmix64 (Steele, Lea, Flood 2014)
    h = (h ^ (h >> _S30)) * _MIX1
    h = (h ^ (h >> _S27)) * _MIX2
    return h ^ (h >> _S31)


@njit(inline="always")
def _spelt(codes: Array, size: int, a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The lanes after `size` code points, three of 21 bits at a step; room for two more is needed."""
    codes[size] = codes[size + 1] = np.uint32(0)
    for i in range(0, size, 3):
        word = np.uint64(codes[i]) << _S42 | np.uint64(codes[i + 1]) << _S21 | np.uint64(codes[i + 2])
        a, b = _one(a, word), _two(b, word)
    return _one(a, np.uint64(size)), _two(b, np.uint64(size))


@njit(nogil=True, cache=True)
def normal(
    data: Array, offsets: Array, entries: Array, expansions: Array, punctuation: bool, out: Array, slow: Array
) -> None:
    """Write the hash of the normal form of each text to `out` (n × 2); mark in `slow` those that need a whole-string NFKC.

    What `normal_form.normalize` says, in one pass. The marks of a gap (spaces and punctuation) are written behind the code
    points that count, and stay there when the next character shows that they count too.
    """
    longest = 0
    for r in range(len(offsets) - 1):
        longest = max(longest, offsets[r + 1] - offsets[r])
    codes = np.empty(6 * longest + 64, np.uint32)  # NFKC makes 18 characters of three bytes at most
    whole = np.empty(6 * longest + 64, np.uint32)
    for r in range(len(offsets) - 1):
        # `whole` is the text with all punctuation and collapsed spaces, as long as there is nothing else.
        size = marks = gap = spelt = 0
        before = last = previous = _SPACE
        expanded = stop = np.int64(0)
        blank = texts = False
        i, end = offsets[r], offsets[r + 1]
        while i < end or expanded < stop:
            if expanded < stop:
                entry = expansions[expanded]
                expanded += np.int64(1)
            else:
                code, i = decode(data, i)
                entry = entries[code]
                if entry >= _SLOW:
                    slow[r] = True
                    break
                if entry & _EXPANDS:
                    expanded = np.int64(entry & _CODE)
                    stop = expanded + np.int64(1) + np.int64(expansions[expanded])
                    expanded += np.int64(1)
                    continue
            kind = np.int64(entry >> _CLASS) & 7
            if kind == _IGNORED:
                continue
            if punctuation or not texts:
                if kind == _SPACE:
                    blank = spelt > 0
                else:
                    if blank:
                        whole[spelt] = _BLANK
                        spelt, blank = spelt + 1, False
                    whole[spelt] = entry & _CODE
                    spelt += 1
                if punctuation:
                    continue
            if kind <= _MARK:
                previous = before if gap == 0 else last
                last = kind
                gap += 1
                if kind == _MARK:
                    codes[size + marks] = entry & _CODE
                    marks += 1
                continue
            if gap:
                if before >= _NUMBER and kind >= _NUMBER:
                    if marks == 0 and before == kind and kind == _NUMBER:
                        codes[size] = _BLANK
                        marks = 1
                    size += marks
                elif kind == _NUMBER and last == _MARK and codes[size + marks - 1] == _HYPHEN and previous <= _MARK:
                    codes[size] = _HYPHEN
                    size += 1
                gap = marks = 0
            codes[size] = entry & _CODE
            size += 1
            before, texts = kind, True
            if expanded < stop or kind != _TEXT:
                continue
            # After a letter a gap matters only before a number: letters are gathered without asking what they are.
            seen = i
            while i < end:
                code = np.uint32(data[i])
                step = 1
                if code >= 0x80:
                    if code >> 4 != 0xE:
                        break
                    code = ((code & 0x0F) << 12) | ((np.uint32(data[i + 1]) & 0x3F) << 6) | (data[i + 2] & 0x3F)
                    step = 3
                entry = entries[code]
                if entry >= _LETTERS_END:
                    break
                i += step
                codes[size] = entry & _CODE
                letter = entry >= _LETTERS
                size += letter
                seen = i if letter else seen
            i = seen  # the gap is read again
        if slow[r]:
            continue
        a, b = _spelt(whole, spelt, SEED2, SEED1) if punctuation or not texts else _spelt(codes, size, SEED1, SEED2)
        out[r, 0], out[r, 1] = _final(a), _final(b)


@njit(nogil=True, cache=True)
def plain(data: Array, offsets: Array, out: Array) -> None:
    """Write the hash of the bytes of each text to `out` (n × 2)."""
    for r in range(len(offsets) - 1):
        a, b = SEED1, SEED2
        for i in range(offsets[r], offsets[r + 1]):
            value = np.uint64(data[i])
            a, b = _one(a, value), _two(b, value)
        out[r, 0], out[r, 1] = _final(a), _final(b)


@njit(nogil=True, cache=True)
def combined(
    begins: Array, sides: Array, roles: Array, said: Array, calls: Array, thinks: Array, thoughts: Array,
    text: Array, tools: Array, is_text: Array, out: Array,
) -> None:  # fmt: skip
    """Write the keys of each row to `out` (rows × 6: both lanes of conversation, prompt, answer).

    Row r has turns `begins[r]` to `begins[r + 1]`; `sides`: 1 for a user's turn, 2 for an assistant's; `roles`, `said`, `calls`, `thoughts`
    are hashes of turns, `text` and `tools` of rows. Thoughts count where a turn `thinks`, and only in the conversation.
    """
    for r in range(len(begins) - 1):
        for lane in range(2):
            key = SEED1 if lane == 0 else SEED2
            prompt, answer = key, key
            key = _one(_one(key, text[r, lane]), tools[r, lane])
            if is_text[r]:
                answer = _one(answer, text[r, lane])
            for t in range(begins[r], begins[r + 1]):
                key = _one(_one(_one(key, roles[t, lane]), said[t, lane]), calls[t, lane])
                if thinks[t]:
                    key = _one(key, thoughts[t, lane])
                if sides[t] == 1:
                    prompt = _one(prompt, said[t, lane])
                elif sides[t] == 2 and not is_text[r]:
                    answer = _one(answer, said[t, lane])
            out[r, lane], out[r, 2 + lane], out[r, 4 + lane] = _final(key), _final(prompt), _final(answer)
