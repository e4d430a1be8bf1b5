"""How right the two measures are that read meaning from words: on 100 rows each, marked by hand before they were measured.

A test recounts these figures from tests/data/health_100.csv.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Marked:
    """Of `rows` marked rows the measure says yes to `flagged`, of which `right` are marked yes; `truth` are marked yes in all."""

    rows: int
    flagged: int
    right: int
    truth: int

    def sentence(self) -> str:
        """Precision and recall, with the counts that they come from."""
        return (
            f"On {self.rows} rows marked by hand: precision {self.right / self.flagged:.2f} "
            f"({self.right} of {self.flagged}), recall {self.right / self.truth:.2f} ({self.right} of {self.truth})."
        )


MARKED = {
    "topic_switches": Marked(100, 10, 8, 16),
    "system_dependence": Marked(100, 34, 29, 44),
}
