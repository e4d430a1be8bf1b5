"""Small pools of rows with labels and sizes, for the tests of mix."""

from __future__ import annotations

import polars as pl

from curation import records
from curation.mix import MixParams, decide, order
from curation.mix.choose import Choice, choose
from curation.render import RenderParams

TYPES = {
    "general": ("open_qa", "classification"),
    "math_code": ("math", "code"),
    "domain": ("open_qa", "classification", "extraction"),
    "safety": ("safety",),
    "replay": ("text",),
}
NO_PAIRS = pl.DataFrame(
    schema={
        "content_hash": pl.String,
        "neighbours": pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})),
        "against": pl.List(pl.Struct({"other": pl.String, "similarity": pl.Float64})),
    }
)
RENDER = RenderParams(max_length=512)


def row(bucket: str, i: int, **other: object) -> dict[str, object]:
    """Row `i` of a bucket: 20–79 tokens, 10–16 of them with loss, task types in turn, sources s0–s3."""
    types = TYPES[bucket]
    return {
        "id": f"{bucket}-{i}", "content_hash": f"h-{bucket}-{i}", "bucket": bucket, "task_type": types[i % len(types)],
        "task_subtype": None, "source": f"s{i % 4}", "origin": "pretrain" if bucket == "replay" else "human",
        "group": None, "recipe": None, "parents": [], "language": "en", "weight": 1.0,
        "tokens": 20 + (i * 37) % 60, "loss_tokens": 10 + i % 7, "quality": None,
    } | other  # fmt: skip


def pool(**sizes: int) -> pl.DataFrame:
    """So many rows of each bucket."""
    return frame([row(bucket, i) for bucket, n in sizes.items() for i in range(n)])


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    types = {
        "parents": pl.List(pl.String),
        "quality": pl.Float64,
        "group": pl.String,
        "recipe": pl.String,
        "task_subtype": pl.String,
    }
    return pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)


FULL = pool(general=60, math_code=50, domain=70, safety=40, replay=40)


def chosen(rows: pl.DataFrame, **params: object) -> Choice:
    """What is drawn of `rows` without a held-out split."""
    settings = MixParams.model_validate(params)
    parted = order.parts(rows, settings.all_parts(), settings.quality)
    return choose(order.draw(parted, settings), settings)


def held(choice: Choice, rows: pl.DataFrame) -> pl.DataFrame:
    """The scheduled rows with their labels and sizes."""
    return choice.rows.select("id", "part", "repeat").join(rows, on="id", how="left", maintain_order="left")


def decided(
    rows: pl.DataFrame, made: pl.DataFrame | None = None, near: dict[str, pl.DataFrame] | None = None, **params: object
):
    """`decide` over rows that bring their sizes and quality."""
    made = rows.clear() if made is None else made
    both = pl.concat([rows, made])
    quality = both.select("content_hash", "quality")
    sizes = both.select("id", "tokens", "loss_tokens")
    bare = [f.drop("tokens", "loss_tokens", "quality") for f in (rows, made)]
    settings = MixParams.model_validate(params)
    return decide(*bare, near or {}, sizes, settings, RENDER, "template", quality=quality)


def labelled(id_: str, bucket: str, prompt: str, answer: str, **other: object) -> dict[str, object]:
    """A whole record."""
    messages = [records.message("user", prompt), records.message("assistant", answer)]
    return {
        "id": id_, "kind": "chat", "messages": messages, "content_hash": records.content_hash(messages, None, None),
        "bucket": bucket, "task_type": "chat", "task_subtype": "advice", "origin": "human", "source": "s", "tags": [],
        "parents": [], "language": "en", "license": "MIT", "weight": 1.0,
    } | other  # fmt: skip


def pairs(*found: tuple[str, str, float]) -> pl.DataFrame:
    """A near sidecar of these pairs of content hashes."""
    sides: dict[str, list[dict[str, object]]] = {}
    for one, other, similarity in found:
        sides.setdefault(one, []).append({"other": other, "similarity": similarity})
        sides.setdefault(other, []).append({"other": one, "similarity": similarity})
    rows = [{"content_hash": h, "neighbours": n, "against": []} for h, n in sorted(sides.items())]
    return pl.DataFrame(rows, schema=NO_PAIRS.schema)
