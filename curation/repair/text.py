"""One Unicode form and nothing invisible. Each function gives the text and what it did.

No function here changes what a writer may have meant: full-width punctuation, quotes, ligatures, HTML entities and
line width stay; only what no reader sees goes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

Result = tuple[str, Counter[str]]


def unicode_form(text: str) -> Result:
    """NFC. Not NFKC, which would make ２ into 2, ㎏ into kg and full-width punctuation half-width."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text, Counter()
    clusters = re.findall(r"[^\u0300-\u036f\u3099\u309a][\u0300-\u036f\u3099\u309a]*", text)
    places = sum(not unicodedata.is_normalized("NFC", c) for c in clusters)
    return unicodedata.normalize("NFC", text), Counter({"NFC": max(1, places)})


_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_ZERO_WIDTH = (
    "\u00ad"  # soft hyphen
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks
    "\u200b\u2060-\u2064\u206a-\u206f\ufeff"  # zero-width space, word joiner, invisible operators, BOM
    "\ufff9-\ufffb\ufffe\uffff"
)
_UNSEEN = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_ZERO_WIDTH}\u200c\u200d\ufe00-\ufe0f\U000e0000-\U000e01ef]"
)
_STRIPPED = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x9f{_ZERO_WIDTH}]")
_JOINER = re.compile("[\u200c\u200d]")
_EMOJI = "\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff"
_BEFORE_ZWJ = re.compile(f"[{_EMOJI}]\ufe0f?\\Z")
_AFTER_ZWJ = re.compile(f"[{_EMOJI}]")
# Scripts whose spelling needs ZWJ or ZWNJ: Arabic to Sinhala, Tibetan and Myanmar, Khmer and Mongolian, their extensions.
_JOINING_SCRIPT = re.compile(
    "[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\ua840-\ua87f\ua8e0-\ua9ff\ufb50-\ufdff\ufe70-\ufefc]"
)
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# The three flags that Unicode recommends (England, Scotland, Wales); any other run of tag characters is hidden text.
_FLAGS = "|".join(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in code) + "\U000e007f"
    for code in ("gbeng", "gbsct", "gbwls")
)
_TAGS = re.compile(f"({_FLAGS})|[\U000e0000-\U000e007f]+")


# Begins where white space begins: from every place within a long run of it the search would take the run anew.
_END = re.compile(r"(?<!\s)(?:\s*<\|(?:endoftext|im_end|eot_id|end)\|>|\s*</s>)+\s*\Z")


def end_tokens(text: str) -> Result:
    """Without the marks of a model's end of text that a template left behind the last word; a text of nothing else stays."""
    found = _END.search(text)
    if (
        not found or not found.start() or (found[0].strip() == "</s>" and "<s>" in text)
    ):  # <s>…</s> is HTML for struck out
        return text, Counter()
    return text[: found.start()], Counter({"end token": found[0].count(">")})


def control_characters(text: str, final_newline: bool = False) -> Result:
    r"""Without control, zero-width and direction characters, terminal colours, and trailing white space; line ends are \n.

    \n and \t stay, so do joiners within emoji and in scripts that need them, the variation selector after its base,
    white space within fenced code, and the two spaces of a Markdown line break. `final_newline`: a text may end with one.
    """
    done: Counter[str] = Counter()
    if _UNSEEN.search(text):
        text = _count_sub(_ANSI, "", text, done, "terminal escape")
        text = _count_sub(_LINE_BREAK, "\n", text, done, "line end")
        text = _count_sub(_STRIPPED, "", text, done, "invisible character")
        if _UNSEEN.search(text):
            text = _count_sub(_TAGS, lambda m: m[1] or "", text, done, "invisible character")
            text = _count_sub(_JOINER, _joiner, text, done, "invisible character")
            text = _count_sub(_VARIATION, _variation, text, done, "invisible character")
    if text[-1:].isspace() or " \n" in text or "\t\n" in text or "\u3000\n" in text or "\u00a0\n" in text:
        text = _trailing(text, done, final_newline)
    return text, done


def code_blocks(text: str) -> list[tuple[int, int, bool]]:
    """(start, end, closed) of each fenced block, fences included (CommonMark 0.31, 4.5; any indentation, as in lists)."""
    if "```" not in text and "~~~" not in text:
        return []
    blocks: list[tuple[int, int, bool]] = []
    fence, start, place = "", 0, 0
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence and not (mark[1][0] == "`" and "`" in mark[2]):
            fence, start = mark[1], place
        elif mark and fence and mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and not mark[2].strip():
            blocks.append((start, place + len(line), True))
            fence = ""
        place += len(line) + 1
    if fence:
        blocks.append((start, len(text), False))
    return blocks


_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")


def _count_sub(pattern: re.Pattern[str], by: object, text: str, done: Counter[str], name: str) -> str:
    replaced = 0

    def put(match: re.Match[str]) -> str:
        nonlocal replaced
        new = by(match) if callable(by) else str(by)
        replaced += new != match[0]
        return new

    text = pattern.sub(put, text)
    if replaced:
        done[name] += replaced
    return text


def _joiner(match: re.Match[str]) -> str:
    text, at = match.string, match.start()
    before, after = text[max(0, at - 2) : at], text[at + 1 : at + 2]
    if _JOINING_SCRIPT.search(before[-1:]) or _JOINING_SCRIPT.match(after):
        return match[0]
    return match[0] if match[0] == "\u200d" and _BEFORE_ZWJ.search(before) and _AFTER_ZWJ.match(after) else ""


def _variation(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 1) : match.start()]
    if match[0] > "\ufe0f":
        return match[0] if HAN.match(before) else ""
    return "" if not before or before.isspace() or _VARIATION.match(before) else match[0]


def _trailing(text: str, done: Counter[str], final_newline: bool) -> str:
    lines = text.split("\n")
    code = code_blocks(text)
    place = block = 0
    for number, line in enumerate(lines):
        bare = line.rstrip()
        while block < len(code) and code[block][1] <= place:
            block += 1
        inside = block < len(code) and code[block][0] <= place
        follows = number + 1 < len(lines) and lines[number + 1].strip()
        if bare != line and not inside and not (bare and follows and line == bare + "  "):
            lines[number] = bare
            done["trailing white space"] += 1
        place += len(line) + 1
    joined = "\n".join(lines)
    whole = joined.rstrip() + ("\n" if final_newline and joined.rstrip() and joined.endswith("\n") else "")
    if whole != joined:
        done["trailing white space"] += 1
    return whole
