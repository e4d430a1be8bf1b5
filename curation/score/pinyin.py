"""Chinese in Latin letters: whether words are made of pinyin syllables, and of such as Chinese sentences need."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# The syllables of standard Chinese (Hanyu Pinyin, GB/T 16159), an initial a line; v stands for ü.
_TABLE = {
    "": "a ai an ang ao e ei en eng er o ou wa wai wan wang wei wen weng wo wu ya yan yang yao ye yi yin ying yo yong you "
    "yu yuan yue yun",
    "b": "a ai an ang ao ei en eng i ian iao ie in ing o u",
    "p": "a ai an ang ao ei en eng i ian iao ie in ing o ou u",
    "m": "a ai an ang ao e ei en eng i ian iao ie in ing iu o ou u",
    "f": "a an ang ei en eng o ou u",
    "d": "a ai an ang ao e ei en eng i ian iao ie ing iu ong ou u uan ui un uo",
    "t": "a ai an ang ao e eng i ian iao ie ing ong ou u uan ui un uo",
    "n": "a ai an ang ao e ei en eng i ian iang iao ie in ing iu ong ou u uan uo v ve",
    "l": "a ai an ang ao e ei eng i ia ian iang iao ie in ing iu ong ou u uan un uo v ve",
    "g": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "k": "a ai an ang ao e en eng ong ou u ua uai uan uang ui un uo",
    "h": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "j": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "q": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "x": "i ia ian iang iao ie in ing iong iu u uan ue un",
    "zh": "a ai an ang ao e ei en eng i ong ou u ua uai uan uang ui un uo",
    "ch": "a ai an ang ao e en eng i ong ou u ua uai uan uang ui un uo",
    "sh": "a ai an ang ao e ei en eng i ou u ua uai uan uang ui un uo",
    "r": "an ang ao e en eng i ong ou u ua uan ui un uo",
    "z": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "c": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "s": "a ai an ang ao e en eng i ong ou u uan ui un uo",
}
SYLLABLES = frozenset(initial + final for initial, finals in _TABLE.items() for final in finals.split())
# Spelled like no common word of a European language or of romanised Japanese.
_ONLY_CHINESE = re.compile(
    r"(?:zh|x)[aeiouv]|q(?:i|u[en]?)(?:a|e|n|o|$)|[bpmdtnlgkhjqxzcsr]h?(?:iang|iong|uang|iao|uai)|(?:zh|ch|sh|[bpmdtnlgkhrzcs])"
    r"(?:eng|ong)|(?:zh|ch|sh|[dtnlgkhrzcs])uo|(?:zh|ch|sh|[dtgkhrzcs])ui|(?:[jlnqxbpmdt])ian"
)
# Written alone as words, the commonest of sentences: pronouns, particles, verbs, adverbs, question words.
_FREQUENT = frozenset(
    "wo ni ta women nimen tamen de le ma ne ba shi bu mei meiyou you zai qu lai hao hen dou ye jiu zhe na nage zhege zheli nali "
    "shenme zenme zenmeyang weishenme shei shui nar ji duoshao xihuan xiang yao hui neng keyi kan chi he mai zuo shuo ting xue "
    "qing qingwen xiexie xie duibuqi jintian mingtian zuotian xianzai zhidao juede yinwei suoyi danshi ranhou haishi gei gen he "
    "cong dao ge yi liang san si wu liu qi ba shang xia zhong guo ren tian ri yue nian dian bang rang yijing yiqi "
    "pengyou laoshi xuesheng zhongguo beijing shanghai zhongwen hanyu dongxi shijian shihou gaoxing kuaile taitai xiansheng "
    "gege jiejie jia li tai zui bie jiao kai nin dajia ziji zhen".split()
)
# Words of English (and of its neighbours) that happen to be syllables of pinyin.
_ALSO_ENGLISH = frozenset(
    "a an ban bang bin can chin china dan den die ding do dong fan fan fen gang gong hang he hen her hi he ha hu kin lie long "
    "man me men mi nun on pan pen pie pin ping ran rang run sang sea she shin sin sing son song sun tan tang ten tie tin tong "
    "wan wen win yang yin you pu to be so too hung lung dung pi bi li la le de e o y en ne se du da di si tu ni ma na sa te "
    "lei hai bei dei sei mai tai chi tao wang yan lin lang juan sheng chai shan sha ma mao pa bo jin lan".split()
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*[1-5]?(?![0-9])")
_NUMBERED = re.compile(
    r"(?i)(?<![a-z0-9])(?:[a-zü]{1,6}[1-5]){2,}(?![a-z0-9])|(?<![a-z0-9])[a-zü]{1,6}[1-5](?![a-z0-9])"
)
_TONES = dict.fromkeys(map(ord, "\u0304\u0301\u030c\u0300"))  # macron, acute, caron, grave
_MARKED = re.compile("[\u0304\u030c]")  # acute and grave are French and Spanish as well


def share(text: str) -> float:
    """How sure it is, in 0…1, that the words of `text` are Chinese in pinyin.

    With tones: the share of words that are made of syllables. Without: that share, if no other language's words explain
    it, times the share of words that a Chinese sentence is likely to hold. 0 for fewer than two syllables.
    """
    words = _WORD.findall(text)
    if not words:
        return 0.0
    numbered = _NUMBERED.findall(text)
    parsed = [_syllables(_plain(w)) for w in words]
    whole = sum(len(w) for w, n in zip(words, parsed, strict=True) if n) / sum(map(len, words))
    if sum(parsed) < 2 or whole < 0.75:
        return 0.0
    bare = [unicodedata.normalize("NFD", w) for w in words]
    toned = sum(any(t in w for t in "\u0304\u0301\u030c\u0300") for w in bare) / len(words)
    marked = sum(bool(_MARKED.search(w)) for w in bare) / len(words)
    if (
        marked >= 0.2
        or ((marked or sum(parsed) >= 5) and toned >= 0.4 and whole >= 0.95)
        or len(numbered) >= max(2, 0.5 * len(words))
    ):
        return round(whole, 4)
    if whole < 0.85 or any(not w.isascii() and "ü" not in w.lower() for w in words):
        return 0.0
    points, syllables = 0.0, 0
    for word, n in zip(words, parsed, strict=True):
        small = _plain(word)
        syllables += n
        if not n:
            points -= 1.5
        elif small in _FREQUENT:
            points += 0.5 if small in _ALSO_ENGLISH else 1
        elif small in _ALSO_ENGLISH:
            points -= 0.5
        elif _ONLY_CHINESE.search(small):
            points += 1
        else:
            points += 0.2
    sure = points / len(words)
    # Seven syllables in a row are no accident, even if none of them is telling by itself.
    least = 0.1 if whole == 1 and syllables >= 7 else 0.2 if whole == 1 and syllables >= 4 else 0.4
    greeting = syllables == 2 and points >= 1.5  # ni hao
    if sure < least or points < 0.9 or (syllables < 3 and not greeting):
        return 0.0
    return round(min(1.0, 0.5 + sure), 4)


def is_name(words: list[str]) -> bool:
    """Two or three capitalised words of up to three syllables each, as a Chinese name or place is written abroad."""
    return len(words) >= 2 and all(w[:1].isupper() and 0 < _syllables(_plain(w)) <= 3 for w in words)


def _plain(word: str) -> str:
    """Small letters without tone marks and numbers; ü as v."""
    bare = unicodedata.normalize("NFD", word.lower().rstrip("12345")).translate(_TONES)
    return unicodedata.normalize("NFC", bare).replace("ü", "v").replace("’", "'")


@lru_cache(maxsize=65536)
def _syllables(word: str) -> int:
    """Into how many syllables a word falls, its fewest; 0 when it is not made of syllables."""
    total = 0
    for part in word.split("'"):
        part = part.removesuffix("r") if len(part) > 3 and part not in SYLLABLES else part  # nar, yidianr
        best = [0] + [99] * len(part)
        for end in range(1, len(part) + 1):
            for start in range(max(0, end - 6), end):
                if best[start] < 99 and part[start:end] in SYLLABLES:
                    best[end] = min(best[end], best[start] + 1)
        if best[-1] == 99 or not part:
            return 0
        total += best[-1]
    return total
