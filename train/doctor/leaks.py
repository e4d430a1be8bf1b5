"""Does training read the exam? Held-out rows against training rows: content, near copies, groups, lineage (promise 5).

Read from data/mixed alone, and not by the code that made the split.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from train.doctor.findings import Finding, failure

NEAR = 0.5  # Jaccard of shingles, from which on two rows are copies: the default of mix.heldout.near
UNITS = 5  # in a shingle; a unit is a Chinese character or a word
_BLOCK = 20_000  # training rows at once
_UNIT = r"\p{Han}|[\w&&[^\p{Han}]]+"


def leaks(train: pl.DataFrame, heldout: pl.DataFrame, others: pl.DataFrame | None = None) -> Iterator[Finding]:
    """A failure for each way in which held-out and training rows are kin. `others` are rows through which lineage may go."""
    if not len(heldout) or not len(train):
        return
    train = train.unique("id", keep="first", maintain_order=True)
    remedy = "run `dvc repro mix`; data/mixed is not to be edited by hand."
    for what, pairs in (
        ("the same content", _same(train, heldout, ["content_hash"])),
        ("one group", _same(train, heldout, ["source", "group"])),
        ("one lineage", _lineage(train, heldout, others)),
        ("a near copy", near(train, heldout).select("one", "other")),
    ):
        if len(pairs):
            one, other = pairs.sort("one", "other").row(0)
            yield failure(
                "leak",
                f"training and held-out rows share {what}: {pairs['one'].n_unique()} of the former, first {one} with {other}; scores "
                f"would be those of memory: {remedy}",
                pairs["one"].unique().sort().to_list(),
            )


def _same(train: pl.DataFrame, heldout: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    def side(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        there = frame.filter(pl.col(keys[-1]).fill_null("") != "")
        return there.select(pl.col("id").alias(name), pl.col("source").fill_null(""), pl.col(keys[-1]).alias("key"))

    by = ["source", "key"] if "source" in keys else ["key"]
    return side(train, "one").join(side(heldout, "other"), on=by).select("one", "other")


def _lineage(train: pl.DataFrame, heldout: pl.DataFrame, others: pl.DataFrame | None) -> pl.DataFrame:
    """Pairs with an ancestor in common, a row being its own ancestor; one that is in none of the frames counts too."""
    frames = [f.select("id", "parents") for f in (train, heldout, others) if f is not None]
    parents = {i: p for frame in frames for i, p in frame.filter(pl.col("parents").list.len() > 0).iter_rows()}

    def ancestors(identity: str) -> set[str]:
        seen, todo = {identity}, [identity]
        while todo:
            for parent in parents.get(todo.pop(), ()):
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return seen

    def table(ids: pl.Series, name: str) -> pl.DataFrame:
        found = [(i, a) for i in ids for a in (ancestors(i) if i in parents else (i,))]
        return pl.DataFrame(found, schema={name: pl.String, "ancestor": pl.String}, orient="row")

    return table(train["id"], "one").join(table(heldout["id"], "other"), on="ancestor").select("one", "other").unique()


def near(train: pl.DataFrame, heldout: pl.DataFrame, limit: float = NEAR) -> pl.DataFrame:
    """Pairs `one` (training), `other` (held out), `similarity`: true Jaccard of shingles of at least `limit`."""
    exam = shingles(heldout).rename({"id": "other"})
    sizes = exam.group_by("other").agg(pl.len().alias("theirs"))
    known = exam.select("shingle").unique()
    found = []
    for start in range(0, len(train), _BLOCK):
        mine = shingles(train.slice(start, _BLOCK)).rename({"id": "one"})
        counts = mine.group_by("one").agg(pl.len().alias("mine"))
        shared = mine.join(known, on="shingle", how="semi").join(exam, on="shingle")
        pairs = shared.group_by("one", "other").agg(pl.len().alias("both"))
        pairs = pairs.join(counts, on="one").join(sizes, on="other")
        found.append(
            pairs.with_columns(
                (pl.col("both") / (pl.col("mine").cast(pl.Float64) + pl.col("theirs") - pl.col("both"))).alias(
                    "similarity"
                )
            ).filter(pl.col("similarity") >= limit)
        )
    return pl.concat(found).select("one", "other", "similarity").sort("one", "other")


def shingles(rows: pl.DataFrame) -> pl.DataFrame:
    """`id` and `shingle` (a hash of UNITS units in a row), each once a row, of what users and assistants say; case does not count."""
    said = pl.col("messages").list.eval(
        pl.element().struct.field("content").filter(pl.element().struct.field("role").is_in(["user", "assistant"]))
    )
    text = pl.coalesce("text", said.list.drop_nulls().list.join("\n")).fill_null("").str.to_lowercase()
    units = rows.select("id", text.str.extract_all(_UNIT).alias("unit")).explode("unit")
    hashes = units.select("id", pl.col("unit").hash(0).alias("unit"))
    window = [pl.col("unit").shift(-i).over("id") for i in range(UNITS)]
    made = hashes.select("id", pl.struct(w.alias(str(i)) for i, w in enumerate(window)).hash(1).alias("shingle"),
                         window[-1].is_not_null().alias("whole"))  # fmt: skip
    return made.filter("whole").select("id", "shingle").unique()
