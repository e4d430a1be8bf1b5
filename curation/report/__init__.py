"""The curation report: what happened to the rows, for people. Counts are taken from the parquet files, not from what stages said."""

from __future__ import annotations

from pydantic import Field

from curation.params import Params


class ReportParams(Params):
    """`params.yaml: report`."""

    examples: int = Field(3, ge=0)  # rows shown for each rule, reason, edit and fate
    inside: int = Field(3, ge=0)  # kept rows nearest to each numeric limit
    clusters: int = Field(6, ge=0)  # clusters of copies shown for each rule about copies
    rows: int = Field(4000, ge=0)  # rows in the ledger of the page; the others are counted there
    row_chars: int = Field(6000, ge=100)  # of a row's text on the page
    truth: str | None = "tests/data/starter_labels.csv"  # id, language, bucket, task_type, task_subtype by hand
