"""The record: schema, ids, hashes, sides, and parquet in and out, the same bytes for the same rows.

One row is a conversation (`kind` chat) or a plain text for replay (`kind` text). From `clean` on the labels stand
beside it as columns. Every other module takes and gives frames of this form.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import polars as pl
import xxhash

from curation.errors import DataError

ROLES = ("system", "user", "assistant", "tool")
ORIGINS = ("human", "log", "synthetic", "pretrain")
KINDS = ("chat", "text")
ROW_GROUP = 65536  # rows of a parquet file that are encoded together

MESSAGE = pl.Struct(
    {
        "role": pl.String,
        "content": pl.String,
        "reasoning": pl.String,
        "name": pl.String,
        "tool_calls": pl.String,  # JSON text of a list, arguments byte for byte
        "tool_call_id": pl.String,
        "loss_weight": pl.Float64,  # null: 1 for assistant turns
    }
)
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "content_hash": pl.String,
    "kind": pl.String,
    "messages": pl.List(MESSAGE),
    "tools": pl.String,
    "text": pl.String,
    "language": pl.String,
    "source": pl.String,
    "license": pl.String,
    "origin": pl.String,
    "group": pl.String,
    "recipe": pl.String,
    "parents": pl.List(pl.String),
    "tags": pl.List(pl.String),
    "weight": pl.Float64,
    "meta": pl.String,
}
LABELS: dict[str, pl.DataType | type[pl.DataType]] = {
    "task_type": pl.String,
    "task_type_confidence": pl.Float64,
    "task_type_by": pl.String,
    "task_subtype": pl.String,
    "task_subtype_confidence": pl.Float64,
    "task_subtype_by": pl.String,
    "bucket": pl.String,
    "bucket_confidence": pl.Float64,
    "bucket_by": pl.String,
}
LABELLED = SCHEMA | LABELS
_CONTENT_KEYS = ("role", "content", "reasoning", "name", "tool_calls", "tool_call_id")


def hash16(data: bytes) -> str:
    """16 hexadecimal digits (64 bits, XXH3) of raw bytes; used in ids."""
    return xxhash.xxh3_64_hexdigest(data)


def content_hash(messages: Sequence[Mapping[str, Any]] | None, text: str | None, tools: str | None) -> str:
    """32 hexadecimal digits (128 bits, XXH3) of what a model would see: messages, tools, text. Weights do not count."""
    turns = [[m.get(k) or "" for k in _CONTENT_KEYS] for m in messages or ()]
    payload = orjson.dumps([turns, text or "", tools or ""])
    return xxhash.xxh3_128_hexdigest(payload)


def rehash(records: pl.DataFrame) -> pl.DataFrame:
    """`records` with `content_hash` computed anew from messages, text and tools."""
    rows = records.select("messages", "text", "tools").iter_rows()
    hashes = [content_hash(messages, text, tools) for messages, text, tools in rows]
    return records.with_columns(pl.Series("content_hash", hashes, dtype=pl.String))


def message(role: str, content: str, **other: Any) -> dict[str, Any]:
    """A message with every key of MESSAGE; those not given are null."""
    return dict.fromkeys(MESSAGE.to_schema()) | {"role": role, "content": content} | other


def frame(rows: Iterable[Mapping[str, Any]], schema: Mapping[str, Any] = SCHEMA) -> pl.DataFrame:
    """Rows as a frame with exactly the columns and types of `schema`; absent keys become null."""
    rows = list(rows)
    columns = {name: pl.Series(name, [r.get(name) for r in rows], dtype=dtype) for name, dtype in schema.items()}
    return pl.DataFrame(columns)


def sides(records: pl.DataFrame) -> pl.DataFrame:
    """`records` with `system`, `prompt`, `last_prompt`, `answer` and `last_answer` (text rows: empty prompt, the text as answer).

    `prompt` joins all user turns and `answer` all assistant turns (reasoning left out) with a newline.
    """

    def said(role: str) -> pl.Expr:
        turns = pl.col("messages").list.eval(
            pl.element().struct.field("content").filter(pl.element().struct.field("role") == role)
        )
        return turns.list.drop_nulls()

    text = pl.col("kind") == "text"
    return records.with_columns(
        said("system").list.join("\n").fill_null("").alias("system"),
        said("user").list.join("\n").fill_null("").alias("prompt"),
        said("user").list.last().fill_null("").alias("last_prompt"),
        pl.when(text).then(pl.col("text")).otherwise(said("assistant").list.join("\n")).fill_null("").alias("answer"),
        pl.when(text).then(pl.col("text")).otherwise(said("assistant").list.last()).fill_null("").alias("last_answer"),
    )


def tagged(prefix: str) -> pl.Expr:
    """True for rows that have a tag beginning with `prefix`."""
    return pl.col("tags").list.eval(pl.element().str.starts_with(prefix)).list.any().fill_null(False)


def write(frame_: pl.DataFrame, path: Path, sort_by: str | Sequence[str] | None = None) -> None:
    """Write parquet, the same bytes for the same rows, whole or not at all; raises DataError.

    `sort_by` must order totally (facts: `group_by`, `unique` and joins give no stable order).
    """
    if sort_by is not None:
        frame_ = frame_.sort(sort_by, nulls_last=False)
    with whole(path) as part:
        frame_.rechunk().write_parquet(part, compression="zstd", row_group_size=ROW_GROUP, statistics=True)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file `path` when the block ends well, so that it appears whole or not at all.

    Raises DataError when it cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot write ({error}); free some space or pick another folder, then run again."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def read(path: Path, schema: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Parquet as a frame; raises DataError when it is missing, damaged or lacks columns of `schema`."""
    if not path.exists():
        raise DataError(f"{path}: no such file; run the stage that makes it (`dvc repro`) first.")
    try:
        data = pl.read_parquet(path, columns=list(columns) if columns else None)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: not a readable parquet file ({reason}); delete it and run `dvc repro` again."
        ) from None
    missing = [name for name in schema or () if name not in data.columns]
    if missing:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}; delete it and run `dvc repro` again.")
    return data
