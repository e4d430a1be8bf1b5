"""How much of what two texts have in common stands in another order: "from Oslo to Rome" and "from Rome to Oslo" share every word.

Sentence encoders see such pairs as one (PAWS, Zhang et al. 2019, arXiv 1904.01130: cosines above 0.98 for most), so their word
order is looked at.
"""

from __future__ import annotations

from collections import Counter

from rapidfuzz.distance import LCSseq

from curation.score.quality_words import UNIT

_LIGHT = frozenset(
    "a an the of in on at to and or is was were are be been by with for from as that this it its he she his her they their who "
    "which had has have also 的 了 在 是 和 与 也 就 都 而 及 着 被 把 将 从 到 对 于 由 给 为".split()
)


def moved(a: str, b: str) -> float:
    """1 - longest common subsequence / words in common, with case and words of grammar set aside; 0.0 where nothing is shared.

    A unit is a Chinese character, a word of another script or a number. 0: what they share stands in one order; two names that
    change places in a sentence of ten words give about 0.2.
    """
    one, two = ([u for u in UNIT.findall(t.lower()) if u not in _LIGHT] for t in (a, b))
    shared = (Counter(one) & Counter(two)).total()
    return 1 - LCSseq.similarity(one, two) / shared if shared else 0.0
