"""What a measure gives: a table by task type, and alarms with the rows behind them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

ROWS_SHOWN = 5  # ids behind an alarm, at most


@dataclass(frozen=True)
class Alarm:
    """One thing that a reviewer should look at. `ids`: up to five rows that show it best, most telling first."""

    measure: str
    task_type: str
    value: float
    limit: float
    sentence: str
    remedy: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """`table`: one row a task type (and side or language, where they are told apart); `note`: what it covers."""

    name: str
    table: pl.DataFrame
    alarms: tuple[Alarm, ...]
    note: str = ""
