"""Sources → data/raw. `python -m pipelines.ingest`"""

from __future__ import annotations

from pipelines import params, paths
from pipelines.stage import Bar, run


def work() -> str:
    from curation.ingest import IngestParams, write

    settings = params.load("ingest", IngestParams)
    with Bar() as bar:
        sources, reasons = write(settings, paths.RAW / "records.parquet", paths.RAW / "quarantine.parquet", bar)
    said = ", ".join(f"{reason} {n}" for reason, n in reasons.items())
    rows, refused = sum(sources.values()), sum(reasons.values())
    return f"{rows} records from {len(sources)} sources; {refused} quarantined{': ' + said if said else ''}"


if __name__ == "__main__":
    run("ingest", work)
