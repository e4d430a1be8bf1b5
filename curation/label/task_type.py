"""The labeller: task type and subtype from the form of a row, the words of its request, its meaning and the taxonomy's exemplars.

A log-linear model. Cues (cues.py) have weights set by hand; weights.csv holds what fitting on development rows added to them, and
the weights of single words and forms (`python -m benchmarks.label_fit` makes it). The exemplars add how like them a request reads,
and reader.py what a small language model takes it to ask for; the softmax of the sums is the confidence. No endpoint is asked, and
a row's label depends on that row alone.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from curation import records as rec
from curation.label import form, words
from curation.label.cues import PHRASES, SIGNS
from curation.label.exemplars import Likeness
from curation.label.taxonomy import BY_FORM, Taxonomy, searchable
from curation.progress import Progress, silent

Said = tuple[str, float, str, float]

WEIGHTS = Path(__file__).with_name("weights.csv")
BATCH = 2048  # rows at a time: bounds memory, reports progress
LIKENESS = 0.5  # what the exemplars weigh beside the cues
LIKENESS_ALONE = 2.0  # for a type that has no cue: one that was added to the taxonomy
OWN_CUE = 4.0  # a pattern in the taxonomy file: above any one cue here
FLOOR = {"open_qa": 0.5}  # what most requests are that say nothing of themselves
SHARPNESS = (0.9, 0.8)  # type, subtype: inverse temperatures that make confidence the share right, on unseen rows
BOTH = (0.4, 0.8)  # of words and reader where both speak: `python -m benchmarks.reader_fit --blend` tells how they do
CERTAIN = 0.99  # where words are as sure as this (three rows in ten), the reader is not asked: as many labels are right
UNKNOWN = 1.0  # a type that the reader does not know is given its best score less this: words and exemplars decide
_PARTS = ("ask", "body", "system", "answer", "turns")
_CODE = re.compile(
    r"^\s*(?:def |class \w+[:({]|import \w+|from [\w.]+ import |function |const |let |var |#!|#include|"
    r"select\b.+\bfrom\b|create (?:table|index|view)|insert into|return\b.*;$|fn |public |package )",
    re.MULTILINE | re.IGNORECASE,
)


def assign(
    records: pl.DataFrame, taxonomy: Taxonomy, *, by_meaning: bool = True, progress: Progress = silent
) -> list[Said]:
    """(task type, confidence, subtype, confidence) for each record, in their order; confidences to 4 decimals.

    `by_meaning`: whether the reader has a say; without it no model is loaded.
    """
    import numpy as np

    scorer = Scorer(taxonomy)
    by_form: list[Said | None] = []
    by_words = []
    rows = records.select("kind", "text", "tools", "messages")
    for start in range(0, rows.height, BATCH):
        told, forms = _forms(rows.slice(start, BATCH))
        by_form += told
        by_words.append(scorer.scores(forms).astype(np.float32))  # exact: sums of eighths
        progress("label: rows", min(start + BATCH, rows.height), rows.height)
    if not by_words:
        return []
    scores = np.concatenate(by_words)
    asking = [i for i, told in enumerate(by_form) if told is None]
    read = np.full((len(asking), len(scorer.types)), np.nan)
    if by_meaning and asking:
        unsure = scorer.unsure(scores)
        read[unsure] = scorer.by_type(_read(records[np.array(asking)[unsure]], progress))
    asked = iter(scorer.label(scores, read))
    return [told if told is not None else next(asked) for told in by_form]


def _forms(rows: pl.DataFrame) -> tuple[list[Said | None], list[form.Form]]:
    """What the form of each row says of it, None where it says nothing; the forms of those rows."""
    said: list[Said | None] = []
    forms: list[form.Form] = []
    for kind, text, tools, messages in rows.iter_rows():
        told = _text(text or "") if kind == "text" else _tools(messages or ()) if tools else None
        said.append(told)
        if told is None:
            forms.append(form.read(messages or ()))
    return said, forms


def _read(records: pl.DataFrame, progress: Progress) -> Any:
    """Rows × the reader's types."""
    from curation.label import reader

    sides = rec.sides(records).select("prompt", "system", "answer")
    return reader.read([reader.text(*row) for row in sides.iter_rows()], progress)


def _text(text: str) -> Said:
    hits = len(_CODE.findall(text[:4000]))
    return ("text", 1.0, "code", 0.95) if hits >= 2 else ("text", 1.0, "prose", 0.95 if not hits else 0.6)


def _tools(messages: Sequence[Mapping[str, Any]]) -> Said:
    """By the turns that call: none, one, or several that may build on each other."""
    turns = sum(bool(m["tool_calls"]) for m in messages)
    return ("tool_use", 1.0, ("no_call", "single_call", "multi_step")[min(turns, 2)], 0.9)


def features(read: form.Form, found: Sequence[str]) -> list[str]:
    """What weights.csv may know of a row: its marks and the grams of its request (`found`), answer, system prompt and later turns."""
    said = {"answer": read.answer[:200], "system": read.system[:300], "turns": read.turns[:200]}
    return [
        *sorted(read.marks),
        *(f"ask:{g}" for g in found),
        *(f"{part}:{g}" for part, text in said.items() for g in words.grams(text)),
    ]


def phrase_name(pattern: str) -> str:
    """A cue phrase's name in weights.csv: an edited pattern has a new name and stands on its hand-set weight again."""
    return f"phrase:{xxhash.xxh3_64_hexdigest(pattern.encode())[:10]}"


def sign_name(type_: str, subtype: str, marks: str) -> str:
    """A sign's name in weights.csv."""
    return f"sign:{type_}/{subtype}:{marks}"


@cache
def fitted() -> dict[str, dict[str, float]]:
    """weights.csv: feature → type or type/subtype → weight; empty when the file is absent (before the first fit)."""
    if not WEIGHTS.exists():
        return {}
    found: dict[str, dict[str, float]] = {}
    with WEIGHTS.open(encoding="utf-8", newline="") as lines:
        for feature, label, weight in csv.reader(lines):
            found.setdefault(feature, {})[label] = float(weight)
    return found


class Scorer:
    """Cues, fitted weights and exemplars as matrices over the taxonomy's types, then its subtypes."""

    def __init__(self, taxonomy: Taxonomy, weights: Mapping[str, Mapping[str, float]] | None = None) -> None:
        """`weights` in place of weights.csv, for fitting."""
        import numpy as np

        weights = fitted() if weights is None else weights
        self.types = [t for t in taxonomy.types if t not in BY_FORM]
        self.pairs = [(t, s) for t in self.types for s in taxonomy.types[t].subtypes]
        self.labels = {label: i for i, label in enumerate([*self.types, *(f"{t}/{s}" for t, s in self.pairs)])}
        self.spans = {t: [i for i, p in enumerate(self.pairs) if p[0] == t] for t in self.types}
        own = [
            (name, subtype, OWN_CUE, "ask", pattern)
            for name, type_ in taxonomy.types.items()
            for subtype, patterns in type_.cues.items()
            for pattern in patterns
        ]
        self.phrases = [p for p in (*PHRASES, *own) if p[0] in self.types]
        self.signs = [s for s in SIGNS if s[0] in self.types]
        cues = [(t, s, w, phrase_name(pattern)) for t, s, w, _, pattern in self.phrases]
        cues += [(t, s, w, sign_name(t, s, marks)) for t, s, w, marks in self.signs]
        self.by_cue = np.zeros((len(cues), len(self.labels)))
        for i, (type_name, subtype, weight, name) in enumerate(cues):
            self.by_cue[i, self.labels[type_name]] += weight
            if f"{type_name}/{subtype}" in self.labels:
                self.by_cue[i, self.labels[f"{type_name}/{subtype}"]] += weight
            self._add(self.by_cue[i], weights.get(name, {}))
        plain = sorted(f for f in weights if not f.startswith(("phrase:", "sign:")))
        self.index = {feature: i for i, feature in enumerate(plain)}
        self.by_feature = np.zeros((len(plain), len(self.labels)))
        for i, feature in enumerate(plain):
            self._add(self.by_feature[i], weights[feature])
        self.floor = np.zeros(len(self.labels))
        self._add(self.floor, FLOOR)
        self._add(self.floor, weights.get("always", {}))
        texts = {
            (t, s): [text for language in by_language.values() for text in language]
            for t in self.types
            for s, by_language in taxonomy.types[t].exemplars.items()
        }
        self.like_type = Likeness({t: [x for k, v in texts.items() if k[0] == t for x in v] for t in self.types})
        self.like_pair = Likeness({f"{t}/{s}": texts.get((t, s), []) for t, s in self.pairs})
        cued = {p[0] for p in PHRASES}
        self.likeness = np.array([LIKENESS if label.split("/")[0] in cued else LIKENESS_ALONE for label in self.labels])

    def _add(self, row: Any, weights: Mapping[str, float]) -> None:
        for label, weight in weights.items():
            if label in self.labels:  # a type that a user took out of the taxonomy is no longer spoken for
                row[self.labels[label]] += weight

    def hits(self, forms: Sequence[form.Form]) -> Any:
        """Rows × cues, 1.0 where the cue is found."""
        import numpy as np

        parts = pl.DataFrame([tuple(getattr(f, part) for part in _PARTS) for f in forms], schema=_PARTS, orient="row")
        found = np.zeros((len(forms), len(self.phrases) + len(self.signs)))
        if not forms:
            return found
        searches = [
            pl.col(part).str.contains(searchable(pattern)).alias(str(i))
            for i, (_, _, _, part, pattern) in enumerate(self.phrases)
        ]
        found[:, : len(self.phrases)] = parts.select(searches).to_numpy()
        for i, (_, _, _, wanted) in enumerate(self.signs, len(self.phrases)):
            there = {m for m in wanted.split() if not m.startswith("!")}
            absent = {m[1:] for m in wanted.split() if m.startswith("!")}
            found[:, i] = [there <= f.marks and absent.isdisjoint(f.marks) for f in forms]
        return found

    def scores(self, forms: Sequence[form.Form]) -> Any:
        """Rows × labels (types, then subtypes): sums of weights. All addends are dyadic, so sums are exact in any order."""
        import numpy as np

        totals = self.hits(forms) @ self.by_cue + self.floor
        for i, read in enumerate(forms):
            found = words.grams(read.ask)
            known = [self.index[f] for f in features(read, found) if f in self.index]
            like = np.concatenate([self.like_type(found), self.like_pair(found)])
            totals[i] += self.by_feature[known].sum(axis=0) + self.likeness * like
        return totals

    def unsure(self, scores: Any) -> Any:
        """Of the rows of `scores`, which the words leave in doubt: a mask."""
        import numpy as np

        words = scores[:, : len(self.types)].astype(np.float64) * SHARPNESS[0]
        return 1 / np.exp(words - words.max(axis=1, keepdims=True)).sum(axis=1) < CERTAIN

    def label(self, scores: Any, read: Any) -> list[Said]:
        """The most probable type, and within it the most probable subtype, whose confidence is the product of both.

        `scores`: rows × labels, from `scores`. `read`: rows × types, not a number where the reader was not asked.
        """
        import numpy as np

        said: list[Said] = []
        rows = scores.astype(np.float64)
        words = rows[:, : len(self.types)]
        whole = np.where(np.isnan(read), words * SHARPNESS[0], words * BOTH[0] + np.nan_to_num(read) * BOTH[1])
        for row, of_types in zip(rows, whole, strict=True):
            best, sure = _softmax(of_types, 1.0)
            span = self.spans[self.types[best]]
            inner, inner_sure = _softmax(row[len(self.types) :][span], SHARPNESS[1])
            said.append((self.types[best], sure, self.pairs[span[inner]][1], round(sure * inner_sure, 4)))
        return said

    def by_type(self, read: Any) -> Any:
        """The reader's scores in the order of the taxonomy's types."""
        import numpy as np

        from curation.label import reader

        place = {t: i for i, t in enumerate(reader.types())}
        best = read.max(axis=1)
        return np.stack([read[:, place[t]] if t in place else best - UNKNOWN for t in self.types], axis=1)


def _softmax(scores: Any, sharpness: float) -> tuple[int, float]:
    """(index of the greatest, the first among equals; its probability to 4 decimals)."""
    import numpy as np

    best = int(np.argmax(scores))
    return best, round(float(1 / np.exp((scores - scores[best]) * sharpness).sum()), 4)
