"""The kernel of duplicate paragraphs: rows in the order of their rank, each kept unless too much of it was said before.

Compiled by numba on first use and kept in its cache; import this module late.
"""

from __future__ import annotations

import numpy as np
from numba import njit

Array = np.ndarray

FRACTION, CHARS, SHARED = 1, 2, 3


@njit(nogil=True, cache=True)
def choose(
    begins: Array, key: Array, chars: Array, counts: Array, judged: Array, limits: Array,
    rule: Array, part: Array, whole: Array, named: Array, keeper: Array,
) -> None:  # fmt: skip
    """Write for each row which limit it breaks (FRACTION, CHARS, SHARED; 0: kept), part and whole of its share, and the evidence.

    Row r has the pieces `begins[r]` to `begins[r + 1]`; those with one `key` are one, and only those that `counts` says are looked
    for. `named` is the longest of the pieces that count against the row (of several the first), `keeper` the row that keeps it,
    -1 where that is the row itself. A row that goes keeps nothing; one that is not `judged` stays.
    """
    rows = len(begins) - 1
    keys = key.max() + 1 if len(key) else 0
    kept_by = np.full(keys, -1, np.int64)
    last_in = np.full(keys, -1, np.int64)
    for r in range(rows):
        total = again = again_chars = shared_chars = 0
        inside = outside = -1  # the longest piece of each kind
        for p in range(begins[r], begins[r + 1]):
            total += chars[p]
            if not counts[p]:
                continue
            k = key[p]
            if last_in[k] == r:
                again += 1
                again_chars += chars[p]
                if inside < 0 or chars[p] > chars[inside]:
                    inside = p
            elif kept_by[k] >= 0:
                shared_chars += chars[p]
                if outside < 0 or chars[p] > chars[outside]:
                    outside = p
            last_in[k] = r
        if judged[r] and total > 0:
            pieces = begins[r + 1] - begins[r]
            if again / pieces > limits[0]:
                rule[r], part[r], whole[r], named[r] = FRACTION, again, pieces, inside
            elif again_chars / total > limits[1]:
                rule[r], part[r], whole[r], named[r] = CHARS, again_chars, total, inside
            elif outside >= 0 and (shared_chars + again_chars) / total > limits[2]:
                rule[r], part[r], whole[r], named[r] = SHARED, shared_chars + again_chars, total, outside
                keeper[r] = kept_by[key[outside]]
            if rule[r]:
                continue
        for p in range(begins[r], begins[r + 1]):
            if counts[p] and kept_by[key[p]] < 0:
                kept_by[key[p]] = r
