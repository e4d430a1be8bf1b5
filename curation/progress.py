"""How the library tells that long work goes on; pipelines draw it, tests and scripts stay silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with a label, how much is done and of how much; the unit is the label's."""

    def __call__(self, label: str, done: int, total: int) -> None: ...


def silent(label: str, done: int, total: int) -> None:
    """Shows nothing."""
