"""Whether an answer is right: exact numbers, and constraints that a program can check, in Chinese and English.

The constraints are of the kind of IFEval (arXiv 2311.07911), without its dependencies and with Chinese counting. An item
is right when every constraint holds; an empty answer, or one that repeats the prompt, never is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from curation.errors import DataError

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LATIN = re.compile(r"[A-Za-z]")
# Chinese sets no blank behind a dash either; before a digit it is a minus, and a star without blank is emphasis.
_BULLET = re.compile(r"^\s*(?:[-*]\s+\S|[•·●]\s*\S|-[“《「【\u3400-\u4dbf\u4e00-\u9fff])", re.M)
_NUMBERED = re.compile(r"^\s*(?:\d+(?:[.．](?!\d)|[)）、])|[(（]\d{1,2}[)）])\s*\S", re.M)
# Points that end no sentence: in a number, and before a closing quote behind which the sentence goes on ("Stop!" he said).
_NO_END = re.compile(r"(?<=\d)[.．](?=\d)|[.!?]+(?=[\"'”’]\s+[a-z])")
_SENTENCE = re.compile(r"[^.!?。！？]*[^\s.!?。！？][^.!?。！？]*[.!?。！？]+[\"'”’」』）)]*")


def correct(item: Mapping[str, Any], answer: str) -> bool:
    """Whether `answer` satisfies the item: its `answer` (a number) or all of its `constraints`."""
    answer = answer.strip()
    if not answer:
        return False
    if "answer" in item:
        return last_number(answer) == last_number(item["answer"])
    # Small models repeat what they are asked, and the repetition often keeps to the constraint.
    return item["prompt"] not in answer and all(holds(constraint, answer) for constraint in item["constraints"])


def last_number(text: str) -> Decimal | None:
    """The last number in a text; full-width digits and thousands separators are read."""
    found = _NUMBER.findall(unicodedata.normalize("NFKC", text).replace("−", "-"))
    return Decimal(found[-1].replace(",", "")) if found else None


def holds(constraint: Mapping[str, Any], answer: str) -> bool:
    """Whether one constraint holds for an answer."""
    given = {k: v for k, v in constraint.items() if k != "kind"}
    return CONSTRAINTS[constraint["kind"]](answer, **given)


def validate(item: Mapping[str, Any], where: str) -> None:
    """Raises DataError when an item lacks what it needs, or names a constraint or an argument that does not exist."""
    if not isinstance(item, dict):
        raise DataError(f"{where}: found {item!r}; accepted: one object a line.")
    for key in ("key", "language", "prompt"):
        if not isinstance(item.get(key), str) or not item[key].strip():
            raise DataError(f"{where}: lacks {key!r}; accepted: key, language, prompt, and answer or constraints.")
    if ("answer" in item) == ("constraints" in item):
        raise DataError(f"{where}: {item['key']}: has both answer and constraints, or neither; accepted: one of them.")
    if "answer" in item:
        if not isinstance(item["answer"], str) or not _NUMBER.fullmatch(item["answer"]):
            raise DataError(f"{where}: {item['key']}: found answer {item['answer']!r}; accepted: a number as a string.")
        return
    if not isinstance(item["constraints"], list) or not item["constraints"]:
        raise DataError(f"{where}: {item['key']}: has no constraint; accepted: at least one.")
    for constraint in item["constraints"]:
        if not isinstance(constraint, dict):
            raise DataError(f"{where}: {item['key']}: found constraint {constraint!r}; accepted: an object with kind.")
        kind = constraint.get("kind")
        if not isinstance(kind, str) or kind not in CONSTRAINTS:
            raise DataError(f"{where}: {item['key']}: unknown constraint {kind!r}; accepted: {', '.join(CONSTRAINTS)}.")
        code = CONSTRAINTS[kind].__code__
        needed = set(code.co_varnames[1 : code.co_argcount])
        if set(constraint) - {"kind"} != needed:
            raise DataError(
                f"{where}: {item['key']}: {kind} has {', '.join(sorted(set(constraint) - {'kind'})) or 'no argument'}; "
                f"accepted: {', '.join(sorted(needed)) or 'no argument'}."
            )
        for name in needed:
            value, wanted = constraint[name], CONSTRAINTS[kind].__annotations__[name]
            texts = value if isinstance(value, list) else [None]
            if not (
                all(isinstance(t, str) for t in texts) if wanted == "list[str]" else type(value).__name__ == wanted
            ):
                raise DataError(f"{where}: {item['key']}: {kind}: found {name} {value!r}; accepted: {wanted}.")


def _contains(answer: str, words: list[str]) -> bool:
    return all(word.lower() in answer.lower() for word in words)


def _lacks(answer: str, words: list[str]) -> bool:
    return not any(word.lower() in answer.lower() for word in words)


def _words(answer: str, least: int, most: int) -> bool:
    return least <= len(answer.split()) <= most


def _characters(answer: str, least: int, most: int) -> bool:
    """Characters without white space, punctuation counted: how lengths are given in Chinese."""
    return least <= len("".join(answer.split())) <= most


def _sentences(answer: str, count: int) -> bool:
    answer = _NO_END.sub(",", answer)
    ended = _SENTENCE.findall(answer)
    rest = _SENTENCE.sub("", answer).strip()
    return len(ended) + bool(rest) == count


def _bullets(answer: str, count: int) -> bool:
    return len(_BULLET.findall(answer)) == count


def _numbered(answer: str, count: int) -> bool:
    return len(_NUMBERED.findall(answer)) == count


def _lines(answer: str, count: int) -> bool:
    return len([line for line in answer.splitlines() if line.strip()]) == count


def _json_only(answer: str, keys: list[str]) -> bool:
    """The whole answer is one JSON object with exactly these keys; a code fence around it is not JSON only."""
    try:
        value = json.loads(answer)
    except ValueError:
        return False
    return isinstance(value, dict) and set(value) == set(keys)


def _lower_case(answer: str) -> bool:
    return bool(_LATIN.search(answer)) and answer == answer.lower()


def _upper_case(answer: str) -> bool:
    return bool(_LATIN.search(answer)) and answer == answer.upper()


def _starts_with(answer: str, text: str) -> bool:
    return answer.startswith(text)


def _ends_with(answer: str, text: str) -> bool:
    return answer.endswith(text)


def _language(answer: str, language: str) -> bool:
    """zh: Chinese characters and no Latin letter; en: Latin letters and no Chinese character."""
    wanted, other = (_CJK, _LATIN) if language == "zh" else (_LATIN, _CJK)
    return bool(wanted.search(answer)) and not other.search(answer)


def _one_of(answer: str, options: list[str]) -> bool:
    """The answer is one of the options and nothing else; a full stop and case do not count."""
    return answer.rstrip(".。").strip().lower() in {option.lower() for option in options}


CONSTRAINTS: dict[str, Callable[..., bool]] = {
    "contains": _contains,
    "lacks": _lacks,
    "words": _words,
    "characters": _characters,
    "sentences": _sentences,
    "bullets": _bullets,
    "numbered": _numbered,
    "lines": _lines,
    "json_only": _json_only,
    "lower_case": _lower_case,
    "upper_case": _upper_case,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "language": _language,
    "one_of": _one_of,
}
