"""What a record says of its language → the code by which the project groups rows."""

from __future__ import annotations

import re
from typing import Any

# What the language signal can say: the codes of its detector (fastText lid.176; without `sh`, which is rather a shell), and
# those of no one language.
CODES = frozenset(
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de diq dsb "
    "dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo "
    "jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah "
    "nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd si sk sl so sq sr su sv "
    "sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh mul und".split()
)
NAMES = {
    "chinese": "zh", "mandarin": "zh", "simplified chinese": "zh", "traditional chinese": "zh", "cantonese": "zh",
    "中文": "zh", "汉语": "zh", "漢語": "zh", "简体中文": "zh", "繁體中文": "zh", "zho": "zh", "chi": "zh", "cmn": "zh",
    "yue": "zh", "wuu": "zh", "cn": "zh", "english": "en", "英文": "en", "英语": "en", "英語": "en", "eng": "en",
    "french": "fr", "german": "de", "spanish": "es", "italian": "it", "portuguese": "pt", "dutch": "nl", "polish": "pl",
    "russian": "ru", "ukrainian": "uk", "turkish": "tr", "arabic": "ar", "hindi": "hi", "japanese": "ja", "日语": "ja",
    "korean": "ko", "韩语": "ko", "vietnamese": "vi", "thai": "th", "indonesian": "id", "fra": "fr", "deu": "de",
    "spa": "es", "rus": "ru", "jpn": "ja", "kor": "ko", "mixed": "mul", "multilingual": "mul",
}  # fmt: skip
_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{2,8})*")


def code_of(said: Any) -> str:
    """The code of a BCP 47 tag (`zh-Hant-TW` is zh) or of a common name (`Chinese`); `und` for anything else (`python`)."""
    if not isinstance(said, str):
        return "und"
    word = said.strip().lower()
    tag = _TAG.fullmatch(word)
    first = tag[1] if tag else word
    found = NAMES.get(word) or NAMES.get(first, first)
    return found if found in CODES else "und"
