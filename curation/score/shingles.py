"""The kernels of near duplicates: UTF-8 bytes → sets of shingles → band keys → pairs of known Jaccard similarity.

A shingle is some consecutive units (curation/score/characters.py), as a 64-bit hash. Compiled by numba on first use and
kept in its cache; import this module late.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curation.score.characters import CHARACTER as _CHARACTER
from curation.score.characters import CLASS as _CLASS
from curation.score.characters import CODE as _CODE
from curation.score.characters import IGNORED as _IGNORED
from curation.score.characters import SLOW as _SLOW
from curation.score.characters import WORD as _WORD
from curation.score.characters import fold as fold
from curation.score.characters import table as table
from curation.score.utf8 import decode

Array = np.ndarray

_MIX1, _MIX2, _STEP = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)
_BASE, _WORD_BASE, _NEXT = np.uint64(0xD6E8FEB86659FD93), np.uint64(0x100000001B3), np.uint64(0xFF51AFD7ED558CCD)
_ONE, _S30, _S27, _S31, _S32 = np.uint64(1), np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_NONE, _LOW, _EVEN = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0xFFFFFFFF), np.uint32(0xFFFFFFFE)
_ROUNDS = np.uint64(4096)  # a single shingle fills 128 bins in about 700 rounds


@njit(inline="always")
def _mixed(x: np.uint64) -> np.uint64:  # the finalizer of splitmix64 (Steele, Lea, Flood 2014)
    x = (x ^ (x >> _S30)) * _MIX1
    x = (x ^ (x >> _S27)) * _MIX2
    return x ^ (x >> _S31)


@njit(inline="always")
def _power(n: int) -> np.uint64:
    result = _ONE
    for _ in range(n):
        result *= _BASE
    return result


@njit(nogil=True, cache=True)
def digest(
    data: Array, offsets: Array, turns: Array, where: Array, folded: bool, entries: Array,
    ngram_words: int, ngram_chars: int, seed: int, bins: int,
    sets: Array, start: Array, count: Array, identity: Array, keys: Array, slow: Array,
) -> int:  # fmt: skip
    """Write the shingle set of each row and its band keys; give how much of `sets` is used.

    `data`, `offsets`: bytes of all turns and where each begins; row r has turns `turns[r]` to `turns[r + 1]`, and its results
    go to index `where[r]`. A set is sorted, without repeats, in `sets[start:start + count]`; `identity` is a hash of the set.
    Rows that need a whole-string NFKC are only marked in `slow`, unless `folded` says that it is done.

    Bins are filled by "Fast Similarity Sketching" (Dahlgaard, Knudsen, Thorup 2017): all shingles are thrown into bins, round
    after round, until each bin has one; the smallest (round, hash) of a bin stays. Two sets agree in a bin with
    probability equal to their Jaccard similarity, at a cost of about bins × ln(bins) + shingles.
    """
    rows = len(turns) - 1
    longest = 0
    for r in range(rows):
        size = offsets[turns[r + 1]] - offsets[turns[r]] + turns[r + 1] - turns[r]
        longest = max(longest, size)
    prefix = np.empty(longest + 2, np.uint64)
    is_word = np.empty(longest + 2, np.bool_)
    shingles = np.empty(longest + 2, np.uint64)
    heads = np.empty(2 * longest + 66, np.int64)
    sketch = np.empty(bins, np.uint64)
    bands = keys.shape[1]
    per_band = bins // bands
    power_words, power_chars = _power(ngram_words), _power(ngram_chars)
    seed_hash = _mixed(np.uint64(seed) + _STEP)
    begin_word = np.uint64(0xCBF29CE484222325)
    used = 0
    for r in range(rows):
        out = where[r]
        start[out], count[out] = used, 0
        units, opened, word = 0, False, begin_word
        prefix[0] = np.uint64(0)
        for t in range(turns[r], turns[r + 1]):
            i, end = offsets[t], offsets[t + 1]
            while i < end:
                code, i = decode(data, i)
                entry = entries[code]
                if entry >= _SLOW:
                    slow[out] = True
                kind = (entry >> _CLASS) & 7
                if kind == _WORD:
                    word = (word ^ np.uint64(entry & _CODE)) * _WORD_BASE
                    opened = True
                elif kind != _IGNORED:
                    if opened:
                        is_word[units] = True
                        prefix[units + 1] = prefix[units] * _BASE + _mixed(word)
                        units, opened, word = units + 1, False, begin_word
                    if kind == _CHARACTER:
                        is_word[units] = False
                        prefix[units + 1] = prefix[units] * _BASE + _mixed(np.uint64(entry & _CODE))
                        units += 1
            if opened:
                is_word[units] = True
                prefix[units + 1] = prefix[units] * _BASE + _mixed(word)
                units, opened, word = units + 1, False, begin_word
        if units == 0 or (slow[out] and not folded):
            continue
        size = 0
        for i in range(units):  # a shingle's length is that of the kind of its first unit
            n = ngram_words if is_word[i] else ngram_chars
            if i + n <= units:
                shingles[size] = _mixed(prefix[i + n] - prefix[i] * (power_words if is_word[i] else power_chars))
                size += 1
        if size == 0:
            shingles[0] = _mixed(prefix[units])
            size = 1
        # Hashes are uniform: scattered by their first bits they lie almost in order, and insertion finishes it.
        bits = 6
        while (1 << bits) < size:
            bits += 1
        shift = np.uint64(64 - bits)
        heads[: (1 << bits) + 1] = 0
        for i in range(size):
            heads[np.int64(shingles[i] >> shift) + 1] += 1
        for i in range(1 << bits):
            heads[i + 1] += heads[i]
        row = sets[used : used + size]
        for i in range(size):
            head = np.int64(shingles[i] >> shift)
            row[heads[head]] = shingles[i]
            heads[head] += 1
        for i in range(1, size):
            value, j = row[i], i
            while j > 0 and row[j - 1] > value:
                row[j] = row[j - 1]
                j -= 1
            row[j] = value
        distinct, total = 1, row[0]
        for i in range(1, size):
            if row[i] != row[distinct - 1]:
                row[distinct] = row[i]
                total += row[i]
                distinct += 1
        count[out] = distinct
        used += distinct
        identity[out] = _mixed(total + np.uint64(distinct) * _STEP)
        sketch[:] = _NONE
        filled, turn = 0, np.uint64(0)
        while filled < bins and turn < _ROUNDS:
            salt = _mixed(seed_hash + turn * _STEP)
            for i in range(distinct):
                x = (row[i] ^ salt) * _MIX1
                x = (x ^ (x >> _S32)) * _MIX2
                x ^= x >> _S32
                at = np.int64(((x >> _S32) * np.uint64(bins)) >> _S32)
                value = (turn << _S32) | (x & _LOW)
                old = sketch[at]
                filled += old == _NONE
                sketch[at] = min(old, value)
            turn += _ONE
        for band in range(bands):
            key = seed_hash
            for i in range(band * per_band, (band + 1) * per_band):
                key = (key ^ sketch[i]) * _NEXT
                key ^= key >> _S32
            keys[out, band] = np.uint32(key) & _EVEN
    return used


@njit(nogil=True, cache=True)
def crowd(ordered: Array, keys: Array, band: int, own: int, across: bool, bucket: int) -> None:
    """Mark, in the lowest bit of their key, the rows of a bucket that are not among its first `bucket`.

    `ordered`: key × 2³² + row, sorted. Within a corpus all rows of a bucket count, across corpora those of the other one.
    """
    begin, size = 0, len(ordered)
    while begin < size:
        key = ordered[begin] >> _S32
        end, seen = begin, 0
        while end < size and ordered[end] >> _S32 == key:
            row = np.int64(ordered[end] & _LOW)
            if not across or row >= own:
                if seen >= bucket:
                    keys[row, band] |= np.uint32(1)
                seen += 1
            end += 1
        begin = end


@njit(nogil=True, cache=True)
def _jaccard(a: Array, b: Array, floor: float) -> float:
    """|a ∩ b| / |a ∪ b| of sorted sets, or -1 as soon as it cannot reach `floor`."""
    total = len(a) + len(b)
    need = np.int64(np.ceil(floor / (1.0 + floor) * total - 1e-9))
    left_a, left_b = len(a) - need, len(b) - need  # misses that are still allowed
    i = j = shared = 0
    while left_a >= 0 and left_b >= 0:
        if i == len(a) or j == len(b):
            similarity = shared / (total - shared)
            return similarity if similarity >= floor else -1.0
        if a[i] < b[j]:
            i += 1
            left_a -= 1
        elif a[i] > b[j]:
            j += 1
            left_b -= 1
        else:
            i += 1
            j += 1
            shared += 1
    return -1.0


@njit(nogil=True, cache=True)
def pairs(
    ordered: Array, keys: Array, band: int, own: int, across: bool, bucket: int,
    sets: Array, start: Array, count: Array, floor: float,
    state: Array, first: Array, second: Array, similarity: Array,
) -> int:  # fmt: skip
    """Fill `first`, `second`, `similarity` with verified pairs of one band; give how many, and go on from `state` when full.

    `state`: [position of a bucket, rows of it that are done, where to stop]. Buckets that begin before the stop are visited
    whole. Each row meets the first `bucket` of its bucket. A pair that met in an earlier band is passed over.
    """
    found, size = 0, len(ordered)
    begin, done, stop = state[0], state[1], state[2]
    while begin < stop:
        key = ordered[begin] >> _S32
        end, border = begin, begin
        while end < size and ordered[end] >> _S32 == key:
            border += np.int64(ordered[end] & _LOW) < own
            end += 1
        last = border if across else min(end, begin + bucket)
        for p in range(begin + done, last):
            low, high = (border, min(end, border + bucket)) if across else (p + 1, end)
            if low >= high:
                continue
            if found + high - low > len(first):
                state[0], state[1] = begin, p - begin
                return found
            a = np.int64(ordered[p] & _LOW)
            set_a = sets[start[a] : start[a] + count[a]]
            for q in range(low, high):
                b = np.int64(ordered[q] & _LOW)
                met = False
                for earlier in range(band):
                    x, y = keys[a, earlier], keys[b, earlier]
                    if (x ^ y) < 2 and not (y & 1 and (across or x & 1)):
                        met = True
                        break
                if met or min(count[a], count[b]) < floor * max(count[a], count[b]):
                    continue
                value = _jaccard(set_a, sets[start[b] : start[b] + count[b]], floor)
                if value >= 0:
                    first[found], second[found], similarity[found] = a, b, value
                    found += 1
        begin, done = end, 0
    state[0], state[1] = begin, 0
    return found
