"""Which copies go. Pairs come as signals; here stand thresholds, ranking and survivors.

Rows are visited in the order of a declared ranking; a row goes when a kept row is its copy. So every dropped row has a
survivor that it truly resembles (chains drop nothing on hearsay), no cluster is lost whole, and input order is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import Field

from curation.params import Params

if TYPE_CHECKING:
    import numpy as np

_RULES = {1: "exact_duplicate", 2: "near_duplicate", 3: "semantic_duplicate"}  # by the numbers of survivors.py
_SAID = {
    1: "same text once width, case, spaces and punctuation are set aside",
    2: "Jaccard of shingles",
    3: "cosine of prompts and of answers",
}
_ORIGIN = {"human": 0, "log": 1, "pretrain": 2, "synthetic": 3}


class DuplicateParams(Params):
    """`params.yaml: clean.duplicates`."""

    near: float = Field(0.8, gt=0, le=1)  # true Jaccard of shingles
    semantic: float = Field(0.95, gt=0, le=1)  # the smaller of the cosines of prompts and of answers
    synthetic_near: float = Field(0.6, gt=0, le=1)  # between two synthetic rows of one task type
    same_answer: int = Field(3, ge=1)  # rows that may share one answer
    same_answer_min_chars: int = Field(16, ge=1)  # shorter answers are exempt
    closed_types: tuple[str, ...] = ("classification", "extraction", "closed_qa", "math", "translation", "tool_use")


def ranked(frame: pl.DataFrame) -> pl.DataFrame:
    """Best survivor first: accepted by a reviewer, human over synthetic, noise-free, then content hash and id."""
    return frame.with_columns(
        (pl.col("verdict") != "accept").fill_null(True).alias("_unreviewed"),
        pl.col("origin").replace_strict(_ORIGIN, default=9, return_dtype=pl.Int64).alias("_origin"),
        pl.col("tags")
        .list.eval(pl.element().str.starts_with("robustness:"))
        .list.any()
        .fill_null(False)
        .alias("_noisy"),
    ).sort("_unreviewed", "_origin", "_noisy", "content_hash", "id")


def decide(
    frame: pl.DataFrame, signals: Mapping[str, pl.DataFrame], params: DuplicateParams, against: pl.DataFrame | None
) -> pl.DataFrame:
    """Rows to drop: `id`, `rule`, `value`, `limit`, `duplicate_of`, `detail`.

    `against`: rows to be different from, with `id`, `content_hash`, `parents` and `key` (that of the signal exact).
    """
    import numpy as np

    from curation.clean import survivors

    frame = ranked(frame).join(
        signals["exact"].select("content_hash", "key"), on="content_hash", how="left", maintain_order="left"
    )
    reference = _reference(against)
    there = _exact_there(frame, reference)
    frame = frame.join(there.select("id"), on="id", how="anti", maintain_order="left")
    rows = frame.select("id", "content_hash", "parents")
    both = pl.concat([rows, reference.drop("key")])
    code, parents_at, parents = _family(both)
    synthetic = pl.when(pl.col("origin") == "synthetic").then(pl.col("task_type").fill_null("").rank("dense"))
    kinds = [_Alike.of(signals[name], rows, reference) for name in ("near", "semantic")]
    shift = kinds[0].groups
    n = len(rows)
    rule, survivor = np.zeros(n, np.int64), np.full(n, -1, np.int64)
    value, limit = np.zeros(n), np.zeros(n)
    marks = frame.select(
        (pl.col("key").rank("dense") - 1).cast(pl.Int64).alias("key"),
        (pl.col("verdict") == "accept").fill_null(False).alias("accepted"),
        "_noisy",
        synthetic.cast(pl.Int64).fill_null(-1).alias("made"),
    )
    survivors.choose(
        np.array(marks["key"]), np.array(marks["accepted"]), np.array(marks["_noisy"]), np.array(marks["made"]),
        code, parents_at, parents,
        np.stack([kinds[0].group, np.where(kinds[1].group >= 0, kinds[1].group + shift, -1)]),
        np.concatenate([kinds[0].begins[:-1], kinds[1].begins + kinds[0].begins[-1]]),
        np.concatenate([kinds[0].to, kinds[1].to + shift]),
        np.concatenate([kinds[0].similar, kinds[1].similar]),
        np.stack([kinds[0].across_at, kinds[1].across_at + len(kinds[0].across_to)]),
        np.concatenate([kinds[0].across_to, kinds[1].across_to]),
        np.concatenate([kinds[0].across_similar, kinds[1].across_similar]),
        np.array([params.near, params.semantic]), params.synthetic_near, rule, value, limit, survivor,
    )  # fmt: skip
    gone = np.flatnonzero(rule)
    copies = pl.DataFrame(
        {
            "id": rows["id"].gather(gone),
            "rule": pl.Series(rule[gone]).replace_strict(_RULES, return_dtype=pl.String),
            "value": value[gone],
            "limit": limit[gone],
            "duplicate_of": both["id"].gather(survivor[gone]),
            "detail": pl.Series(rule[gone]).replace_strict(_SAID, return_dtype=pl.String),
        }
    )
    left = frame.join(copies.select("id"), on="id", how="anti", maintain_order="left")
    return pl.concat([there, copies, homogeneous_answer(left, params)])


def _exact_there(frame: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Rows to drop, as `decide` gives them, for an exact copy in the other corpus; of several the first id is named.

    An accepted row stays, and noise on purpose beside its parent or a sibling, as in `survivors.choose`.
    """
    kin = pl.col("id_there").is_in("parents") | (
        pl.col("parents").list.set_intersection("parents_there").list.len() > 0
    )
    return (
        frame.filter((pl.col("verdict") != "accept").fill_null(True))
        .join(reference, on="key", suffix="_there")
        .filter(~(pl.col("_noisy") & kin.fill_null(False)))
        .group_by("id")
        .agg(pl.col("id_there").min().alias("duplicate_of"))
        .sort("id")
        .select(
            "id",
            pl.lit(_RULES[1]).alias("rule"),
            pl.lit(1.0).alias("value"),
            pl.lit(1.0).alias("limit"),
            "duplicate_of",
            pl.lit(_SAID[1]).alias("detail"),
        )
    )


def _reference(against: pl.DataFrame | None) -> pl.DataFrame:
    """`id`, `content_hash`, `parents`, `key` of the corpus to be different from, the first id for each content hash."""
    schema: dict[str, Any] = {
        "id": pl.String,
        "content_hash": pl.String,
        "parents": pl.List(pl.String),
        "key": pl.String,
    }
    if against is None:
        return pl.DataFrame(schema=schema)
    return against.select(*schema).sort("id").unique("content_hash", keep="first", maintain_order=True)


def _family(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number for each id, in the order of ids; where each row's parents begin (one more than rows); the parents' numbers."""
    import numpy as np

    parents = rows["parents"].list.explode(keep_nulls=False, empty_as_null=False)
    numbers = pl.concat([rows["id"], parents]).rank("dense").cast(pl.Int64).to_numpy()
    begins = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(rows["parents"].list.len().fill_null(0).to_numpy(), out=begins[1:])
    return (
        np.array(numbers[: len(rows)]),
        begins,
        np.array(numbers[len(rows) :]),
    )  # copies: kernels tell read-only arrays apart


@dataclass(frozen=True)
class _Alike:
    """The pairs of one signal, by groups of identical rows, in the form that `survivors.choose` reads."""

    groups: int
    group: np.ndarray  # of each row; -1: none
    begins: np.ndarray  # group g is alike to groups `to[begins[g]:begins[g + 1]]`, itself among them
    to: np.ndarray
    similar: np.ndarray
    across_at: np.ndarray  # row r is alike to rows `across_to[across_at[r]:across_at[r + 1]]` of the other corpus
    across_to: np.ndarray
    across_similar: np.ndarray

    @classmethod
    def of(cls, sidecar: pl.DataFrame, rows: pl.DataFrame, reference: pl.DataFrame) -> _Alike:
        measured = sidecar if "group" in sidecar.columns else sidecar.with_columns(group=pl.col("content_hash"))
        measured = measured.filter(pl.col("group").is_not_null()).select(
            "content_hash", "group", "neighbours", "against"
        )
        groups = measured.filter(pl.col("content_hash") == pl.col("group")).with_row_index("number")
        number = groups.select("group", pl.col("number").cast(pl.Int64))
        of = (
            measured.select("content_hash", "group")
            .join(number, on="group", how="left")
            .select("content_hash", "number")
        )
        group = rows.join(of, on="content_hash", how="left", maintain_order="left")["number"].fill_null(-1).to_numpy()
        # The list of a group's first row is that of the group.
        links = _pairs(groups.select(pl.col("number").cast(pl.Int64).alias("row"), pl.col("neighbours")), of)
        itself = number.select(
            pl.col("number").alias("row"), pl.col("number").alias("to"), pl.lit(1.0).alias("similarity")
        )
        begins, to, similar = _begins(pl.concat([itself, links]), len(groups))
        listed = (
            rows.with_row_index("row")
            .join(measured, on="content_hash", how="inner")
            .select("row", neighbours="against")
        )
        others = reference.select("content_hash").with_row_index("number", len(rows))
        outside = _pairs(listed, others.select("content_hash", pl.col("number").cast(pl.Int64)))
        return cls(len(groups), group, begins, to, similar, *_begins(outside, len(rows)))


def _pairs(listed: pl.DataFrame, number: pl.DataFrame) -> pl.DataFrame:
    """Lists of neighbours as `row`, `to` (the number of the other content hash), `similarity`; those without one are left out."""
    listed = listed.filter(pl.col("neighbours").list.len() > 0).explode("neighbours").unnest("neighbours")
    found = listed.join(number, left_on="other", right_on="content_hash", how="inner")
    return found.select(pl.col("row").cast(pl.Int64), pl.col("number").alias("to"), "similarity")


def _begins(links: pl.DataFrame, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the links of each row begin (one more than rows), `to` and `similarity` in that order."""
    import numpy as np

    links = links.sort("row", "to")
    counts = np.bincount(links["row"].to_numpy(), minlength=rows)
    return np.append(0, np.cumsum(counts)), links["to"].to_numpy(), links["similarity"].to_numpy()


def homogeneous_answer(frame: pl.DataFrame, params: DuplicateParams) -> pl.DataFrame:
    """One answer given to many prompts beyond `same_answer` rows; closed label sets and short answers are exempt.

    `frame` is ranked; the best-ranked rows stay. Noise on purpose shares its parent's answer and does not count.
    """
    judged = frame.filter(
        (pl.col("kind") == "chat")
        & (pl.col("length.answer_chars") >= params.same_answer_min_chars)
        & ~pl.col("task_type").is_in(list(params.closed_types))
        & (pl.col("verdict") != "accept").fill_null(True)
        & ~pl.col("_noisy")
    )
    nth = pl.int_range(pl.len()).over("exact.answer_key")
    over = judged.with_columns(
        (nth + 1).alias("_nth"), pl.col("id").first().over("exact.answer_key").alias("_first")
    ).filter(pl.col("_nth") > params.same_answer)
    return over.select(
        "id",
        pl.lit("homogeneous_answer").alias("rule"),
        pl.col("_nth").cast(pl.Float64).alias("value"),
        pl.lit(float(params.same_answer)).alias("limit"),
        pl.col("_first").alias("duplicate_of"),
        pl.lit("the same answer to another prompt").alias("detail"),
    )
