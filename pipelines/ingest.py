"""Sources → data/raw. `python -m pipelines.ingest`"""

from __future__ import annotations

from curation import records
from pipelines import params, paths
from pipelines.stage import Bar, run


def work() -> str:
    from curation.ingest import IngestParams, ingest

    settings = params.load("ingest", IngestParams)
    with Bar() as bar:
        good, bad = ingest(settings, bar)
    records.write(good, paths.RAW / "records.parquet", "id")
    records.write(bad, paths.RAW / "quarantine.parquet", "id")
    reasons = ", ".join(f"{reason} {n}" for reason, n in bad["reason"].value_counts().sort("reason").iter_rows())
    return f"{good.height} records from {good['source'].n_unique()} sources; {bad.height} quarantined{': ' + reasons if reasons else ''}"


if __name__ == "__main__":
    run("ingest", work)
