"""The kernel that chooses survivors: rows in the order of their rank, each kept unless a kept row is its copy.

Compiled by numba on first use and kept in its cache; import this module late.
"""

from __future__ import annotations

import numpy as np
from numba import njit

Array = np.ndarray

EXACT, NEAR, SEMANTIC = 1, 2, 3


@njit(inline="always")
def _kin(row: int, other: int, noisy: Array, code: Array, parents_at: Array, parents: Array) -> bool:
    """True when the row carries noise on purpose and the other is its parent or a sibling: they are alike by intent."""
    if noisy[row]:
        for p in range(parents_at[row], parents_at[row + 1]):
            if parents[p] == code[other]:
                return True
            for q in range(parents_at[other], parents_at[other + 1]):
                if parents[p] == parents[q]:
                    return True
    return False


@njit(nogil=True, cache=True)
def choose(
    key: Array, accepted: Array, noisy: Array, made: Array, code: Array, parents_at: Array, parents: Array,
    group: Array, begins: Array, to: Array, similar: Array, across_at: Array, across_to: Array, across_similar: Array,
    limits: Array, made_limit: float, rule: Array, value: Array, limit: Array, survivor: Array,
) -> None:  # fmt: skip
    """Write, for each row that goes, the rule (EXACT, NEAR, SEMANTIC; 0: kept), value, limit and survivor.

    Rows are 0 to n - 1 in the order of their rank; from n on stand those of the corpus to be different from. `code` numbers ids in
    their order, and ids among `parents` (of row r: `parents_at[r]` to `parents_at[r + 1]`). `made` numbers the task type of
    synthetic rows, -1 for others. Kind 0 is near, kind 1 semantic: `group[kind, r]` is the row's group (-1: none), and groups
    `to[begins[g]:begins[g + 1]]` are alike to g, itself among them; `across_to[across_at[kind, r]:…]` are alike in the other corpus.

    Of several copies the most alike is named, and among these the last id, so that the order of pairs is nothing.
    """
    rows = len(key)
    first = np.full(key.max() + 1 if rows else 0, -1, np.int64)  # kept rows of a key, as a chain in the order of rank
    last = np.full(len(first), -1, np.int64)
    after = np.full(rows, -1, np.int64)
    head = np.full(len(begins), -1, np.int64)  # kept rows of a group, as a chain
    below = np.full((2, rows), -1, np.int64)
    for i in range(rows):
        if not accepted[i]:
            j = first[key[i]]
            while j >= 0 and _kin(i, j, noisy, code, parents_at, parents):
                j = after[j]
            if j >= 0:
                rule[i], value[i], limit[i], survivor[i] = EXACT, 1.0, 1.0, j
                continue
            for kind in range(2):
                best, best_value, best_limit = -1, 0.0, 0.0
                g = group[kind, i]
                for p in range(begins[g] if g >= 0 else 0, begins[g + 1] if g >= 0 else 0):
                    s = similar[p]
                    j = head[to[p]]
                    while j >= 0:
                        least = made_limit if kind == 0 and made[i] >= 0 and made[i] == made[j] else limits[kind]
                        if (
                            s >= least
                            and (best < 0 or s > best_value or (s == best_value and code[j] > code[best]))
                            and not _kin(i, j, noisy, code, parents_at, parents)
                        ):
                            best, best_value, best_limit = j, s, least
                        j = below[kind, j]
                for p in range(across_at[kind, i], across_at[kind, i + 1]):
                    s, j = across_similar[p], across_to[p]
                    if (
                        s >= limits[kind]
                        and (best < 0 or s > best_value or (s == best_value and code[j] > code[best]))
                        and not _kin(i, j, noisy, code, parents_at, parents)
                    ):
                        best, best_value, best_limit = j, s, limits[kind]
                if best >= 0:
                    rule[i], value[i], limit[i], survivor[i] = NEAR + kind, best_value, best_limit, best
                    break
        if rule[i] == 0:
            if first[key[i]] < 0:
                first[key[i]] = i
            else:
                after[last[key[i]]] = i
            last[key[i]] = i
            for kind in range(2):
                g = group[kind, i]
                if g >= 0:
                    below[kind, i] = head[g]
                    head[g] = i
