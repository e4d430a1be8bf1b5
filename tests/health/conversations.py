"""Labelled records for the tests of the measures, from turns."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from curation import records as rec


def record(id_: str, *turns: str, task_type: str = "writing", system: str = "") -> dict[str, object]:
    """A chat row: `turns` are user, assistant, user, …"""
    messages = [rec.message("system", system)] if system else []
    messages += [rec.message(("user", "assistant")[i % 2], text) for i, text in enumerate(turns)]
    return {
        "id": id_,
        "content_hash": rec.content_hash(messages, None, None),
        "kind": "chat",
        "messages": messages,
        "task_type": task_type,
    }


def labelled(rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    return rec.frame(rows, rec.LABELLED)
