"""Evol-Instruct, in depth: a harder instruction made from a parent's, then its answer; two requests an attempt.

The four operations are WizardLM's in-depth evolving (Xu et al., arXiv 2304.12244, section 3.2), without "complicate
input". The prompts show the operation by examples: small models follow examples where instructions alone are answered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import Field

from curation import records as rec
from curation.params import Params
from curation.progress import Progress
from curation.synthesize.attempt import Attempt, Outcome

if TYPE_CHECKING:
    from curation.completion import Answer, Ask, Request

OPERATIONS = ("constraints", "deepen", "concretise", "reasoning")
PROMPTS = Path(__file__).parent / "prompts"

_TURN = re.compile(r"^\[(system|user|assistant)\]$", re.MULTILINE)
_STOP_TEXT = re.compile(r"(?:<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|</s>)\s*\Z")
_LABEL = re.compile(
    r"\A\W*(?:(?:new|rewritten|created|harder|given)\s+(?:request|prompt|question|instruction)|request"
    r"|新题目?|改写后的题目|原题)\W*[:：]\W*",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\A\W*(?:i['’]?m sorry|i am sorry|sorry,|i can(?:no|['’])t|i (?:am|['’]m) (?:not able|unable)|i['’]m (?:not able|unable)|as an ai"
    r"|as a (?:text-based |large )?(?:ai|language model)|抱歉|对不起|很抱歉|我无法|我不能|作为(?:一个|一名)?(?:AI|人工智能|语言模型))",
    re.IGNORECASE,
)
# In an instruction the first person is the user, who may be sorry or unable: refused is what speaks of the task itself.
_TASK = r"(?:requests?|prompts?|instructions?|questions?|content|information|responses?|rewrites?)\b"
_UNABLE = (
    r"i(?: can(?:no|['’])t| can not| (?:am|was) (?:not able|unable) to|['’]m (?:not able|unable) to|['’]m afraid i can['’]t| won['’]t)"
    r"(?:\s*[.!]|\s*\Z| (?:do (?:that|this|so)\b|(?:help|assist)(?: you)?(?: with (?:that|this|your|the|such)\b|\s*[.!]|\s*\Z)"
    r"|(?:comply|engage|accommodate)\b|(?:re-?write|rephrase|fulfil|fulfill|answer|complete|process|provide|create|generate|write"
    rf"|make|give|offer|produce|modify|change|continue|respond to) (?:(?:the|this|that|your|any|such|an?|new|harder) ){{0,3}}{_TASK}))"
    rf"|as an? (?:text-based |large )?(?:ai|language model)(?: (?:language )?model| assistant)?(?:\s*,| i\b)"
    rf"|i (?:do not|don['’]t) (?:have (?:enough|access|the ability)\b|see (?:a|any|the) {_TASK}|understand (?:the|this|your) {_TASK})"
)
_UNABLE_ZH = (
    r"我?(?:目前|暂时|现在)?还?(?:无法|不能|没办法|没法)(?:直接|继续|再)*(?:"
    r"(?:改写|重写|回答|提供|完成|满足|处理|生成|执行|创作|撰写|给出|讨论|参与|理解)"
    r"(?:(?:这个|这道|这一|这类|该|此|您的|你的|上述|相关|任何)[^，。？！\n]{0,10}?)(?:请求|要求|题目?|问题|指令|内容|信息|任务|话题|建议)"
    r"|(?:帮助|协助)(?:您|你)|为(?:您|你)(?:提供|改写|完成|写|回答|生成)|改写|这[样么]做|做到这一点)"
    r"|作为(?:一个|一名|一款)?(?:AI|人工智能|大?型?语言模型)(?:语言模型|助手|模型)?(?:[，,]|我)"
)
_NO_INSTRUCTION = re.compile(
    rf"\A\W*(?:(?:[^?\n]{{0,30}}\b(?:sorry|apologi[sz]e|apologies)\b[^?\n]{{0,40}}?\b)?(?:{_UNABLE})"
    rf"|(?:(?:很|非常|十分)?(?:抱歉|对不起|不好意思)[^？?\n]{{0,20}}?)?(?:{_UNABLE_ZH}))",
    re.IGNORECASE,
)
# What stands in prompts/*.txt around an instruction: an answer that holds it gives the prompt again.
_ECHO = re.compile(
    r"\b(?:new|original|rewritten|harder) request\b|\brequest (?:harder|below)\b|^\W*request\s*[:：]|\{instruction\}"
    r"|新题目|新题\W{0,2}[:：]|原题|题目[^。\n]{0,30}使(?:它更难|回答需要)",
    re.IGNORECASE | re.MULTILINE,
)


class EvolParams(Params):
    """`params.yaml: synthesize.evol`."""

    # by language, of those that there are prompts in; the bundled model hardly writes Chinese
    parents: dict[Literal["en", "zh"], Annotated[int, Field(ge=0)]] = {"en": 9, "zh": 1}
    buckets: tuple[str, ...] = ("general",)
    task_types: tuple[str, ...] = ("open_qa", "brainstorming", "chat")
    max_units: int = Field(60, ge=4)  # of a parent's prompt: Chinese characters, or words
    instruction_tokens: int = Field(160, ge=1)
    answer_tokens: int = Field(224, ge=1)
    max_instruction: int = Field(600, ge=1)  # characters
    too_alike: float = Field(0.8, gt=0, le=1)  # Jaccard of character trigrams with parent or example


def plan(cleaned: pl.DataFrame, params: EvolParams, seed: int) -> list[tuple[str, str]]:
    """(operation, parent id) of the attempts: parents by hash of their id, the operations in turn. More only adds."""
    rows = _eligible(cleaned, params).select("id", "language")
    order = sorted((rec.hash16(f"{seed}|evol|{id_}".encode()), id_, language) for id_, language in rows.iter_rows())
    chosen = []
    for language, count in sorted(params.parents.items()):
        ids = [id_ for _, id_, spoken in order if spoken == language][:count]
        chosen += [(OPERATIONS[rank % len(OPERATIONS)], id_) for rank, id_ in enumerate(ids)]
    return chosen


def make(attempts: Sequence[Attempt], parents: Mapping[str, Mapping[str, Any]], params: EvolParams, seed: int,
         ask: Ask, progress: Progress, *, temperature: float = 0.0, together: int = 1) -> list[Outcome]:  # fmt: skip
    """The outcome of each attempt. `together` attempts at a time go through both requests, so that what a budget allows
    becomes whole attempts."""
    outcomes: list[Outcome] = []
    for start in range(0, len(attempts), together):
        group = attempts[start : start + together]
        outcomes += _make_group(group, [parents[a.parent] for a in group], params, seed, ask, temperature)
        progress("synthesize: evol", len(outcomes), len(attempts))
    return outcomes


def _make_group(group: Sequence[Attempt], parents: Sequence[Mapping[str, Any]], params: EvolParams, seed: int,
                ask: Ask, temperature: float) -> list[Outcome]:  # fmt: skip
    from curation.completion import Request

    def requests(names: Sequence[str], texts: Sequence[str], tokens: int) -> list[Request]:
        filled = [_filled(name, text) for name, text in zip(names, texts, strict=True)]
        return [Request(messages, tokens, temperature, seed) for messages in filled]

    languages = [parent["language"] for parent in parents]
    originals = [_prompt(parent) for parent in parents]
    names = [f"{attempt.operation}.{language}" for attempt, language in zip(group, languages, strict=True)]
    first = requests(names, originals, params.instruction_tokens)
    exchanges = [[pair] for pair in zip(first, ask(first), strict=True)]
    instructions = [parse_instruction(pairs[0][1].text) for pairs in exchanges]
    faults = [
        instruction_fault(pairs[0][1], new, old, examples(name), params)
        for pairs, new, old, name in zip(exchanges, instructions, originals, names, strict=True)
    ]
    good = [i for i, fault in enumerate(faults) if fault is None]
    second = requests([f"answer.{languages[i]}" for i in good], [instructions[i] for i in good], params.answer_tokens)
    for i, request, answer in zip(good, second, ask(second) if second else [], strict=True):
        exchanges[i].append((request, answer))
        faults[i] = answer_fault(answer, parse_answer(answer.text), instructions[i], params)
    outcomes = []
    for fault, pairs, instruction in zip(faults, exchanges, instructions, strict=True):
        if fault is not None:
            outcomes.append(Outcome(reason=fault, detail=pairs[-1][1].detail or None, exchanges=pairs))
            continue
        turns = [rec.message("user", instruction), rec.message("assistant", parse_answer(pairs[1][1].text))]
        outcomes.append(Outcome(messages=turns, exchanges=pairs))
    return outcomes


def parse_instruction(text: str) -> str:
    """The new instruction in a model's answer: without stop text, label, and quotation marks around the whole."""
    bare = _LABEL.sub("", parse_answer(text)).strip()
    for left, right in ('""', "“”", "「」", "''"):
        if len(bare) > 2 and bare[0] == left and bare[-1] == right and not {left, right} & set(bare[1:-1]):
            bare = bare[1:-1].strip()
    return bare


def parse_answer(text: str) -> str:
    """A model's answer without the stop text that some servers leave at its end."""
    return _STOP_TEXT.sub("", text.strip()).strip()


def instruction_fault(answer: Answer, new: str, old: str, shown: Sequence[str], params: EvolParams) -> str | None:
    """Why the instruction `new` made from `old` cannot be used, or None; `shown` are the examples in the prompt."""
    fault = _fault(answer, new, _NO_INSTRUCTION)
    if fault:
        return fault
    if _alike(new, old) >= params.too_alike:
        return "copied_parent"
    if any(_alike(new, text) >= params.too_alike for text in shown):
        return "copied_example"
    if _ECHO.search(new):
        return "echoed_prompt"
    return "too_long" if len(new) > params.max_instruction else None


def answer_fault(answer: Answer, text: str, instruction: str, params: EvolParams) -> str | None:
    """Why the answer `text` cannot be used, or None."""
    fault = _fault(answer, text, _REFUSAL)
    if fault:
        return fault
    return "copied_instruction" if _alike(text, instruction) >= params.too_alike else None


def _fault(answer: Answer, text: str, refusal: re.Pattern[str]) -> str | None:
    if answer.failure is not None:
        return answer.failure
    if not text:
        return "empty"
    if answer.finish == "length":
        return "cut_off"
    return "refused" if answer.finish == "content_filter" or refusal.search(text) else None


def _alike(one: str, other: str) -> float:
    def trigrams(text: str) -> set[str]:
        bare = re.sub(r"[\W_]+", " ", text.lower()).strip()
        return {bare[i : i + 3] for i in range(max(1, len(bare) - 2))}

    a, b = trigrams(one), trigrams(other)
    return len(a & b) / len(a | b)


def _eligible(cleaned: pl.DataFrame, params: EvolParams) -> pl.DataFrame:
    roles = pl.col("messages").list.eval(pl.element().struct.field("role")).list.join(" ")
    prompt = pl.col("messages").list.first().struct.field("content")
    units = prompt.str.count_matches(r"[㐀-䶿一-鿿]|[A-Za-z0-9]+")
    return cleaned.filter(
        pl.col("kind") == "chat",
        pl.col("origin").is_in(["human", "log"]),
        pl.col("bucket").is_in(list(params.buckets)),
        pl.col("task_type").is_in(list(params.task_types)),
        roles == "user assistant",
        pl.col("tools").is_null(),
        ~rec.tagged("robustness:"),
        ~rec.tagged("safety:"),
        ~rec.tagged("pii"),  # personal data that repair only marked is never sent
        units.is_between(4, params.max_units),
    )


def _prompt(parent: Mapping[str, Any]) -> str:
    return str(parent["messages"][0]["content"])


def examples(name: str) -> list[str]:
    """The new instructions that the prompt file `name` shows."""
    return [parse_instruction(text) for role, text in _turns(name) if role == "assistant"]


def _filled(name: str, instruction: str) -> tuple[tuple[str, str], ...]:
    return tuple((role, text.replace("{instruction}", instruction)) for role, text in _turns(name))


@lru_cache(maxsize=32)
def _turns(name: str) -> tuple[tuple[str, str], ...]:
    """(role, text) of prompts/<name>.txt; a line `[user]` begins a turn."""
    parts = _TURN.split((PROMPTS / f"{name}.txt").read_text(encoding="utf-8"))[1:]
    return tuple((role, text.strip()) for role, text in zip(parts[::2], parts[1::2], strict=True))
