"""Measures; never judges. One signal a file, one sidecar a signal, keyed by content hash.

Each module has Params and `compute(records, params, *, against, progress)`, which gives one row a distinct content hash:
the values, and `not_applicable` with a reason where there can be none. Pairs are signals too. What `score.off` names is
not measured: its sidecar has a row for each content hash all the same, with the reason `off`. The judge, which asks an
endpoint, is measured only where `score.judge.enabled` says so, and has no sidecar otherwise.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import polars as pl

from curation.errors import DataError
from curation.params import Params
from curation.progress import Progress, silent
from curation.score.embedding import EmbeddingParams
from curation.score.exact import ExactParams
from curation.score.judge import JudgeParams
from curation.score.language import LanguageParams
from curation.score.length import LengthParams
from curation.score.near import NearParams
from curation.score.off import OptionalSignal, unmeasured
from curation.score.perplexity import PerplexityParams
from curation.score.repetition import RepetitionParams
from curation.score.semantic import SemanticParams

SIGNALS = {
    "language": "curation.score.language",
    "length": "curation.score.length",
    "repetition": "curation.score.repetition",
    "exact": "curation.score.exact",
    "near": "curation.score.near",
    "embedding": "curation.score.embedding",
    "semantic": "curation.score.semantic",
    "perplexity": "curation.score.perplexity",
    "judge": "curation.score.judge",
}


class ScoreParams(Params):
    """`params.yaml: score`."""

    off: tuple[OptionalSignal, ...] = ()  # not measured: not_applicable everywhere
    language: LanguageParams = LanguageParams()
    length: LengthParams = LengthParams()
    repetition: RepetitionParams = RepetitionParams()
    exact: ExactParams = ExactParams()
    near: NearParams = NearParams()
    embedding: EmbeddingParams = EmbeddingParams()
    semantic: SemanticParams = SemanticParams()
    perplexity: PerplexityParams = PerplexityParams()
    judge: JudgeParams = JudgeParams()

    @property
    def signals(self) -> tuple[str, ...]:
        """Those of SIGNALS that get a sidecar, in that order."""
        return tuple(name for name in SIGNALS if name != "judge" or self.judge.enabled)


def compute(
    name: str,
    records: pl.DataFrame,
    params: ScoreParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
    have: Mapping[str, pl.DataFrame] | None = None,
    against_have: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """The sidecar of one signal, sorted by content hash; raises DataError if a record is left without a row.

    A signal that `params.off` names is not computed and no model of it is loaded: every row is `not_applicable: off`.

    `have` and `against_have`: sidecars of records and of `against` that are at hand, for signals that build on another
    (semantic on embedding). One that is not is computed, or taken from the cache.
    """
    if name in params.off:
        return unmeasured(name, records)
    module = importlib.import_module(SIGNALS[name])
    built_on: dict[str, Any] = {}
    if name == "semantic":
        # Each corpus with the other as `against`: a row whose only twin is in the other one is a candidate too.
        both = (("embeddings", records, against, have), ("against_embeddings", against, records, against_have))
        for key, rows, other, given in both:
            ready = (given or {}).get("embedding")
            if ready is None and rows is not None:
                ready = compute("embedding", rows, params, against=other, progress=progress)
            built_on[key] = ready
    sidecar: pl.DataFrame = module.compute(
        records, getattr(params, name), against=against, progress=progress, **built_on
    )
    sidecar = sidecar.sort("content_hash")
    if sidecar["content_hash"].to_list() != sorted(set(records["content_hash"].to_list())):
        raise DataError(
            f"signal {name}: not one row for each content hash; this is a fault of curation/score/{name}.py."
        )
    return sidecar


def told() -> pl.Expr:
    """True for rows of a sidecar that have a value or a reason. An empty list is a value: nothing was found."""
    return ~pl.all_horizontal(pl.exclude("content_hash").is_null())


def distinct(records: pl.DataFrame) -> pl.DataFrame:
    """One record for each content hash, sorted by it: signals do not depend on the order of rows."""
    return records.unique("content_hash", keep="any").sort("content_hash")
