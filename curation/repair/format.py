"""Care for the form of answers: closing chatter, half-width punctuation among Chinese, and tags for what a person should see.

Code, mathematics, URLs and JSON are never touched. What could hurt is only tagged: `format:unclosed_fence` and so on.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from typing import Literal

from curation.params import Params
from curation.repair.chatter import trim_chatter
from curation.repair.text import Result, code_blocks

Care = Literal["off", "fix", "tag"]
Watch = Literal["off", "tag"]  # for what no rule can mend safely


class FormatParams(Params):
    """`params.yaml: repair.format`. Applies to assistant turns; chatter to the last one."""

    trailing_chatter: Care = "fix"
    half_width_punctuation: Care = "fix"  # , ? ! : ; between Chinese characters
    unclosed_fence: Care = "tag"  # fix: a closing fence at the end
    unclosed_bracket: Watch = "tag"
    mixed_quotes: Watch = "tag"
    list_numbering: Watch = "tag"


_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_PROTECTED = re.compile(
    r"(?P<tick>`+)(?!`)[^\n]+?(?<!`)(?P=tick)(?!`)"  # inline code
    r"|\$\$.+?\$\$|(?<![\\$\w])\$(?![\s$])[^$\n]{1,200}?(?<!\s)\$(?![\d\w])|\\\(.+?\\\)|\\\[.+?\\\]"
    r"|\\begin\{(?P<env>\w+\*?)\}.+?\\end\{(?P=env)\}"
    r"|https?://[^\s\u3000-\u303f\uff00-\uffef]+"
    r"|\{[^{}\n\"]*\"[^{}:]*:[^{}]*\}"  # JSON: no two parts can take the same character, or broken JSON takes hours
    r"|<[A-Za-z/!][^<>\n]*>",
    re.S,
)
_FULL_WIDTH = str.maketrans(",?!:;", "，？！：；")
_HALF_WIDTH = re.compile(rf"(?<=[{_HAN}])([,?!:;]) ?(?=[{_HAN}])")
# Who asks for a format asks for its marks.
_ASKED_FOR_A_FORMAT = re.compile(
    r"(?i)半角|英文(?:状态)?(?:的)?(?:标点|符号)|逗号|冒号|分号|分隔|隔开|格式|csv|json|yaml|正则|代码|sql"
)
# A colon that would stay half-width (价格: $5, AI: 你好); then all stay, so that one list has one kind.
_STAYING_COLON = re.compile(rf"[{_HAN}]:(?! ?[{_HAN}]|\s*$)|[A-Za-z]: ?[{_HAN}]", re.M)


def care(answer: str, prompt: str, last: bool, params: FormatParams) -> tuple[Result, set[str]]:
    """((the answer, what was done), tags) of one assistant turn; `last`: the conversation's last one.

    `prompt` holds all that system and user said: what they asked for is no fault.
    """
    done: Counter[str] = Counter()
    tags: set[str] = set()
    fixes = {
        "trailing_chatter": trim_chatter if last else None,
        "half_width_punctuation": full_width,
        "unclosed_fence": close_fence,
    }
    for name, fix in fixes.items():
        wish = getattr(params, name)
        if fix is None or wish == "off":
            continue
        mended, count = fix(answer, prompt)
        if count and wish == "fix":
            answer, done[name] = mended, count
        elif count:
            tags.add(name)
    tags |= {fault for fault in faults(answer) if getattr(params, fault) == "tag"}
    return (answer, done), {f"format:{tag}" for tag in tags}


def full_width(answer: str, prompt: str) -> tuple[str, int]:
    """`answer` with , ? ! : ; between two Chinese characters as ，？！：；, and how many; not in protected parts.

    Two Chinese characters on both sides leave times, numbers and URLs alone by themselves.
    """
    if answer.isascii() or not _HALF_WIDTH.search(answer) or _ASKED_FOR_A_FORMAT.search(prompt) or _is_json(answer):
        return answer, 0
    kept = protected(answer)
    starts = [start for start, _ in kept]
    colons = not _STAYING_COLON.search(answer)
    count = 0

    def widen(match: re.Match[str]) -> str:
        nonlocal count
        before = bisect_right(starts, match.start()) - 1
        if (before >= 0 and match.start() < kept[before][1]) or (match[1] == ":" and not colons):
            return match[0]
        count += 1
        return match[1].translate(_FULL_WIDTH)

    return _HALF_WIDTH.sub(widen, answer), count


def close_fence(answer: str, prompt: str = "") -> tuple[str, int]:
    """`answer` with the fence that its last code block lacks, and 1; or as it was, and 0."""
    blocks = code_blocks(answer)
    if not blocks or blocks[-1][2]:
        return answer, 0
    fence = re.match(r"\s*(?:`+|~+)", answer[blocks[-1][0] :])
    assert fence  # a block begins with its fence
    return f"{answer.rstrip()}\n{fence[0]}", 1


def protected(answer: str) -> list[tuple[int, int]]:
    """(start, end) of code, mathematics, URLs, JSON objects and HTML tags, in order, none overlapping."""
    found: list[tuple[int, int]] = []
    done = 0
    for start, end, _ in [*code_blocks(answer), (len(answer), len(answer), True)]:
        found += [match.span() for match in _PROTECTED.finditer(answer, done, start)]
        if end > start:
            found.append((start, end))
        done = end
    return found


def faults(answer: str) -> set[str]:
    """Which of unclosed_fence, unclosed_bracket, mixed_quotes and list_numbering an answer shows."""
    found = set()
    blocks = code_blocks(answer)
    if blocks and not blocks[-1][2]:
        found.add("unclosed_fence")
    if not _WORTH_A_LOOK.search(answer):
        return found
    pieces, done = [], 0
    for start, end in protected(answer):
        pieces += [answer[done:start], "\ufffc"]
        done = end
    prose = "".join([*pieces, answer[done:]])
    if _unclosed(prose):
        found.add("unclosed_bracket")
    curly = prose.count("“"), prose.count("”")
    if curly[0] != curly[1] or (curly[0] and _STRAIGHT_AROUND_HAN.search(prose)):
        found.add("mixed_quotes")
    if _misnumbered(prose):
        found.add("list_numbering")
    return found


_WORTH_A_LOOK = re.compile(r"[(\[（【《「『“”]|^[ \t]*[0-9]", re.M)
_STRAIGHT_AROUND_HAN = re.compile(rf'"[^"\n{_HAN}]*[{_HAN}][^"\n]*"')
_EMOTICON = re.compile(r"[:;=8][-'o^]?[(\[]+")
_OPENERS = {"(": ")", "[": ")", "（": ")", "【": "】", "《": "》", "「": "」", "『": "』"}
_CLOSERS = {")": ")", "]": ")", "）": ")", "】": "】", "》": "》", "」": "」", "』": "』"}
_BRACKET = re.compile(r"[()\[\]（）【】《》「」『』]")
_NUMBERED = re.compile(r"^([ \t]*)(?:\*\*)?([0-9]{1,2})(?:[.)](?=\s)|[.．、）)](?=[^\s\d]))", re.M)


def _unclosed(prose: str) -> bool:
    """True when a bracket is opened and never closed. [0, 1) closes; so does （a); "1)" and ":(" open nothing."""
    waiting: list[str] = []
    for bracket in _BRACKET.findall(_EMOTICON.sub("", prose)):
        if bracket in _OPENERS:
            waiting.append(_OPENERS[bracket])
        elif _CLOSERS[bracket] in waiting:
            del waiting[len(waiting) - 1 - waiting[::-1].index(_CLOSERS[bracket])]
    return bool(waiting)


def _misnumbered(prose: str) -> bool:
    """True when a numbered list skips or repeats a number. Lists may start anywhere, restart at 1 and count down."""
    last: dict[int, int] = {}
    for match in _NUMBERED.finditer(prose):
        depth, number = len(match[1].expandtabs(4)), int(match[2])
        last = {d: n for d, n in last.items() if d <= depth}
        if depth in last and number != 1 and abs(number - last[depth]) != 1:
            return True
        last[depth] = number
    return False


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
