"""What was refused, edited and dropped, and by what measure: with examples, the rows just inside a limit, and the copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation import clean as cleaning
from curation.clean import CleanParams, outliers
from curation.report.diff import Piece, diff
from curation.report.run import Run

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reason:
    """Quarantined rows of one reason."""

    reason: str
    rows: int
    examples: tuple[Row, ...]  # of ledger.QUARANTINE


def quarantine(run: Run, examples: int) -> list[Reason]:
    """By reason, most first."""
    bad = run.raw.quarantine
    if bad is None:
        return []
    found = [
        Reason(str(reason), n, _rows(bad.filter(pl.col("reason") == reason), examples))
        for reason, n in _counts(bad, "reason")
    ]
    return found


@dataclass(frozen=True)
class Edit:
    """Edits of one rule in one corpus. `details`: what was done → rows, as the ledger words it, which never holds the value."""

    rule: str
    corpus: str
    rows: int
    places: int
    before: int  # characters in the edited rows as they came
    after: int
    details: tuple[tuple[str, int], ...]
    ids: tuple[str, ...]


def edits(run: Run, examples: int) -> list[Edit]:
    """By rule and corpus, most rows first."""
    found = []
    for corpus in run.corpora:
        if corpus.edits is None or not corpus.edits.height:
            continue
        sizes = [_sizes(f) for f in (corpus.came, corpus.repaired)]
        for rule, _ in _counts(corpus.edits, "rule"):
            mine = corpus.edits.filter(pl.col("rule") == rule)
            ids = sorted(set(mine["id"]))
            before, after = (sum(s.get(i, 0) for i in ids) for s in sizes)
            details = tuple((str(d), n) for d, n in _counts(mine, "detail")[:8])
            found.append(
                Edit(
                    rule, corpus.name, len(ids), int(mine["count"].sum()), before, after, details, tuple(ids[:examples])
                )
            )
    return sorted(found, key=lambda e: (-e.rows, e.rule, e.corpus))


def _sizes(records: pl.DataFrame | None) -> dict[str, int]:
    if records is None or "messages" not in records.columns:
        return {}
    content = pl.col("messages").list.eval(pl.element().struct.field("content").str.len_chars()).list.sum().fill_null(0)
    return dict(records.select("id", content + pl.col("text").str.len_chars().fill_null(0)).iter_rows())


@dataclass(frozen=True)
class Inside:
    """A kept row near a limit."""

    id: str
    value: float
    limit: float


@dataclass(frozen=True)
class Rule:
    """One rule: rows dropped by corpus, rows where it stood behind another rule, values and limits of its rows."""

    rule: str
    drops: Mapping[str, int]
    also: int
    values: tuple[float, float] | None
    limits: tuple[float, float] | None
    examples: tuple[Row, ...]  # of ledger.DROPPED
    inside: tuple[Inside, ...]

    @property
    def total(self) -> int:
        return sum(self.drops.values())


def rules(run: Run, params: CleanParams, examples: int, inside: int) -> list[Rule]:
    """Every rule of `clean`, most drops first, then in the order in which they judge."""
    known = [*cleaning.RULES, *cleaning.LAST_RULES]
    ledgers = [c.dropped.with_columns(pl.lit(c.name).alias("corpus")) for c in run.corpora if c.dropped is not None]
    if not ledgers:
        return []
    dropped = pl.concat(ledgers).sort("id")
    near = _inside(run, params, inside) if inside else {}
    behind = dict(
        dropped.select(pl.col("also").explode().alias("rule")).drop_nulls().group_by("rule").len().iter_rows()
    )
    found = []
    for name in [*known, *sorted(set(dropped["rule"]) - set(known))]:
        mine = dropped.filter(pl.col("rule") == name)
        by_corpus = {c.name: mine.filter(pl.col("corpus") == c.name).height for c in run.corpora}
        found.append(
            Rule(
                name,
                {c: n for c, n in by_corpus.items() if n},
                behind.get(name, 0),
                _range(mine["value"]),
                _range(mine["limit"]),
                _spread(mine, examples),
                tuple(near.get(name, ())),
            )
        )
    order = {name: i for i, name in enumerate(known)}
    return sorted(found, key=lambda r: (-r.total, order.get(r.rule, len(order)), r.rule))


def _range(values: pl.Series) -> tuple[float, float] | None:
    values = values.drop_nulls()
    return (float(values.min()), float(values.max())) if len(values) else None  # type: ignore[arg-type]


def _spread(rows: pl.DataFrame, n: int) -> tuple[Row, ...]:
    """Up to `n` rows from the mildest to the worst, evenly: by distance to the limit, then by id."""
    ranked = rows.sort((pl.col("value") - pl.col("limit")).abs(), "id", nulls_last=True)
    last = ranked.height - 1
    places = sorted({round(i * last / max(1, n - 1)) for i in range(min(n, ranked.height))})
    return tuple(ranked[place].to_dicts()[0] for place in places)


def _inside(run: Run, params: CleanParams, n: int) -> dict[str, list[Inside]]:
    """Rule → its nearest kept rows, over both corpora."""
    found: dict[str, list[Inside]] = {}
    for corpus in run.corpora:
        if corpus.repaired is None or corpus.kept is None or corpus.labels is None or not corpus.kept.height:
            continue
        measured = {"language", "length", "repetition", "exact", "perplexity"}
        kept = set(corpus.kept["id"])
        if measured <= corpus.signals.keys():
            signals = {k: v for k, v in corpus.signals.items() if k in measured}
            frame = cleaning.joined(corpus.repaired, signals, corpus.labels, {})
            for rule, rows in _by_measure(frame, kept, params).items():
                found.setdefault(rule, []).extend(rows)
        for rule, signal, limit in (
            ("near_duplicate", "near", params.duplicates.near),
            ("semantic_duplicate", "semantic", params.duplicates.semantic),
        ):
            if signal in corpus.signals:
                found.setdefault(rule, []).extend(_by_pair(corpus.kept, corpus.signals[signal], limit))
    return {
        rule: sorted(rows, key=lambda r: (abs(r.value / r.limit - 1) if r.limit else abs(r.value), r.id))[:n]
        for rule, rows in found.items()
    }


# Rule → the limits (of clean.answers) that it judges by, and the factor by which they catch more.
_TIGHTER = {
    "too_long": (("max_units", "max_tokens"), 0.5),
    "too_short": (("min_units", "min_units_long_form"), 3.0),
    "repetition": (
        (
            "max_duplicate_share",
            "max_duplicate_share_zh",
            "max_duplicate_share_steps",
            "max_run_chars",
            "max_run_chars_zh",
        ),
        0.5,
    ),
    "prompt_echo": (("echo_share",), 0.5),
}


def _by_measure(frame: pl.DataFrame, kept: set[str], params: CleanParams) -> dict[str, list[Inside]]:
    """Rules run again with a limit that catches more: what they find beyond the real one is what lies just inside it."""
    found: dict[str, list[Inside]] = {}
    for rule, (limits, factor) in _TIGHTER.items():
        answers = params.answers.model_copy(update={name: getattr(params.answers, name) * factor for name in limits})
        hits = cleaning.RULES[rule](frame, params.model_copy(update={"answers": answers})).drop_nulls(
            ["value", "limit"]
        )
        rows = hits.select("id", "value", pl.col("limit") / factor).iter_rows()
        found[rule] = [Inside(i, round(v, 4), round(lim, 4)) for i, v, lim in rows if i in kept]
    judged = outliers.limits(frame, params.perplexity)
    for rule, k, sign in (
        ("perplexity_high", params.perplexity.k_high, 1),
        ("perplexity_low", params.perplexity.k_low, -1),
    ):
        if k is not None:
            limit = (pl.col("_median") + sign * k * pl.col("_spread")).round(3)
            rows = judged.select("id", pl.col("_nll").round(3), limit.alias("limit")).iter_rows()
            found[rule] = [Inside(i, v, lim) for i, v, lim in rows if i in kept]
    return found


def _by_pair(kept: pl.DataFrame, sidecar: pl.DataFrame, limit: float) -> list[Inside]:
    """Kept rows by their most similar kept neighbour below the limit."""
    hashes = dict(kept.sort("id", descending=True).select("content_hash", "id").iter_rows())
    found = []
    for own, neighbours in sidecar.select("content_hash", "neighbours").iter_rows():
        if own not in hashes:
            continue
        alike = [p["similarity"] for p in neighbours or () if p["other"] in hashes and p["similarity"] < limit]
        if alike:
            found.append(Inside(hashes[own], max(alike), limit))
    return found


@dataclass(frozen=True)
class Copy:
    """A dropped copy and its difference from the survivor: `del` stands only in the survivor, `ins` only in the copy."""

    id: str
    value: float | None
    limit: float | None
    also: tuple[str, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Cluster:
    """A survivor and its copies by one rule."""

    rule: str
    survivor: str
    size: int  # copies in all; `copies` may hold fewer
    copies: tuple[Copy, ...]


def clusters(
    run: Run, texts: Mapping[str, str], most: int, copies: int = 4
) -> tuple[list[Cluster], dict[str, tuple[int, int]]]:
    """(the largest clusters of each rule, rule → (clusters, copies) in all). `texts`: id → the row as text."""
    ledgers = [c.dropped for c in run.corpora if c.dropped is not None]
    if not ledgers:
        return [], {}
    dropped = pl.concat(ledgers).filter(pl.col("duplicate_of").is_not_null()).sort("rule", "duplicate_of", "id")
    found: list[Cluster] = []
    counts: dict[str, tuple[int, int]] = {}
    for rule in [r for r in cleaning.LAST_RULES if r in set(dropped["rule"])]:
        mine = dropped.filter(pl.col("rule") == rule)
        groups = mine.group_by("duplicate_of").len().sort(["len", "duplicate_of"], descending=[True, False])
        counts[rule] = (groups.height, mine.height)
        for survivor, size in groups.head(most).iter_rows():
            rows = (
                mine.filter(pl.col("duplicate_of") == survivor)
                .sort("value", "id", descending=[True, False])
                .head(copies)
            )
            told = tuple(
                Copy(
                    r["id"],
                    r["value"],
                    r["limit"],
                    tuple(r["also"] or ()),
                    tuple(diff(texts.get(survivor, ""), texts.get(r["id"], ""))),
                )
                for r in rows.iter_rows(named=True)
            )
            found.append(Cluster(rule, survivor, size, told))
    return found, counts


def _counts(rows: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    found = rows.group_by(column).len().sort(["len", column], descending=[True, False], nulls_last=True)
    return list(found.iter_rows())


def _rows(rows: pl.DataFrame, n: int) -> tuple[Row, ...]:
    return tuple(rows.sort("id").head(n).to_dicts())
