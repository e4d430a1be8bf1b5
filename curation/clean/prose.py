"""What of a text is prose, and how long it is: expressions that several rules share.

A unit is a Chinese character or half a word of another script (as in score/language.py): a Chinese word has about two
characters, so that one limit in units asks as much of Chinese as of English and of mixed text.
"""

from __future__ import annotations

import polars as pl

HAN = r"\p{Han}"
WORD = r"[[\p{L}\p{N}]--\p{Han}]+"
CODE = r"(?s)```.*?(?:```|\z)|~~~.*?(?:~~~|\z)|`[^`\n]*`|<tool_call>.*?</tool_call>"


def edges(pattern: str) -> str:
    r"""`pattern` with ASCII word boundaries: `\b` between 用 and English is none to a regex that calls both word characters."""
    return pattern.replace(r"\b", r"(?-u:\b)")


def with_prose(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with `prose`: the answer without code blocks, inline code and tool calls, blank ends stripped."""
    ticked = pl.col("answer").str.contains("`", literal=True) | pl.col("answer").str.contains("~~~", literal=True)
    ticked = ticked | pl.col("answer").str.contains("<tool_call>", literal=True)
    bare = frame.filter(ticked).select("id", pl.col("answer").str.replace_all(CODE, " ").alias("prose"))
    joined = frame.join(bare, on="id", how="left", maintain_order="left", validate="1:1")
    return joined.with_columns(pl.coalesce("prose", "answer").str.strip_chars())


def units(column: str) -> pl.Expr:
    """Chinese characters + 2 × words of other scripts."""
    text = pl.col(column)
    return (text.str.count_matches(HAN) + 2 * text.str.count_matches(WORD)).cast(pl.Int64)
