"""The row ledger of the page: each row's life in a compact form, with nothing in it that repair would hide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from curation.report.run import Corpus, Run

if TYPE_CHECKING:
    from curation.repair import RepairParams

Row = dict[str, Any]
Hide = Callable[[str], str]
# Fates, most telling first: when a page holds fewer rows than there are, these stay.
FATES = ("quarantined", "rejected", "dropped", "heldout", "unused", "kept", "train", "repaired", "read")


def hider(repair: RepairParams | None = None) -> Hide:
    """A function that puts placeholders for personal data and secrets, for texts that `repair` never saw or only marked.

    It looks for every kind that the defaults look for, and for those that `repair` adds.
    """
    from curation.repair import PiiParams, find

    types = PiiParams().types
    added = {kind: action for kind, action in repair.pii.types if action != "off"} if repair else {}
    params = PiiParams(types=types.model_copy(update=added))

    def hide(text: str) -> str:
        pieces, done = [], 0
        for span in find(text, params):
            pieces += [text[done : span.start], f"<{span.type.upper()}>"]
            done = span.end
        return "".join([*pieces, text[done:]])

    return hide


def turns(row: Mapping[str, Any]) -> list[list[str]]:
    """[role, text] of each turn, calls and reasoning as text; a plain text is one turn of the role `text`."""
    if row.get("kind") == "text":
        return [["text", row.get("text") or ""]]
    found = []
    for turn in row.get("messages") or ():
        if turn["reasoning"]:
            found.append(["thought", turn["reasoning"]])
        if turn["content"] or not turn["tool_calls"]:
            found.append([turn["role"], turn["content"] or ""])
        if turn["tool_calls"]:
            found.append(["call", turn["tool_calls"]])
    return found


def as_text(row: Mapping[str, Any]) -> str:
    """A row as one text, a heading a turn, for differences between rows."""
    return "\n\n".join(f"{role}:\n{text}" for role, text in turns(row))


def cut(said: Iterable[list[str]], most: int) -> list[list[Any]]:
    """Turns up to `most` characters in all; a turn that is cut has a third item, the number of characters left out."""
    found: list[list[Any]] = []
    left = most
    for role, text in said:
        if len(text) > left:
            found.append([role, text[:left], len(text) - left])
            left = 0
        else:
            found.append([role, text])
            left -= len(text)
    return found


def texts(run: Run, hide: Hide) -> dict[str, Mapping[str, Any]]:
    """id → the repaired record with its turns; `private`: the values that repair only marked are hidden here."""
    found: dict[str, Mapping[str, Any]] = {}
    for corpus in run.corpora:
        if corpus.repaired is None:
            continue
        for row in corpus.repaired.sort("id").iter_rows(named=True):
            said = turns(row)
            private = any(str(tag).startswith(("pii:", "pii_drop:")) for tag in row["tags"] or ())
            if private:
                said = [[role, hide(text)] for role, text in said]
            found[row["id"]] = {
                "private": private,
                "turns": said,
                "text": "\n\n".join(f"{r}:\n{t}" for r, t in said),
            }
    return found


def ledger(
    run: Run, said: Mapping[str, Mapping[str, Any]], hide: Hide, most: int, row_chars: int
) -> tuple[list[Row], int]:
    """(rows for the page, rows in all): every raw, generated, quarantined and rejected row, empty fields left out.

    Keys: i id, c corpus, s source, f file, n line, g language, o origin, r recipe, p parents, t tags, x fate, w rule or
    reason, v value, l limit, d survivor, a other rules, z detail, e edits, k task type, j subtype, b bucket, q confidences,
    y who said them, h signals, m turns, u place in the mixture.
    """
    rows = [row for corpus in run.corpora for row in _corpus(run, corpus, said, hide)]
    rows += _quarantined(run, hide) + _rejected(run, hide)
    total = len(rows)
    if total > most:
        rank = {fate: i for i, fate in enumerate(FATES)}
        rows = sorted(rows, key=lambda r: (rank[r["x"]], not r.get("e"), r["i"]))[:most]
    order = {"raw": 0, "generated": 1}
    rows.sort(key=lambda r: (order[r["c"]], r.get("f", ""), r.get("n", 0), r["i"]))
    for row in rows:
        row["m"] = cut(row["m"], row_chars)
    return [{k: v for k, v in row.items() if v not in (None, "", [], {})} for row in rows], total


def _corpus(run: Run, corpus: Corpus, said: Mapping[str, Mapping[str, Any]], hide: Hide) -> list[Row]:
    if corpus.came is None:
        return []
    edits = _grouped(corpus.edits, "id", lambda e: [e["rule"], e["count"], e["detail"]])
    labels = {r["id"]: r for r in corpus.labels.iter_rows(named=True)} if corpus.labels is not None else {}
    dropped = {r["id"]: r for r in corpus.dropped.iter_rows(named=True)} if corpus.dropped is not None else {}
    kept = set(corpus.kept["id"]) if corpus.kept is not None else set()
    repaired = dict(corpus.repaired.select("id", "content_hash").iter_rows()) if corpus.repaired is not None else {}
    signals = _signals(corpus)
    places = _places(run)
    found = []
    for row in corpus.came.drop("messages", "text", "tools", strict=False).iter_rows(named=True):
        id_ = row["id"]
        meta = json.loads(row["meta"] or "{}")
        out, label = dropped.get(id_, {}), labels.get(id_, {})
        measured = signals.get(repaired.get(id_, ""), {})
        fate, place = places.get(id_, ("kept" if id_ in kept else "repaired" if id_ in repaired else "read", {}))
        found.append(
            {
                "i": id_,
                "c": corpus.name,
                "s": row["source"],
                "f": str(meta.get("file", "")),
                "n": meta.get("line") or 0,
                "g": _language(row["language"], measured),
                "o": row["origin"],
                "r": row["recipe"],
                "p": row["parents"],
                "t": label.get("tags", row["tags"]),
                "x": "dropped" if out else fate,
                "w": out.get("rule") or place.pop("reason", None),
                "v": out.get("value"),
                "l": out.get("limit"),
                "d": out.get("duplicate_of"),
                "a": out.get("also"),
                "z": hide(out["detail"] or "") if out and said[id_]["private"] else out.get("detail"),
                "e": [e for _, e in sorted(edits.get(id_, []))],
                "k": label.get("task_type"),
                "j": label.get("task_subtype"),
                "b": label.get("bucket"),
                "q": [label[f"{k}_confidence"] for k in ("task_type", "bucket")] if label else None,
                "y": [label[f"{k}_by"] for k in ("task_type", "bucket")] if label else None,
                "h": measured,
                "m": said.get(id_, {}).get("turns", []),
                "u": place,
            }
        )
    return found


def _language(given: str, measured: Mapping[str, Any]) -> str:
    """The source's word or, where it gave none, that of the answer, else of the prompt: as `clean` has it."""
    found = [given, measured.get("answer_language", "und"), measured.get("prompt_language", "und")]
    return next((language for language in found if language != "und"), "und")


def _grouped(frame: pl.DataFrame | None, key: str, form: Callable[[Row], Any]) -> dict[str, list[tuple[int, Any]]]:
    found: dict[str, list[tuple[int, Any]]] = {}
    for row in frame.iter_rows(named=True) if frame is not None else ():
        found.setdefault(row[key], []).append((row["step"], form(row)))
    return found


_SHOWN = {
    "length": ("prompt_tokens", "answer_tokens"),
    "language": ("prompt_language", "answer_language"),
    "perplexity": ("nll",),
    "repetition": ("duplicate_share",),
}


def _signals(corpus: Corpus) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for signal, columns in _SHOWN.items():
        if signal in corpus.signals:
            for content_hash, *values in corpus.signals[signal].select("content_hash", *columns).iter_rows():
                found.setdefault(content_hash, {}).update(
                    {k: v for k, v in zip(columns, values, strict=True) if v is not None}
                )
    return found


def _places(run: Run) -> dict[str, tuple[str, dict[str, Any]]]:
    """id → fate after `mix`, and the facts of it."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in run.unused.select("id", "reason").iter_rows(named=True) if run.unused is not None else ():
        found[row["id"]] = "unused", {"reason": row["reason"]}
    for row in (
        run.heldout.select("id", "tokens", "loss_tokens").iter_rows(named=True) if run.heldout is not None else ()
    ):
        found[row["id"]] = "heldout", {"tokens": row["tokens"], "loss_tokens": row["loss_tokens"]}
    steps: dict[str, list[int]] = {}
    for id_, step in run.consumed.select("id", "step").sort("step").iter_rows() if run.consumed is not None else ():
        steps.setdefault(id_, []).append(step)
    if run.train is not None:
        for row in run.train.sort("position").select("id", "position", "tokens", "loss_tokens").iter_rows(named=True):
            _, place = found.setdefault(
                row["id"], ("train", {"position": [], "tokens": row["tokens"], "loss_tokens": row["loss_tokens"]})
            )
            place["position"].append(row["position"])
            if run.consumed is not None:
                place["steps"] = steps.get(row["id"], [])
    return found


def _quarantined(run: Run, hide: Hide) -> list[Row]:
    bad = run.raw.quarantine
    return [
        {
            "i": r["id"],
            "c": "raw",
            "s": r["source"],
            "f": r["file"],
            "n": r["line"],
            "x": "quarantined",
            "w": r["reason"],
            "z": hide(r["detail"] or ""),
            "m": [["raw", hide(r["raw"] or "")]],
        }
        for r in (bad.iter_rows(named=True) if bad is not None else ())
    ]


def _rejected(run: Run, hide: Hide) -> list[Row]:
    if run.attempts is None:
        return []
    return [
        {
            "i": r["attempt"],
            "c": "generated",
            "o": "synthetic",
            "r": r["recipe"],
            "p": [r["parent"]],
            "x": "rejected",
            "w": r["reason"],
            "z": hide(r["detail"] or ""),
            "m": exchanged(r["exchanges"], hide),
        }
        for r in run.attempts.filter(pl.col("fate") != "kept").sort("attempt").iter_rows(named=True)
    ]


def exchanged(exchanges: str | None, hide: Hide) -> list[list[str]]:
    """[role, text] of what an endpoint was asked and answered in an attempt."""
    found = []
    for exchange in json.loads(exchanges or "[]"):
        found += [[turn["role"], hide(turn["content"] or "")] for turn in exchange["messages"]]
        found.append(["answer", hide(exchange.get("answer") or exchange.get("failure") or "")])
    return found
