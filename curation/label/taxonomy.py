"""The taxonomy file as objects, and the bucket of a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import polars as pl
import yaml
from pydantic import Field

from curation.errors import ConfigError
from curation.params import Params, parse

BY_FORM = ("tool_use", "text")  # types that the form alone decides: no words can name them


class TaskType(Params):
    """A first-level type: its bucket, what belongs there, its subtypes (name → zh and en description)."""

    bucket: str
    description: dict[str, str]
    subtypes: dict[str, dict[str, str]]
    exemplars: dict[str, dict[str, tuple[str, ...]]] = {}  # subtype → language → requests
    cues: dict[str, tuple[str, ...]] = {}  # subtype → patterns (polars regex, lower case) that name it


class Domain(Params):
    """A subject of the business: rows that speak of it go to its bucket.

    One of `terms` is enough. `hints` are words that others use too, so a row must have `hints_needed` different ones.
    """

    bucket: str
    description: dict[str, str]
    terms: tuple[str, ...]
    hints: tuple[str, ...] = ()
    hints_needed: int = Field(3, ge=1)


class Taxonomy(Params):
    """The whole file."""

    buckets: tuple[str, ...]
    task_types: dict[str, TaskType]
    domains: dict[str, Domain] = {}

    @property
    def types(self) -> dict[str, TaskType]:
        return self.task_types

    @cached_property
    def _terms(self) -> list[tuple[Domain, re.Pattern[str], re.Pattern[str]]]:
        """A domain, the pattern of its terms and that of its hints; case does not count."""
        return [(domain, _any_of(domain.terms), _any_of(domain.hints)) for domain in self.domains.values()]

    def bucket(self, task_type: str, text: str) -> tuple[str, float]:
        """Bucket and confidence; safety and replay rows keep theirs, a domain's terms and hints claim the others."""
        own = self.task_types[task_type].bucket
        if own in ("safety", "replay"):
            return own, 1.0
        for domain, terms, hints in self._terms:
            if terms.search(text):
                return domain.bucket, 1.0
            if len({"".join(found).lower() for found in hints.findall(text)}) >= domain.hints_needed:
                return domain.bucket, 0.8
        return own, 0.9


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Two groups, Latin and other: any of the words, the longest first, Latin ones also with s, ed or ing; none: no match."""
    by_length = sorted(words, key=lambda w: (-len(w), w))
    latin = "|".join(re.escape(w) for w in by_length if w.isascii()) or r"(?!)"
    other = "|".join(re.escape(w) for w in by_length if not w.isascii()) or r"(?!)"
    return re.compile(rf"(?<![a-z0-9])({latin})(?:s|ed|ing)?(?![a-z0-9])|({other})", re.IGNORECASE)


def load(path: Path) -> Taxonomy:
    """The taxonomy at `path`; raises ConfigError with every fault of the file."""
    try:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"label.taxonomy: {path}: no such file; restore it or name another.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({error}); mend the file.".replace("\n", " ")) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8.") from None
    taxonomy = parse(Taxonomy, text, str(path))
    if faults := [f"{path}: {fault}" for fault in _faults(taxonomy)]:
        raise ConfigError("\n".join(faults))
    return taxonomy


def _faults(taxonomy: Taxonomy) -> Iterator[str]:
    """What is wrong with a file that has the right keys, a line each."""
    for name in BY_FORM:
        if name not in taxonomy.task_types:
            yield f"task_types.{name}: missing; a row's form alone makes it of this type; put the type back."
    every = [(f"task_types.{name}", said.bucket) for name, said in taxonomy.task_types.items()]
    every += [(f"domains.{name}", said.bucket) for name, said in taxonomy.domains.items()]
    for where, bucket in every:
        if bucket not in taxonomy.buckets:
            yield f"{where}.bucket: found {bucket!r}; accepted: {', '.join(taxonomy.buckets)}."
    for name, said in taxonomy.task_types.items():
        where = f"task_types.{name}"
        if not said.subtypes:
            yield f"{where}.subtypes: found none; one or more are accepted; add a subtype."
            continue
        for key, held in (("cues", said.cues), ("exemplars", said.exemplars)):
            for subtype in held:
                if subtype not in said.subtypes:
                    yield f"{where}.{key}.{subtype}: no such subtype; accepted: {', '.join(said.subtypes)}; rename or add it."
        for subtype, patterns in said.cues.items():
            for pattern in patterns:
                if wrong := _no_pattern(pattern):
                    yield f"{where}.cues.{subtype}: found {pattern!r}, no pattern of polars ({wrong}); mend it."


def _no_pattern(pattern: str) -> str | None:
    """Why the regex engine that searches for cues does not take it."""
    try:
        pl.Series([], dtype=pl.String).str.contains(searchable(pattern))
    except pl.exceptions.PolarsError as error:
        return (
            next((line.removeprefix("error: ") for line in str(error).splitlines() if line.startswith("error: ")), "")
            or str(error).splitlines()[0]
        )
    return None


def searchable(pattern: str) -> str:
    """A cue as polars is given it: `\\b` is an ASCII border there too."""
    return pattern.replace(r"\b", r"(?-u:\b)")
