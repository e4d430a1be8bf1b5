"""Mojibake: bytes that were read in the wrong encoding, read in the right one where the way back is certain."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from curation.repair.text import HAN, Result

if TYPE_CHECKING:
    from ftfy import TextFixerConfig

# A conversation about encodings shows broken text on purpose.
ABOUT_ENCODINGS = re.compile(
    r"mojibake|乱码|亂碼|garbled|utf-?8|gb18030|gbk|gb2312|latin-?1|iso-?8859|cp1252|windows-125", re.I
)

_LATIN_RUN = re.compile("[\xa1-\xff]{4,}")
_BETWEEN_CHINESE = re.compile("[^\u3000-\u9fff\uff00-\uffef]+")
_NOT_ASCII_RUN = re.compile("[^\x00-\x7f]+")
# The encodings that ftfy undoes (ftfy.chardata.CHARMAP_ENCODINGS).
_SINGLE_BYTE = (
    "latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac-roman", "cp437",
)  # fmt: skip
# The 200 commonest characters of modern Chinese, about 55% of running text (Jun Da, Modern Chinese Character Frequency List, 2004).
_COMMON = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
    "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政"
    "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员请谢您吗"
)


def undo(text: str) -> Result:
    """Bytes read in the wrong encoding, read in the right one; only where the way back is certain.

    UTF-8 read as a single-byte encoding by ftfy, a line at a time; GBK read as Latin-1 and UTF-8 read as GBK by their round
    trip, when the result is common Chinese. What a decoder threw away (锟斤拷, U+FFFD) cannot be undone and stays.
    """
    done: Counter[str] = Counter()
    if text.isascii():
        return text, done
    if _LATIN_RUN.search(text):
        text = _LATIN_RUN.sub(lambda run: _counted(run[0], _gbk_as_latin(run[0]), done, "GBK read as Latin-1"), text)
    utf8_as_gbk, suspicious = _gates()
    if utf8_as_gbk.search(text):
        text = "\n".join(_utf8_as_gbk_line(line, done) for line in text.split("\n"))
    if suspicious.search(text):
        text = "\n".join(
            _single_byte_line(line, done) if suspicious.search(line) else line for line in text.split("\n")
        )
    return text, done


def _counted(old: str, new: str, done: Counter[str], name: str) -> str:
    done[name] += old != new
    if not done[name]:
        del done[name]
    return new


@cache
def _gates() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(characters that begin UTF-8 Chinese read as GBK, pairs that could be UTF-8 in a single-byte encoding).

    Every hanzi of UTF-8 begins with a byte E4…E9 and goes on with 80…BF; every other character with C2…F4 and 80…BF.
    Clean text fails these in a microsecond, before the slow questions are asked.
    """
    gbk = {bytes((a, b)).decode("gb18030") for a in range(0xE3, 0xF0) for b in range(0x80, 0xC0)}
    lead, rest = set(), set(" ")
    for name in _SINGLE_BYTE:
        lead |= {bytes((b,)).decode(name, "ignore") for b in range(0xC2, 0xF5)}
        rest |= {bytes((b,)).decode(name, "ignore") for b in range(0x80, 0xC0)}
    classes = ["".join(re.escape(c) for c in sorted(chars - {""})) for chars in (gbk, lead, rest)]
    return re.compile(f"[{classes[0]}]"), re.compile(f"[{classes[1]}][{classes[2]}\x80-\x9f]|[\x80-\x9f]")


@cache
def _ftfy_config() -> TextFixerConfig:
    """Only the encoding; no quotes, widths, ligatures, entities. Lossy sequences would become U+FFFD: they stay."""
    from ftfy import TextFixerConfig

    return TextFixerConfig(
        unescape_html=False, remove_terminal_escapes=False, fix_encoding=True, restore_byte_a0=True,
        replace_lossy_sequences=False, decode_inconsistent_utf8=True, fix_c1_controls=True, fix_latin_ligatures=False,
        fix_character_width=False, uncurl_quotes=False, fix_line_breaks=False, fix_surrogates=False,
        remove_control_chars=False, normalization=None, explain=False,
    )  # fmt: skip


def _single_byte_line(line: str, done: Counter[str]) -> str:
    """A line as ftfy mends it or, when sound Chinese in it forbids that, the parts between the Chinese."""
    import ftfy

    config = _ftfy_config()
    whole = ftfy.fix_encoding(line, config)
    if whole == line:
        suspicious = _gates()[1]
        whole = _BETWEEN_CHINESE.sub(
            lambda part: ftfy.fix_encoding(part[0], config) if suspicious.search(part[0]) else part[0], line
        )
    return _counted(line, whole, done, "fix_encoding")


def _utf8_as_gbk_line(line: str, done: Counter[str]) -> str:
    """A line undone as a whole or, when it also holds sound Chinese, by its runs without ASCII."""
    if not _gates()[0].search(line):
        return line
    whole = _utf8_as_gbk(line)
    if whole != line:
        return _counted(line, whole, done, "UTF-8 read as GBK")
    return _NOT_ASCII_RUN.sub(lambda run: _counted(run[0], _utf8_as_gbk(run[0]), done, "UTF-8 read as GBK"), line)


def _utf8_as_gbk(text: str) -> str:
    back = text
    for _ in range(3):  # text that went through the wrong decoder twice is seen in the wild
        try:
            wrong = back
            back = wrong.encode("gb18030").decode("utf-8")
            if back.encode("utf-8").decode("gb18030") != wrong:
                return text
        except UnicodeError:
            return text
        if _rank(back) >= 0.9 and _rank(text) <= 0.5 and len(HAN.findall(back)) >= 2 and _reads(back):
            return back
    return text


def _gbk_as_latin(run: str) -> str:
    """ÄãºÃ → 你好. Real words hold no capital after a small letter and no sign among letters."""
    odd = any(not a.isupper() and b.isupper() for a, b in pairwise(run)) or not run.isalpha()
    if len(run) % 2 or not odd or len(set(run)) < 3:
        return run
    try:
        back = run.encode("latin-1").decode("gb2312")
    except UnicodeError:
        return run
    return back if _rank(back) == 1 and len(HAN.findall(back)) >= 2 and _reads(back) else run


def _rank(text: str) -> float:
    """Share of the characters beyond ASCII that are signs or first-level hanzi of GB 2312 (the 3,755 commonest)."""
    others = [c for c in text if c > "\x7f"]
    return sum(_first_level(c) for c in others) / len(others) if others else 0.0


@cache
def _first_level(character: str) -> bool:
    try:
        return character.encode("gb2312")[0] <= 0xD7
    except UnicodeError:
        return False


def _reads(text: str) -> bool:
    """True when a fifth of the hanzi are among the commonest 200: running text, not chance."""
    hanzi = HAN.findall(text)
    return sum(c in _COMMON for c in hanzi) >= 0.2 * len(hanzi)
