"""Rows that may have a twin in meaning, found without the encoder: by the vectors of its words alone.

A text's static vector is the mean of the encoder's input word vectors, less the mean of that table, with weights a / (a + p), p being
a token's share of all that is said (SIF: Arora, Liang and Ma 2017, "A simple but tough-to-beat baseline for sentence
embeddings"). The paper takes away the first singular vector of the texts; of a few texts on one matter that would be what they
mean. It costs a hundredth of the encoder; docs/dedup.md has the figures behind `a` and the floor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Text = tuple[str, str, str]  # kind, prompt, answer
_A = 0.1  # the paper has 0.001, which lets a short question hang on its rarest word
_SIGNS = re.compile(r"[\W_]+")
_BLOCK = 1024  # rows held against all the others at once
_TEXTS = 4096  # tokenised at once


def may_have_twins(rows: Sequence[Text], there: Sequence[Text], floor: float, encoder: Callable[[], Any]) -> list[bool]:
    """For each of `rows`, whether another one, or one of `there`, may mean the same: see `twins`.

    A row is (kind, prompt, answer). Chat rows meet chat rows, by both sides; text rows meet text rows, by their answer.
    `encoder` gives the sentence-transformers model; it is not asked for where there are no two rows.
    """
    import numpy as np

    if not rows or len(rows) + len(there) < 2:
        return [False] * len(rows)
    texts = sorted({text for corpus in (rows, there) for row in corpus for text in row[1:]})
    number = {text: n for n, text in enumerate(texts)}
    vectors = static_vectors(texts, encoder())
    found = np.zeros(len(rows), bool)
    for kind, sides in (("chat", (1, 2)), ("text", (2,))):
        here, others = ([n for n, row in enumerate(corpus) if row[0] == kind] for corpus in (rows, there))
        mine = [vectors[[number[rows[n][side]] for n in here]] for side in sides]
        theirs = [vectors[[number[there[n][side]] for n in others]] for side in sides]
        found[here] = twins(mine, theirs, floor)
    return found.tolist()


def twins(mine: list[np.ndarray], theirs: list[np.ndarray], floor: float) -> np.ndarray:
    """For each row of `mine`, whether another one, or one of `theirs`, has the floor as the smallest of the cosines of sides.

    `mine` and `theirs`: for each side a float32 array of unit vectors (or zeros: no text, like nothing), a row a row.
    """
    import numpy as np

    found = np.zeros(len(mine[0]), bool)
    for begin in range(0, len(found), _BLOCK):
        end = begin + _BLOCK
        alike = _smallest([side[begin:end] for side in mine], [side[:end] for side in mine]) >= floor
        row, to = np.nonzero(alike)
        other = to < row + begin  # each pair once; a row is no twin of itself
        found[row[other] + begin] = True
        found[to[other]] = True
        if len(theirs[0]):
            found[begin:end] |= (_smallest([side[begin:end] for side in mine], theirs) >= floor).any(axis=1)
    return found


def _smallest(ours: list[np.ndarray], others: list[np.ndarray]) -> np.ndarray:
    import numpy as np

    smaller = ours[0] @ others[0].T
    for one, other in zip(ours[1:], others[1:], strict=True):
        np.minimum(smaller, one @ other.T, out=smaller)
    return smaller


def static_vectors(texts: Sequence[str], encoder: Any) -> np.ndarray:
    """A unit vector a text (float32, texts × width), zeros where there is no token. A token's share p is that in `texts`."""
    import numpy as np

    numbers, ends = _tokens(texts, encoder)
    table = encoder[0].auto_model.get_input_embeddings().weight.detach().cpu().numpy()
    table = table - table.mean(axis=0)
    share = np.bincount(numbers, minlength=len(table)) / max(1, len(numbers))
    weight = (_A / (_A + share)).astype(np.float32)
    vectors = np.zeros((len(texts), table.shape[1]), np.float32)
    for n, (begin, end) in enumerate(pairwise(ends)):
        said = numbers[begin:end]
        vectors[n] = weight[said] @ table[said]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _tokens(texts: Sequence[str], encoder: Any) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the tokens of all texts, one text after the other, and where each begins and the last ends.

    Case and signs are nothing to most meanings and make other tokens, so they are left out.
    """
    import numpy as np

    parts: list[list[int]] = []
    for begin in range(0, len(texts), _TEXTS):
        read = [" ".join(_SIGNS.sub(" ", t.lower()).split()) or t for t in texts[begin : begin + _TEXTS]]
        parts += encoder.tokenizer(read, add_special_tokens=False, verbose=False)["input_ids"]
    ends = np.cumsum([0, *map(len, parts)])
    return np.fromiter(chain.from_iterable(parts), np.int64, int(ends[-1])), ends
