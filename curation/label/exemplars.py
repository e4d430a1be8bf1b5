"""How like the taxonomy's own examples a request is: naive Bayes over its words and pairs of characters.

McCallum and Nigam 1998, multinomial model, as log odds against the other classes. What is summed are multiples of 1/64, so
that the sum is the same in whatever order and on whatever machine it is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from curation.label.words import grams

_SMOOTHING = 0.35
_CLIP = 2.0
_STEPS = 64


class Likeness:
    """Log odds of every gram for every class, made once from the exemplars."""

    def __init__(self, exemplars: Mapping[str, Sequence[str]]) -> None:
        """`exemplars`: class → its texts; a class without any gets no evidence."""
        import numpy as np

        counts = [Counter(g for text in texts for g in grams(text.lower())) for texts in exemplars.values()]
        self.index = {gram: i for i, gram in enumerate(sorted(set().union(*counts)))}
        table = np.zeros((len(self.index), len(counts)))
        for column, found in enumerate(counts):
            for gram, n in found.items():
                table[self.index[gram], column] = n
        inside = table.sum(axis=0)
        rest = table.sum(axis=1, keepdims=True) - table
        share = (table + _SMOOTHING) / (inside + _SMOOTHING * 40)
        other = (rest + _SMOOTHING * 8) / (inside.sum() - inside + _SMOOTHING * 320)
        odds = np.clip(np.log(share / other), -_CLIP, _CLIP)
        odds[:, inside == 0] = 0.0
        self.odds = np.round(odds * _STEPS) / _STEPS

    def __call__(self, found: Sequence[str]) -> Any:
        """Evidence for each class, in the order given: the sum of log odds of the grams over the root of their number."""
        import numpy as np

        known = [self.index[g] for g in found if g in self.index]
        if not known:
            return np.zeros(self.odds.shape[1])
        return np.round(self.odds[known].sum(axis=0) / len(known) ** 0.5 * _STEPS) / _STEPS
