"""The kernels of exact copies: UTF-8 bytes → 128-bit hashes of normal forms, without a Python string a row.

Compiled by numba on first use and kept in its cache; import this module late. A hash is two 64-bit lanes, each a chain of
bijections (xor, odd multiple, xor-shift), so that two texts share one by chance in 2⁻¹²⁸.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curation.score import normal_form

Array = np.ndarray

_SPACE, _MARK, _IGNORED, _NUMBER = (
    normal_form.SPACE, normal_form.MARK, normal_form.IGNORED, normal_form.NUMBER,
)  # fmt: skip
_CLASS, _CODE, _EXPANDS, _SLOW = normal_form.CLASS, normal_form.CODE, normal_form.EXPANDS, normal_form.SLOW
_P1, _P2 = np.uint64(0x9FB21C651E98DF25), np.uint64(0xD6E8FEB86659FD93)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S32, _S30, _S27, _S31 = np.uint64(32), np.uint64(30), np.uint64(27), np.uint64(31)
_S21, _S63, _BEGIN = np.uint64(21), np.uint64(63), np.uint64(1)
SEED1, SEED2 = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)  # π, as good as any
_BLANK, _HYPHEN = np.uint64(0x20), np.uint64(0x2D)


@njit(inline="always")
def _one(h: np.uint64, x: np.uint64) -> np.uint64:
    h = (h ^ x) * _P1
    return h ^ (h >> _S32)


@njit(inline="always")
def _two(h: np.uint64, x: np.uint64) -> np.uint64:
    h = (h ^ x) * _P2
    return h ^ (h >> _S32)


@njit(inline="always")
def _add(a: np.uint64, b: np.uint64, held: np.uint64, x: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64]:
    """One code point more: three of 21 bits are held above a leading one, and enter the lanes together."""
    held = (held << _S21) | x
    if held >> _S63:
        return _one(a, held), _two(b, held), _BEGIN
    return a, b, held


@njit(inline="always")
def _final(h: np.uint64) -> np.uint64:  # the finalizer of splitmix64 (Steele, Lea, Flood 2014)
    h = (h ^ (h >> _S30)) * _MIX1
    h = (h ^ (h >> _S27)) * _MIX2
    return h ^ (h >> _S31)


@njit(nogil=True, cache=True)
def normal(
    data: Array, offsets: Array, entries: Array, expansions: Array, punctuation: bool, out: Array, slow: Array
) -> None:
    """Write the hash of the normal form of each text to `out` (n × 2); mark in `slow` those that need a whole-string NFKC.

    What `normal_form.normalize` says, in one pass: a gap (spaces and punctuation) is hashed aside and enters the hash when the
    next character shows that it counts; punctuation is spelt out, so that "3*4" is no other text than "3 * 4".
    """
    for r in range(len(offsets) - 1):
        a, b, held = SEED1, SEED2, _BEGIN
        gap_a, gap_b, gap_held = a, b, held  # as it would be with the marks of the gap
        all_a, all_b = a, b  # the hash with all punctuation and collapsed spaces
        before = last = previous = np.int64(_SPACE)
        expanded = stop = np.int64(0)
        gap = marks = 0
        begun = blank = texts = hurdle = False
        last_code = np.uint64(0)
        i, end = offsets[r], offsets[r + 1]
        while i < end or expanded < stop:
            if expanded < stop:
                entry = expansions[expanded]
                expanded += np.int64(1)
            else:
                code = np.uint32(data[i])
                if code < 0x80:
                    i += 1
                elif code < 0xE0:
                    code = ((code & 0x1F) << 6) | (data[i + 1] & 0x3F)
                    i += 2
                elif code < 0xF0:
                    code = ((code & 0x0F) << 12) | ((np.uint32(data[i + 1]) & 0x3F) << 6) | (data[i + 2] & 0x3F)
                    i += 3
                else:
                    code = ((code & 0x07) << 18) | ((np.uint32(data[i + 1]) & 0x3F) << 12)
                    code |= ((np.uint32(data[i + 2]) & 0x3F) << 6) | (data[i + 3] & 0x3F)
                    i += 4
                entry = entries[code]
                if entry >= _SLOW:
                    hurdle = True
                    break
                if entry & _EXPANDS:
                    expanded = np.int64(entry & _CODE)
                    stop = expanded + np.int64(1) + np.int64(expansions[expanded])
                    expanded += np.int64(1)
                    continue
            kind = np.int64(entry >> _CLASS) & 7
            value = np.uint64(entry & _CODE)
            if kind == _IGNORED:
                continue
            if punctuation or not texts:  # with all punctuation, as long as there is nothing else
                if kind == _SPACE:
                    blank = begun
                else:
                    if blank:
                        all_a, all_b, blank = _one(all_a, _BLANK), _two(all_b, _BLANK), False
                    all_a, all_b, begun = _one(all_a, value), _two(all_b, value), True
                if punctuation:
                    continue
            if kind <= _MARK:
                if gap == 0:
                    gap_a, gap_b, gap_held, marks = a, b, held, 0
                if kind == _MARK:
                    gap_a, gap_b, gap_held = _add(gap_a, gap_b, gap_held, value)
                    marks += 1
                previous = before if gap == 0 else last
                last, last_code = kind, value
                gap += 1
                continue
            if gap:
                if before >= _NUMBER and kind >= _NUMBER:
                    if marks:
                        a, b, held = gap_a, gap_b, gap_held
                    elif before == kind and kind == _NUMBER:
                        a, b, held = _add(a, b, held, _BLANK)
                elif kind == _NUMBER and last == _MARK and last_code == _HYPHEN and previous <= _MARK:
                    a, b, held = _add(a, b, held, _HYPHEN)
                gap = 0
            a, b, held = _add(a, b, held, value)
            before, texts = kind, True
        if hurdle:
            slow[r] = True
            continue
        if punctuation or not texts:
            a, b = all_a, all_b
        out[r, 0], out[r, 1] = _final(_one(a, held)), _final(_two(b, held))


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
    begins: Array, sides: Array, roles: Array, said: Array, calls: Array,
    text: Array, tools: Array, is_text: Array, out: Array,
) -> None:  # fmt: skip
    """Write the keys of each row to `out` (rows × 6: both lanes of conversation, prompt, answer).

    Row r has turns `begins[r]` to `begins[r + 1]`; `sides`: 1 for a user's turn, 2 for an assistant's; `roles`, `said`, `calls`
    are hashes of turns, `text` and `tools` of rows.
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
                if sides[t] == 1:
                    prompt = _one(prompt, said[t, lane])
                elif sides[t] == 2 and not is_text[r]:
                    answer = _one(answer, said[t, lane])
            out[r, lane], out[r, 2 + lane], out[r, 4 + lane] = _final(key), _final(prompt), _final(answer)
