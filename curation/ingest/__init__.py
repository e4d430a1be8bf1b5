"""Every layout → canonical records. What cannot become a record is quarantined with file, line and reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import polars as pl
from pydantic import Field

from curation import records as rec
from curation.errors import ConfigError, DataError
from curation.ingest import alpaca, messages, pairs, sharegpt, text
from curation.ingest.layout import BadRecord
from curation.ingest.raw import RawRecord, read_file
from curation.ledger import QUARANTINE
from curation.params import Params
from curation.progress import Progress, silent

# Tried in this order; the first that matches a record's keys converts it.
LAYOUTS: dict[str, ModuleType] = {
    "messages": messages,
    "sharegpt": sharegpt,
    "alpaca": alpaca,
    "pairs": pairs,
    "text": text,
}
_OWN_FIELDS = ("language", "license", "origin", "group", "tags", "weight")


class SourceParams(Params):
    """One entry of `params.yaml: ingest.sources`: where to read, and what its rows have unless they say otherwise."""

    path: str  # file, glob, folder, hf:org/name, or a folder that `datasets` saved
    name: str | None = Field(None, pattern=r"^[^/\s]+$")  # stands in ids; default: the file's name
    format: Literal["auto", "json", "jsonl", "csv", "tsv", "text", "parquet"] = "auto"
    layout: Literal["auto", "messages", "sharegpt", "alpaca", "pairs", "text"] = "auto"
    unit: Literal["file", "line", "block"] = "file"
    split: str = "train"
    license: str = "unknown"
    origin: Literal["human", "log", "synthetic", "pretrain"] = "human"
    tags: tuple[str, ...] = ()


class IngestParams(Params):
    """`params.yaml: ingest`. A file that several entries name belongs to the last."""

    sources: tuple[SourceParams, ...] = Field(min_length=1)


def ingest(params: IngestParams, progress: Progress = silent) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(records, quarantine), both sorted by id; raises DataError when a source is missing or nothing could be read."""
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    seen: Counter[str] = Counter()
    found = list(_files(params))
    for number, (name, source, raws) in enumerate(found, 1):
        for raw in raws:
            base = f"{name}-{rec.hash16(raw.raw.encode('utf-8', 'surrogatepass'))}"
            seen[base] += 1
            id_ = base if seen[base] == 1 else f"{base}-{seen[base]}"
            try:
                good.append(_record(raw, id_, name, source))
            except BadRecord as error:
                shown = raw.raw.encode("utf-8", "backslashreplace").decode()
                bad.append(
                    {"id": id_, "source": name, "file": raw.file, "line": raw.line, "reason": error.reason,
                     "detail": error.detail, "raw": shown}
                )  # fmt: skip
        progress("ingest: sources", number, len(found))
    if not good:
        raise DataError("ingest.sources: no record could be read; see `curation show` and data/raw/quarantine.parquet.")
    return rec.frame(good).sort("id"), rec.frame(bad, QUARANTINE).sort("id")


def _record(raw: RawRecord, id_: str, name: str, source: SourceParams) -> dict[str, Any]:
    if raw.reason:
        raise BadRecord(raw.reason, raw.detail or "")
    value = raw.value
    if not isinstance(value, dict):
        raise BadRecord("not_an_object", f"found {type(value).__name__}; an object is accepted")
    layout = _layout(value, source)
    fields = layout.convert(value, raw.raw)
    row: dict[str, Any] = dict.fromkeys(rec.SCHEMA) | fields
    row["kind"] = "text" if row["text"] is not None else "chat"
    if row["kind"] == "chat":
        _check_turns(row["messages"])
    own = {key: value[key] for key in _OWN_FIELDS if value.get(key) not in (None, "")}
    tags = own.pop("tags", [])
    if isinstance(tags, str):
        tags = [t for t in tags.replace("|", ",").split(",") if t.strip()]
    rest = {k: v for k, v in value.items() if k not in layout.KEYS and k not in _OWN_FIELDS}
    row |= {
        "id": id_,
        "source": name,
        "license": str(own.get("license", source.license)),
        "origin": str(own.get("origin", source.origin)),
        "language": str(own.get("language", "und")),
        "group": None if own.get("group") is None else str(own["group"]),
        "tags": sorted({*source.tags, *(str(t).strip() for t in tags)}),
        "parents": [],
        "weight": _weight(own.get("weight", 1.0)),
        "meta": json.dumps({"file": raw.file, "line": raw.line, **rest}, ensure_ascii=False, default=str),
    }
    if row["origin"] not in rec.ORIGINS:
        raise BadRecord("unknown_origin", f"origin is {row['origin']!r}; accepted: {', '.join(rec.ORIGINS)}")
    try:
        row["content_hash"] = rec.content_hash(row["messages"], row["text"], row["tools"])
        row["meta"].encode()
    except (TypeError, UnicodeEncodeError):
        raise BadRecord("lone_surrogate", "half a UTF-16 pair; whole characters are accepted") from None
    return row


def _layout(value: dict[str, Any], source: SourceParams) -> ModuleType:
    if source.layout != "auto":
        layout = LAYOUTS[source.layout]
        if not layout.matches(value):
            raise BadRecord("unknown_layout", f"keys {_named(value)} are not those of {source.layout}")
        return layout
    for layout in LAYOUTS.values():
        if layout.matches(value):
            return layout
    raise BadRecord("unknown_layout", f"keys {_named(value)}; accepted layouts: {', '.join(LAYOUTS)}")


def _named(value: dict[str, Any]) -> str:
    return ", ".join(sorted(map(str, value))[:8]) or "(none)"


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise BadRecord("bad_weight", f"weight is {value!r}; a number ≥ 0 is accepted")
    return weight


def _check_turns(turns: list[dict[str, Any]]) -> None:
    roles = [t["role"] for t in turns]
    if roles.count("system") > 1:
        raise BadRecord("two_system_turns", f"{roles.count('system')} system turns; one, at the start, is accepted")
    if "system" in roles[1:]:
        raise BadRecord(
            "system_not_first", f"the system turn is number {roles.index('system') + 1}; the first is accepted"
        )
    if "user" not in roles:
        raise BadRecord("missing_prompt", "no user turn")
    if "assistant" not in roles:
        raise BadRecord("missing_answer", "no assistant turn")


def _files(params: IngestParams) -> Iterator[tuple[str, SourceParams, Iterator[RawRecord]]]:
    """(name, source, records) of every file and data set, in the order of names."""
    owner: dict[Path, SourceParams] = {}
    sets: list[tuple[str, SourceParams]] = []
    for source in params.sources:
        if source.path.startswith("hf:") or (Path(source.path) / "state.json").exists():
            sets.append((source.path, source))
            continue
        matched = _expand(source.path)
        if not matched:
            raise DataError(
                f"ingest.sources: {source.path}: no such file, folder or pattern; restore it or take the entry out of params.yaml."
            )
        owner.update(dict.fromkeys(matched, source))
    stems = Counter(_stem(path) for path in owner)
    for path in sorted(owner):
        source = owner[path]
        name = source.name or (_stem(path) if stems[_stem(path)] == 1 else f"{path.parent.name}.{_stem(path)}")
        yield name, source, read_file(path, path.as_posix(), source.format, source.unit)
    for place, source in sets:
        yield (
            source.name or place.removeprefix("hf:").strip("/").replace("/", "."),
            source,
            _dataset(place, source.split),
        )


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or path.name


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = path.rglob("*")
    else:
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        inside = anchor.glob(str(path.relative_to(path.anchor)) if path.is_absolute() else pattern)
    hidden = {"README.md", "LICENSE"}
    return sorted(p for p in inside if p.is_file() and p.name not in hidden and not p.name.startswith("."))


def _dataset(place: str, split: str) -> Iterator[RawRecord]:
    import orjson

    try:
        if place.startswith("hf:"):
            from datasets import load_dataset

            data = load_dataset(place.removeprefix("hf:"), split=split)
        else:
            from datasets import load_from_disk

            data = load_from_disk(place)
            data = data[split] if hasattr(data, "keys") else data
    except (OSError, ValueError, KeyError, ConnectionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"ingest.sources: {place}: cannot be loaded ({reason}); "
            "accepted: a hub name that can be reached, or a saved folder, with its split."
        ) from None
    for number, row in enumerate(data, 1):
        yield RawRecord(place, number, orjson.dumps(row, default=str).decode(), row)
