"""Raw records → rows: finds the layout, checks the turns, and gathers columns (lists of dicts would cost most of the time)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import xxhash

from curation import records as rec
from curation.ingest import alpaca, chatml, feedback, messages, pairs, preference, sharegpt, text, tree
from curation.ingest.layout import BadRecord, Turn
from curation.ingest.source import SourceParams
from curation.ledger import QUARANTINE

# Tried in this order; the first that matches a record's keys converts it.
LAYOUTS: dict[str, ModuleType] = {
    "preference": preference,
    "feedback": feedback,
    "messages": messages,
    "sharegpt": sharegpt,
    "chatml": chatml,
    "tree": tree,
    "alpaca": alpaca,
    "pairs": pairs,
    "text": text,
}
_OWN_FIELDS = frozenset({"language", "license", "origin", "group", "tags", "weight"})
_ENCODE = json.JSONEncoder(ensure_ascii=False, default=str).encode
_PLAIN = (None,) * 4
_LIKELY: dict[tuple[str, ...], list[ModuleType]] = {}  # the layouts that need one of these keys; records have few sets of keys
_DETAIL = 400  # characters of a detail; a role may be as long as a book
_TURN_FIELDS = tuple(rec.MESSAGE.to_schema())
AT = "at"  # a row's place in its part, for ordinals

GOOD = rec.SCHEMA | {AT: pl.Int64}
BAD = QUARANTINE | {AT: pl.Int64}


class Rows:
    """Rows of one source name, in order. `id` is still without the ordinal that tells identical records apart."""

    def __init__(self, name: str, source: SourceParams) -> None:
        self._name, self._source = name, source
        self._good: list[tuple[Any, ...]] = []
        self._turns: list[Turn] = []
        self._bad: list[tuple[Any, ...]] = []
        self._file, self._file_json = "", '""'
        self.count = self.bytes = 0

    def add(self, file: str, line: int, raw: bytes, value: Any, reason: str | None = None, detail: str = "") -> None:
        """One record: `raw` is its text as it stands in the file, `reason` says why it could not be parsed."""
        id_ = f"{self._name}-{xxhash.xxh3_64_hexdigest(raw)}"
        try:
            if reason:
                raise BadRecord(reason, detail)
            self._convert(id_, file, line, raw, value)
        except BadRecord as error:
            self._quarantine(id_, file, line, raw, error.reason, error.detail)
        except RecursionError:
            self._quarantine(id_, file, line, raw, "nested_too_deep", "nested deeper than Python reads")
        self.count += 1
        self.bytes += len(raw)

    def _quarantine(self, id_: str, file: str, line: int, raw: bytes, reason: str, detail: str) -> None:
        shown = raw.decode("utf-8", "surrogatepass").encode("utf-8", "backslashreplace").decode()
        detail = detail[:_DETAIL].encode("utf-8", "backslashreplace").decode()
        self._bad.append((id_, self._name, file, line, reason, detail, shown, self.count))

    def _convert(self, id_: str, file: str, line: int, raw: bytes, value: Any) -> None:
        if not isinstance(value, dict):
            raise BadRecord("not_an_object", f"found {type(value).__name__}; an object is accepted")
        fields = find(value, self._source.layout).convert(value, raw)
        turns, said, tools, used = fields.get("messages"), fields.get("text"), fields.get("tools"), fields["used"]
        if turns is not None:
            _check(turns)
        source = self._source
        license_, origin, language, group, weight = source.license, source.origin, "und", None, 1.0
        tags = [*source.tags, *fields.get("tags", ())]
        rest = value.keys() - used
        if not _OWN_FIELDS.isdisjoint(rest):
            own = {k: value[k] for k in _OWN_FIELDS & rest if value[k] not in (None, "")}
            rest -= _OWN_FIELDS
            license_, language = str(own.get("license", license_)), str(own.get("language", language))
            origin = str(own.get("origin", origin))  # type: ignore[assignment]
            group = str(own["group"]) if "group" in own else None
            tags += _tags(own.get("tags", []))
            weight = _weight(own.get("weight", 1.0))
            _encodable("".join((license_, language, group or "", *tags)))
            if origin not in rec.ORIGINS:
                raise BadRecord("unknown_origin", f"origin is {origin!r}; accepted: {', '.join(rec.ORIGINS)}")
        meta = self._meta(file, line, {k: v for k, v in value.items() if k in rest} if rest else None)
        try:
            hash_ = content_hash(turns or (), said, tools)
        except TypeError:
            raise _lone_surrogate() from None
        if rest:
            _encodable(meta)
        if turns is not None:
            self._turns += turns
        self._good.append(
            (id_, hash_, "chat" if turns is not None else "text", None if turns is None else len(turns), tools, said,
             language, self._name, license_, origin, group, None, [], sorted(set(tags)), weight, meta, self.count)
        )  # fmt: skip

    def _meta(self, file: str, line: int, rest: dict[str, Any] | None) -> str:
        if file != self._file:
            self._file, self._file_json = file, _ENCODE(file)
        place = f'{{"file": {self._file_json}, "line": {line}'
        if not rest:
            return place + "}"
        if not ("file" in rest or "line" in rest):
            return f"{place}, {_ENCODE(rest)[1:]}"
        return _ENCODE({"file": file, "line": line, **rest})  # the record's own file and line stand above ours

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(good, bad) with the columns of GOOD and BAD, and forget them."""
        columns: dict[str, list[Any]] = dict(
            zip(GOOD, map(list, zip(*self._good, strict=True)), strict=True) if self._good else {n: [] for n in GOOD}
        )
        columns_bad = zip(*self._bad, strict=True) if self._bad else [()] * len(BAD)
        lengths = columns["messages"]
        made = {name: pl.Series(name, columns[name], t) for name, t in GOOD.items() if not isinstance(t, pl.List)}
        made["messages"] = _turn_lists(self._turns, lengths)
        for name in ("parents", "tags"):
            made[name] = pl.Series(name, pl.from_arrow(pa.array(columns[name], pa.large_list(pa.large_string()))))
        good = pl.DataFrame(made).select(list(GOOD))
        bad = pl.DataFrame({n: pl.Series(n, list(c), t) for (n, t), c in zip(BAD.items(), columns_bad, strict=True)})
        self._good, self._turns, self._bad, self.count, self.bytes = [], [], [], 0, 0
        return good, bad


def _turn_lists(turns: list[Turn], lengths: list[int | None]) -> pl.Series:
    """`messages` of rows with so many turns each (None: no conversation), from all turns one after the other."""
    columns = zip(*turns, strict=True) if turns else [()] * len(_TURN_FIELDS)
    fields = [
        pa.array(list(column), pa.float64() if name == "loss_weight" else pa.large_string())
        for name, column in zip(_TURN_FIELDS, columns, strict=True)
    ]
    ends, offsets = 0, [0]
    for length in lengths:
        ends += length or 0
        offsets.append(ends)
    lists = pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()),
        pa.StructArray.from_arrays(fields, list(_TURN_FIELDS)),
        mask=pa.array([n is None for n in lengths], pa.bool_()),
    )
    found = pl.Series("messages", pl.from_arrow(lists))
    return found.cast(pl.List(rec.MESSAGE))


def content_hash(turns: Sequence[Turn], text: str | None, tools: str | None) -> str:
    """As `records.content_hash`, of turns instead of mappings."""
    listed = [
        [t[0], t[1], "", "", "", ""] if t[2:6] == _PLAIN else [part or "" for part in t[:6]] for t in turns
    ]  # fmt: skip
    return xxhash.xxh3_128_hexdigest(orjson.dumps([listed, text or "", tools or ""]))


def find(value: dict[str, Any], wanted: str) -> ModuleType:
    """The layout of a record: the wanted one, or with `auto` the first that matches; raises BadRecord."""
    if wanted != "auto":
        layout = LAYOUTS[wanted]
        if not getattr(layout, "matches_named", layout.matches)(value):
            raise BadRecord("unknown_layout", f"keys {_named(value)} are not those of {wanted}")
        return layout
    keys = tuple(value)
    likely = _LIKELY.get(keys)
    if likely is None:
        likely = [layout for layout in LAYOUTS.values() if not layout.NEEDS.isdisjoint(keys)]
        if len(_LIKELY) < 1000:
            _LIKELY[keys] = likely
    for layout in likely:
        if layout.matches(value):
            return layout
    raise BadRecord("unknown_layout", f"keys {_named(value)}; accepted layouts: {', '.join(LAYOUTS)}")


def _named(value: dict[str, Any]) -> str:
    return ", ".join(sorted(str(k)[:40] for k in value)[:8]) or "(none)"


def _tags(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [t for t in value.replace("|", ",").split(",") if t.strip()]
    if not isinstance(value, list | tuple):
        raise BadRecord("bad_tags", f"tags is {type(value).__name__}; a list, or text with commas, is accepted")
    return [str(t).strip() for t in value]


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise BadRecord("bad_weight", f"weight is {value!r}; a number ≥ 0 is accepted")
    return weight


def _lone_surrogate() -> BadRecord:
    return BadRecord("lone_surrogate", "half a UTF-16 pair; whole characters are accepted")


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _lone_surrogate() from None


def _check(turns: list[Turn]) -> None:
    roles = [t[0] for t in turns]
    if "system" in roles:
        if roles.count("system") > 1:
            raise BadRecord("two_system_turns", f"{roles.count('system')} system turns; one, at the start, is accepted")
        if roles[0] != "system":
            number = roles.index("system") + 1
            raise BadRecord("system_not_first", f"the system turn is number {number}; the first is accepted")
    if "user" not in roles:
        raise BadRecord("missing_prompt", "no user turn")
    if "assistant" not in roles:
        raise BadRecord("missing_answer", "no assistant turn")
