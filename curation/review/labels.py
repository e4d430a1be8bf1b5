"""data/review/labels.jsonl: the task types and buckets that people give to rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from curation.errors import ConfigError
from curation.review import lines

KEYS = ("id", "task_type", "task_subtype", "bucket", "by", "note")


def read(path: Path, types: Mapping[str, Collection[str]], buckets: Collection[str]) -> dict[str, dict[str, str]]:
    """id → what people said: some of KEYS without `id` and `note`, always `by`. `types`: task type → its subtypes.

    A later line on an id overrules an earlier one in what it says, and another task type ends the subtype of the one before.
    Raises ConfigError with a line for every faulty line.
    """

    def label(line: str, where: str) -> dict[str, str]:
        entry = lines.entry(line, where, KEYS)
        for key in set(entry) - {"note"}:
            lines.word(entry, key, "text", where)
        type_, subtype, bucket = (entry.get(key) for key in ("task_type", "task_subtype", "bucket"))
        if type_ is None and bucket is None:
            said = "task_subtype without task_type" if subtype else "neither task_type nor bucket"
            raise ConfigError(f'{where}: {said}; accepted: {{"id": …, "task_type": …, "by": …}}.')
        if type_ is not None and type_ not in types:
            raise ConfigError(f"{where}: task_type is {type_!r}; accepted: {', '.join(types)}.")
        if subtype is not None and type_ is None:
            raise ConfigError(f"{where}: task_subtype without task_type; say both.")
        if subtype is not None and type_ is not None and subtype not in types[type_]:
            raise ConfigError(f"{where}: task_subtype is {subtype!r}; accepted: {', '.join(types[type_])}.")
        if bucket is not None and bucket not in buckets:
            raise ConfigError(f"{where}: bucket is {bucket!r}; accepted: {', '.join(buckets)}.")
        return entry

    found: dict[str, dict[str, str]] = {}
    for entry in lines.parse(lines.text(path), str(path), label):
        before = found.setdefault(entry["id"], {"by": "reviewer"})
        if "task_type" in entry:
            before.pop("task_subtype", None)
        before |= {key: value for key, value in entry.items() if key not in ("id", "note")}
    return found
