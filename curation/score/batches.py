"""Expensive results in fixed batches over the cache.

Padding changes the last bits of a float, so a value may depend on who shares its batch. Batches are cut from the whole
corpus, not from what is missing, and a batch with a missing row is computed whole: a run that was killed and a run that
was not store the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from curation.cache import Cache
from curation.progress import Progress, silent


def by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices sorted by length, cut so that longest × rows stays within `budget` tokens (one row at least)."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if batches and lengths[i] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def cached(
    name: str,
    keys: Sequence[str],
    batches: Sequence[Sequence[int]],
    compute: Callable[[Sequence[int]], Sequence[bytes]],
    progress: Progress = silent,
) -> dict[str, bytes]:
    """Value by key, computing those batches in which one is missing. `compute` gets indices into `keys`."""
    cache = Cache(name)
    try:
        have = set(cache.get(keys))
        missing = [batch for batch in batches if any(keys[i] not in have for i in batch)]
        done, total = 0, sum(len(batch) for batch in missing)
        for batch in missing:
            cache.put({keys[i]: value for i, value in zip(batch, compute(batch), strict=True)})
            done += len(batch)
            progress(name, done, total)
        return cache.get(keys)
    finally:
        cache.close()
