"""What the kept rows are made of: task types on both levels, languages, sources, lengths, confidence, alike answers, truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from curation import records as rec
from curation.report.run import Run


@dataclass(frozen=True)
class Quantiles:
    """Order statistics, each a value that occurs (nearest rank)."""

    p10: float
    p25: float
    p50: float
    p75: float
    p90: float
    most: float


def quantiles(values: pl.Series) -> Quantiles | None:
    """None for no values."""
    values = values.drop_nulls()
    if not len(values):
        return None
    p10, p25, p50, p75, p90 = (
        float(values.quantile(share, interpolation="nearest") or 0) for share in (0.1, 0.25, 0.5, 0.75, 0.9)
    )
    return Quantiles(p10, p25, p50, p75, p90, float(values.max()))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Answers:
    """How alike the answers of one task type are."""

    distinct: float  # share of rows whose answer no earlier row gives
    commonest: str  # the answer given most often
    times: int
    opening: str  # the first units that most answers share
    opening_share: float


@dataclass(frozen=True)
class TaskType:
    """One task type among the kept rows of both corpora."""

    name: str
    rows: int
    languages: Mapping[str, int]
    sources: Mapping[str, int]
    subtypes: tuple[tuple[str, int, Mapping[str, int]], ...]  # name, rows, by language
    confidence: Quantiles | None
    by_people: int
    prompt: Quantiles | None  # tokens
    answer: Quantiles | None
    answers: Answers | None


@dataclass(frozen=True)
class Makeup:
    """The kept rows by label."""

    rows: int
    types: tuple[TaskType, ...]
    languages: Mapping[str, int]
    sources: Mapping[str, int]
    buckets: tuple[tuple[str, Mapping[str, int]], ...]  # by language
    confidences: tuple[float, ...]  # of the task type, one a row
    low_confidence: tuple[tuple[str, float], ...]  # the rows that the labeller doubts most


def makeup(run: Run, doubtful: int = 5) -> Makeup | None:
    """None before `clean` has run."""
    kept = [c.kept for c in run.corpora if c.kept is not None]
    if not kept:
        return None
    rows = rec.sides(pl.concat(kept, how="diagonal")).sort("id")
    rows = rows.join(_lengths(run), on="content_hash", how="left").sort("id")
    types = []
    for name in sorted(set(rows["task_type"].drop_nulls())):
        types.append(_type(str(name), rows.filter(pl.col("task_type") == name)))
    low = rows.filter(pl.col("task_type_by") == "labeller").sort("task_type_confidence", "id").head(doubtful)
    return Makeup(
        rows=rows.height,
        types=tuple(sorted(types, key=lambda t: (-t.rows, t.name))),
        languages=count(rows["language"]),
        sources=count(rows["source"]),
        buckets=tuple((b, count(rows.filter(pl.col("bucket") == b)["language"])) for b in count(rows["bucket"])),
        confidences=tuple(rows["task_type_confidence"].drop_nulls().sort().to_list()),
        low_confidence=tuple(low.select("id", "task_type_confidence").iter_rows()),
    )


def _lengths(run: Run) -> pl.DataFrame:
    schema = {"content_hash": pl.String, "prompt_tokens": pl.Int64, "answer_tokens": pl.Int64}
    found = [c.signals["length"].select(schema.keys()) for c in run.corpora if "length" in c.signals]
    return pl.concat([pl.DataFrame(schema=schema), *found]).unique("content_hash", keep="any")


def _type(name: str, rows: pl.DataFrame) -> TaskType:
    subtypes = [
        (s, n, count(rows.filter(pl.col("task_subtype") == s)["language"]))
        for s, n in count(rows["task_subtype"]).items()
    ]
    chat = rows.filter(pl.col("kind") == "chat")
    return TaskType(
        name,
        rows.height,
        count(rows["language"]),
        count(rows["source"]),
        tuple(subtypes),
        quantiles(rows["task_type_confidence"]),
        rows.filter(pl.col("task_type_by") != "labeller").height,
        quantiles(chat["prompt_tokens"]),
        quantiles(rows["answer_tokens"]),
        alike(chat["last_answer"].to_list()) if chat.height else None,
    )


def alike(answers: Sequence[str]) -> Answers:
    """Answers are compared without case and outer blanks; an opening is the first 8 characters of Chinese or 3 words."""
    plain = [a.strip().casefold() for a in answers]
    whole, opening = Counter(plain), Counter(filter(None, map(_opening, plain)))
    answer, times = min(whole.items(), key=lambda item: (-item[1], item[0]))
    first, n = min(opening.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    return Answers(len(whole) / len(plain), answer[:120], times, first, n / len(plain))


def _opening(text: str) -> str:
    head = text[:60].split()
    return " ".join(head[:3]) if text[:8].isascii() else text[:8].strip()


def count(values: pl.Series) -> dict[str, int]:
    """Value → how often, most first, then by name."""
    found = Counter("—" if v is None else str(v) for v in values.to_list())
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class Confusion:
    """The labeller against rows labelled by hand. `cells`: (truth, said) → rows."""

    rows: int
    right: int
    right_subtype: int
    right_bucket: int | None
    names: tuple[str, ...]
    cells: Mapping[tuple[str, str], int]
    by_language: Mapping[str, tuple[int, int]]  # language → (right, rows)
    f1: Mapping[str, float]
    wrong: tuple[tuple[str, str, str], ...]  # id, truth, said

    @property
    def macro_f1(self) -> float:
        return sum(self.f1.values()) / len(self.f1) if self.f1 else 0.0


def confusion(run: Run) -> Confusion | None:
    """Over rows of the truth that the labeller labelled itself, dropped ones included; None when there are none."""
    if run.truth is None or run.raw.labels is None:
        return None
    said = run.raw.labels.filter(pl.col("task_type_by") == "labeller")
    both = run.truth.join(said, on="id", how="inner", suffix="_said").sort("id")
    if not both.height:
        return None
    pairs = Counter(both.select("task_type", "task_type_said").iter_rows())
    names = tuple(sorted(set(both["task_type"]) | set(both["task_type_said"])))
    right = both.filter(pl.col("task_type") == pl.col("task_type_said"))
    subtype = right.filter(pl.col("task_subtype") == pl.col("task_subtype_said")).height
    bucket = both.filter(pl.col("bucket") == pl.col("bucket_said")).height if "bucket" in run.truth.columns else None
    languages = {}
    for language in count(both["language"]) if "language" in run.truth.columns else {}:
        mine = both.filter(pl.col("language") == language)
        languages[language] = (mine.filter(pl.col("task_type") == pl.col("task_type_said")).height, mine.height)
    wrong = both.filter(pl.col("task_type") != pl.col("task_type_said"))
    return Confusion(
        rows=both.height,
        right=right.height,
        right_subtype=subtype,
        right_bucket=bucket,
        names=names,
        cells=dict(pairs),
        by_language=languages,
        f1={name: _f1(pairs, name) for name in names if any(t == name for t, _ in pairs)},
        wrong=tuple(wrong.select("id", "task_type", "task_type_said").iter_rows()),
    )


def _f1(pairs: Mapping[tuple[str, str], int], name: str) -> float:
    hit = pairs.get((name, name), 0)
    true = sum(n for (t, _), n in pairs.items() if t == name)
    said = sum(n for (_, s), n in pairs.items() if s == name)
    return 2 * hit / (true + said) if true + said else 0.0
