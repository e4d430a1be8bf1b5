"""Exact copies: a hash of the normalised conversation."""

from __future__ import annotations

import binascii
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import polars as pl

from curation.params import Params
from curation.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np

_SLICE = 1 << 14  # rows that are read and hashed together: bounds memory


class ExactParams(Params):
    """`params.yaml: score.exact`."""

    case: bool = False  # true: Case and case differ
    punctuation: bool = False  # true: spaces and punctuation count
    script: Literal["keep", "fold"] = "keep"  # fold: traditional and simplified characters are one


def compute(
    records: pl.DataFrame,
    params: ExactParams,
    *,
    against: pl.DataFrame | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """`key`: rows with one key are copies; roles, reasoning, tool calls and order count. `prompt_key`, `answer_key`: of the sides.

    What is set aside stands in curation/score/normal_form.py. The key of a side is that of its turns in order, reasoning left out.
    """
    from curation.models import threads

    # Not `distinct`: sorting frames of messages costs more than all the rest.
    rows = records.select("content_hash", "kind", "messages", "text", "tools")
    first = rows["content_hash"].is_first_distinct()
    rows = rows if first.all() else rows.filter(first)
    # Quarters of a core's share at least, so that no core waits for another's last slice.
    size = max(1, min(_SLICE, -(-len(rows) // (4 * threads()))))
    parts, done = [], 0
    with ThreadPoolExecutor(threads()) as pool:
        for part in pool.map(lambda at: _keys(rows.slice(at, size), params), range(0, len(rows), size)):
            parts.append(part)
            done += len(part)
            progress("exact", done, len(rows))
    schema = dict.fromkeys(("content_hash", "key", "prompt_key", "answer_key", "not_applicable"), pl.String)
    return pl.concat([pl.DataFrame(schema=schema), *parts]).sort("content_hash")


def _keys(rows: pl.DataFrame, params: ExactParams) -> pl.DataFrame:
    import numpy as np

    from curation.score import digests

    turns = rows["messages"].list.explode(keep_nulls=False, empty_as_null=False).struct
    begins = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(rows["messages"].list.len().fill_null(0).to_numpy(), out=begins[1:])
    role = turns.field("role")
    sides = np.array(((role == "user").cast(pl.UInt8) + 2 * (role == "assistant").cast(pl.UInt8)).fill_null(0))
    thought = turns.field("reasoning").fill_null("").str.strip_chars()
    hashes = np.empty((len(rows), 6), np.uint64)
    digests.combined(
        begins, sides, _plain(role), _normal(turns.field("content"), params), _plain(turns.field("tool_calls")),
        np.array(thought != ""), _normal(thought, params),
        _normal(rows["text"], params), _plain(rows["tools"]), np.array((rows["kind"] == "text").fill_null(False)), hashes,
    )  # fmt: skip
    keys = {name: _hex(hashes[:, 2 * n : 2 * n + 2]) for n, name in enumerate(("key", "prompt_key", "answer_key"))}
    return rows.select("content_hash").with_columns(**keys, not_applicable=pl.lit(None, pl.String))


def _normal(texts: pl.Series, params: ExactParams) -> np.ndarray:
    """Hashes (n × 2) of the normal forms; null is empty."""
    import numpy as np

    from curation.score import digests, normal_form
    from curation.score.utf8 import buffers

    out, slow = np.empty((len(texts), 2), np.uint64), np.zeros(len(texts), np.bool_)
    tables = normal_form.table(params.case, params.script)
    digests.normal(*buffers(texts.fill_null("")), *tables, params.punctuation, out, slow)
    if slow.any():
        folded = [normal_form.fold(t, params.case, params.script) for t in texts.filter(pl.Series(slow))]
        late = np.empty((len(folded), 2), np.uint64)
        data = buffers(pl.Series(folded, dtype=pl.String))
        digests.normal(*data, *normal_form.plain_table(), params.punctuation, late, np.zeros(len(folded), np.bool_))
        out[slow] = late
    return out


def _plain(texts: pl.Series) -> np.ndarray:
    """Hashes (n × 2) of the bytes; null is empty."""
    import numpy as np

    from curation.score import digests
    from curation.score.utf8 import buffers

    out = np.empty((len(texts), 2), np.uint64)
    digests.plain(*buffers(texts.fill_null("")), out)
    return out


def _hex(hashes: np.ndarray) -> pl.Series:
    """128 bits a row as 32 hexadecimal digits."""
    import numpy as np
    import pyarrow as pa

    digits = binascii.hexlify(np.ascontiguousarray(hashes, dtype=">u8").tobytes())
    offsets = np.arange(0, len(digits) + 32, 32, dtype=np.int64)[: len(hashes) + 1]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pl.Series(pl.from_arrow(pa.LargeStringArray.from_buffers(len(hashes), *buffers[1:])))
