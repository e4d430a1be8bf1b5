"""Cleaned records → generated ones: `python -m pipelines.synthesize`."""

from __future__ import annotations

from collections import Counter

from curation import endpoint, records
from curation.synthesize import SynthesizeParams, synthesize
from pipelines import params, paths
from pipelines.stage import Bar, run


def work() -> str:
    chosen = params.load("synthesize", SynthesizeParams)
    cleaned = records.read(paths.CLEANED / "records.parquet", records.LABELLED)
    with Bar() as bar, endpoint.connect(chosen) as model:
        made, attempts = synthesize(cleaned, chosen, model.ask, bar)
    records.write(made, paths.GENERATED / "records.parquet", sort_by="id")
    records.write(attempts, paths.GENERATED / "attempts.parquet", sort_by="attempt")
    rejected = Counter(attempts["reason"].drop_nulls().to_list()).most_common()
    reasons = f" ({', '.join(f'{reason} {count}' for reason, count in rejected)})" if rejected else ""
    kinds = ", ".join(f"{recipe} {count}" for recipe, count in sorted(Counter(made["recipe"].to_list()).items()))
    return (
        f"{attempts.height} attempts: kept {made.height}{f' ({kinds})' if kinds else ''}, "
        f"rejected {attempts.height - made.height}{reasons}; {model.asked} requests asked, {model.cached} from the cache"
    )


def main() -> None:
    run("synthesize", work)


if __name__ == "__main__":
    main()
