"""Puts known defects into a corpus, so that anyone can measure on data of their own what the rules find.

    python -m tests.inject IN.json OUT.json --seed 7 --share 0.1

IN is an array (or lines) of Alpaca or messages records, Chinese or English. OUT holds every record of IN, some of them
damaged or copied; OUT with the ending `.truth.jsonl` says for each touched record its number in OUT (from 1), its kind and
which rule or reason should find it. The same seed and input give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A record that takes part: its texts and its language (zh, en)."""

    record: Record
    prompt: str
    answer: str
    language: str


@dataclass
class Corpus:
    """What a defect may need beside its own record."""

    cases: list[Case]
    rng: random.Random
    evaluation: dict[str, list[str]] = field(default_factory=dict)
    used: int = 0

    def number(self) -> int:
        self.used += 1
        return self.used


@dataclass(frozen=True)
class Kind:
    """A defect: what makes it (None: this record does not lend itself), what should find it, where it makes sense."""

    make: Callable[[Case, Corpus], Record | str | None]
    expect: tuple[str, ...]  # rules or reasons, any of which counts
    languages: tuple[str, ...] = ("zh", "en")
    copies: bool = False  # the result is put in beside its record, which stays as it is
    group: int = 1  # so many records in a row get the same answer


def case(record: Record) -> Case | None:
    """The record's last prompt and answer; None for records with tools, history or nothing said."""
    if isinstance(record.get("messages"), list):
        turns = record["messages"]
        if [t.get("role") for t in turns][-2:] != ["user", "assistant"] or record.get("tools") or len(turns) > 3:
            return None
        prompt, answer = turns[-2].get("content"), turns[-1].get("content")
    else:
        if record.get("history"):
            return None
        prompt = "\n\n".join(p for p in (record.get("instruction"), record.get("input")) if p)
        answer = record.get("output")
    if not isinstance(prompt, str) or not isinstance(answer, str) or not answer.strip():
        return None
    han = len(re.findall("[㐀-鿿]", answer + prompt))
    latin = len(re.findall("[A-Za-z]+", answer + prompt))
    if han > 4 * latin:
        return Case(record, prompt, answer, "zh")
    return Case(record, prompt, answer, "en") if latin > 20 * han else None


def changed(row: Case, prompt: str | None = None, answer: str | None = None, **other: Any) -> Record:
    """The record with another last prompt or answer, and further keys."""
    if isinstance(row.record.get("messages"), list):
        turns = [dict(t) for t in row.record["messages"]]
        turns[-2]["content"] = row.prompt if prompt is None else prompt
        turns[-1]["content"] = row.answer if answer is None else answer
        return {**row.record, "messages": turns, **other}
    new = {**row.record, **other}
    if prompt is not None:
        new |= {"instruction": prompt, "input": ""}
    if answer is not None:
        new["output"] = answer
    return new


def prose(row: Case, least: int = 250) -> bool:
    """True for an answer in running text: some sentences, no code, list, verse or label."""
    size = len(row.answer) * (2.5 if row.language == "zh" else 1)
    lines = [line for line in row.answer.split("\n") if line.strip()]
    listed = sum(bool(re.match(r"\s*(?:[-*•|#\d]|[一二三四五六七八九十]+、)", line)) for line in lines)
    verse = re.search(
        r"(?i)\b(?:poem|song|haiku|verse|lyrics|rhyme|tweet|titles?|headline)\b|诗|歌|对联|标题|题目|口号", row.prompt
    )
    long_lines = all(len(line) > (25 if row.language == "zh" else 60) for line in lines)
    return (
        size >= least
        and not listed
        and not verse
        and long_lines
        and not re.search(r"[`{}=<>_|]", row.answer + row.prompt)
    )


def plain_request(row: Case) -> bool:
    """True when nothing in the request bears on language, code, form or a role: a defect there has no excuse."""
    said = row.prompt
    if row.language == "zh":
        return not re.search(
            r"[A-Za-z]|译|文|语|句|词|字|代码|程序|算法|函数|公式|标签|扮演|你是|模板|表|格式|填|改写|[“\"]", said
        )
    return said.isascii() and not re.search(
        r"(?i)translat|language|english|french|spanish|chinese|code|program|function|algorithm|python|sql|html"
        r"|regex|web|template|form"
        r"|blank|pretend|imagine|act as|you are|italian|german|japanese|greek|word|sentence|tag|latex|script"
        r"|dialog|stor(?:y|ies)|\"|quote|:",
        said,
    )


def harmless(row: Case) -> bool:
    return plain_request(row) and not re.search(
        r"(?i)kill|drug|weapon|hack|steal|sex|hate|illegal|poison|bomb|fake|fraud|password|cheat|abuse|danger"
        r"|attack|crime|politic"
        r"|毒|枪|杀|黑客|偷|骗|假|违法|炸|密码|性|攻击|犯罪|政治|隐私|病毒",
        row.prompt,
    )


def broken_json(row: Case, corpus: Corpus) -> str:
    """A record cut short, as a crashed writer leaves it."""
    text = json.dumps(row.record, ensure_ascii=False)
    return text[: len(text) * 2 // 3].rstrip("\\")


def missing_answer(row: Case, corpus: Corpus) -> Record | None:
    if "output" in row.record:
        return {k: v for k, v in row.record.items() if k != "output"}
    return {**row.record, "messages": row.record["messages"][:-1]}


def as_messages(row: Case, *turns: tuple[str, str], **other: Any) -> Record:
    return {"messages": [{"role": role, "content": content} for role, content in turns], **other}


def unknown_role(row: Case, corpus: Corpus) -> Record:
    return as_messages(
        row, ("user", row.prompt), ("narrator" if row.language == "en" else "旁白", "…"), ("assistant", row.answer)
    )


def two_system_turns(row: Case, corpus: Corpus) -> Record:
    said = ("Be brief.", "Be polite.") if row.language == "en" else ("回答要简短。", "语气要客气。")
    return as_messages(row, ("system", said[0]), ("system", said[1]), ("user", row.prompt), ("assistant", row.answer))


def exact_copy(row: Case, corpus: Corpus) -> Record:
    return changed(row, origin="log")


def recased_copy(row: Case, corpus: Corpus) -> Record:
    if row.language == "en":
        return changed(row, prompt=row.prompt.upper(), answer=row.answer.replace(" ", "  ").swapcase(), origin="log")
    wide = str.maketrans("，。！？：；", ",.!?:;")
    return changed(row, prompt=row.prompt.translate(wide), answer=row.answer.translate(wide), origin="log")


def near_copy(row: Case, corpus: Corpus) -> Record | None:
    """Two units in a row changed in the middle of a text of at least 120."""
    units = re.findall(r"[㐀-鿿]|[A-Za-z]+", row.answer)
    if len(units) < 120:
        return None
    middle = len(row.answer) // 2
    if row.language == "zh":
        answer = re.compile("[㐀-鿿]{2}").sub("此处", row.answer[middle:], count=1)
    else:
        answer = re.compile(r"(?<= )[A-Za-z]{4,}(?= )").sub("certain", row.answer[middle:], count=1)
    return changed(row, answer=row.answer[:middle] + answer, origin="log")


_SYNONYMS = (
    ("such as", "for example"), ("helps", "assists"), ("help", "assist"), ("many", "numerous"), ("important", "essential"),
    ("also", "in addition"), ("because", "since"), ("can be", "may be"), ("it is", "it's"), ("do not", "don't"), ("various", "different"),
    ("including", "among them"), ("use", "utilize"), ("shows", "demonstrates"), ("large", "big"), ("begin", "start"), ("people", "persons"),
    ("provide", "offer"), ("ensure", "make sure"), ("improve", "enhance"), ("reduce", "lower"), ("difficult", "hard"),
)  # fmt: skip


def paraphrased_copy(row: Case, corpus: Corpus) -> Record | None:
    """English: synonyms and contractions all over; Chinese: sentences in another order and some words changed."""
    if row.language == "zh":
        parts = [p for p in row.answer.split("。") if p.strip()]
        if len(parts) < 3:
            return None
        return changed(
            row, prompt=f"请教一下：{row.prompt}", answer="。".join(parts[1:] + parts[:1]) + "。", origin="log"
        )
    answer, places = row.answer, 0
    for old, new in _SYNONYMS:
        answer, count = re.subn(rf"\b{old}\b", new, answer)
        places += count
    if places < 3 or len(row.answer) < 400 or not prose(row):
        return None
    return changed(row, prompt=f"Please {row.prompt[0].lower()}{row.prompt[1:]}", answer=answer, origin="log")


def mojibake(row: Case, corpus: Corpus) -> Record | None:
    """UTF-8 read as Windows-1252, where undefined bytes pass through as browsers have it."""
    answer = row.answer.replace("'", "’").replace(" - ", " – ")
    if answer.isascii() or not prose(row):
        return None
    data = answer.encode()
    return changed(row, answer="".join(_cp1252(b) for b in data))


def _cp1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def gbk_as_latin(row: Case, corpus: Corpus) -> Record | None:
    text = re.sub(r"[\s\x00-\x7f]", "", row.answer)[:80]
    try:
        data = text.encode("gb2312")
    except UnicodeEncodeError:
        return None
    return changed(row, answer=data.decode("latin-1")) if len(text) > 20 and prose(row) else None


def replacement(row: Case, corpus: Corpus) -> Record:
    mark = "锟斤拷" if row.language == "zh" else "\ufffd\ufffd"
    middle = len(row.answer) // 2
    return changed(row, answer=row.answer[:middle] + mark + row.answer[middle:])


def invisible(row: Case, corpus: Corpus) -> Record:
    middle = len(row.answer) // 2
    return changed(row, answer=row.answer[:middle] + "\u200b" + row.answer[middle:] + "\x07")


def empty_answer(row: Case, corpus: Corpus) -> Record:
    return changed(row, answer=corpus.rng.choice(["", "  ", "\n", "…"]))


def empty_prompt(row: Case, corpus: Corpus) -> Record:
    return changed(row, prompt=corpus.rng.choice(["", "  ", "\n"]))


def endless(row: Case, corpus: Corpus) -> Record:
    piece = row.answer.strip()[: 14 if row.language == "zh" else 50]
    return changed(row, answer=row.answer.strip() + "\n" + (piece + " ") * 30)


def cut_off(row: Case, corpus: Corpus) -> Record | None:
    """Cut inside the last third of a text, at least eight words or twelve characters after a full stop."""
    if not prose(row):
        return None
    ends = [m.end() for m in re.finditer(r"[.!?](?=\s)|[。！？]", row.answer)]
    for end in reversed(ends):
        rest = row.answer[end:].split("\n")[0]
        word = re.match(r"\s*(?:[\w'’-]+,? ){9}" if row.language == "en" else r"[㐀-鿿，、]{14}", rest)
        if word and end > len(row.answer) / 3:
            return changed(row, answer=(row.answer[:end] + word[0]).rstrip(" ,，、"))
    return None


_OTHER_TONGUE = {
    "en": "这要从几个方面来看。首先要弄清楚目的是什么，其次看手边有哪些条件，再决定先做哪一步。"
    "做完以后回头检查，把不合适的地方改过来，下一次就会顺利得多。",
    "zh": "It depends on a few things. First decide what you want to achieve, then look at what is at hand, and only then choose "
    "where to begin. Check the result when you are done, mend what does not fit, and the next attempt will go far more smoothly.",
}


def wrong_language(row: Case, corpus: Corpus) -> Record | None:
    if not plain_request(row) or len(row.prompt) < 8:
        return None
    return changed(row, answer=f"{_OTHER_TONGUE[row.language]} ({corpus.number()})")


def echo(row: Case, corpus: Corpus) -> Record | None:
    closed = re.search(r"[.?!。？！]$", row.prompt.strip())
    asked = re.search(r"(?i)repeat|say|complete|continue|copy|重复|续写|补全|接着|照|说", row.prompt)
    return changed(row, answer=row.prompt) if closed and not asked and len(row.prompt) >= 20 else None


_REFUSALS = {
    "en": (
        "I'm sorry, but I cannot assist with that request.",
        "As an AI language model, I am unable to help with this.",
        "I apologize, but I can't provide an answer to that. Is there anything else you would like to know?",
    ),
    "zh": (
        "抱歉，我无法回答这个问题。",
        "作为一个人工智能语言模型，我不能提供这方面的帮助。",
        "很抱歉，我无法满足您的请求，请换一个话题。",
    ),
}


def refusal(row: Case, corpus: Corpus) -> Record | None:
    return changed(row, answer=corpus.rng.choice(_REFUSALS[row.language])) if harmless(row) else None


_IDENTITIES = {
    "en": (
        "I am ChatGPT, a language model trained by OpenAI. ",
        "As Claude, an AI assistant made by Anthropic, I can tell you this. ",
        "I was developed by Google. ",
    ),
    "zh": ("我是文心一言，由百度研发。", "我是由OpenAI训练的语言模型。", "作为通义千问，我来回答。"),
}


def identity(row: Case, corpus: Corpus) -> Record | None:
    return (
        changed(row, answer=corpus.rng.choice(_IDENTITIES[row.language]) + row.answer) if plain_request(row) else None
    )


_BLANKS = {
    "en": (
        "\n\nBest regards,\n[Your Name]",
        " Please contact [Insert Company Name] to learn more.",
        " Ask {{contact_name}} for the rest.",
    ),
    "zh": ("\n\n此致\n[您的姓名]", "详情请咨询XXX公司。", "具体时间为【请填写日期】。"),
}


def placeholder(row: Case, corpus: Corpus) -> Record | None:
    return changed(row, answer=row.answer + corpus.rng.choice(_BLANKS[row.language])) if plain_request(row) else None


def markup(row: Case, corpus: Corpus) -> Record | None:
    if not (plain_request(row) and prose(row)):
        return None
    style = corpus.rng.randrange(3)
    if style == 0:
        return changed(row, answer=f"<p>{row.answer}</p>")
    if style == 1:
        return changed(row, answer=row.answer.replace("," if row.language == "en" else "，", "&nbsp;", 2) + "<br>")
    return changed(row, answer=row.answer + "<|im_end|>")


def too_short(row: Case, corpus: Corpus) -> Record | None:
    asked = re.search(
        r"(?i)^(?:write|compose) (?:an?|the) .{0,30}(?:essay|article|story|report|speech)|^(?:explain|describe"
        r"|discuss) (?:how|why|the)"
        r"|^(?:写|撰写)一篇.{0,12}(?:文章|作文|故事|报告|演讲)|^(?:解释|说明|阐述|描述)(?:一下)?(?!.{0,12}(?:词|句))",
        row.prompt,
    )
    brief = re.search(r"(?i)word|sentence|brief|short|title|term|name|phrase|简短|一句|词|标题|名|句|字", row.prompt)
    long_enough = len(row.answer) > (80 if row.language == "zh" else 250)
    if not asked or brief or not long_enough:
        return None
    return changed(row, answer="Very useful." if row.language == "en" else "很重要。")


def too_long(row: Case, corpus: Corpus) -> Record:
    """Many different answers of the corpus, one after another: long, and not repetitive."""
    pool = [c.answer for c in corpus.cases if c.language == row.language and prose(c)]
    corpus.rng.shuffle(pool)
    text = row.answer
    while len(re.findall(r"[㐀-鿿]", text)) + 2 * len(re.findall(r"[A-Za-z]+", text)) < 2700 and pool:
        text += "\n\n" + pool.pop()
    return changed(row, answer=text)


def _luhn(digits: str) -> str:
    doubled = [int(d) * (2 - i % 2) for i, d in enumerate(reversed(digits))]
    return digits + str(-sum(d - 9 * (d > 9) for d in doubled) % 10)


def _id_card(digits: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11]


def private(row: Case, corpus: Corpus) -> Record | None:
    """An address, number or key; all invented, with valid check digits, numbers from ranges set aside for fiction."""
    n = corpus.number()
    said: dict[str, tuple[str, ...]] = {
        "en": (
            f" Write to clerk{n}@kestrelyard.net for more.",
            f" Call +44 20 7946 {900 + n % 99:04d} in the morning.",
            f" It was paid with card {_luhn('4532015112830' + f'{n % 100:02d}')}.",
            f" The API key is sk-Tq7Lw2VzR9mXc4HbN8yKd3PfJ6sGu{n:04d}.",
        ),
        "zh": (
            f"详情请发邮件到 banshi{n}@liangcang-yd.cn。",
            f"也可以拨打手机 1391234{5000 + n:04d}。",
            f"登记的身份证号是 {_id_card('110101190003' + f'{n % 28 + 1:02d}' + '728')}。",
            f"款项退到银行卡 {_luhn('6217001234567009' + f'{n % 100:02d}')}。",
        ),
    }
    return changed(row, answer=row.answer + corpus.rng.choice(said[row.language])) if plain_request(row) else None


def forbidden_license(row: Case, corpus: Corpus) -> Record:
    return changed(row, license="proprietary")


def contaminated(row: Case, corpus: Corpus) -> Record | None:
    texts = corpus.evaluation.get(row.language)
    if not texts:
        return None
    item = corpus.rng.choice(texts)
    return changed(row, prompt=f"{row.prompt} {item}" if corpus.rng.random() < 0.5 else item.upper())


_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "looks a term up",
        "parameters": {"type": "object", "properties": {"term": {"type": "string"}}, "required": ["term"]},
    },
}


def tool_call(row: Case, corpus: Corpus) -> Record:
    broken = corpus.rng.choice(
        [
            ("look_up", '{"term": "x"'),
            ("look_up", "{'term': 'x'}"),
            ("look_up", "{}"),
            ("search_web", '{"term": "x"}'),
            ("look_up", "[1]"),
        ]
    )
    call = {"id": "call_1", "type": "function", "function": {"name": broken[0], "arguments": broken[1]}}
    return {
        "messages": [
            {"role": "user", "content": row.prompt},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "name": broken[0], "content": '{"ok": true}'},
            {"role": "assistant", "content": row.answer},
        ],
        "tools": [_TOOL],
    }


def ungrounded(row: Case, corpus: Corpus) -> Record | None:
    if not (prose(row, 120) and plain_request(row)):
        return None
    if corpus.rng.random() < 0.5:
        if row.language == "en":
            return changed(
                row,
                f"Search results: (none)\n\nQuestion: {row.prompt}",
                f"According to the search results, {row.answer}",
            )
        return changed(row, f"检索结果：（无）\n\n问题：{row.prompt}", f"根据检索结果，{row.answer}")
    head = (
        "Snippets:\n[1] A first note.\n[2] A second note."
        if row.language == "en"
        else "参考资料：\n[1] 第一条记录。\n[2] 第二条记录。"
    )
    stop = "." if row.language == "en" else "。"
    return changed(row, f"{head}\n\n{row.prompt}", row.answer.rstrip(".。 ") + f" [5]{stop}")


def half_width(row: Case, corpus: Corpus) -> Record | None:
    if not prose(row) or not plain_request(row) or row.answer.count("，") < 3:
        return None
    return changed(row, answer=row.answer.translate(str.maketrans("，？！；", ",?!;")))


_STOCK = {
    "en": "Thank you for your question. Please consider all the relevant factors and choose the option that suits you best.",
    "zh": "感谢您的提问，请综合考虑各方面因素，选择最适合您的方案。",
}


def same_answer(row: Case, corpus: Corpus) -> Record | None:
    open_ended = re.search(
        r"(?i)^(?:how|why|explain|describe|suggest|what are)\b|^(?:如何|为什么|解释|描述|怎么|怎样|说明)", row.prompt
    )
    return changed(row, answer=_STOCK[row.language]) if open_ended and harmless(row) and len(row.prompt) > 8 else None


KINDS: dict[str, Kind] = {
    "broken_json": Kind(broken_json, ("broken_json",)),
    "missing_answer": Kind(missing_answer, ("missing_answer",)),
    "unknown_role": Kind(unknown_role, ("unknown_role",)),
    "two_system_turns": Kind(two_system_turns, ("two_system_turns",)),
    "empty_answer": Kind(empty_answer, ("empty_answer",)),
    "empty_prompt": Kind(empty_prompt, ("empty_prompt",)),
    "exact_copy": Kind(exact_copy, ("exact_duplicate",), copies=True),
    "recased_copy": Kind(recased_copy, ("exact_duplicate",), copies=True),
    "near_copy": Kind(near_copy, ("near_duplicate",), copies=True),
    "paraphrased_copy": Kind(paraphrased_copy, ("near_duplicate", "semantic_duplicate"), copies=True),
    "mojibake": Kind(mojibake, ("mojibake",)),
    "gbk_as_latin": Kind(gbk_as_latin, ("mojibake",), languages=("zh",)),
    "replacement": Kind(replacement, ("broken_characters",)),
    "invisible": Kind(invisible, ("control_characters",)),
    "repetition": Kind(endless, ("repetition",)),
    "cut_off": Kind(cut_off, ("unfinished_answer",)),
    "wrong_language": Kind(wrong_language, ("wrong_language",)),
    "prompt_echo": Kind(echo, ("prompt_echo",)),
    "refusal": Kind(refusal, ("refusal_boilerplate",)),
    "identity": Kind(identity, ("other_identity",)),
    "placeholder": Kind(placeholder, ("placeholder_left",)),
    "markup": Kind(markup, ("markup_debris", "end_tokens")),
    "too_short": Kind(too_short, ("too_short",)),
    "too_long": Kind(too_long, ("too_long",)),
    "private": Kind(private, ("pii",)),
    "license": Kind(forbidden_license, ("disallowed_license",)),
    "contaminated": Kind(contaminated, ("contaminated",)),
    "tool_call": Kind(tool_call, ("invalid_tool_call",)),
    "ungrounded": Kind(ungrounded, ("ungrounded_citation",)),
    "half_width": Kind(half_width, ("format",), languages=("zh",)),
    "same_answer": Kind(same_answer, ("homogeneous_answer",), group=6),
}


@dataclass(frozen=True)
class Truth:
    """What was done to a record of the output."""

    record: int  # from 1
    kind: str
    language: str
    expect: tuple[str, ...]


def inject(
    records: Sequence[Record], seed: int, share: float, evaluation: Path | None = None
) -> tuple[str, list[Truth]]:
    """(text of a JSON array in which `share` of the records are damaged, truth by record). Each kind comes equally often."""
    rng = random.Random(seed)
    places = {i: found for i, record in enumerate(records) if (found := case(record))}
    corpus = Corpus(list(places.values()), rng, _evaluation(evaluation))
    twice = _repeated(corpus.cases)
    free = [i for i in places if places[i].prompt not in twice]
    rng.shuffle(free)
    damaged: dict[int, tuple[str, Record | str]] = {}
    beside: dict[int, tuple[str, Record | str]] = {}
    wanted, idle = round(share * len(records)), 0
    names = list(KINDS)
    for turn in range(10 * wanted):
        if len(damaged) + len(beside) >= wanted or idle > len(names):
            break
        name = names[turn % len(names)]
        made = 0
        for i in list(free):
            row = places[i]
            if row.language not in KINDS[name].languages:
                continue
            result = KINDS[name].make(row, corpus)
            if result is None:
                continue
            (beside if KINDS[name].copies else damaged)[i] = (name, result)
            free.remove(i)
            made += 1
            if made == KINDS[name].group:
                break
        idle = 0 if made else idle + 1
    return _written(records, places, damaged, beside)


def _repeated(cases: Sequence[Case]) -> set[str]:
    seen: set[str] = set()
    return {c.prompt for c in cases if c.prompt in seen or seen.add(c.prompt)}  # type: ignore[func-returns-value]


def _written(
    records: Sequence[Record],
    places: dict[int, Case],
    damaged: dict[int, tuple[str, Record | str]],
    beside: dict[int, tuple[str, Record | str]],
) -> tuple[str, list[Truth]]:
    lines: list[str] = []
    truth: list[Truth] = []

    def put(value: Record | str, name: str | None, language: str) -> None:
        lines.append(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        if name:
            kind = KINDS[name]
            truth.append(Truth(len(lines), name, language, kind.expect))

    for i, record in enumerate(records):
        language = places[i].language if i in places else ""
        name, value = damaged.get(i, (None, record))
        put(value, name, language)
        if i in beside:
            put(beside[i][1], beside[i][0], language)
    return "[\n" + ",\n".join(lines) + "\n]\n", truth


def _evaluation(folder: Path | None) -> dict[str, list[str]]:
    """Language → prompts of evaluation sets that are long enough to be looked for."""
    found: dict[str, list[str]] = {"zh": [], "en": []}
    for path in sorted(folder.glob("*.jsonl")) if folder else []:
        for line in path.read_text(encoding="utf-8").splitlines():
            prompt = json.loads(line).get("prompt") if line.strip() else None
            if isinstance(prompt, str) and len(prompt) >= 20:
                found["zh" if re.search("[㐀-鿿]", prompt) else "en"].append(prompt)
    return found


def read(path: Path) -> list[Record]:
    """Records of a JSON array or of JSON lines."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        return [r for r in json.loads(text) if isinstance(r, dict)]
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--evaluation", type=Path, default=ROOT / "data/evaluation")
    given = parser.parse_args()
    text, truth = inject(read(given.source), given.seed, given.share, given.evaluation)
    given.target.write_text(text, encoding="utf-8")
    lines = [json.dumps(t.__dict__, ensure_ascii=False) for t in truth]
    given.target.with_suffix(".truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{given.target}: {len(truth)} records damaged or added, of {len({t.kind for t in truth})} kinds")


if __name__ == "__main__":
    main()
