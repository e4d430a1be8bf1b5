"""What params say of sources, and the files and data sets that they name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

import orjson
from pydantic import Field

from curation.errors import ConfigError, DataError
from curation.ingest.raw import RawRecord
from curation.params import Params

_HIDDEN = {"README.md", "LICENSE"}
_SAVED = ("state.json", "dataset_dict.json")  # what `datasets` puts into a folder: one split, or several by name
_INFO = "dataset_info.json"  # stands beside state.json, which other programs write too


class SourceParams(Params):
    """One entry of `params.yaml: ingest.sources`: where to read, and what its rows have unless they say otherwise."""

    path: str  # file, glob, folder, hf:org/name, or a folder that `datasets` saved
    name: str | None = Field(None, pattern=r"^[^/\s]+$")  # stands in ids; default: the file's name
    format: Literal["auto", "json", "jsonl", "csv", "tsv", "text", "parquet"] = "auto"
    layout: Literal[
        "auto", "messages", "sharegpt", "chatml", "alpaca", "pairs", "preference", "feedback", "tree", "text"
    ] = "auto"
    unit: Literal["file", "line", "block"] = "file"
    split: str = "train"
    license: str = "unknown"
    origin: Literal["human", "log", "synthetic", "pretrain"] = "human"
    tags: tuple[str, ...] = ()


class IngestParams(Params):
    """`params.yaml: ingest`. A file that several entries name belongs to the last; what `datasets` saved, to its own entry."""

    sources: tuple[SourceParams, ...] = Field(min_length=1)


class Place(NamedTuple):
    """A file (`path`) or a data set (None, then `file` says which), the name in its ids, and its source."""

    path: Path | None
    file: str
    name: str
    source: SourceParams


def places(params: IngestParams) -> list[Place]:
    """All files by path, then all data sets; raises DataError when a source names nothing."""
    owner: dict[Path, tuple[Path, SourceParams]] = {}  # by the place on the disk: a path may be written in several ways
    sets: list[tuple[str, SourceParams]] = []
    inside: dict[Path, tuple[str, SourceParams]] = {}  # saved folders within a source
    for source in params.sources:
        if source.path.startswith("hf:") or any((Path(source.path) / mark).exists() for mark in _SAVED):
            sets.append((source.path, source))
            continue
        matched, saved = _expand(source.path)
        if not matched and not saved:
            raise DataError(
                f"ingest.sources: {source.path}: no such file, folder or pattern; restore it or take the entry out of params.yaml."
            )
        owner.update((_on_disk(path), (path, source)) for path in matched)
        inside.update((folder.resolve(), (folder.as_posix(), source)) for folder in saved)
    stems = Counter(_stem(path) for path, _ in owner.values())
    found = []
    for path, own in sorted(owner.values(), key=itemgetter(0)):
        name = own.name or (_stem(path) if stems[_stem(path)] == 1 else f"{path.parent.name}.{_stem(path)}")
        found.append(Place(path, _shown(path.as_posix()), _shown(name), own))
    named = {Path(place).resolve() for place, _ in sets}
    for place, own in [*sets, *(inside[folder] for folder in sorted(inside) if folder not in named)]:
        found.append(Place(None, place, own.name or place.removeprefix("hf:").strip("/").replace("/", "."), own))
    return found


def _shown(name: str) -> str:
    """A file's name as text: bytes of it that are no UTF-8 are written out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or path.name


def _on_disk(path: Path) -> Path:
    """One form of a path. A link to a file stays itself: DVC may link equal files to one place in its cache."""
    return path.parent.resolve() / path.name


def _expand(pattern: str) -> tuple[list[Path], list[Path]]:
    """The files that a path, folder or pattern names, and the folders among them that `datasets` saved."""
    path = Path(pattern)
    if path.is_file():
        return [path], []
    if path.is_dir():
        inside = path.rglob("*")
    else:
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        inside = anchor.glob(str(path.relative_to(path.anchor)) if path.is_absolute() else pattern)
    spelled = set(path.parts)  # what is hidden counts only where the entry says so
    files = sorted(
        p
        for p in inside
        if p.is_file() and p.name not in _HIDDEN and not any(part[0] == "." and part not in spelled for part in p.parts)
    )
    root = Path(*takewhile(lambda part: not re.search(r"[*?[]", part), path.parts))
    saved = {folder: _saved(folder, root) for folder in {p.parent for p in files}}
    return [p for p in files if saved[p.parent] is None], sorted({s for s in saved.values() if s})


def _saved(folder: Path, root: Path) -> Path | None:
    """The outermost folder that `datasets` saved, between `root` and `folder`, both of which may be it."""
    for place in (*reversed(folder.parents), folder):
        if (place == root or root in place.parents) and (
            (place / _SAVED[1]).exists() or ((place / _SAVED[0]).exists() and (place / _INFO).exists())
        ):
            return place
    return None


def dataset(place: str, split: str) -> Iterator[RawRecord]:
    """Rows of a hub name (`hf:org/name`) or of a folder that `datasets` saved; raises ConfigError."""
    try:
        if place.startswith("hf:"):
            from datasets import load_dataset

            data = load_dataset(place.removeprefix("hf:"), split=split)
        else:
            from datasets import load_from_disk

            data = load_from_disk(place)
            if hasattr(data, "keys"):
                if split not in data:
                    raise ValueError(f"no split {split!r}; it has {', '.join(data)}")
                data = data[split]
    except (OSError, ValueError, KeyError, ConnectionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"ingest.sources: {place}: cannot be loaded ({reason}); "
            "accepted: a hub name that can be reached, or a saved folder, with its split."
        ) from None
    for number, row in enumerate(data, 1):
        yield RawRecord(place, number, orjson.dumps(row, default=str).decode(), row)
