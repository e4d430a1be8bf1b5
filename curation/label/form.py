"""The form of a row: which part of the prompt asks, which is material, and what prompt and answer look like.

A request phrase means something only where the request stands: "translate" inside a quoted letter asks for nothing.
So a prompt is split into the ask (its first and last short paragraph) and the material (long quotes, fenced code,
the paragraphs between), and phrases are looked for in the ask alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.label import words

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTE = re.compile(r"“[^”]{25,}”|\"[^\"]{40,}\"|「[^」]{25,}」")
_BLOCK = re.compile(
    r"\n\s*\n|\n(?=(?:输入|文本|材料|文章|原文|资料|消息|input|text|passage|context|sentence)\s*[:：])", re.IGNORECASE
)
_GIVEN = re.compile(
    r"(?:输入|文本|材料|文章|原文|资料|input|text|passage|context|content|sentence|article|doc to summarize|d)\s*[:：]",
    re.IGNORECASE,
)
_INPUT = re.compile(r"\S\s*\n\s*\S|[:：][ \t]*\S|[“\"「][^”\"」]{3,}[”\"」]|[a-z][.!?]['\"]?[a-z\"]")
_NO_INPUT = re.compile(r"\n+\s*(?:no ?input\.?|无输入|<no ?input>)\s*$", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[a-z]+")
_NUMBER = re.compile(r"\d[\d,.]*")
_SPEAKER = re.compile(r"(?:^|\n)[“\"]?[^\n:：,，。?？!！]{1,14}[:：] ?\S")
_SOURCES = re.compile(r"[\[【［(](\d)[\]】］)]")
_CITED = re.compile(r"[\[【［]\d[\]】］]")
_CODE_LINE = re.compile(
    r"(?:^|\n)\s*(?:def \w+\(|class \w+[:(]|import \w+|from \w+ import|for \w+ in .+:|while .+:|if .+:\s*\n|print\(|return |"
    r"select .+ from|insert into|create table|function \w*\(|(?:const|let|var) \w+ ?=|\w+ = [\[{\"'(]|#include|public |\w+\.\w+\()"
)
_EQUATION = re.compile(r"\d\s*[×x*÷/+\-−^=＝]\s*\(?[\d.]+|[a-z]\s*[+\-−=＝^²³]\s*\d|\d[a-z]\b")
_LIST_ITEM = re.compile(r"(?:^|\n)\s*(?:\d+[.)、]|[-*•]|[a-h][.)])\s*\S")
_OPTION = re.compile(r"(?:^|\n|\s)[a-d][.):：、]\s*\S", re.IGNORECASE)
_SLASHED = re.compile(r"\S+ ?/ ?\S+ ?/ ?\S+|[\w]+(?:、[\w]+){2,}|\[[a-z_]+(?:, ?[a-z_]+){2,}\]|\w+(?:, \w+)+,? or \w+")
_STRUCTURE = re.compile(r"^\s*(?:```(?:json|ya?ml|csv|xml)|[\[{]\s*[\"{\[\n]|\|.+\|\s*\n)", re.IGNORECASE)
_TURN_OF_TOPIC = re.compile(
    r"unrelated|different (?:question|topic|subject)|by the way|btw|anyway|change of (?:topic|subject)|speaking of which|"
    r"on another note|off topic|something else|now (?:for|to) something|now i need|other thing|one more thing entirely|"
    r"换个话题|换个问题|另外问|另一件事|话说|对了|突然想|先不说|说正事|不说这个|扯远|题外话|跑题|言归正传|顺便问|顺便再|插一句|说起"
)
_SETTING_UP = re.compile(
    r"from now on|whenever i|i(?:'ll| will) (?:send|paste|give)|next i|in a moment|等下|等会|待会|接下来我|一会儿我?[给发]|以后我|从现在开始"
)


_OPENINGS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("answer_quoted", r"^[\"“《*]"),
        (
            "answer_agrees",
            r"^(?:是的|确实|没错|对|您说的|听起来|很高兴|真不错|太好了|哈|yes[,!]|that'?s (?:great|wonderful|true)|sounds)",
        ),
        (
            "answer_lacks",
            r"(?:没有|未)(?:给|提供|说)|请(?:提供|您?告诉)|您(?:没有|需要)|please provide|not (?:enough|provided)|could you please|no input",
        ),
        (
            "answer_machine",
            r"作为一?(?:个|名)?(?:人工智能|ai|语言|文本)|我是一个|as an? (?:ai|language|large)|i'?m an ai|i am an? (?:ai|large)|\{\{name\}\}",
        ),
        ("answer_sorry", r"^(?:抱歉|对不起|不好意思|很抱歉|i'?m sorry|i am sorry|sorry|unfortunately)"),
        (
            "answer_given",
            r"^(?:这个|该|给定|此|the (?:given|sentence|word|phrase|text|statement|tone|type|sentiment|poem|passage))",
        ),
        ("answer_here", r"^(?:here(?: is|'s| are)|以下是|下面是|这(?:里有|是一)|sure|certainly|of course|当然|好的)"),
        (
            "answer_once",
            r"^(?:once upon|从前|很久|有一天|在一个|one (?:day|morning|night)|there once|title[:：]|标题[:：])",
        ),
        ("answer_output", r"^(?:输出|output)\s?[:：]"),
        ("answer_one", r"^(?:1[.、)]|一[、，]|-|•|\*)"),
        ("answer_in", r"^(?:一种|一个|one (?:possible|of|way)|there (?:are|is)|有(?:许多|很多|几|一些))"),
        ("answer_number", r"^[$¥€£]?\d"),
    )
)


@dataclass(frozen=True, slots=True)
class Form:
    """What the phrases and the exemplars are held against; all text is lower case, cut to a few hundred characters."""

    ask: str  # the request: its first paragraph, and the one after the material
    body: str  # the whole first request, material included
    system: str
    answer: str
    turns: str  # the later user turns
    marks: frozenset[str]


def read(messages: Sequence[Mapping[str, Any]]) -> Form:
    """The form of a conversation. Marks name what is seen, such as `material`, `answer_code`, `sources`."""
    system = _plain("\n".join(m["content"] or "" for m in messages if m["role"] == "system"))[:1500]
    users = [_plain(m["content"] or "") for m in messages if m["role"] == "user"]
    answers = [_plain(m["content"] or "") for m in messages if m["role"] == "assistant"]
    users = users or [""]
    first = users[0]
    answer = answers[0] if answers else ""
    if len(users) > 1 and _SETTING_UP.search(first) and len(first) < 200:
        first = f"{first}\n\n{users[1]}"
        answer = answers[1] if len(answers) > 1 else answer
    first = _NO_INPUT.sub("", first)
    head, tail, material, marks = _split(first[:6000])
    marks |= _shape(first, material, answer, head) | words.marks(head or tail)
    if len(users) > 1:
        marks.add("turns")
        if any(_TURN_OF_TOPIC.search(u[:120]) for u in users[1:]):
            marks.add("turn_of_topic")
        if _drift([_plain(m["content"] or "") for m in messages if m["role"] in ("user", "assistant")], users):
            marks.add("drift")
    later = "\n".join(u[:200] for u in users[1:])[:800]
    return Form(f"{head}\n{tail}".strip(), first[:2500], system, answer[:700], later, frozenset(marks))


def _plain(text: str) -> str:
    """Lower case, straight apostrophes, no end-of-text marker: one spelling for the patterns."""
    return text.replace("<|endoftext|>", "").replace("’", "'").replace("\\n", "\n").lower().strip()


def _split(first: str) -> tuple[str, str, str, set[str]]:
    marks: set[str] = set()
    material: list[str] = []

    def keep(match: re.Match[str]) -> str:
        material.append(match.group())
        return " … "

    if "```" in first:
        marks.add("prompt_code")
        rest = _FENCE.sub(keep, first)
    else:
        rest = first
    quoted = _QUOTE.sub(keep, rest)
    if len(quoted) < len(rest):
        marks.add("quote")
    blocks = [b.strip() for b in _BLOCK.split(quoted) if b.strip(" …\n")]
    if not blocks:
        return quoted.strip()[:400], "", "\n".join(material), marks
    if len(blocks) == 1 and len(blocks[0]) > 260 and "\n" in blocks[0]:
        lines = [line for line in blocks[0].split("\n") if line.strip()]
        blocks = [lines[0], "\n".join(lines[1:-1]), lines[-1]] if len(lines) > 2 else lines
        blocks = [b for b in blocks if b]
    asks = []
    bare = _given_silently(blocks)
    for place, block in enumerate(blocks):
        given = place == bare or bool(_GIVEN.match(block)) or len(_SPEAKER.findall(block)) >= 3
        ends = place in (0, len(blocks) - 1)
        if ends and not given and len(block) <= 330:
            asks.append(block)
        elif len(blocks) == 1:
            asks.append(f"{block[:230]}\n{block[-170:]}" if len(block) > 400 else block)
            if len(block) > 330:
                material.append(block)
        elif ends and place == 0 and given and len(block) <= 200 and not material:
            asks.append(block)
        else:
            material.append(block)
    if not asks:
        asks = [f"{blocks[0][:160]}", blocks[-1][-200:]]
    return asks[0][:400], asks[-1][:330] if len(asks) > 1 else "", "\n".join(material), marks


def _given_silently(blocks: Sequence[str]) -> int | None:
    """The end block that is material though nothing says so: the longer one, when the other can be the request by itself."""
    if len(blocks) < 2:
        return None
    first, last = blocks[0], blocks[-1]
    if len(last) > 90 and len(first) < len(last) and not re.search(r"[?？]", last[-90:]):
        return len(blocks) - 1
    if len(first) > 90 and len(last) < len(first) and re.search(r"[?？]", last) and not re.search(r"[?？]", first):
        return 0
    return None


def _shape(first: str, material: str, answer: str, head: str) -> set[str]:
    marks: set[str] = set()
    start = answer[:600]
    han, answer_han = _han_share(head), _han_share(start)
    if len(material) >= 30:
        marks.add("material")
        if len(material) >= 250:
            marks.add("long_material")
    if _INPUT.search(first) or len(material) >= 30:
        marks.add("input")
    if len(_SPEAKER.findall(material or first)) >= 4:
        marks.add("speakers")
    if len(set(_SOURCES.findall(first))) >= 2:
        marks.add("sources")
    if _CITED.search(answer):
        marks.add("cited")
    if _CODE_LINE.search(first):
        marks.add("prompt_code")
    if "```" in answer or _CODE_LINE.search(start):
        marks.add("answer_code")
    if _STRUCTURE.search(start):
        marks.add("answer_structure")
    numbers = len(_NUMBER.findall(first[:1500]))
    if numbers >= 2:
        marks.add("numbers")
    if _EQUATION.search(first[:600]):
        marks.add("prompt_equation")
    if len(_EQUATION.findall(start)) >= 2:
        marks.add("answer_equation")
    if answer and len(answer) <= (30 if answer_han > 0.3 else 60):
        marks.add("short_answer")
        if numbers >= 2 and _NUMBER.search(answer):
            marks.add("number_answer")
        if answer.strip(" .。\"'“”") in first:
            marks.add("answer_in_prompt")
    if len(_OPTION.findall(first[-900:])) >= 3:
        marks.add("options")
    if _SLASHED.search(first):
        marks.add("labels")
    if len(_LIST_ITEM.findall(answer[:1500])) >= 3:
        marks.add("answer_list")
    lines = [line for line in answer[:800].split("\n") if line.strip()]
    if len(lines) >= 3 and sum(len(line) for line in lines) / len(lines) < (16 if answer_han > 0.3 else 48):
        marks.add("answer_verse")
    marks.update(name for name, pattern in _OPENINGS if pattern.search(answer[:160]))
    marks.add(f"answer_size:{min(6, len(answer).bit_length() - (3 if answer_han > 0.3 else 4)) if answer else 'none'}")
    source_han = _han_share(material) if material else han
    if answer and source_han > 0.4 and answer_han < 0.1:
        marks.add("from_han")
    if answer and source_han < 0.05 and answer_han > 0.4 and _LATIN.search(material or head):
        marks.add("into_han")
    if answer and han < 0.05 and source_han > 0.4 and answer_han < 0.1:
        marks.add("from_han")
    if material and answer:
        marks |= _kinship(material, answer)
    if not re.search(r"[?？]", first):
        marks.add("no_question")
    if len(first) <= (26 if han > 0.3 else 60):
        marks.add("brief")
    return marks


def _kinship(material: str, answer: str) -> set[str]:
    """How the answer stems from the material: share of its 4-grams found there, and the ratio of lengths."""
    source, made = material[:2500], answer[:1200]
    grams = {made[i : i + 4] for i in range(len(made) - 3)}
    if not grams:
        return set()
    known = {source[i : i + 4] for i in range(len(source) - 3)}
    share = len(grams & known) / len(grams)
    ratio = len(answer) / max(1, len(material))
    marks = set()
    if share > 0.35 and 0.55 < ratio < 1.8:
        marks.add("reworded")
    if 0.04 < ratio < 0.5 and len(material) >= 200 and share > 0.15:
        marks.add("condensed")
    if share > 0.6 and ratio < 0.7:
        marks.add("picked_out")
    return marks


def _han_share(text: str) -> float:
    han = len(_HAN.findall(text))
    return han / max(1, han + len(_LATIN.findall(text)))


def _drift(said: Sequence[str], users: Sequence[str]) -> bool:
    """True when a later turn of the user shares almost no word with anything that was said before it, by either side."""
    known: set[str] = set()
    asked = set(users[1:])
    for turn in said:
        found = _words(turn)
        if turn in asked and known and len(found) >= 6 and len(found & known) / len(found) < 0.2:
            return True
        known |= found
    return False


_COMMON = frozenset(
    "the a an and or to of in is it i you my for on that this be with as at so are was have do not can me we what".split()
)


def _words(text: str) -> set[str]:
    text = text[:1200]
    han = "".join(_HAN.findall(text))
    return {w for w in _LATIN.findall(text) if w not in _COMMON} | {han[i : i + 2] for i in range(len(han) - 1)}
