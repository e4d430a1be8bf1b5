"""The kernels of decontamination: UTF-8 bytes → units → the test item that most of a row's text is like.

Compiled by numba on first use and kept in its cache; import this module late.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curation.score.characters import CHARACTER as _CHARACTER
from curation.score.characters import CLASS as _CLASS
from curation.score.characters import CODE as _CODE
from curation.score.characters import IGNORED as _IGNORED
from curation.score.characters import SLOW as _SLOW
from curation.score.utf8 import decode

Array = np.ndarray

_MIX1, _MIX2, _STEP = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)
_BEGIN, _WORD_BASE, _BASE = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3), np.uint64(0xD6E8FEB86659FD93)
_S30, _S27, _S31, _EMPTY = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(0)
_BEST = 8  # candidates of a text that are aligned


@njit(inline="always")
def _mixed(x: np.uint64) -> np.uint64:  # the finalizer of splitmix64 (Steele, Lea, Flood 2014)
    x = (x ^ (x >> _S30)) * _MIX1
    x = (x ^ (x >> _S27)) * _MIX2
    return x ^ (x >> _S31)


@njit(nogil=True, cache=True)
def units(
    data: Array, offsets: Array, entries: Array, folded: bool,
    hashes: Array, begins: Array, ends: Array, first: Array, slow: Array,
) -> None:  # fmt: skip
    """Write the units of each text: hash, and first and last byte; text r has units `first[r]` to `first[r + 1]`.

    Digits are units apart from letters (5kg is 5 kg). Texts that need a whole-string NFKC are only marked in `slow`, unless
    `folded` says that it is done.
    """
    used = 0
    for r in range(len(offsets) - 1):
        first[r] = used
        word, opened, digits, begin = _BEGIN, False, False, 0
        i, end = offsets[r], offsets[r + 1]
        while i <= end:
            at = i
            kind, value, is_digit = 0, np.uint64(0), False
            if i == end:
                i += 1
            else:
                code, i = decode(data, i)
                entry = entries[code]
                if entry >= _SLOW and not folded:
                    slow[r] = True
                    used = first[r]
                    break
                kind = (entry >> _CLASS) & 7
                if kind == _IGNORED:
                    continue
                value = np.uint64(entry & _CODE)
                is_digit = bool(0x30 <= value <= 0x39)
            if opened and (kind == 0 or kind == _CHARACTER or is_digit != digits):
                hashes[used], begins[used], ends[used] = _mixed(word), begin, at
                used, opened, word = used + 1, False, _BEGIN
            if kind == _CHARACTER:
                hashes[used], begins[used], ends[used] = _mixed(value), at, i
                used += 1
            elif kind != 0:
                if not opened:
                    opened, digits, begin = True, is_digit, at
                word = (word ^ value) * _WORD_BASE
    first[len(offsets) - 1] = used


@njit(nogil=True, cache=True)
def grams(hashes: Array, first: Array, width: int, out: Array) -> None:
    """Write to `out[i]` the hash of the `width` units from i on, 0 where the text ends before."""
    power = np.uint64(1)
    for _ in range(width):
        power *= _BASE
    for r in range(len(first) - 1):
        rolling = np.uint64(0)
        for i in range(first[r], first[r + 1]):
            out[i] = _EMPTY
            rolling = rolling * _BASE + hashes[i]
            at = i - width + 1
            if at > first[r]:
                rolling -= hashes[at - 1] * power
            if at >= first[r]:
                out[at] = max(_mixed(rolling), np.uint64(1))


@njit(nogil=True, cache=True)
def search(
    hashes: Array, first: Array, grams_: Array, short: Array, widths: Array,
    keys: Array, postings: Array, posted: Array, bloom: Array,
    items: Array, item_first: Array, distinct: Array, least: Array, aligns: bool, done: Array,
    share: Array, share_of: Array,
) -> None:  # fmt: skip
    """For each text the greatest share of an item found in it, and that item (-1: none).

    `keys` (sorted) are the hashes of the items' n-grams; those of `keys[k]` are in the items `posted[postings[k]:postings[k + 1]]`.
    `grams_` are the texts' n-grams, `short` (one row a width in `widths`) those for items shorter than an n-gram. Item
    m has `distinct[m]` n-grams, and `least[m]` of them must stand in a text that it is aligned with. Texts that are `done`
    are passed over.

    Without `aligns` the share is that of an item's distinct n-grams. With it, of the _BEST items with the largest share each is
    aligned with the text: 1 - edits / units, edits being the least that turn it into a stretch of the text (Sellers 1980).
    """
    seen = np.zeros(len(keys), np.int64)  # the text that met this n-gram last
    counts = np.zeros(len(distinct), np.int64)
    met = np.empty(len(distinct), np.int64)
    longest = 1
    for m in range(len(distinct)):
        longest = max(longest, item_first[m + 1] - item_first[m])
    column = np.empty(longest + 1, np.int64)
    best = np.empty(_BEST, np.int64)
    mask = np.uint64(len(bloom) * 64 - 1)
    for r in range(len(first) - 1):
        share[r], share_of[r] = 0.0, -1
        found = 0
        if done[r]:
            continue
        for w in range(1 + len(widths)):
            for i in range(first[r], first[r + 1]):
                gram = grams_[i] if w == 0 else short[w - 1, i]
                bit = gram & mask
                if gram == _EMPTY or not (bloom[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                    continue
                k = np.searchsorted(keys, gram)
                if k == len(keys) or keys[k] != gram or seen[k] == r + 1:
                    continue
                seen[k] = r + 1
                for p in range(postings[k], postings[k + 1]):
                    m = posted[p]
                    if counts[m] == 0:
                        met[found] = m
                        found += 1
                    counts[m] += 1
        kept = 0
        for f in range(found):
            m = met[f]
            value = counts[m] / distinct[m]
            if not aligns:
                if value > share[r] or (value == share[r] and m < share_of[r]):
                    share[r], share_of[r] = value, m
            elif counts[m] >= least[m]:
                # Insertion into the best, ties by number, so that the order of the texts is nothing.
                at = kept if kept < _BEST else _BEST - 1
                if kept == _BEST:
                    last = best[at]
                    other = counts[last] / distinct[last]
                    if value < other or (value == other and m > last):
                        continue
                else:
                    kept += 1
                while at > 0:
                    above = best[at - 1]
                    other = counts[above] / distinct[above]
                    if other > value or (other == value and above < m):
                        break
                    best[at] = above
                    at -= 1
                best[at] = m
        for b in range(kept):
            m = best[b]
            low, size = item_first[m], item_first[m + 1] - item_first[m]
            edits = size
            for j in range(size + 1):
                column[j] = j
            for i in range(first[r], first[r + 1]):
                diagonal = np.int64(0)  # an alignment may begin anywhere in the text
                for j in range(1, size + 1):
                    above = column[j]
                    step = min(above, column[j - 1]) + 1
                    diagonal += hashes[i] != items[low + j - 1]
                    column[j] = min(step, diagonal)
                    diagonal = above
                edits = min(edits, column[size])
            value = 1.0 - edits / size
            if value > share[r] or (value == share[r] and m < share_of[r]):
                share[r], share_of[r] = value, m
        for f in range(found):
            counts[met[f]] = 0


@njit(nogil=True, cache=True)
def longest_run(row: Array, item: Array) -> tuple[int, int]:
    """(first unit in `row`, length) of the longest run of units that both share; the earliest one."""
    lengths = np.zeros(len(item) + 1, np.int64)
    at, best = 0, 0
    for i in range(len(row)):
        diagonal = np.int64(0)
        for j in range(1, len(item) + 1):
            above = lengths[j]
            lengths[j] = diagonal + 1 if row[i] == item[j - 1] else 0
            if lengths[j] > best:
                best, at = lengths[j], i - lengths[j] + 1
            diagonal = above
    return at, best


@njit(nogil=True, cache=True)
def stretch(row: Array, item: Array) -> tuple[int, int, int]:
    """(first unit, end, edits) of the stretch of `row` that `item` turns into with the fewest edits; the earliest one."""
    size = len(item)
    cost, origin = np.arange(size + 1), np.zeros(size + 1, np.int64)
    best, begin, end = size, 0, 0
    for i in range(len(row)):
        diagonal, began = np.int64(0), i
        origin[0] = i + 1
        for j in range(1, size + 1):
            above, above_origin = cost[j], origin[j]
            step, source = diagonal + (row[i] != item[j - 1]), began
            if above + 1 < step:
                step, source = above + 1, above_origin
            if cost[j - 1] + 1 < step:
                step, source = cost[j - 1] + 1, origin[j - 1]
            cost[j], origin[j] = step, source
            diagonal, began = above, above_origin
        if cost[size] < best:
            best, begin, end = cost[size], origin[size], i + 1
    return begin, end, best
