"""What is planned, and what became of it: the two things that every recipe takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.completion import Answer, Request


@dataclass(frozen=True)
class Attempt:
    """One row of the plan."""

    id: str
    recipe: str  # a name in RECIPES
    operation: str
    parent: str


@dataclass(frozen=True)
class Outcome:
    """A conversation, or the reason why there is none (stable snake_case); and what was asked and answered on the way."""

    messages: list[dict[str, Any]] | None = None
    tags: list[str] = field(default_factory=list)
    tools: str | None = None
    reason: str | None = None
    detail: str | None = None
    exchanges: list[tuple[Request, Answer]] = field(default_factory=list)
