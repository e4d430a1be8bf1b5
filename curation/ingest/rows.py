"""Raw records → rows: finds the layout, checks the turns, and gathers columns (lists of dicts would cost most of the time)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate, chain
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]
from operator import itemgetter
from types import ModuleType
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import xxhash

from curation import records as rec
from curation.ingest import alpaca, chatml, feedback, messages, pairs, preference, sharegpt, text, tree
from curation.ingest.language import code_of
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
_PICTURES = frozenset({"images", "audios", "videos"})
_OWN_FIELDS = frozenset({"language", "license", "origin", "group", "tags", "weight", "parents", "parent"})
# The id of a record. Other parents, such as the message that a message answers, are the source's own matter.
_ID = re.compile(r"\S+-[0-9a-f]{16}(?:-\d+)?")
# What of a record with these keys goes to meta, and what it says of itself, by keys and those that its layout used.
_RESTS: dict[tuple[tuple[str, ...], frozenset[str]], tuple[list[str], list[str]]] = {}
# As `json.dumps(…, ensure_ascii=False, default=str)`, which makes such an encoder anew for every value.
_CHUNKS = c_make_encoder(None, str, encode_basestring, None, ": ", ", ", False, False, True)
_PLAIN = (None,) * 4
# The layouts that need one of these keys; a file has few sets of keys.
_LIKELY: dict[tuple[str, ...], list[ModuleType]] = {}
_DETAIL = 400  # characters of a detail; a role may be as long as a book
_TURN_FIELDS = tuple(rec.MESSAGE.to_schema())
_UNREAD = "message_keys"  # in meta: keys of messages that have no field of their own, by the message's number from 0
AT = "at"  # a row's place in its part, for ordinals

GOOD = rec.SCHEMA | {AT: pl.Int64}
BAD = QUARANTINE | {AT: pl.Int64}
_ARROW = {pl.String: pa.large_string(), pl.Float64: pa.float64(), pl.Int64: pa.int64()}


class Rows:
    """Rows of one source name, in order. `id` is still without the ordinal that tells identical records apart."""

    def __init__(self, name: str, source: SourceParams) -> None:
        self._name, self._source = name, source
        self._good: list[tuple[Any, ...]] = []
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
        if not _PICTURES.isdisjoint(value):
            _no_pictures(value)
        source = self._source
        license_, origin, language, group, weight = source.license, source.origin, "und", None, 1.0
        parents: list[str] = []
        tags = [*source.tags, *fields.get("tags", ())]
        known = (tuple(value), used)
        if known not in _RESTS:
            if len(_RESTS) > 1000:
                _RESTS.clear()
            rest = [k for k in value if k not in used]
            _RESTS[known] = [k for k in rest if k not in _OWN_FIELDS], [k for k in rest if k in _OWN_FIELDS]
        rest, said_itself = _RESTS[known]
        if said_itself:
            own = {k: value[k] for k in said_itself if value[k] not in (None, "")}
            license_ = str(own.get("license", license_))
            language = code_of(own.get("language", language))
            origin = str(own.get("origin", origin))  # type: ignore[assignment]
            group = str(own["group"]) if "group" in own else None
            tags += _tags(own.get("tags", []))
            weight = _weight(own.get("weight", 1.0))
            if origin not in rec.ORIGINS:
                raise BadRecord("unknown_origin", f"origin is {origin!r}; accepted: {', '.join(rec.ORIGINS)}")
            if "language" in own and own["language"] != language:
                rest = [*rest, "language"]  # its own word for it is not lost
            for key in ("parents", "parent"):
                if (named := _ids(own.get(key))) is not None:
                    parents += [i for i in named if i not in parents]
                elif key in own:
                    rest = [*rest, key]
            _encodable("".join((license_, language, group or "", *tags, *parents)))
        kept = {k: value[k] for k in rest}
        if unread := {str(n): turn.unread for n, turn in enumerate(turns or ()) if turn.unread}:
            kept[_UNREAD if _UNREAD not in value else f"{_UNREAD}_"] = unread  # a record's own key stays its own
        meta = self._meta(file, line, kept or None)
        try:
            hash_ = content_hash(turns or (), said, tools)
        except TypeError:
            raise _lone_surrogate() from None
        if kept:
            _encodable(meta)
        self._good.append(
            (id_, hash_, "chat" if turns is not None else "text", turns, tools, said,
             language, self._name, license_, origin, group, None, parents, sorted(set(tags)), weight, meta, self.count)
        )  # fmt: skip

    def _meta(self, file: str, line: int, rest: dict[str, Any] | None) -> str:
        if file != self._file:
            self._file, self._file_json = file, _json(file)
        place = f'{{"file": {self._file_json}, "line": {line}'
        if not rest:
            return place + "}"
        text = _json(rest)
        if "NaN" in text or "Infinity" in text:
            rest = _finite(rest)
            text = _json(rest)
        if not ("file" in rest or "line" in rest):
            return f"{place}, {text[1:]}"
        return _json({"file": file, "line": line, **rest})  # the record's own file and line stand above ours

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """(good, bad) by id, identical records as they came, with the columns of GOOD and BAD; and forget them."""
        found = []
        for rows, schema in ((self._good, GOOD), (self._bad, BAD)):
            rows.sort(key=itemgetter(0))
            columns = zip(*rows, strict=True) if rows else [()] * len(schema)
            arrays = [_array(name, column) for name, column in zip(schema, columns, strict=True)]
            found.append(pa.Table.from_arrays(arrays, names=list(schema)))
        self._good, self._bad, self.count, self.bytes = [], [], 0, 0
        return found[0], found[1]


def _array(name: str, column: Sequence[Any]) -> pa.Array:
    type_ = (GOOD | BAD)[name]
    if name == "messages":
        return _messages(column)
    if isinstance(type_, pl.List):
        return pa.array(column, pa.large_list(pa.large_string()))
    return pa.array(column, _ARROW[type_])


def _messages(column: Sequence[list[Turn] | None]) -> pa.Array:
    """Lists of turns (None: no conversation) as lists of structs, field by field."""
    turns = list(chain.from_iterable(filter(None, column)))
    values = [
        pa.array(column, pa.float64() if name == "loss_weight" else pa.large_string())
        for name, column in zip(_TURN_FIELDS, [*zip(*turns, strict=True)][:7] or [()] * 7, strict=True)
    ]
    offsets = [0, *accumulate(len(own) if own else 0 for own in column)]
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()),
        pa.StructArray.from_arrays(values, list(_TURN_FIELDS)),
        mask=pa.array([own is None for own in column], pa.bool_()),
    )


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


def _json(value: Any) -> str:
    return "".join(_CHUNKS(value, 0))


def _finite(value: Any) -> Any:
    """The value with null for NaN and Infinity, which are no JSON."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(value: dict[str, Any]) -> str:
    return ", ".join(sorted(str(k)[:40] for k in value)[:8]) or "(none)"


def _tags(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [t for t in value.replace("|", ",").split(",") if t.strip()]
    if not isinstance(value, list | tuple):
        raise BadRecord("bad_tags", f"tags is {type(value).__name__}; a list, or text with commas, is accepted")
    return [str(t).strip() for t in value]


def _ids(value: Any) -> list[str] | None:
    """The ids of records that the value names, one or a list; None when it names something else."""
    named = [value] if isinstance(value, str) else value
    return named if isinstance(named, list) and all(isinstance(i, str) and _ID.fullmatch(i) for i in named) else None


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


def _no_pictures(value: dict[str, Any]) -> None:
    for key in sorted(_PICTURES & value.keys()):
        if value[key] not in (None, "", "[]", [], {}):
            raise BadRecord("unsupported_content", f"`{key}` beside the text; text alone is accepted")


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
