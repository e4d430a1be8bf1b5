"""The labeller: task type and subtype from the form of a row, the words of its request and the taxonomy's exemplars.

A log-linear model whose weights stand written in cues.py: what is found adds its weight to its type, the exemplars add
how like them the request reads, and the softmax of the sums is the confidence. Nothing is learned, no model or endpoint
is needed, and a row's label depends on that row alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curation.label import form
from curation.label.cues import PHRASES, SIGNS
from curation.label.exemplars import Likeness
from curation.label.taxonomy import Taxonomy
from curation.progress import Progress, silent

Said = tuple[str, float, str, float]

BATCH = 2048  # rows at a time: bounds memory, reports progress
LIKENESS = 1.25  # what the exemplars weigh beside the cues; measured with `python -m benchmarks.label`
OWN_CUE = 3.25  # a pattern of the taxonomy file, as much as the strongest here
SHARPNESS = (0.75, 0.9)  # type, subtype: the softmax's inverse temperature, so that confidence is about the share right
_FLOOR = {"open_qa": 0.5}  # what most requests are that say nothing of themselves
_BY_FORM = ("tool_use", "text")  # types that the form alone decides: no words can name them
_CODE = re.compile(
    r"^\s*(?:def |class \w+[:({]|import \w+|from [\w.]+ import |function |const |let |var |#!|#include|"
    r"select\b.+\bfrom\b|create (?:table|index|view)|insert into|return\b.*;$|fn |public |package )",
    re.MULTILINE | re.IGNORECASE,
)


def assign(
    records: pl.DataFrame, signals: Mapping[str, pl.DataFrame], taxonomy: Taxonomy, progress: Progress = silent
) -> list[Said]:
    """(task type, confidence, subtype, confidence) for each record, in their order. `signals` are not needed."""
    scorer = _Scorer(taxonomy)
    found: list[Said] = []
    rows = records.select("kind", "text", "tools", "messages")
    for start in range(0, rows.height, BATCH):
        found += _batch(rows.slice(start, BATCH), scorer)
        progress("label: rows", min(start + BATCH, rows.height), rows.height)
    return found


def _batch(rows: pl.DataFrame, scorer: _Scorer) -> list[Said]:
    said: list[Said | None] = []
    forms: list[form.Form] = []
    for kind, text, tools, messages in rows.iter_rows():
        told = _text(text) if kind == "text" else _tools(messages) if tools else None
        said.append(told)
        if told is None:
            forms.append(form.read(messages or ()))
    asked = iter(scorer.label(forms))
    return [told if told is not None else next(asked) for told in said]


def _text(text: str | None) -> Said:
    hits = len(_CODE.findall((text or "")[:4000]))
    return ("text", 1.0, "code", 0.95) if hits >= 2 else ("text", 1.0, "prose", 0.95 if not hits else 0.6)


def _tools(messages: Sequence[Mapping[str, Any]]) -> Said:
    """By the calls made: none, one turn's worth, or several that may build on each other."""
    import orjson

    calls = 0
    for message in messages or ():
        if message["tool_calls"]:
            try:
                value = orjson.loads(message["tool_calls"])
            except orjson.JSONDecodeError:
                value = None
            calls += len(value) if isinstance(value, list) else 1
    return ("tool_use", 1.0, ("no_call", "single_call", "multi_step")[min(calls, 2)], 0.9)


class _Scorer:
    """The cues as weight matrices over the taxonomy's types and subtypes."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        import numpy as np

        self.types = [t for t in taxonomy.types if t not in _BY_FORM]
        self.pairs = [(t, s) for t in self.types for s in taxonomy.types[t].subtypes]
        self.spans = {t: [i for i, p in enumerate(self.pairs) if p[0] == t] for t in self.types}
        own = [
            (name, subtype, OWN_CUE, "ask", pattern)
            for name, type_ in taxonomy.types.items()
            for subtype, patterns in type_.cues.items()
            for pattern in patterns
        ]
        self.phrases = [p for p in (*PHRASES, *own) if p[0] in self.types]
        self.signs = [s for s in SIGNS if s[0] in self.types]
        self.for_types = np.zeros((len(self.phrases) + len(self.signs), len(self.types)))
        self.for_pairs = np.zeros((len(self.phrases) + len(self.signs), len(self.pairs)))
        for i, cue in enumerate((*self.phrases, *self.signs)):
            self.for_types[i, self.types.index(cue[0])] = cue[2]
            if (cue[0], cue[1]) in self.pairs:
                self.for_pairs[i, self.pairs.index((cue[0], cue[1]))] = cue[2]
        texts = {
            f"{t}/{s}": [text for language in by_language.values() for text in language]
            for t in self.types
            for s, by_language in taxonomy.types[t].exemplars.items()
        }
        self.like_type = Likeness({t: [x for k, v in texts.items() if k.split("/")[0] == t for x in v] for t in self.types})
        self.like_pair = Likeness({f"{t}/{s}": texts.get(f"{t}/{s}", []) for t, s in self.pairs})
        self.floor = np.array([_FLOOR.get(t, 0.0) for t in self.types])
        self.type_order = [self.like_type.classes.index(t) for t in self.types]
        self.pair_order = [self.like_pair.classes.index(f"{t}/{s}") for t, s in self.pairs]

    def hits(self, forms: Sequence[form.Form]) -> Any:
        """Rows × cues, 1.0 where the cue is found."""
        import numpy as np

        parts = pl.DataFrame(
            {
                "ask": [f"{f.head}\n{f.tail}".strip() for f in forms],
                "body": [f.body for f in forms],
                "system": [f.system for f in forms],
                "answer": [f.answer for f in forms],
                "turns": [f.turns for f in forms],
            },
            schema=dict.fromkeys(("ask", "body", "system", "answer", "turns"), pl.String),
        )
        found = np.zeros((len(forms), len(self.phrases) + len(self.signs)))
        exprs = [
            pl.col(part).str.contains(pattern.replace(r"\b", r"(?-u:\b)")).alias(str(i))
            for i, (_, _, _, part, pattern) in enumerate(self.phrases)
        ]
        found[:, : len(self.phrases)] = parts.select(exprs).to_numpy()
        for i, (_, _, _, wanted) in enumerate(self.signs, len(self.phrases)):
            there = {m for m in wanted.split() if not m.startswith("!")}
            absent = {m[1:] for m in wanted.split() if m.startswith("!")}
            found[:, i] = [there <= f.marks and not absent & f.marks for f in forms]
        return found

    def label(self, forms: Sequence[form.Form]) -> list[Said]:
        import numpy as np

        if not forms:
            return []
        hits = self.hits(forms)
        asks = [f"{f.head}\n{f.tail}" for f in forms]
        like_type = np.stack([self.like_type(a)[self.type_order] for a in asks])
        like_pair = np.stack([self.like_pair(a)[self.pair_order] for a in asks])
        types = hits @ self.for_types + self.floor + LIKENESS * like_type
        pairs = hits @ self.for_pairs + LIKENESS * like_pair
        said: list[Said] = []
        for type_scores, pair_scores in zip(types, pairs, strict=True):
            best, sure = _softmax(type_scores, SHARPNESS[0])
            name = self.types[best]
            span = self.spans[name]
            inner, inner_sure = _softmax(pair_scores[span], SHARPNESS[1])
            said.append((name, sure, self.pairs[span[inner]][1], round(sure * inner_sure, 4)))
        return said


def _softmax(scores: Any, sharpness: float) -> tuple[int, float]:
    """(index of the greatest, the first among equals; its probability to 4 decimals)."""
    import numpy as np

    best = int(np.argmax(scores))
    return best, round(float(1 / np.exp((scores - scores[best]) * sharpness).sum()), 4)
