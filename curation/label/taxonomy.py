"""The taxonomy file as objects, and the bucket of a row."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

import yaml

from curation.errors import ConfigError
from curation.params import Params, parse


class TaskType(Params):
    """A first-level type: its bucket, what belongs there, its subtypes (name → zh and en description)."""

    bucket: str
    description: dict[str, str]
    subtypes: dict[str, dict[str, str]]
    exemplars: dict[str, dict[str, tuple[str, ...]]] = {}  # subtype → language → requests
    cues: dict[str, tuple[str, ...]] = {}  # subtype → patterns (polars regex, lower case) that name it


class Domain(Params):
    """A subject of the business: rows that speak of it go to its bucket."""

    bucket: str
    description: dict[str, str]
    terms: tuple[str, ...]


class Taxonomy(Params):
    """The whole file."""

    buckets: tuple[str, ...]
    task_types: dict[str, TaskType]
    domains: dict[str, Domain] = {}

    @property
    def types(self) -> dict[str, TaskType]:
        return self.task_types

    @cached_property
    def _terms(self) -> list[tuple[str, re.Pattern[str]]]:
        """One pattern a domain; Latin terms match whole words, case does not count."""
        found = []
        for domain in self.domains.values():
            parts = [rf"(?<![a-z0-9]){re.escape(t)}(?![a-z0-9])" if t.isascii() else re.escape(t) for t in domain.terms]
            found.append((domain.bucket, re.compile("|".join(parts), re.IGNORECASE)))
        return found

    def bucket(self, task_type: str, text: str) -> tuple[str, float]:
        """Bucket and confidence; safety and replay rows keep theirs, a domain's terms claim the others."""
        own = self.task_types[task_type].bucket
        if own in ("safety", "replay"):
            return own, 1.0
        for bucket, pattern in self._terms:
            if pattern.search(text):
                return bucket, 1.0
        return own, 0.9


def load(path: Path) -> Taxonomy:
    """The taxonomy at `path`; raises ConfigError with every fault of the file."""
    try:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"label.taxonomy: {path}: no such file; restore it or name another.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({error}); mend the file.".replace("\n", " ")) from None
    taxonomy = parse(Taxonomy, text, str(path))
    for name, task_type in taxonomy.task_types.items():
        if task_type.bucket not in taxonomy.buckets:
            raise ConfigError(
                f"{path}: task_types.{name}.bucket: found {task_type.bucket!r}; accepted: {', '.join(taxonomy.buckets)}."
            )
    return taxonomy
