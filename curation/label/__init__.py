"""Two-level task type, bucket and tags for every row, each with confidence and who said it.

A person's label (data/review/labels.jsonl) stands above the labeller's and does not erase it from the signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from curation import records as rec
from curation.label import task_type
from curation.label.taxonomy import Taxonomy
from curation.params import Params
from curation.progress import Progress, silent

LABEL_COLUMNS = {"id": pl.String, **rec.LABELS, "tags": pl.List(pl.String)}


class LabelParams(Params):
    """`params.yaml: label`."""

    taxonomy: str = "curation/label/taxonomy.yaml"
    by_meaning: bool = True


def label(
    records: pl.DataFrame,
    taxonomy: Taxonomy,
    params: LabelParams,
    *,
    reviewed: Mapping[str, Mapping[str, str]] | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """One row a record, sorted by id: LABELS and `tags` (the record's own and those of the labeller)."""
    found = task_type.assign(records, taxonomy, by_meaning=params.by_meaning, progress=progress)
    rows = []
    columns = ["id", "prompt", "answer", "system", "kind", "tags", "tools"]
    for row, said in zip(rec.sides(records).select(columns).iter_rows(named=True), found, strict=True):
        labels: dict[str, Any] = {"id": row["id"], "tags": sorted(set(row["tags"] or ()))}
        kind, kind_confidence, subtype, subtype_confidence = said
        labels |= _said("task_type", kind, kind_confidence, "labeller")
        labels |= _said("task_subtype", subtype, subtype_confidence, "labeller")
        person = (reviewed or {}).get(row["id"], {})
        if "task_type" in person:
            labels |= _said("task_type", person["task_type"], 1.0, person["by"])
            first = next(iter(taxonomy.types[person["task_type"]].subtypes))
            labels |= _said("task_subtype", person.get("task_subtype", first), 1.0, person["by"])
        bucket = person.get("bucket")
        if bucket:
            labels |= _said("bucket", bucket, 1.0, person["by"])
        else:
            text = "\n".join((row["system"], row["prompt"], row["answer"], row["tools"] or ""))
            labels |= _said("bucket", *taxonomy.bucket(labels["task_type"], text), "taxonomy")
        rows.append(labels)
    return rec.frame(rows, LABEL_COLUMNS).sort("id")


def _said(name: str, value: str, confidence: float, by: str) -> dict[str, Any]:
    return {name: value, f"{name}_confidence": round(confidence, 4), f"{name}_by": by}
