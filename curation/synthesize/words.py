"""Chinese words with their English and their sound: the small dictionary behind mixed prompts and wrong characters."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

WORDS = Path(__file__).parent / "words.tsv"
# Frequent characters: what an input method offers first for a sound.
_FREQUENT = (
    "的是在了有和人这中大为上个国我以要他时来用们生到作地于出就对成会可主发年动同工也能下过子说产种面而方后定行学法所民得经之进着等部"
    "家电力里如水化高自理起小物现实加量都点月其相从业本去把性好应开它合还因由些然前外天政日那社义事平形全表间样与关各重新线内正心反你"
    "明看原又么利比或但质气向道命此变条只结解问意建公系军很情者最立代想已通并提直题程展果料象员位入常文总次品式活设及管特件长求老头基"
    "资边流路级少图山统接知较将组见计她手角期根论运农指区强放决西被干做必战先回则任取完举色权导者思术极交受联什认共今其清美再采转更单"
    "风切打白教速花带安场身车例真务具始达走积示议声报完类离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观"
    "越织装影低持音众书布复容儿须际商验连断深难近矿周委素技备院称油服音往支严消球斗市号参商诉亲写字请让谢够忙午饭菜店买卖换洗拿送找"
    "房住穿衣鞋包钟早晚夜睡醒累病药疼冷热晴雨雪春夏秋冬树草叶鸟鱼猫狗羊牛肉蛋奶茶酒糖盐帮试错谁哪坐站跑跳唱读听说笑哭爱怕懂忘"
)


@lru_cache(maxsize=1)
def dictionary() -> tuple[dict[str, str], dict[str, str]]:
    """(Chinese → its first English word or "", each English word → Chinese) from words.tsv."""
    to_english: dict[str, str] = {}
    to_chinese: dict[str, str] = {}
    for line in WORDS.read_text(encoding="utf-8").splitlines():
        chinese, english = line.split("\t")
        forms = english.split(",")
        to_english[chinese] = forms[0]
        to_chinese |= dict.fromkeys(filter(None, forms), chinese)
    return to_english, to_chinese


def to_pinyin(word: str) -> str:
    """The word's syllables without tones, a space between them."""
    from pypinyin import lazy_pinyin

    return " ".join(lazy_pinyin(word))


@lru_cache(maxsize=4096)
def same_sound(word: str, at: int) -> tuple[str, ...]:
    """Frequent characters that sound like the one at `at` in `word`: with its tone if there are any, else without."""
    from pypinyin import Style, pinyin

    for style in (Style.TONE, Style.NORMAL):
        sound = pinyin(word, style=style)[at][0]
        alike = [c for c in sorted(set(_FREQUENT)) if c != word[at] and _sound(c, style) == sound]
        if alike:
            return tuple(alike)
    return ()


@lru_cache(maxsize=4096)
def _sound(character: str, style: Any) -> str:
    from pypinyin import pinyin

    return str(pinyin(character, style=style)[0][0])
