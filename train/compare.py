"""Paired comparison of two models on the same rows: the difference in nats a token, with a bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl
import xxhash

Verdict = Literal["better", "worse", "unclear"]
# Below this, resampling rows says little about rows that were not drawn, and a verdict would be an accident.
LEAST_ROWS = 5
DIGITS = 6


@dataclass(frozen=True)
class Difference:
    """Second minus first, in nats a token; negative: the second model is better. Rounded to DIGITS."""

    rows: int
    tokens: int
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict


def paired(
    first: Sequence[float],
    second: Sequence[float],
    tokens: Sequence[int],
    *,
    seed: int,
    resamples: int,
    interval: float,
) -> Difference:
    """The difference between two models' summed losses (nats, a row each) per token, with a percentile interval.

    Rows are drawn with replacement, both models' losses together (Efron & Tibshirani 1993, chapter 13; paired as in Koehn,
    EMNLP 2004). `better` or `worse` when the interval leaves out 0 and there are LEAST_ROWS rows at least.
    The result does not depend on the order of rows.
    """
    import numpy as np

    rows = sorted((t, a, b) for a, b, t in zip(first, second, tokens, strict=True) if t > 0)
    n, total = len(rows), sum(t for t, _, _ in rows)
    if not n:
        return Difference(0, 0, None, None, None, None, None, "unclear")
    a, b = math.fsum(r[1] for r in rows) / total, math.fsum(r[2] for r in rows) / total
    gaps = np.array([r[2] - r[1] for r in rows])
    lengths = np.array([r[0] for r in rows], dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for i in range(resamples):
        sample = rng.integers(0, n, n)
        drawn[i] = gaps[sample].sum() / lengths[sample].sum()
    low, high = (float(x) for x in np.quantile(drawn, [(1 - interval) / 2, (1 + interval) / 2]))
    low, high = round(low, DIGITS), round(high, DIGITS)
    verdict: Verdict = "unclear"
    if n >= LEAST_ROWS:
        verdict = "better" if high < 0 else "worse" if low > 0 else "unclear"
    return Difference(n, total, round(a, DIGITS), round(b, DIGITS), round(b - a, DIGITS), low, high, verdict)


def by_group(
    rows: pl.DataFrame, dimension: str, *, seed: int, resamples: int, interval: float
) -> dict[str, Difference]:
    """`paired` of base and trained for each value of the column `dimension`, sorted. `rows` as in `train.evaluate.ROWS`."""
    found = {}
    for name in sorted(rows[dimension].drop_nulls().unique().to_list()):
        part = rows.filter(pl.col(dimension) == name)
        own_seed = seed ^ xxhash.xxh32_intdigest(
            f"{dimension}={name}".encode()
        )  # a group's draws do not hang on which others exist
        found[name] = paired(
            part["base"].to_list(), part["trained"].to_list(), part["tokens"].to_list(),
            seed=own_seed, resamples=resamples, interval=interval,
        )  # fmt: skip
    return found


def evidence(rows: pl.DataFrame, cases: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """What `reports/accepted.json` keeps of a run beside its scores, so that later ones can be held against it row by row.

    `rows` and `cases` as in reports/scores_by_row.csv and reports/cases.jsonl.
    """
    held = rows.select("content_hash", "trained", "tokens").sort("content_hash").rows()
    return {
        "heldout": {content_hash: [loss, tokens] for content_hash, loss, tokens in held},
        "benchmark": {item: int(right) for item, right in cases.select("item", "trained_correct").sort("item").rows()},
    }


def against_accepted(
    accepted: Mapping[str, Any], rows: pl.DataFrame, cases: pl.DataFrame, *, seed: int, resamples: int, interval: float
) -> dict[str, Any]:
    """This run beside the accepted one, on the held-out rows and benchmark items that both have (`accepted` holds `evidence`).

    A held-out row counts when it has as many label tokens in both; otherwise the models did not read the same tokens.
    """
    then, now, tokens = [], [], []
    for content_hash, loss, n in rows.select("content_hash", "trained", "tokens").sort("content_hash").rows():
        old = accepted["heldout"].get(content_hash)
        if old and old[1] == n:
            then.append(old[0])
            now.append(loss)
            tokens.append(n)
    shared = [
        (accepted["benchmark"][item], int(right))
        for item, right in cases.select("item", "trained_correct").rows()
        if item in accepted["benchmark"]
    ]
    heldout = asdict(paired(then, now, tokens, seed=seed, resamples=resamples, interval=interval))
    heldout["nll_accepted"], heldout["nll_trained"] = heldout.pop("first"), heldout.pop("second")
    return {
        "heldout": heldout,
        "benchmark": {
            "items": len(shared),
            "accepted": round(sum(a for a, _ in shared) / len(shared), DIGITS) if shared else None,
            "trained": round(sum(b for _, b in shared) / len(shared), DIGITS) if shared else None,
        },
    }
