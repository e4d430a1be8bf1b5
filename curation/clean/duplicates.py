"""Which copies go. Pairs come as signals; here stand thresholds, ranking and survivors.

Rows are visited in the order of a declared ranking; a row goes when a kept row is its copy. So every dropped row has a
survivor that it truly resembles (chains drop nothing on hearsay), no cluster is lost whole, and input order is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from pydantic import Field

from curation.params import Params

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
    """Rows to drop: `id`, `rule`, `value`, `limit`, `duplicate_of`, `detail`."""
    frame = ranked(frame).join(
        signals["exact"].select("content_hash", "key"), on="content_hash", how="left", maintain_order="left"
    )
    alike = [
        _Alike.of("near_duplicate", "Jaccard of shingles", params.near, signals["near"]),
        _Alike.of("semantic_duplicate", "cosine of prompts and of answers", params.semantic, signals["semantic"]),
    ]
    reference = _reference(against)
    kept_by_key: dict[str, list[str]] = {}
    rows: dict[str, dict[str, object]] = {}
    dropped: list[tuple[str, str, float, float, str, str]] = []
    columns = ["id", "content_hash", "key", "origin", "task_type", "tags", "parents", "verdict"]
    for row in frame.select(columns).iter_rows(named=True):
        accepted = row["verdict"] == "accept"
        verdict = None if accepted else _copy_of(row, kept_by_key, rows, alike, reference, params)
        if verdict:
            dropped.append((row["id"], *verdict))
            continue
        kept_by_key.setdefault(row["key"], []).append(row["id"])
        for kind in alike:
            kind.keep(row["content_hash"], row["id"])
        rows[row["id"]] = row
    schema = {
        "id": pl.String, "rule": pl.String, "value": pl.Float64, "limit": pl.Float64, "duplicate_of": pl.String, "detail": pl.String,
    }  # fmt: skip
    copies = pl.DataFrame(dropped, schema=schema, orient="row")
    left = frame.join(copies.select("id"), on="id", how="anti", maintain_order="left")
    return pl.concat([copies, homogeneous_answer(left, params)])


@dataclass(frozen=True)
class _Alike:
    """The pairs of one signal, by groups of identical rows, and the kept rows of each group."""

    rule: str
    said: str
    limit: float
    group: dict[str, str]  # content hash → the least content hash of its group
    neighbours: dict[str, list[tuple[str, float]]]  # group → similar groups, itself (1.0) among them
    against: dict[str, list[tuple[str, float]]]  # content hash → content hashes of the other corpus
    kept: dict[str, list[str]] = field(default_factory=dict)  # group → ids

    @classmethod
    def of(cls, rule: str, said: str, limit: float, sidecar: pl.DataFrame) -> _Alike:
        measured = sidecar if "group" in sidecar.columns else sidecar.with_columns(group=pl.col("content_hash"))
        rows = measured.filter(pl.col("group").is_not_null()).select("content_hash", "group", "neighbours", "against")
        group = {h: g for h, g, _, _ in rows.iter_rows()}
        neighbours, against = {}, {}
        for content_hash, own, listed, outside in rows.iter_rows():
            if content_hash == own:  # the list of a group's first row is that of the group
                found = {own: 1.0}
                for pair in listed or ():
                    found[group[pair["other"]]] = max(found.get(group[pair["other"]], 0.0), pair["similarity"])
                neighbours[own] = sorted(found.items())
            if outside:
                against[content_hash] = [(pair["other"], pair["similarity"]) for pair in outside]
        return cls(rule, said, limit, group, neighbours, against)

    def keep(self, content_hash: str, id_: str) -> None:
        if content_hash in self.group:
            self.kept.setdefault(self.group[content_hash], []).append(id_)

    def candidates(self, content_hash: str) -> Iterator[tuple[str, float]]:
        """(kept id, similarity) of the rows that the signal pairs with this one."""
        for group, similarity in self.neighbours.get(self.group.get(content_hash, ""), ()):
            for id_ in self.kept.get(group, ()):
                yield id_, similarity


def _copy_of(
    row: dict[str, object],
    kept_by_key: Mapping[str, list[str]],
    rows: Mapping[str, dict[str, object]],
    alike: Sequence[_Alike],
    reference: Mapping[str, tuple[str, frozenset[str]]],
    params: DuplicateParams,
) -> tuple[str, float, float, str, str] | None:
    """(rule, value, limit, survivor, detail) when a kept row is a copy of this one."""
    for same in kept_by_key.get(str(row["key"]), ()):
        if not _noise_on(row, same, rows[same]["parents"]):
            return "exact_duplicate", 1.0, 1.0, same, "same text once width, case, spaces and punctuation are set aside"
    for kind in alike:
        found = []
        for other, similarity in kind.candidates(str(row["content_hash"])):
            limit = _limit(kind, row, rows[other], params)
            if similarity >= limit and not _noise_on(row, other, rows[other]["parents"]):
                found.append((similarity, other, limit))
        for other_hash, similarity in kind.against.get(str(row["content_hash"]), ()):
            if other_hash in reference and similarity >= kind.limit:
                other, parents = reference[other_hash]
                if not _noise_on(row, other, parents):
                    found.append((similarity, other, kind.limit))
        if found:
            similarity, other, limit = max(found)
            return kind.rule, similarity, limit, other, kind.said
    return None


def _limit(kind: _Alike, row: dict[str, object], other: dict[str, object], params: DuplicateParams) -> float:
    """One model's output for one task type is very alike: synthetic pairs meet a lower limit."""
    made = row["origin"] == other["origin"] == "synthetic" and row["task_type"] == other["task_type"]
    return params.synthetic_near if made and kind.rule == "near_duplicate" else kind.limit


def _noise_on(row: dict[str, object], other: object, other_parents: object) -> bool:
    """True when the row carries noise on purpose and the other is its parent or a sibling: they share a cluster by intent."""
    if not any(str(t).startswith("robustness:") for t in row["tags"] or ()):  # type: ignore[attr-defined]
        return False
    family = set(row["parents"] or ())  # type: ignore[call-overload]
    return other in family or bool(family & set(other_parents or ()))  # type: ignore[call-overload]


def _reference(against: pl.DataFrame | None) -> dict[str, tuple[str, frozenset[str]]]:
    if against is None:
        return {}
    rows = against.sort("id", descending=True).select("content_hash", "id", "parents").iter_rows()
    return {h: (i, frozenset(p or ())) for h, i, p in rows}


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
