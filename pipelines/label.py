"""Repaired records → data/labels/<corpus>.parquet. `python -m pipelines.label raw`"""

from __future__ import annotations

import logging
from pathlib import Path

from curation import records
from pipelines import params, paths
from pipelines.stage import Bar, run_named


def work(name: str) -> str:
    from curation.label import LabelParams, label, taxonomy
    from curation.review import labels as reviews
    from curation.review import lines

    corpus = paths.CORPORA[name]
    settings = params.load("label", LabelParams)
    tree = taxonomy.load(Path(settings.taxonomy))
    rows = records.read(corpus.repaired / "records.parquet", records.SCHEMA)
    subtypes = {type_: said.subtypes for type_, said in tree.types.items()}
    reviewed = reviews.read(paths.REVIEW_LABELS, subtypes, tree.buckets)
    own = lines.belonging(reviewed, rows["id"], made=name == "generated")
    if strange := lines.unknown(own, rows["id"], str(paths.REVIEW_LABELS), str(corpus.repaired), "labels"):
        logging.getLogger(__name__).warning(strange)
    with Bar() as bar:
        labels = label(rows, tree, settings, reviewed=reviewed, progress=bar)
    records.write(labels, corpus.labels, "id")
    by_person = labels.filter(~labels["task_type_by"].is_in(["labeller"])).height
    buckets = ", ".join(f"{bucket} {n}" for bucket, n in labels["bucket"].value_counts().sort("bucket").iter_rows())
    return f"{labels['task_type'].n_unique()} task types over {labels.height} rows ({by_person} by people); {buckets}"


if __name__ == "__main__":
    run_named("label", work)
