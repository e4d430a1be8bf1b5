"""Targets, floors and caps that cut across parts: which rows are taken first, and which may not be taken at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from curation.errors import ConfigError
from curation.mix.params import Amount, Chooser
from curation.mix.ratios import Lack


@dataclass(frozen=True)
class Limit:
    """One entry of mix.targets, mix.floors or mix.caps, and the rows of the draw (True) that it speaks of."""

    where: str
    name: str
    rows: np.ndarray
    unit: str  # rows, tokens or loss_tokens
    number: float
    of_whole: bool  # `number` is a share of the whole, in mix.unit

    def amount(self, whole: float) -> float:
        return self.number * whole if self.of_whole else self.number


def chosen_rows(draw: pl.DataFrame, entry: Chooser, where: str) -> np.ndarray:
    """True for the rows that `entry` speaks of; raises ConfigError when there are none."""
    key, value = entry.chooser
    if key == "min_input_tokens":
        found = draw.select((pl.col("tokens") - pl.col("loss_tokens") >= value).alias("found"))["found"].to_numpy()
        if not found.any():
            most = draw.select((pl.col("tokens") - pl.col("loss_tokens")).max()).item()
            raise ConfigError(f"{where}: no row has an input of {value} tokens; the longest has {most}.")
        return np.array(found)
    found = (draw[key] == value).fill_null(False).to_numpy()
    if not found.any():
        present = ", ".join(sorted(draw[key].drop_nulls().unique()))
        raise ConfigError(f"{where}: no row has {key} {value!r}; present: {present}.")
    return np.array(found)


def limit(draw: pl.DataFrame, entry: Amount, where: str, unit: str) -> Limit:
    """`entry` with its rows; `unit` is mix.unit, in which fractions count."""
    key, number = entry.amount
    fraction = key == "fraction"
    return Limit(where, entry.name, chosen_rows(draw, entry, where), unit if fraction else key, number, fraction)


@dataclass(frozen=True)
class Access:
    """Rows of the draw by what may become of them."""

    first: np.ndarray  # taken before others
    barred: np.ndarray  # not taken
    once: np.ndarray  # not repeated: a cap or a target counts them


def access(
    parts: np.ndarray,
    names: Sequence[str],
    sizes: Mapping[str, np.ndarray],
    unit: str,
    room: Mapping[str, float],
    whole: float,
    targets: Sequence[Limit],
    floors: Sequence[Limit],
    caps: Sequence[Limit],
) -> Access:
    """Who comes first and who may not come, for a whole of `whole` with `room` for each part (both in `unit`).

    Targets and floors take rows in the order of the draw, as long as a row's part has room and no cap forbids it; what a
    target leaves is barred. Raises Lack with the reason.
    """
    n = len(parts)
    first, barred, once = (np.zeros(n, bool) for _ in range(3))
    left = np.array([room.get(name, 0.0) for name in names])
    size = sizes[unit]
    held = [0.0] * len(caps)
    for entry, exact in [*((t, True) for t in targets), *((f, False) for f in floors)]:
        v, amount = sizes[entry.unit], entry.amount(whole)
        reached = float(v[entry.rows & first].sum())
        full: set[str] = set()
        capped: set[str] = set()
        for i in np.flatnonzero(entry.rows & ~first & ~barred):
            if (reached + v[i] / 2 > amount) if exact else (reached >= amount):
                break
            if left[parts[i]] < size[i] / 2:
                full.add(names[parts[i]])
                continue
            closed = [
                c for c, cap in enumerate(caps) if cap.rows[i] and held[c] + sizes[cap.unit][i] > cap.amount(whole)
            ]
            if closed:
                capped |= {caps[c].where for c in closed}
                continue
            for c, cap in enumerate(caps):
                held[c] += float(sizes[cap.unit][i]) if cap.rows[i] else 0.0
            first[i] = True
            left[parts[i]] -= size[i]
            reached += float(v[i])
        _enough(entry, exact, reached, amount, v, barred, full, capped)
        if exact:
            barred |= entry.rows & ~first
            once |= entry.rows
    for cap in caps:
        once |= cap.rows
    return Access(first, barred, once)


def beyond_caps(
    taken: np.ndarray, given: Access, caps: Sequence[Limit], sizes: Mapping[str, np.ndarray], whole: float
) -> np.ndarray:
    """True for rows that may not be taken because a cap is reached before them in the order of the draw; `taken`: True where taken."""
    barred = np.zeros(len(taken), bool)
    for cap in caps:
        v = sizes[cap.unit]
        free = np.flatnonzero(cap.rows & taken & ~given.first)
        total = float(v[cap.rows & given.first].sum()) + np.cumsum(v[free])
        over = free[total > cap.amount(whole) + 1e-9]
        if len(over):
            barred[over[0] :] |= (cap.rows & ~given.first)[over[0] :]
    return barred


def _enough(
    entry: Limit,
    exact: bool,
    reached: float,
    amount: float,
    v: np.ndarray,
    barred: np.ndarray,
    full: set[str],
    capped: set[str],
) -> None:
    there = float(v[entry.rows & ~barred].sum())
    missed = amount - reached > (v[entry.rows].max() / 2 + 1e-9 if exact else 1e-9)
    if exact and reached - amount > v[entry.rows].max() / 2 + 1e-9:
        raise Lack(
            f"{entry.where}: {entry.name} is asked for {amount:.0f} {entry.unit}, and entries before it took {reached:.0f}",
            "small",
        )
    if not missed:
        return
    asks = f"{entry.where}: {entry.name} is asked for {amount:.0f} {entry.unit}"
    if there < amount - (v[entry.rows].max() / 2 if exact else 0):
        raise Lack(f"{asks} and {there:.0f} are there", "large")
    if capped:
        raise Lack(f"{asks}, and {', '.join(sorted(capped))} stops at {reached:.0f}", "small")
    raise Lack(f"{asks}, and {', '.join(sorted(full))} has room for {reached:.0f} of them", "small")
