"""Units of text for the measures: a Chinese character, or a whole word of another script, case-folded."""

from __future__ import annotations

import re

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_UNIT = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:['’][^\W_{HAN}]+)*")
_IS_HAN = re.compile(f"[{HAN}]")


def units(text: str) -> list[str]:
    """Units in order; punctuation, spaces and symbols are none."""
    return _UNIT.findall(text.casefold())


def spans(text: str) -> list[tuple[str, int]]:
    """(unit, character offset) in order."""
    return [(found.group().casefold(), found.start()) for found in _UNIT.finditer(text)]


def script(text: str) -> str:
    """`zh` or `other`: what most units of a text are."""
    found = units(text)
    return "zh" if 2 * sum(bool(_IS_HAN.match(u)) for u in found) > len(found) else "other"


def content(text: str) -> set[str]:
    """What a text is about: words of four letters and more that are no function words, numbers, pairs of Chinese characters.

    Pairs with a grammatical character (的, 了, 是, …) are left out.
    """
    found: set[str] = set()
    before, end = "", -1
    for unit, start in spans(text):
        if _IS_HAN.match(unit):
            if unit in _GRAMMAR_ZH:
                before = ""
                continue
            if before and end == start:
                found.add(before + unit)
            before, end = unit, start + 1
        else:
            before = ""
            if _CONTRACTED.search(unit):
                continue
            if unit.isdigit() or (len(unit) > 3 and unit not in _GRAMMAR_EN):
                found.add(_stem(unit))
    return found


_CONTRACTED = re.compile(r"['’](?:re|ve|ll|m|d|t)$")  # you're, don't: grammar


def _stem(word: str) -> str:
    """Plural and verbal endings off, crudely: what counts is that `cats` meets `cat`."""
    for ending in ("ing", "ies", "es", "ed", "s", "'s", "’s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


_GRAMMAR_ZH = frozenset(
    "的了是在我你他她它们这那有和也就都不没很吗呢吧啊呀哦嗯把被让给对从到与或要会能可以着过个些什么怎样哪谁几多少为因所但而如果还再又才请帮好想说看去来上下里一"
)
_GRAMMAR_EN = frozenset(
    "about above after again also although always another because been before being below between both cannot could does doing "
    "down during each else even ever every from further have having here hers herself himself into itself just know like made make "
    "many maybe might mine more most much must need never once only other ours over please really same should since some something "
    "still such sure tell than thank thanks that their them then there these they thing things think this those through under "
    "until upon very want well were what whatever when where whether which while whom whose will with within without would "
    "yeah your yours yourself help great good nice okay give write explain describe find don't can't i'm it's that's".split()
)
