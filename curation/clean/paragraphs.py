"""Plain text whose paragraphs were said before: in the row itself, or in another row that stays.

Web texts repeat menus, notices and licence notes. Within a row the measures and limits are those of Gopher (Rae et al. 2021,
arXiv 2112.11446, table A1: duplicate paragraph fraction 0.30, duplicate paragraph character fraction 0.20). Between rows CCNet
and C4 take the copies out of the text; here no text is changed, so the limit is our own: a row goes when less than half is new.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from curation.clean.duplicates import ranked
from curation.params import Params

_SCHEMA = {
    "id": pl.String,
    "rule": pl.String,
    "value": pl.Float64,
    "limit": pl.Float64,
    "duplicate_of": pl.String,
    "detail": pl.String,
}
_SHOWN = 60  # characters of the paragraph that the ledger shows


class ParagraphParams(Params):
    """`params.yaml: clean.paragraphs`. A null limit is off."""

    unit: Literal["paragraph", "sentence"] = "paragraph"
    min_units: int = Field(10, ge=1)  # shorter paragraphs may recur
    duplicate_fraction: float | None = Field(0.3, ge=0, le=1)  # of the row's paragraphs, earlier in the row
    duplicate_char_fraction: float | None = Field(0.2, ge=0, le=1)  # of its characters, earlier in the row
    shared_char_fraction: float | None = Field(0.5, ge=0, le=1)  # of its characters, earlier in the row or in another


def duplicate_paragraphs(frame: pl.DataFrame, params: ParagraphParams, against: pl.DataFrame | None) -> pl.DataFrame:
    """Rows to drop: `id`, `rule`, `value`, `limit`, `duplicate_of`, `detail`.

    Text rows are visited by rank (`duplicates.ranked`: without a verdict and with one origin, by content hash), and a paragraph is
    kept by the first row that has it and stays. So whatever is named as kept elsewhere is kept, and input order is nothing.
    `against` keeps what it has. Code is not judged and keeps nothing: its lines recur by nature. Noise on purpose is not judged.
    """
    import numpy as np

    from curation.clean import paragraph_keepers
    from curation.score import paragraphs

    limits = [params.duplicate_fraction, params.duplicate_char_fraction, params.shared_char_fraction]
    rows = _texts(frame).pipe(ranked)
    if rows.is_empty() or limits == [None, None, None]:
        return pl.DataFrame(schema=_SCHEMA)
    judged = (pl.col("verdict") != "accept").fill_null(True) & ~pl.col("_noisy")
    rows = rows.select("id", "text", judged.alias("judged"))
    if against is not None:
        reference = _texts(against).sort("id").select("id", "text", pl.lit(False).alias("judged"))
        rows = pl.concat([reference, rows])
    found = paragraphs.pieces(rows["text"], params.unit)
    number = found.select("hash_1", "hash_2").unique().with_row_index("key")
    key = found.join(number, on=["hash_1", "hash_2"], how="left", maintain_order="left")["key"].cast(pl.Int64)
    begins = np.searchsorted(found["text"].to_numpy(), np.arange(rows.height + 1))
    rule, part, whole = (np.zeros(rows.height, np.int64) for _ in range(3))
    named, keeper = (np.full(rows.height, -1, np.int64) for _ in range(2))
    paragraph_keepers.choose(
        begins, np.array(key), np.array(found["chars"]), np.array(found["units"] >= params.min_units),
        np.array(rows["judged"]), np.array([np.inf if limit is None else limit for limit in limits]),
        rule, part, whole, named, keeper,
    )  # fmt: skip
    gone = np.flatnonzero(rule)
    said = {
        paragraph_keepers.FRACTION: f"{params.unit}s stand earlier in the row",
        paragraph_keepers.CHARS: f"characters stand in {params.unit}s that stand earlier in the row",
        paragraph_keepers.SHARED: f"characters stand in {params.unit}s of rows that stay",
    }
    texts, ids = rows["text"].gather(gone), rows["id"]
    spans = found.select("begin", "end", "chars")[named[gone]].rows()
    made = []
    for n, row in enumerate(gone.tolist()):
        kind, (begin, end, chars) = int(rule[row]), spans[n]
        text = texts[n].encode()[begin:end].decode().strip()
        text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        survivor = ids[int(keeper[row])] if keeper[row] >= 0 else None
        where = f"in {survivor}" if survivor else "twice or more"
        detail = f"{part[row]} of {whole[row]} {said[kind]}; the longest, {chars} characters, {where}: “{text}”"
        value = round(int(part[row]) / int(whole[row]), 4)
        made.append((ids[row], "duplicate_paragraphs", value, limits[kind - 1], survivor, detail))
    return pl.DataFrame(made, schema=_SCHEMA, orient="row")


def _texts(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of plain text that are no code."""
    code = (pl.col("task_subtype") == "code").fill_null(False)
    return frame.filter((pl.col("kind") == "text") & ~code)
