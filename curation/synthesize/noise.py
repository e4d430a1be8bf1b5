"""Robustness noise by seeded rules, without a model: the last prompt gets worse, the answer stays byte for byte.

- `typo`: English swaps, drops, doubles or mishits an inner letter; Chinese takes another character of the same sound.
- `cut`: the last half sentence is missing, when nothing that the answer needs goes with it.
- `mix`: Chinese with English words and pinyin among it; English with Chinese words and pinyin.

Never touched: code, quotations, formulas, links, placeholders, anything with a digit, numerals, negations, words that
the answer's code uses.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import Field

from curation import records as rec
from curation.params import Params
from curation.progress import Progress
from curation.synthesize.attempt import Attempt, Outcome
from curation.synthesize.words import dictionary, same_sound, to_pinyin

if TYPE_CHECKING:
    from curation.completion import Ask

OPERATIONS = ("typo", "cut", "mix")

_HAN = "㐀-䶿一-鿿"
_UNIT = re.compile(rf"[{_HAN}]|[A-Za-z0-9]+(?:['’][A-Za-z]+)?")
_PROTECTED = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`|\$[^$\n]{1,200}\$|https?://\S+|[\w.+-]+@[\w.-]+"
    r"|“[^”]*(?:”|\Z)|‘[^’\n]*’|\"[^\"]*(?:\"|\Z)|「[^」]*(?:」|\Z)|『[^』]*(?:』|\Z)|《[^》]*(?:》|\Z)"
    r"|(?<!\w)'[^'\n]+'(?!\w)|<[^>\n]*>|\[[^\]\n]*\]|\{[^}\n]*\}|^(?: {4}|\t|>|\|).*$|[\w.,:/%-]{0,40}\d[\w.,:/%-]*",
    re.DOTALL | re.MULTILINE | re.ASCII,
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
# Tasks in which the spelling, the wording or the language of the prompt is what it is about.
_ABOUT_LANGUAGE = re.compile(
    r"spell|typo|gramma|proofread|punctuat|rhym|anagram|acrostic|palindrom|letters?\b|vowel|syllable|pronounc|translat"
    r"|pinyin|\bchinese\b|\benglish\b|\bmandarin\b|\bverbatim\b|word for word"
    r"|错别字|错字|拼写|拼音|语法|校对|病句|标点|押韵|藏头|谐音|笔画|部首|接龙|词性|翻译|译成|译为|英文|英语|中文|汉语|汉字|字谜|对联|原文|原样",
    re.IGNORECASE,
)
# What carries numbers, amounts, denials or the question itself: a slip there would ask something else.
_KEPT_EN = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half "
    "third quarter once twice thrice double triple first second both none never neither without except least most more "
    "less fewer only every each nothing nobody cannot unless percent metre metres meter meters litre litres liter liters "
    "gram grams kilo kilos minute minutes hour hours days week weeks month months year years true false null".split()
)
_KEPT_ZH = frozenset("零〇一二三四五六七八九十百千万亿两半双俩仨几多少倍第不没别未勿无非莫元角分钱斤克米升吨度岁")
_QUESTION = re.compile(
    r"[?？]|吗|呢|什么|怎么|怎样|如何|多少|哪|谁|几|为何|咋|是否|能不能|可不可以|行不行"
    r"|\b(?:what|how|why|which|who|whose|when|where|whether)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。！？!?；;\n]|\.(?=\s)")
_NEIGHBOURS = {
    key: near
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for key, near in zip(row, [row[max(0, i - 1) : i] + row[i + 1 : i + 2] for i in range(len(row))], strict=True)
}
# Which noise a parent gets, by hash: the first that it can have. Few prompts can be cut, so half of those that can are.
_PREFERENCES = (("cut", "typo", "mix"), ("cut", "mix", "typo"), ("typo", "mix", "cut"), ("mix", "typo", "cut"))


class NoiseParams(Params):
    """`params.yaml: synthesize.noise`."""

    rows: int = Field(4, ge=0)  # for each language and each of typo, cut, mix
    task_types: tuple[str, ...] = (  # those whose prompts hold no text that the answer works on
        "open_qa", "writing", "brainstorming", "math", "code", "reasoning", "chat", "role_play",
    )  # fmt: skip
    share: float = Field(0.15, gt=0, le=0.5)  # of a prompt's units to change, two at least
    min_units: int = Field(12, ge=4)  # a unit is a Chinese character or a word of another script
    max_units: int = Field(300, ge=4)
    keep: float = Field(0.7, ge=0.7, lt=1)  # the share of units that `cut` leaves at least


def plan(cleaned: pl.DataFrame, params: NoiseParams, seed: int) -> list[tuple[str, str]]:
    """(operation, parent id) of the attempts. A parent is used once, and what it is used for depends on it alone."""
    rows = rec.sides(_eligible(cleaned, params)).select("id", "language", "last_prompt", "answer")
    order = sorted((rec.hash16(f"{seed}|noise|{row[0]}".encode()), *row) for row in rows.iter_rows())
    room = {(language, operation): params.rows for language in ("zh", "en") for operation in OPERATIONS}
    chosen = []
    for key, parent, language, prompt, answer in order:
        if not any(room[language, operation] for operation in OPERATIONS):
            continue
        for operation in _PREFERENCES[int(key, 16) % len(_PREFERENCES)]:
            if change(operation, prompt, answer, language, f"{seed}|{parent}", params) is not None:
                if room[language, operation]:
                    room[language, operation] -= 1
                    chosen.append((operation, parent))
                break
    return chosen


def make(attempts: Sequence[Attempt], parents: Mapping[str, Mapping[str, Any]], params: NoiseParams, seed: int,
         ask: Ask, progress: Progress) -> list[Outcome]:  # fmt: skip
    """The outcome of each attempt; asks nobody. `parents`: id → record as a mapping."""
    outcomes = []
    for number, attempt in enumerate(attempts, 1):
        parent = parents[attempt.parent]
        messages = [dict(m) for m in parent["messages"]]
        last = max(i for i, m in enumerate(messages) if m["role"] == "user")
        answer = "\n".join(m["content"] or "" for m in messages if m["role"] == "assistant")
        key = f"{seed}|{attempt.parent}"
        changed = change(attempt.operation, messages[last]["content"], answer, parent["language"], key, params)
        if changed is None:
            outcomes.append(Outcome(reason="unchanged"))
        else:
            messages[last]["content"] = changed
            tags = sorted({*(parent["tags"] or ()), f"robustness:{attempt.operation}"})
            outcomes.append(Outcome(messages=messages, tags=tags, tools=parent["tools"]))
        progress("synthesize: noise", number, len(attempts))
    return outcomes


def change(operation: str, prompt: str, answer: str, language: str, key: str, params: NoiseParams) -> str | None:
    """`prompt` with noise, the same for the same `key`, or None when it cannot be had without harm."""
    units = len(_UNIT.findall(prompt))
    if not params.min_units <= units <= params.max_units or _ABOUT_LANGUAGE.search(prompt):
        return None
    chance = random.Random(f"{key}|{operation}")  # noqa: S311 (noise, not secrets)
    if operation == "cut":
        return _cut(prompt, answer, chance, params)
    make_edits = _TYPO if operation == "typo" else _MIX
    edits = make_edits[language](prompt, answer, chance)
    wanted = max(
        2, round(params.share * units * (0.6 if language == "zh" else 1))
    )  # a Chinese word has about two units
    if len(edits) < 2:
        return None
    chosen = sorted(chance.sample(sorted(edits), min(wanted, len(edits))), reverse=True)
    for start, end, new in chosen:
        prompt = prompt[:start] + _apart(prompt, start, end, new) + prompt[end:]
    return prompt


def _eligible(cleaned: pl.DataFrame, params: NoiseParams) -> pl.DataFrame:
    roles = pl.col("messages").list.eval(pl.element().struct.field("role"))
    return cleaned.filter(
        pl.col("kind") == "chat",
        pl.col("origin").is_in(["human", "log"]),
        pl.col("language").is_in(["zh", "en"]),
        pl.col("task_type").is_in(list(params.task_types)),
        pl.col("bucket") != "safety",
        ~rec.tagged("robustness:"),
        # The answer must be to the last prompt, not to a tool's result.
        roles.list.tail(2).list.join(" ") == "user assistant",
    )


Edit = tuple[int, int, str]


def _free(prompt: str) -> list[tuple[int, int]]:
    """Spans of `prompt` between what is protected."""
    spans, at = [], 0
    for match in _PROTECTED.finditer(prompt):
        spans.append((at, match.start()))
        at = match.end()
    return [(start, end) for start, end in [*spans, (at, len(prompt))] if start < end]


def _words_en(prompt: str, answer: str, least: int) -> list[tuple[int, int, str]]:
    """Lower-case English words that may be changed. Capitals may be names, which only their spelling can tell."""
    used = {word for code in _CODE.findall(answer) for word in re.findall(r"[a-z]+", code)}
    pattern = re.compile(rf"(?<![\w'’@#./\\-])[a-z]{{{least},}}(?![\w'’@/\\(=-]|\.\w)")
    return [
        (match.start(), match.end(), match.group())
        for start, end in _free(prompt)
        for match in pattern.finditer(prompt, start, end)
        if match.group() not in _KEPT_EN and match.group() not in used
    ]


def _words_zh(prompt: str, answer: str) -> list[tuple[int, int, str]]:
    """Words of the dictionary in `prompt`, longest first, without those that the answer's code uses."""
    used = "".join(_CODE.findall(answer))
    to_english = dictionary()[0]
    found, longest = [], max(map(len, to_english))
    for start, end in _free(prompt):
        at = start
        while at < end:
            word = next((w for n in range(longest, 1, -1) if (w := prompt[at : min(at + n, end)]) in to_english), None)
            if word is not None and word not in used:
                found.append((at, at + len(word), word))
            at += len(word) if word else 1
    return found


def _typo_en(prompt: str, answer: str, chance: random.Random) -> list[Edit]:
    edits = []
    for start, end, word in _words_en(prompt, answer, 4):
        at = chance.randrange(1, len(word) - 2)  # the first and the last letter keep the word readable
        kind = chance.choice(("swap", "drop", "neighbour", "double"))
        if kind == "swap":
            new = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        elif kind == "drop":
            new = word[:at] + word[at + 1 :]
        elif kind == "neighbour":
            new = word[:at] + chance.choice(_NEIGHBOURS[word[at]]) + word[at + 1 :]
        else:
            new = word[:at] + word[at] + word[at:]
        if new != word and new not in _KEPT_EN:  # "there" must not become "three"
            edits.append((start, end, new))
    return edits


def _typo_zh(prompt: str, answer: str, chance: random.Random) -> list[Edit]:
    edits = []
    to_english = dictionary()[0]
    for start, end, word in _words_zh(prompt, answer):
        at = chance.randrange(len(word))
        others = [c for c in same_sound(word, at) if c not in _KEPT_ZH]
        alike = [c for c in others if word[:at] + c + word[at + 1 :] not in to_english]
        if alike:
            edits.append((start, end, word[:at] + chance.choice(alike) + word[at + 1 :]))
    return edits


def _mix_zh(prompt: str, answer: str, chance: random.Random) -> list[Edit]:
    edits = []
    for start, end, word in _words_zh(prompt, answer):
        english = dictionary()[0][word]
        new = english if english and chance.random() < 0.5 else to_pinyin(word)
        edits.append((start, end, new))
    return edits


def _mix_en(prompt: str, answer: str, chance: random.Random) -> list[Edit]:
    to_chinese = dictionary()[1]
    edits = []
    for start, end, word in _words_en(prompt, answer, 2):
        if word in to_chinese:
            chinese = to_chinese[word]
            edits.append((start, end, chinese if chance.random() < 0.5 else to_pinyin(chinese)))
    return edits


_TYPO = {"en": _typo_en, "zh": _typo_zh}
_MIX = {"en": _mix_en, "zh": _mix_zh}


def _cut(prompt: str, answer: str, chance: random.Random, params: NoiseParams) -> str | None:
    """`prompt` without its last half sentence; the tail holds no number, question, denial, and no word of the answer's own."""
    whole = prompt.rstrip()
    body = whole.rstrip("。.!！…~～ ")
    ends = [match.end() for match in _SENTENCE_END.finditer(body)]
    first = ends[-1] if ends else 0
    units = list(_UNIT.finditer(whole))
    free = _free(whole)
    places = []
    for number, unit in enumerate(units):
        start = unit.start()
        kept, tail = whole[:start], whole[start:]
        if number < params.keep * len(units) or len(units) - number < 3 or start <= first:
            continue
        if not any(a <= start and b >= len(whole) for a, b in free):  # nothing protected goes
            continue
        if len(_UNIT.findall(whole[first:start])) < 2 or not _harmless(kept, tail, answer):
            continue
        places.append(start)
    if not places:
        return None
    return whole[: chance.choice(places)].rstrip(" ,，、:：;；—-(（")


def _harmless(kept: str, tail: str, answer: str) -> bool:
    """Whether the answer can stand without `tail`: what it says of the tail's subjects, the rest of the prompt says too."""
    # The edge counts too: a question word before the cut has lost its question.
    if _QUESTION.search(kept[-12:] + tail) or any(c in _KEPT_ZH or c.isdigit() for c in tail):
        return False
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", tail.lower().replace("’", "'"))
    edge = re.findall(r"[a-z]+(?:'[a-z]+)?", kept.lower().replace("’", "'"))[-2:] if words else []
    if any(word in _KEPT_EN or word in {"no", "not", "nor"} or word.endswith("n't") for word in words + edge):
        return False
    last = kept.rstrip()[-2:]  # a number or a denial at the edge has lost what it was about
    if any(c in _KEPT_ZH or c.isdigit() for c in last):
        return False
    han = "".join(re.findall(rf"[{_HAN}]+", kept[-1:] + tail))  # a word that the cut goes through counts
    subjects = {w[:5] for w in words if len(w) > 3} | {han[i : i + 2] for i in range(len(han) - 1)}
    return not any(s in answer.lower() and s not in kept.lower() for s in subjects)


def _apart(prompt: str, start: int, end: int, new: str) -> str:
    """`new` with a space where its Latin letters would run into others, or into digits."""
    latin = re.compile(r"[A-Za-z0-9]{2}")
    before = " " if latin.fullmatch(prompt[start - 1 : start] + new[:1]) else ""
    after = " " if latin.fullmatch(new[-1:] + prompt[end : end + 1]) else ""
    return before + new + after
