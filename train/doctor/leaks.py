"""Does training read the exam? Held-out rows against training rows: content, near copies, groups, lineage (promise 5).

Read from data/mixed alone, and not by the code that made the split.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from train.doctor.findings import Finding, advice, failure, first

# Jaccard of shingles. Mix keeps apart what MinHash found at mix.heldout.near or above, and of pairs at 0.5 it misses one in
# eight (curation/score/near.py), at 0.8 none; to refuse such pairs would be to ask for what mix cannot give.
COPY = 0.8  # from which on training is refused
NEAR = 0.5  # from which on a pair is named
UNITS = 5  # in a shingle
_BLOCK = 20_000  # training rows at once
# The units of curation/score/characters.py: a character of a script written without spaces, or a word of another.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNIT = rf"[{_UNSPACED}&&[\p{{L}}\p{{M}}\p{{N}}]]|[\p{{L}}\p{{M}}\p{{N}}&&[^{_UNSPACED}]]+"
_UNSEEN = r"[\p{Cf}\p{Me}\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]"  # joiners, soft hyphens, variation selectors


def leaks(train: pl.DataFrame, heldout: pl.DataFrame, others: pl.DataFrame | None = None) -> Iterator[Finding]:
    """A failure for each way in which held-out and training rows are kin, advice for pairs that are only alike.

    `others` are rows through which lineage may go.
    """
    if not len(heldout) or not len(train):
        return
    train = train.unique("id", keep="first", maintain_order=True)
    again = "run `dvc repro mix`; data/mixed is not to be edited by hand."
    # A side of score.near other than the conversation, or a high limit, leaves mix blind to what stands here.
    apart = (
        f"run `dvc repro mix`; where that changes nothing, set mix.heldout.near to {COPY} or less, or reject one of the two in "
        "data/review/verdicts.jsonl."
    )
    alike = near(train, heldout)
    for what, pairs, remedy in (
        ("the same content", _same(train, heldout, ["content_hash"]), again),
        ("one group", _same(train, heldout, ["source", "group"]), again),
        ("one lineage", _lineage(train, heldout, others), again),
        ("a near copy", alike.filter(pl.col("similarity") >= COPY), apart),
    ):
        if len(pairs):
            one, other = pairs.select("one", "other").sort("one", "other").row(0)
            yield failure(
                "leak",
                f"training and held-out rows share {what}: {pairs['one'].n_unique()} of the former, first {one} with {other}; scores "
                f"would be those of memory: {remedy}",
                pairs["one"].unique().sort().to_list(),
            )
    middling = alike.filter(pl.col("similarity") < COPY).sort(
        "similarity", "one", "other", descending=[True, False, False]
    )
    if len(middling):
        one, other, similarity = middling.row(0)
        ids = middling["one"].unique(maintain_order=True).to_list()
        yield advice(
            "near_copy",
            f"{first(ids)}: alike to held-out rows by a Jaccard of {NEAR} to {COPY}, most of all {one} to {other} by "
            f"{similarity:.2f}; scores on these lean on memory: lower mix.heldout.near (and score.near.floor, which bounds it), or "
            "reject one of the two in data/review/verdicts.jsonl.",
            ids,
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
    """`id` and `shingle` (a hash of UNITS units in a row), each once a row; a row of fewer units is one shingle.

    Read is what score.near reads of a conversation: all turns but the system's, reasoning and tool calls included; case, width and
    punctuation do not count.
    """
    turn = pl.element().struct
    parts = [turn.field("reasoning"), turn.field("content").fill_null(""), turn.field("tool_calls")]
    said = pl.concat_str(parts, separator="\n", ignore_nulls=True)
    spoken = pl.col("messages").list.eval(said.filter(turn.field("role").is_in(["user", "assistant", "tool"])))
    text = pl.coalesce("text", spoken.list.join("\n")).fill_null("").str.normalize("NFKC").str.to_lowercase()
    found = text.str.replace_all(_UNSEEN, "").str.extract_all(_UNIT)
    units = rows.select("id", found.alias("unit")).explode("unit").drop_nulls("unit")
    hashes = units.select("id", pl.col("unit").hash(0).alias("unit"))
    window = [pl.col("unit").shift(-i).over("id") for i in range(UNITS)]
    short = (pl.len().over("id") < UNITS) & (pl.int_range(pl.len()).over("id") == 0)
    made = hashes.select("id", pl.struct(w.alias(str(i)) for i, w in enumerate(window)).hash(1).alias("shingle"),
                         (window[-1].is_not_null() | short).alias("whole"))  # fmt: skip
    return made.filter("whole").select("id", "shingle").unique()
