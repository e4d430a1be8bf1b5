"""How alike the answers of a task type are: same text, same beginning, shared runs of four units."""

from __future__ import annotations

from collections import Counter

import polars as pl

from curation.health.limits import CLOSED, LIMITS, MIN_ROWS
from curation.health.result import ROWS_SHOWN, Alarm, Measure
from curation.health.units import units

RUN = 4  # units; shorter runs are grammar
START = 6


def runs(text: str) -> set[str]:
    """The distinct runs of four units of a text."""
    found = units(text)
    return {" ".join(found[i : i + RUN]) for i in range(len(found) - RUN + 1)}


def measure(frame: pl.DataFrame) -> Measure:
    """By task type: shares of answers with the same text, with the commonest start, and with the runs of another answer.

    `shared_runs` = Σ c(c-1) / ((n-1) Σ c) over runs that c of n answers have: the expected share of one answer's runs
    that stand in another answer taken at random.
    """
    rows = frame.filter((pl.col("answer") != "") & ~pl.col("borrowed")).with_columns(
        pl.col("answer").map_elements(lambda t: " ".join(units(t)), return_dtype=pl.String).alias("plain"),
    )
    rows = rows.with_columns(
        pl.col("answer").map_elements(_start, return_dtype=pl.String).alias("start"),
        (pl.len().over("task_type", "plain") > 1).alias("twin"),
    )
    table, found = [], []
    for (task_type,), mine in rows.group_by("task_type"):
        mine = mine.sort("id")
        each = [runs(t) for t in mine["answer"]]
        counts = Counter(run for one in each for run in one)
        total = sum(counts.values())
        shared = (
            sum(c * (c - 1) for c in counts.values()) / ((mine.height - 1) * total)
            if mine.height > 1 and total
            else 0.0
        )
        starts = (
            mine.filter(pl.col("start") != "").group_by("start").len().sort("len", "start", descending=[True, False])
        )
        top, often = starts.row(0) if starts.height else ("", 0)
        one = {
            "task_type": str(task_type),
            "rows": mine.height,
            "same_answer": round(mine["twin"].sum() / mine.height, 4),
            "same_start": round(often / mine.height, 4) if often > 1 else 0.0,
            "start": _shown(top) if often > 1 else "",
            "shared_runs": round(shared, 4),
        }
        table.append(one)
        if mine.height >= MIN_ROWS and task_type not in CLOSED:
            likeness = [sum(counts[run] - 1 for run in own) / len(own) if own else 0.0 for own in each]
            found += _alarms(one, mine.with_columns(pl.Series("likeness", likeness, dtype=pl.Float64)))
    schema = {
        "task_type": pl.String, "rows": pl.Int64, "same_answer": pl.Float64, "same_start": pl.Float64,
        "start": pl.String, "shared_runs": pl.Float64,
    }  # fmt: skip
    found.sort(key=lambda a: (a.task_type, a.sentence))
    return Measure(
        "homogeneity",
        pl.DataFrame(table, schema=schema).sort("task_type"),
        tuple(found),
        "rows made by noise are left out: they keep their parent's answer; "
        f"types with short or closed answers are shown, not judged: {', '.join(CLOSED)}",
    )


def _start(text: str) -> str:
    """The first six units; empty for an answer that has no more, whose beginning is its whole."""
    found = units(text)
    return " ".join(found[:START]) if len(found) > START else ""


def _alarms(one: dict[str, object], mine: pl.DataFrame) -> list[Alarm]:
    alike = mine.sort("likeness", "id", descending=[True, False])
    said = {
        "same_answer": (
            mine.filter("twin").sort("plain", "id"),
            "{:.0%} of {} answers are the same text as another's.",
            "Keep one of each (clean.duplicates.same_answer), or ask for answers to the prompt at hand.",
        ),
        "same_start": (
            mine.filter(pl.col("start").map_elements(_shown, return_dtype=pl.String) == one["start"]),
            f"{{:.0%}} of {{}} answers begin alike: “{one['start']}”.",
            "Let some begin with the matter itself.",
        ),
        "shared_runs": (
            alike,
            "One answer shares {:.1%} of its runs of four characters or words with another one, of {}: they follow one mould.",
            "Look for a template in the rows named, and vary or thin it out.",
        ),
    }
    found = []
    for name, (rows, sentence, remedy) in said.items():
        value = float(one[name])  # type: ignore[arg-type]
        if value >= LIMITS[name] and rows.height >= 3:
            ids = tuple(rows["id"].head(ROWS_SHOWN))
            text = sentence.format(value, mine.height)
            found.append(Alarm("homogeneity", str(one["task_type"]), value, LIMITS[name], text, remedy, ids))
    return found


def _shown(start: str) -> str:
    """Chinese characters without the spaces that part units."""
    parts = start.split(" ")
    return "".join(parts) if all(len(p) == 1 and p > "\u3400" for p in parts) else start
