"""Exact copies: a hash of the normalised conversation."""

from __future__ import annotations

import re
import unicodedata

import polars as pl
import xxhash

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides

_NOT_TEXT = re.compile(r"[\W_]+")


class ExactParams(Params):
    """`params.yaml: score.exact`."""

    case: bool = False  # true: Case and case differ
    punctuation: bool = False  # true: spaces and punctuation count


def normalize(text: str, params: ExactParams = ExactParams()) -> str:  # noqa: B008 (frozen)
    """NFKC (full and half width become one), then case, white space and punctuation as params say.

    Punctuation stays where nothing else is there, so that `+` and `-` remain two answers.
    """
    text = unicodedata.normalize("NFKC", text)
    if not params.case:
        text = text.casefold()
    if params.punctuation:
        return " ".join(text.split())
    return _NOT_TEXT.sub("", text) or " ".join(text.split())


def compute(
    records: pl.DataFrame,
    params: ExactParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`key`: rows with one key are copies; roles, tool calls and order count. `prompt_key`, `answer_key`: of the sides."""
    from curation.score import distinct

    rows = sides(distinct(records)).select("content_hash", "messages", "text", "tools", "prompt", "answer")
    found = []
    for content_hash, messages, text, tools, prompt, answer in rows.iter_rows():
        parts = [normalize(text or "", params), tools or ""]
        for turn in messages or []:
            parts += [turn["role"], normalize(turn["content"] or "", params), turn["tool_calls"] or ""]
        sides_ = [xxhash.xxh3_128_hexdigest(normalize(side, params).encode()) for side in (prompt, answer)]
        found.append((content_hash, xxhash.xxh3_128_hexdigest("\x1f".join(parts).encode()), *sides_))
    schema = dict.fromkeys(("content_hash", "key", "prompt_key", "answer_key"), pl.String)
    return pl.DataFrame(found, orient="row", schema=schema).with_columns(
        pl.lit(None, pl.String).alias("not_applicable")
    )
