"""Records, signals, labels, verdicts → kept and dropped rows. `python -m pipelines.clean raw`"""

from __future__ import annotations

import logging

from curation import records
from curation.ledger import tally
from curation.params import parse
from pipelines import params, paths
from pipelines.stage import not_measured, off, run_named


def work(name: str) -> str:
    from curation.clean import CleanParams, clean
    from curation.review import lines, verdicts
    from curation.score import SIGNALS
    from curation.score.exact import ExactParams

    corpus = paths.CORPORA[name]
    settings = params.load("clean", CleanParams)
    params.below_floor(settings)
    # As it stands in the file: another makes the sidecars anew, which this stage depends on already.
    exact = (params.read(params.PARAMS).get("score") or {}).get("exact") or {}
    rows = records.read(corpus.repaired / "records.parquet", records.SCHEMA)
    signals = {
        signal: records.read(corpus.signals / f"{signal}.parquet")
        for signal in SIGNALS
        if signal not in ("embedding", "judge")  # no rule reads them
    }
    labels = records.read(corpus.labels)
    against = records.read(corpus.against / "records.parquet", records.LABELLED) if corpus.against else None
    reviewed = verdicts.read(paths.VERDICTS)
    own = lines.belonging(reviewed, rows["id"], made=name == "generated")
    if strange := lines.unknown(own, rows["id"], str(paths.VERDICTS), str(corpus.repaired), "verdicts"):
        logging.getLogger(__name__).warning(strange)
    kept, dropped = clean(
        rows, signals, labels, settings, verdicts=reviewed, evaluation=paths.EVALUATION, against=against,
        exact=parse(ExactParams, exact, "score.exact"),
    )  # fmt: skip
    records.write(kept, corpus.cleaned / "records.parquet", "id")
    records.write(dropped, corpus.cleaned / "dropped.parquet", "id")
    rules = ", ".join(f"{rule} {n}" for rule, n in tally(dropped).items())
    said = f"{rows.height} rows in, {kept.height} kept, {dropped.height} dropped{': ' + rules if rules else ''}"
    return said + not_measured(off(signals))


if __name__ == "__main__":
    run_named("clean", work)
