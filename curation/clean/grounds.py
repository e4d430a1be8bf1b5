"""Grounds outside the text: what a reviewer said, what the licence allows, what repair found and must not pass on."""

from __future__ import annotations

import polars as pl

from curation.clean.hits import hits
from curation.params import Params


class GroundsParams(Params):
    """`params.yaml: clean.grounds`. SPDX names; compared without case."""

    licenses: tuple[str, ...] = ("Apache-2.0", "MIT", "CC0-1.0", "CC-BY-4.0", "BSD-3-Clause")


def rejected_by_reviewer(frame: pl.DataFrame) -> pl.DataFrame:
    """A person said so in data/review/verdicts.jsonl."""
    return hits(frame, pl.col("verdict") == "reject", detail="rejected in data/review/verdicts.jsonl")


def disallowed_license(frame: pl.DataFrame, params: GroundsParams) -> pl.DataFrame:
    """The row's licence is not among those allowed: what may not be passed on must not be trained on unseen."""
    allowed = [name.lower() for name in params.licenses]
    hit = ~pl.col("license").str.to_lowercase().is_in(allowed)
    return hits(frame, hit, detail=pl.format("license {}", pl.col("license")))


def pii_drop(frame: pl.DataFrame) -> pl.DataFrame:
    """Repair tagged the row `pii_drop:<kind>`: it holds personal data that this project hides by leaving the row out."""
    kind = pl.col("tags").list.eval(pl.element().filter(pl.element().str.starts_with("pii_drop:"))).list.first()
    return hits(frame, kind.is_not_null(), detail=pl.format("personal data: {}", kind.str.strip_prefix("pii_drop:")))
