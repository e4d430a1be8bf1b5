"""One chat completion: what is asked, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
import xxhash


@dataclass(frozen=True)
class Request:
    """One chat completion: (role, content) turns and sampling."""

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None  # sent only when sampling

    def key(self, identity: str) -> str:
        """The cache key: what is told and how it is sampled, and `identity`: the model, of an endpoint also its URL."""
        sampling = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        if self.temperature > 0:
            sampling["seed"] = self.seed or 0
        payload = orjson.dumps([identity, self.messages, sampling], option=orjson.OPT_SORT_KEYS)
        return xxhash.xxh3_128_hexdigest(payload)


@dataclass(frozen=True)
class Answer:
    """What came back. `failure` is None, `budget` (never asked) or `request_failed`, with `detail`."""

    text: str = ""
    finish: str = ""  # stop, length, content_filter
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failure: str | None = None
    detail: str = ""


class Ask(Protocol):
    """What recipes need of an endpoint; tests put in a function."""

    def __call__(self, requests: Sequence[Request]) -> list[Answer]: ...


def longest(request: Request) -> int:
    """At most so many tokens: byte-level vocabularies need no more than one a byte, templates a few a turn."""
    return request.max_tokens + sum(len(content.encode()) + 16 for _, content in request.messages)
