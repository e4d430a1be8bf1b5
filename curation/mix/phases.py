"""Curriculum: which phase a scheduled row is read in, each phase with its own mixture and its share of the tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from curation.mix.params import MixParams, Phase
from curation.mix.ratios import shares


def wanted(phase: Phase, params: MixParams) -> dict[str, float]:
    """Part → share of the phase."""
    return shares(phase.ratios, params.replay if phase.replay is None else phase.replay)


def assign(rows: pl.DataFrame, params: MixParams) -> pl.DataFrame:
    """`rows` (part, tokens, in the order of the draw) with `phase` and `phase_number`; without phases all are in A.

    Each part's rows are dealt out in their order, cut where a phase's share of that part's tokens is nearest, so that no phase
    repeats what another reads and a part is off by half a row at either end of a phase.
    """
    if not params.phases:
        return rows.with_columns(pl.lit("A").alias("phase"), pl.lit(0, pl.Int64).alias("phase_number"))
    number = np.zeros(rows.height, np.int64)
    tokens = rows["tokens"].to_numpy()
    for part in sorted(rows["part"].unique()):
        mine = np.flatnonzero((rows["part"] == part).to_numpy())
        held = [p.share * wanted(p, params).get(part, 0.0) for p in params.phases]
        number[mine] = _dealt(tokens[mine], held)
    names = pl.Series("phase", [params.phases[i].name for i in number], dtype=pl.String)
    return rows.with_columns(names, pl.Series("phase_number", number))


def _dealt(tokens: np.ndarray, held: Sequence[float]) -> np.ndarray:
    """The phase of each row: borders stand where the tokens so far are nearest to the shares so far."""
    middles = np.cumsum(tokens) - tokens / 2
    borders = np.cumsum(held)[:-1] / sum(held) * tokens.sum()
    found = np.searchsorted(borders, middles, side="left")
    # Phases that hold nothing of this part share a border with a neighbour; rows beyond the last border go to the last that does.
    last = max(i for i, share in enumerate(held) if share > 0)
    return np.minimum(found, last)
