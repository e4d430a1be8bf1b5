"""How like the taxonomy's own examples a request is: naive Bayes over character pairs (Chinese) and words (English).

McCallum and Nigam 1998, multinomial model, in log odds against the other classes. What is summed are multiples of 1/64, so
that the sum is the same in whatever order and on whatever machine it is taken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_TOKEN = re.compile(r"[\u3400-\u9fff]+|[a-z']+|\d+|[?？=×/]")
_SMOOTHING = 0.35
_CLIP = 2.0


class Likeness:
    """Log odds of every gram for every class, made once from the exemplars."""

    def __init__(self, exemplars: Mapping[str, Sequence[str]]) -> None:
        """`exemplars`: class → its texts; a class without any gets no evidence."""
        import numpy as np

        self.classes = sorted(exemplars)
        counts = [Counter(g for text in exemplars[c] for g in grams(text)) for c in self.classes]
        self.index = {gram: i for i, gram in enumerate(sorted(set().union(*counts)) if counts else [])}
        table = np.zeros((len(self.index), len(self.classes)))
        for column, found in enumerate(counts):
            for gram, n in found.items():
                table[self.index[gram], column] = n
        inside = table.sum(axis=0)
        share = (table + _SMOOTHING) / (inside + _SMOOTHING * 40)
        rest = table.sum(axis=1, keepdims=True) - table
        other = (rest + _SMOOTHING * 8) / (inside.sum() - inside + _SMOOTHING * 320)
        odds = np.clip(np.log(share / other), -_CLIP, _CLIP)
        odds[:, inside == 0] = 0.0
        self.odds = np.round(odds * 64) / 64

    def __call__(self, text: str) -> Any:
        """Evidence for each class (in the order of `classes`): the sum of log odds over the root of the number of grams."""
        import numpy as np

        known = [self.index[g] for g in grams(text) if g in self.index]
        if not known:
            return np.zeros(len(self.classes))
        return np.round(self.odds[known].sum(axis=0) / len(known) ** 0.5 * 64) / 64


def grams(text: str) -> list[str]:
    """Words and pairs of words, for Chinese characters in pairs and triples; each once."""
    found: dict[str, None] = {}
    last = "^"
    for token in _TOKEN.findall(text.lower()):
        if token[0] >= "\u3400":
            found.update(dict.fromkeys(token[i : i + 2] for i in range(len(token) - 1)))
            found.update(dict.fromkeys(token[i : i + 3] for i in range(len(token) - 2)))
            last = token[-1]
        else:
            token = "0" if token[0].isdigit() else token
            found[token] = None
            found[f"{last} {token}"] = None
            last = token
    return list(found)
