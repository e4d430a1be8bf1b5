"""Makes rows from cleaned ones, by recipes; every planned attempt is accounted for, and clean judges what they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from pydantic import Field

from curation import records as rec
from curation.endpoint import EndpointParams
from curation.progress import Progress, silent
from curation.synthesize import evol, noise
from curation.synthesize.attempt import Attempt, Outcome
from curation.synthesize.evol import EvolParams
from curation.synthesize.noise import NoiseParams

if TYPE_CHECKING:
    from curation.completion import Ask

# Name → module with OPERATIONS, plan() and make(). The name stands in params, in `recipe` and in ids.
RECIPES: dict[str, Any] = {"evol": evol, "noise": noise}

PLAN: dict[str, Any] = {
    "attempt": pl.String,
    "recipe": pl.String,  # <recipe>/<operation>
    "parent": pl.String,
}
ATTEMPTS: dict[str, Any] = PLAN | {
    "fate": pl.String,  # kept, rejected
    "reason": pl.String,  # of a rejection; stable snake_case
    "detail": pl.String,
    "record": pl.String,  # id of the row that was kept
    "exchanges": pl.String,  # JSON text: what was asked and answered, word for word
    "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
}
REASONS = (
    "budget", "request_failed", "empty", "cut_off", "refused", "copied_parent", "copied_example", "echoed_prompt",
    "too_long", "copied_instruction", "unchanged",
)  # fmt: skip


class SynthesizeParams(EndpointParams):
    """`params.yaml: synthesize`."""

    temperature: float = Field(0.0, ge=0, le=2)
    seed: int = 17
    evol: EvolParams = EvolParams()
    noise: NoiseParams = NoiseParams()


def plan(cleaned: pl.DataFrame, params: SynthesizeParams) -> pl.DataFrame:
    """One row of PLAN an attempt, sorted by recipe and attempt; a function of the cleaned records, whatever their order."""
    hashes = dict(cleaned.select("id", "content_hash").iter_rows())
    rows = []
    for name, module in RECIPES.items():
        for operation, parent in module.plan(cleaned, getattr(params, name), params.seed):
            key = rec.hash16(f"{params.seed}|{name}/{operation}|{parent}|{hashes[parent]}".encode())
            rows.append({"attempt": f"attempt-{key}", "recipe": f"{name}/{operation}", "parent": parent})
    return rec.frame(rows, PLAN).sort("recipe", "attempt")


def synthesize(
    cleaned: pl.DataFrame, params: SynthesizeParams, ask: Ask, progress: Progress = silent
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(records, attempts): the rows made, in SCHEMA sorted by id, and the fate of each planned attempt, in ATTEMPTS
    sorted by attempt. `ask` answers requests; what it raises passes through, and answers stored by then are kept."""
    planned = plan(cleaned, params)
    chosen = cleaned.filter(pl.col("id").is_in(planned["parent"].to_list()))
    parents = {row["id"]: row for row in chosen.select(*rec.SCHEMA).iter_rows(named=True)}
    records, attempts = [], []
    for name in RECIPES:
        mine = [
            Attempt(id_, name, recipe.removeprefix(f"{name}/"), parent)
            for id_, recipe, parent in planned.iter_rows()
            if recipe.startswith(f"{name}/")
        ]
        for attempt, outcome in zip(mine, _maker(name, params)(mine, parents, ask, progress), strict=True):
            record = _record(attempt, outcome, parents[attempt.parent]) if outcome.messages is not None else None
            if record is not None:
                records.append(record)
            attempts.append(_fate(attempt, outcome, record))
    return rec.frame(records).sort("id"), rec.frame(attempts, ATTEMPTS).sort("attempt")


def _maker(name: str, params: SynthesizeParams) -> Callable[..., list[Outcome]]:
    asking = {"temperature": params.temperature, "together": params.concurrency} if name == "evol" else {}

    def make(attempts: list[Attempt], parents: dict[str, Any], ask: Ask, progress: Progress) -> list[Outcome]:
        made: list[Outcome] = RECIPES[name].make(
            attempts, parents, getattr(params, name), params.seed, ask, progress, **asking
        )
        return made

    return make


def _record(attempt: Attempt, outcome: Outcome, parent: dict[str, Any]) -> dict[str, Any]:
    content = rec.content_hash(outcome.messages, None, outcome.tools)
    return {
        "id": f"{attempt.recipe}-{rec.hash16(f'{attempt.id}|{content}'.encode())}",
        "content_hash": content,
        "kind": "chat",
        "messages": outcome.messages,
        "tools": outcome.tools,
        "language": parent["language"],
        "source": "synthetic",
        "license": parent["license"],
        "origin": "synthetic",
        "group": parent["group"],
        "recipe": f"{attempt.recipe}/{attempt.operation}",
        "parents": [attempt.parent],
        "tags": outcome.tags,
        "weight": parent["weight"],
        "meta": orjson.dumps({"attempt": attempt.id}).decode(),
    }


def _fate(attempt: Attempt, outcome: Outcome, record: dict[str, Any] | None) -> dict[str, Any]:
    said = [
        {"messages": [{"role": role, "content": content} for role, content in request.messages],
         "max_tokens": request.max_tokens, "temperature": request.temperature,
         "answer": answer.text, "finish": answer.finish, "failure": answer.failure}
        for request, answer in outcome.exchanges
    ]  # fmt: skip
    return {
        "attempt": attempt.id,
        "recipe": f"{attempt.recipe}/{attempt.operation}",
        "parent": attempt.parent,
        "fate": "rejected" if record is None else "kept",
        "reason": outcome.reason,
        "detail": outcome.detail,
        "record": record["id"] if record else None,
        "exchanges": orjson.dumps(said).decode(),
        "prompt_tokens": sum(answer.prompt_tokens for _, answer in outcome.exchanges),
        "completion_tokens": sum(answer.completion_tokens for _, answer in outcome.exchanges),
    }
