"""Tokens and loss tokens of each row as training will see them, stored by what they depend on."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import polars as pl
import xxhash

from curation.cache import Cache
from curation.progress import Progress, silent
from curation.render import Renderer, RenderParams

SIZES = {"id": pl.String, "tokens": pl.Int64, "loss_tokens": pl.Int64}
NEEDED = ("id", "content_hash", "kind", "messages", "tools", "text")


def keys(rows: pl.DataFrame, identity: str) -> list[str]:
    """For each row what its size depends on: content, turn weights of 0 (which bear no loss), and `identity`.

    `identity`: of tokenizer, template and turn policy, in one text.
    """
    seed = xxhash.xxh3_64_intdigest(identity.encode())
    silent_turns = pl.col("messages").list.eval(pl.element().struct.field("loss_weight") == 0)
    told = rows.select("content_hash", "kind", silent_turns.alias("silent"))
    # Most rows weigh no turn; `silent` then holds nulls only, which say nothing.
    plain = told.with_columns(pl.when(pl.col("silent").list.any()).then("silent"))
    return [
        xxhash.xxh3_128_hexdigest(orjson.dumps([h, k, s]) if s else f"{h}{k}".encode(), seed=seed)
        for h, k, s in plain.iter_rows()
    ]


def measure(
    rows: pl.DataFrame,
    identity: str,
    render: RenderParams,
    renderer: Callable[[], Renderer],
    progress: Progress = silent,
) -> pl.DataFrame:
    """`id`, `tokens`, `loss_tokens` for `rows`. `renderer` is called only when a size is not stored."""
    names = keys(rows, identity)
    cache = Cache("sizes")
    try:
        found = cache.get(sorted(names))  # in the order they are stored in: half the time for a million
        known = {k: int.from_bytes(v, "little") for k, v in found.items()}
        missing = [i for i, k in enumerate(names) if k not in known]
        if missing:
            render_row = renderer()
            new: dict[str, bytes] = {}
            for number, i in enumerate(missing, 1):
                encoded = render_row.encode(rows.row(i, named=True), render.turns)
                known[names[i]] = len(encoded.ids) << 32 | encoded.loss_tokens
                new[names[i]] = known[names[i]].to_bytes(8, "little")
                if number % 500 == 0 or number == len(missing):
                    cache.put(new)
                    new = {}
                    progress("mix: tokens", number, len(missing))
    finally:
        cache.close()
    sizes = [known[k] for k in names]
    return pl.DataFrame(
        {"id": rows["id"], "tokens": [s >> 32 for s in sizes], "loss_tokens": [s & 0xFFFFFFFF for s in sizes]},
        schema=SIZES,
    )
