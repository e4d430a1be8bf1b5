"""One walk through ingest, repair, score, label and clean, for tests that follow rows from file to fate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Walk:
    """What became of the rows of some sources."""

    raw: pl.DataFrame
    quarantine: pl.DataFrame
    edits: pl.DataFrame
    kept: pl.DataFrame
    dropped: pl.DataFrame


Walker = Callable[..., Walk]


@pytest.fixture(scope="session")
def walk() -> Walker:
    """`walk(sources, encode=None, perplexity=0)` → Walk, with the real signals under the default params.

    `encode`: ids whose rows are encoded for semantic pairs (all when None), since an encoder takes its time. `perplexity`:
    every how many rows are read by the language model, which takes its time too; its rules see no value for the others,
    and labels are by words alone where it is 0.
    """
    from curation import score
    from curation.clean import CleanParams, clean
    from curation.ingest import IngestParams, SourceParams, ingest
    from curation.label import LabelParams, label, taxonomy
    from curation.repair import RepairParams, repair

    def run(sources: Sequence[SourceParams], encode: set[str] | None = None, perplexity: int = 0) -> Walk:
        raw, quarantine = ingest(IngestParams(sources=tuple(sources)))
        records, edits = repair(raw, [], RepairParams())
        settings = score.ScoreParams()
        wanted = [s for s in score.SIGNALS if s not in ("embedding", "semantic", "perplexity")]
        signals = {name: score.compute(name, records, settings) for name in wanted}
        some = records if encode is None else records.filter(pl.col("id").is_in(list(encode)))
        for name in ("embedding", "semantic"):
            signals[name] = _padded(score.compute(name, some, settings, have=signals), records)
        judged = records.gather_every(perplexity) if perplexity else records.clear()
        signals["perplexity"] = _padded(score.compute("perplexity", judged, settings), records)
        labels = label(records, taxonomy.load(ROOT / LabelParams().taxonomy), LabelParams(by_meaning=perplexity > 0))
        kept, dropped = clean(records, signals, labels, CleanParams(), evaluation=ROOT / "data/evaluation")
        return Walk(raw, quarantine, edits, kept, dropped)

    return run


def _padded(sidecar: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """The sidecar with a row for every record: those not measured have no pairs and no value."""
    rest = records.select("content_hash").unique().join(sidecar, on="content_hash", how="anti")
    empty = {
        name: pl.lit([], dtype=sidecar.schema[name]) for name in ("neighbours", "against") if name in sidecar.columns
    }
    rest = rest.with_columns(**empty, not_applicable=pl.lit("not_measured"))
    return pl.concat(
        [sidecar, rest.select("content_hash", *(c for c in rest.columns if c != "content_hash"))], how="diagonal"
    ).sort("content_hash")
