"""Diversity and health of a corpus, by task type: measures, and alarms with the rows behind them.

One measure a file, each a pure function of a frame. Nothing is decided here: an alarm is a sentence for a reviewer.
docs/health.md says what each one is, where its limit comes from and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from curation import records as rec
from curation.clean.prose import units as length
from curation.health import dependence, distinct, homogeneity, lengths, openings, position, spread, topics
from curation.health.result import Alarm, Measure

__all__ = ["Alarm", "Health", "Measure", "health", "prepared"]


@dataclass(frozen=True)
class Health:
    """`rows`: judged, each id once; `measures` in the order of docs/health.md."""

    rows: int
    measures: tuple[Measure, ...]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        return tuple(alarm for measure in self.measures for alarm in measure.alarms)


def health(records: pl.DataFrame, embedding: pl.DataFrame | None = None) -> Health:
    """Every measure of labelled records. `embedding`: that signal's sidecar, None when there is none. Order of rows is nothing."""
    frame = prepared(records)
    measures = (
        lengths.measure(frame),
        openings.measure(frame),
        position.measure(frame),
        homogeneity.measure(frame),
        distinct.measure(frame),
        spread.measure(frame, embedding),
        topics.measure(frame),
        dependence.measure(frame),
    )
    return Health(frame.height, measures)


def prepared(records: pl.DataFrame) -> pl.DataFrame:
    """Chat rows, each id once, sorted by it, with what the measures read.

    `borrowed`: made by noise, with the answer of its parent. `system`, `prompt`, `answer`: all turns of a side joined.
    `users`, `answers`: lists; what the assistant said between two user turns is one entry. `prompt_length`,
    `answer_length`: Chinese characters + 2 × words.
    """
    rows = rec.sides(records.filter(pl.col("kind") == "chat").unique("id").sort("id"))
    turns = [_turns(messages) for messages in rows["messages"].to_list()]
    return rows.select(
        "id",
        "content_hash",
        (rec.tagged("robustness:") & (pl.col("parents").list.len().fill_null(0) > 0)).alias("borrowed"),
        pl.col("task_type").fill_null("unlabelled"),
        "system",
        "prompt",
        "answer",
        pl.Series("users", [t[0] for t in turns], dtype=pl.List(pl.String)),
        pl.Series("answers", [t[1] for t in turns], dtype=pl.List(pl.String)),
        length("prompt").alias("prompt_length"),
        length("answer").alias("answer_length"),
    )


def _turns(messages: list[dict[str, str | None]] | None) -> tuple[list[str], list[str]]:
    users: list[str] = []
    answers: list[str] = []
    for message in messages or ():
        content = message["content"] or ""
        if message["role"] == "user":
            users.append(content)
            answers.append("")
        elif message["role"] == "assistant" and users:
            answers[-1] = f"{answers[-1]}\n{content}".strip()
    return users, answers
