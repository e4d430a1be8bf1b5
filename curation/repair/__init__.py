"""Repair: what people fixed, mojibake, Unicode form, invisible characters, personal data and secrets, form of answers.

    records, edits = repair(records, fixes.parse(lines, "data/review/fixes.jsonl"), RepairParams())

Every change is an entry in `edits`, chained by content hash, and repairing what is repaired changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from curation import records as rec
from curation.ledger import EDITS
from curation.params import Params
from curation.progress import Progress, silent
from curation.repair import fixes as people
from curation.repair import format as form
from curation.repair import mojibake, placeholders
from curation.repair import text as texts
from curation.repair.fixes import Fix
from curation.repair.format import FormatParams
from curation.repair.pii import PiiParams, find
from curation.repair.secrets import GENERATES
from curation.repair.span import Span

__all__ = ["Fix", "FormatParams", "PiiParams", "RepairParams", "Span", "find", "repair"]


class RepairParams(Params):
    """`params.yaml: repair`. The steps run in this order; a step that is false is left out."""

    mojibake: bool = True
    unicode_form: bool = True
    control_characters: bool = True
    end_tokens: bool = True
    pii: PiiParams = PiiParams()
    format: FormatParams = FormatParams()


@dataclass
class _Row:
    """One record while it is repaired. `texts` are those of its messages, or the one of a text row."""

    kind: str
    messages: list[dict[str, Any]]
    text: str | None
    tools: str | None
    tags: tuple[str, ...]
    meta: str | None = None
    gained: set[str] = field(default_factory=set)

    def change(
        self, by: Callable[[str], texts.Result], noise_too: bool, in_calls: Callable[[str], texts.Result] | None = None
    ) -> Counter[str]:
        """Apply `by` to every text, in the order of reading, and `in_calls` to the JSON text of tool calls.

        `noise_too`: also to a last prompt that carries noise on purpose.
        """
        done: Counter[str] = Counter()
        if self.text:
            self.text, count = by(self.text)
            done += count
        last_prompt = max((i for i, m in enumerate(self.messages) if m["role"] == "user"), default=-1)
        spared = last_prompt if not noise_too and any(t.startswith("robustness:") for t in self.tags) else -1
        for index, message in enumerate(self.messages):
            for key in ("reasoning", "content"):
                if message[key] and not (index == spared and key == "content"):
                    message[key], count = by(message[key])
                    if count:
                        done += count
            if in_calls and message["tool_calls"]:
                message["tool_calls"], count = in_calls(message["tool_calls"])
                done += count
        return done

    def all_texts(self) -> list[str]:
        found = [self.text] if self.text else []
        for message in self.messages:
            found += [message[key] for key in ("reasoning", "content") if message[key]]
            if message["tool_calls"]:
                found += placeholders.arguments(message["tool_calls"])
        return found

    def hash(self) -> str:
        return rec.content_hash(self.messages, self.text, self.tools)


# rule → what it does to a row; counts by what was done. The order is that of the work.
Step = Callable[[_Row, RepairParams], Counter[str]]


def repair(
    records: pl.DataFrame, fixes: Sequence[Fix], params: RepairParams, progress: Progress = silent
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(repaired records sorted by id, edits sorted by id and step); columns other than messages, text, tools,
    tags, meta and content_hash are as they came. Of `tools` and `meta` only personal data and secrets are changed.

    Tags gained: `pii:<type>` and `pii_drop:<type>` for kinds that are only noted, `format:<fault>`. `edits` has the
    schema `ledger.EDITS`: one row for each step that changed a record (of one that changed `meta` alone both hashes are the
    same). A step may come twice for a record when a later one uncovered work for it. Raises DataError when a fix names a
    record or message that does not exist.
    """
    people.check(fixes, records["id"])
    by_id: dict[str, list[Fix]] = {}
    for fix in fixes:
        by_id.setdefault(fix.id, []).append(fix)
    changed: list[dict[str, Any]] = []
    edits: list[dict[str, Any]] = []
    columns = ["id", "content_hash", "kind", "messages", "text", "tools", "tags", "meta"]
    for number, given in enumerate(records.select(columns).iter_rows(named=True), 1):
        tags = tuple(given["tags"] or ())
        row = _Row(given["kind"], given["messages"] or [], given["text"], given["tools"], tags, given["meta"])
        entries = _repair_row(row, given["id"], given["content_hash"], by_id.get(given["id"], []), params)
        gained = sorted(row.gained.difference(tags))
        if entries or gained:
            new_hash = entries[-1]["hash_after"] if entries else given["content_hash"]
            changed.append(
                {
                    "id": given["id"],
                    "content_hash": new_hash,
                    "text": row.text,
                    "tools": row.tools,
                    "tags": [*tags, *gained],
                    "meta": row.meta,
                }
                | {"messages": given["messages"] and row.messages}
            )
            edits += entries
        if number % 1000 == 0 or number == records.height:
            progress("repair: rows", number, records.height)
    ledger = rec.frame(edits, EDITS).sort("id", "step")
    if not changed:
        return records.sort("id"), ledger
    replaced = rec.frame(
        changed,
        {name: records.schema[name] for name in ("id", "content_hash", "messages", "text", "tools", "tags", "meta")},
    )
    others = records.join(replaced.select("id"), on="id", how="anti")
    rest = records.drop(*replaced.columns[1:]).join(replaced, on="id", how="inner", validate="1:1")
    return pl.concat([others, rest.select(records.columns)]).sort("id"), ledger


def _repair_row(
    row: _Row, row_id: str, content_hash: str, fixes: list[Fix], params: RepairParams
) -> list[dict[str, Any]]:
    """Change `row` until no step finds work; the entries of its edits.

    A second round is rare: taking out a zero-width character may complete mojibake, taking out a value may bring a
    context word near another. It runs only for rows that the first one changed, and makes repair idempotent.
    """
    entries: list[dict[str, Any]] = []
    before, meta = content_hash, row.meta

    def note(rule: str, done: Counter[str], detail: str = "") -> bool:
        nonlocal before, meta
        if not done:
            return False
        after = row.hash()
        if after == before and row.meta == meta:
            return False
        said = detail or ", ".join(f"{name} ×{count}" for name, count in sorted(done.items()))
        entry = {"id": row_id, "step": len(entries), "rule": rule, "count": sum(done.values())}
        entries.append(entry | {"hash_before": before, "hash_after": after, "detail": said})
        before, meta = after, row.meta
        return True

    if fixes:
        note("people_fix", *_fixed(row, fixes))
    working = True
    while working:
        working = False
        for rule, step in STEPS.items():
            working |= note(rule, step(row, params))
    return entries


def _fixed(row: _Row, fixes: list[Fix]) -> tuple[Counter[str], str]:
    roles = None if row.kind == "text" else [m["role"] for m in row.messages]
    last = {people.place(fix, roles): fix for fix in fixes}
    done: Counter[str] = Counter()
    said = []
    for index, fix in sorted(last.items(), key=lambda item: -1 if item[0] is None else item[0]):
        old = row.text if index is None else row.messages[index]["content"]
        if old == fix.content:
            continue
        if index is None:
            row.text = fix.content
        else:
            row.messages[index]["content"] = fix.content
        done["fix"] += 1
        said.append(f"{'text' if index is None else f'message {index}'} by {fix.by}")
    return done, ", ".join(said)


def _mojibake(row: _Row, params: RepairParams) -> Counter[str]:
    if not params.mojibake:
        return Counter()
    said = row.all_texts()
    about: list[bool] = []

    def change(text: str) -> texts.Result:
        new, done = mojibake.undo(text)
        if not done:
            return text, done
        if not about:
            about.append(any(mojibake.ABOUT_ENCODINGS.search(t) for t in said))
        return (text, Counter()) if about[0] else (new, done)

    return row.change(change, noise_too=False)


def _unicode_form(row: _Row, params: RepairParams) -> Counter[str]:
    return row.change(texts.unicode_form, noise_too=False) if params.unicode_form else Counter()


def _control_characters(row: _Row, params: RepairParams) -> Counter[str]:
    if not params.control_characters:
        return Counter()
    return row.change(lambda t: texts.control_characters(t, final_newline=row.kind == "text"), noise_too=True)


def _end_tokens(row: _Row, params: RepairParams) -> Counter[str]:
    return row.change(texts.end_tokens, noise_too=True) if params.end_tokens else Counter()


def _pii(row: _Row, params: RepairParams) -> Counter[str]:
    actions = dict(params.pii.types)
    wanted = params.pii.wanted
    said = row.all_texts()
    hidden = placeholders.Placeholders([*said, row.tools or "", row.meta or ""])

    def change(text: str, skip: int = 0) -> texts.Result:
        done: Counter[str] = Counter()
        chosen = []
        for span in find(text, params.pii):
            if span.start < skip or (span.type == "password" and any(GENERATES.search(t) for t in said)):
                continue
            if actions[span.type] == "redact":
                chosen.append(span)
                done[span.type] += 1
            else:
                row.gained.add(f"{'pii' if actions[span.type] == 'tag' else 'pii_drop'}:{span.type}")
        return (placeholders.redact(text, chosen, hidden) if chosen else text), done

    def repeated(text: str, skip: int = 0) -> texts.Result:
        text, times = placeholders.repeats(text, hidden, skip)
        return text, Counter({"repeated value": times} if times else ())

    def beside(by: Callable[[str, int], texts.Result]) -> Counter[str]:
        row.tools, in_tools = placeholders.in_tools(row.tools, by)
        row.meta, in_meta = placeholders.in_meta(row.meta, by)
        found = Counter({f"{kind} in tools": times for kind, times in in_tools.items()})
        return found + Counter({f"{kind} in meta": times for kind, times in in_meta.items()})

    def in_calls(by: Callable[[str, int], texts.Result]) -> Callable[[str], texts.Result]:
        return lambda calls: placeholders.in_calls(calls, by)

    if not wanted:
        return Counter()
    done = row.change(change, noise_too=True, in_calls=in_calls(change)) + beside(change)
    if hidden.values:
        done += row.change(repeated, noise_too=True, in_calls=in_calls(repeated)) + beside(repeated)
    return done


def _format(row: _Row, params: RepairParams) -> Counter[str]:
    done: Counter[str] = Counter()
    answers = [m for m in row.messages if m["role"] == "assistant" and m["content"]]
    prompt = "\n".join(m["content"] or "" for m in row.messages if m["role"] in ("system", "user"))
    faults: set[str] = set()
    for message in answers:
        (message["content"], count), tags = form.care(message["content"], prompt, message is answers[-1], params.format)
        done += count
        faults |= tags
    row.gained = {tag for tag in row.gained if not tag.startswith("format:")} | faults
    return done


STEPS: dict[str, Step] = {
    "mojibake": _mojibake,
    "unicode_form": _unicode_form,
    "control_characters": _control_characters,
    "end_tokens": _end_tokens,
    "pii": _pii,
    "format": _format,
}
