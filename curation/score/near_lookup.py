"""The kernels of an index of near duplicates: who shares a band with new rows, and which groups go.

Compiled by numba on first use and kept in its cache; import this module late.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

Array = np.ndarray


def sieve(wanted: Sequence[Array]) -> Array:
    """For each band a table that says of most keys at one look that they are not `wanted` (a sorted array a band)."""
    room = 1 << max(8, int(16 * max(len(w) for w in wanted)).bit_length())
    table = np.zeros((len(wanted), room), np.bool_)
    for band, keys in enumerate(wanted):
        table[band, (keys >> np.uint32(1)) & np.uint32(room - 1)] = True
    return table


@njit(nogil=True, cache=True)
def meeting(keys: Array, sought: Array, begins: Array, table: Array, size: Array) -> Array:
    """True for each row of `keys` that has a sought key; `size` of each sought key grows by the rows that have it.

    `sought[begins[band]:begins[band + 1]]` are the sorted keys of a band.
    """
    rows, bands = keys.shape
    hit = np.zeros(rows, np.bool_)
    mask = np.uint32(table.shape[1] - 1)
    for row in range(rows):
        for band in range(bands):
            key = keys[row, band]
            if table[band, (key >> np.uint32(1)) & mask]:
                low, high = begins[band], begins[band + 1]
                while low < high:
                    middle = (low + high) // 2
                    if sought[middle] < key:
                        low = middle + 1
                    else:
                        high = middle
                if low < begins[band + 1] and sought[low] == key:
                    hit[row] = True
                    size[low] += 1
    return hit


@njit(nogil=True, cache=True)
def choose(groups: int, links: Array, similarity: Array) -> tuple[Array, Array]:
    """For groups 0 to `groups` - 1, best first: the kept group that each goes for (-1: kept itself), and their similarity."""
    begins = np.zeros(groups + 1, np.int64)
    for n in range(len(links)):  # each link is told to the later of the two
        begins[max(links[n, 0], links[n, 1]) + 1] += 1
    for g in range(groups):
        begins[g + 1] += begins[g]
    at, to, alike = begins.copy(), np.empty(len(links), np.int64), np.empty(len(links))
    for n in range(len(links)):
        late = max(links[n, 0], links[n, 1])
        to[at[late]], alike[at[late]] = min(links[n, 0], links[n, 1]), similarity[n]
        at[late] += 1
    kept_by, best = np.full(groups, -1, np.int64), np.zeros(groups)
    for g in range(groups):
        for n in range(begins[g], begins[g + 1]):
            other = to[n]
            if kept_by[other] < 0 and (alike[n] > best[g] or (alike[n] == best[g] and other > kept_by[g])):
                kept_by[g], best[g] = other, alike[n]
    return kept_by, best
