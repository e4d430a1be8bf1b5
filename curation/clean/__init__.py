"""Only decides: signals and labels in, kept and dropped rows out. No model is loaded here.

Every rule of RULES says which rows it would drop, with value and limit. The ledger names the first rule that hit, in the
table's order, and the others in `also`. Copies are judged last, among the rows that no other rule took, so that no cluster
is lost whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from curation import records as rec
from curation.clean import answers, calls, claims, decontaminate, duplicates, form, grounds, outliers, paragraphs
from curation.clean.answers import AnswerParams
from curation.clean.claims import ClaimParams
from curation.clean.decontaminate import DecontaminateParams
from curation.clean.duplicates import DuplicateParams
from curation.clean.form import FormParams
from curation.clean.grounds import GroundsParams
from curation.clean.outliers import OutlierParams
from curation.clean.paragraphs import ParagraphParams
from curation.clean.prose import with_prose
from curation.errors import DataError
from curation.ledger import DROPPED
from curation.params import Params
from curation.score import told
from curation.score.exact import ExactParams
from curation.score.exact import compute as keys_of


class CleanParams(Params):
    """`params.yaml: clean`."""

    grounds: GroundsParams = GroundsParams()
    decontaminate: DecontaminateParams = DecontaminateParams()
    answers: AnswerParams = AnswerParams()
    form: FormParams = FormParams()
    claims: ClaimParams = ClaimParams()
    perplexity: OutlierParams = OutlierParams()
    duplicates: DuplicateParams = DuplicateParams()
    paragraphs: ParagraphParams = ParagraphParams()


# rule → the function that finds its rows: frame and CleanParams in; `id`, `value`, `limit`, `detail` out.
# Grounds outside the text come first, then what is broken, then what is poor, and outliers, the weakest ground, last.
Rule = Callable[[pl.DataFrame, CleanParams], pl.DataFrame]
RULES: dict[str, Rule] = {
    "rejected_by_reviewer": lambda f, p: grounds.rejected_by_reviewer(f),
    "disallowed_license": lambda f, p: grounds.disallowed_license(f, p.grounds),
    "pii_drop": lambda f, p: grounds.pii_drop(f),
    "contaminated": lambda f, p: decontaminate.contaminated(f, p.decontaminate),
    "empty_answer": lambda f, p: answers.empty_answer(f, p.answers),
    "empty_prompt": lambda f, p: answers.empty_prompt(f),
    "broken_characters": lambda f, p: form.broken_characters(f, p.form),
    "invalid_tool_call": lambda f, p: calls.invalid_tool_call(f),
    "prompt_echo": lambda f, p: answers.prompt_echo(f, p.answers),
    "repetition": lambda f, p: answers.repetition(f, p.answers),
    "too_long": lambda f, p: answers.too_long(f, p.answers),
    "wrong_language": lambda f, p: answers.wrong_language(f, p.answers),
    "refusal_boilerplate": lambda f, p: claims.refusal_boilerplate(f, p.claims),
    "other_identity": lambda f, p: claims.other_identity(f, p.claims),
    "placeholder_left": lambda f, p: form.placeholder_left(f),
    "markup_debris": lambda f, p: form.markup_debris(f, p.form),
    "ungrounded_citation": lambda f, p: claims.ungrounded_citation(f),
    "unfinished_answer": lambda f, p: form.unfinished_answer(f, p.form),
    "too_short": lambda f, p: answers.too_short(f, p.answers),
    "perplexity_high": lambda f, p: outliers.perplexity_high(f, p.perplexity),
    "perplexity_low": lambda f, p: outliers.perplexity_low(f, p.perplexity),
}
# Judged after all others, among the rows that are left, in this order (clean/duplicates.py, clean/paragraphs.py).
LAST_RULES = (
    "exact_duplicate",
    "near_duplicate",
    "semantic_duplicate",
    "homogeneous_answer",
    "duplicate_paragraphs",
)
# A reviewer's `accept` overrides every rule but these.
BINDING = frozenset({"rejected_by_reviewer", "disallowed_license", "pii_drop", "contaminated"})
# Rules about what a prompt looks like: rows with noise on purpose are exempt.
ABOUT_PROMPTS = frozenset({"empty_prompt", "wrong_language", "prompt_echo"})


def clean(
    records: pl.DataFrame,
    signals: Mapping[str, pl.DataFrame],
    labels: pl.DataFrame,
    params: CleanParams,
    *,
    verdicts: Mapping[str, str] | None = None,
    evaluation: Path | None = None,
    against: pl.DataFrame | None = None,
    exact: ExactParams | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(kept rows with labels as columns, dropped ledger), both sorted by id; order of the input changes nothing.

    `verdicts`: id → accept or reject. `against`: cleaned records of the corpus to be different from.
    `exact`: the params by which the signal exact was measured; keys of `against` are made by them.
    """
    complete(records, signals, labels)
    frame = joined(records, signals, labels, verdicts or {})
    tests = decontaminate.load(evaluation) if evaluation else []
    frame = decontaminate.measure(frame, tests, params.decontaminate)
    hits = []
    accepted = set(frame.filter(pl.col("verdict") == "accept")["id"])
    noisy = set(frame.filter(rec.tagged("robustness:"))["id"])
    for order, (name, rule) in enumerate(RULES.items()):
        hit = rule(frame, params).select(
            pl.col("id"),
            pl.lit(order).alias("order"),
            pl.lit(name).alias("rule"),
            pl.col("value").cast(pl.Float64),
            pl.col("limit").cast(pl.Float64),
            pl.lit(None, pl.String).alias("duplicate_of"),
            pl.col("detail").cast(pl.String),
        )
        if name not in BINDING and accepted:
            hit = hit.filter(~pl.col("id").is_in(list(accepted)))
        if name in ABOUT_PROMPTS and noisy:
            hit = hit.filter(~pl.col("id").is_in(list(noisy)))
        hits.append(hit)
    found = pl.concat(hits)
    left = frame.join(found.select("id").unique(), on="id", how="anti")
    if against is not None:
        keys = keys_of(against, exact or ExactParams()).select("content_hash", "key")
        against = against.join(keys, on="content_hash", how="left", maintain_order="left")
    copies = duplicates.decide(left, signals, params.duplicates, against)
    left = left.join(copies.select("id"), on="id", how="anti")
    repeated = paragraphs.duplicate_paragraphs(left, params.paragraphs, against)
    last = (
        pl.concat([copies, repeated])
        .with_columns(
            pl.col("rule")
            .replace_strict({r: len(RULES) + i for i, r in enumerate(LAST_RULES)}, return_dtype=pl.Int32)
            .alias("order")
        )
        .select(found.columns)
    )
    found = pl.concat([found, last]).sort("id", "order")
    dropped = (
        found.group_by("id", maintain_order=True)
        .agg(pl.all().exclude("order", "id").first(), pl.col("rule").slice(1).alias("also"))
        .with_columns(pl.lit("clean").alias("stage"))
        .select(pl.col(name).cast(dtype) for name, dtype in DROPPED.items())
        .sort("id")
    )
    kept = frame.join(dropped.select("id"), on="id", how="anti").select(rec.LABELLED.keys()).sort("id")
    return kept, dropped


def complete(records: pl.DataFrame, signals: Mapping[str, pl.DataFrame], labels: pl.DataFrame) -> None:
    """Raises DataError when a signal says nothing of a row, neither a value nor a reason, or a row has no label."""
    hashes = records.select(pl.col("content_hash").unique().sort())
    for name, sidecar in signals.items():
        silent = hashes.join(sidecar.filter(told()), on="content_hash", how="anti", maintain_order="left")
        if len(silent):
            raise DataError(
                f"signal {name}: neither a value nor a reason for {len(silent)} content hashes, the first {silent.item(0, 0)}; "
                "a missing value is no pass. Run `dvc repro score@raw` (score@generated for made rows) first."
            )
    lacking = records.select("id").join(labels, on="id", how="anti")["id"].sort()
    if len(lacking):
        raise DataError(
            f"labels: none for {len(lacking)} rows, the first {lacking[0]}; run `dvc repro label@raw` (label@generated for "
            "made rows) first."
        )


def joined(
    records: pl.DataFrame, signals: Mapping[str, pl.DataFrame], labels: pl.DataFrame, verdicts: Mapping[str, str]
) -> pl.DataFrame:
    """Records, sides, prose, labels, verdict and every signal column as `<signal>.<column>`, sorted by id.

    Tags are those of the labels and the record's own, so that labels of an older record lose none.
    The row's language is the source's word or, where it gave none, that of the answer, else of the prompt.
    """
    own = rec.sides(records).rename({"tags": "_tags"}).join(labels, on="id", how="left", validate="1:1").sort("id")
    tags = pl.concat_list(pl.col(name).fill_null([]) for name in ("tags", "_tags"))
    frame = own.with_columns(tags.list.unique(maintain_order=True).alias("tags")).drop("_tags")
    for name, sidecar in signals.items():
        if name in ("near", "semantic", "embedding"):
            continue
        renamed = sidecar.rename({c: f"{name}.{c}" for c in sidecar.columns if c != "content_hash"})
        frame = frame.join(renamed, on="content_hash", how="left", validate="m:1", maintain_order="left")
    told = pl.col("language.answer_language"), pl.col("language.prompt_language")
    given = pl.when(pl.col("language") == "und")
    measured = pl.when(told[0] != "und").then(told[0]).otherwise(told[1])
    return with_prose(frame).with_columns(
        given.then(measured).otherwise(pl.col("language")).alias("language"),
        pl.col("id").replace_strict(dict(verdicts), default=None, return_dtype=pl.String).alias("verdict")
        if verdicts
        else pl.lit(None, pl.String).alias("verdict"),
    )
