"""Which rows are scheduled: from the draw and what params ask to ids with repeats, or the reason why that cannot be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from curation.errors import ConfigError
from curation.mix import limits, ratios
from curation.mix.limits import Access, Limit
from curation.mix.params import Amount, MixParams
from curation.mix.ratios import Lack

UNITS = ("rows", "tokens", "loss_tokens")


@dataclass(frozen=True)
class Choice:
    """`rows`: id, part, tokens, repeat of what is scheduled, in the order of the draw; `targets` by part; `limits`: what entries asked."""

    rows: pl.DataFrame
    targets: dict[str, dict[str, Any]]
    limits: list[dict[str, Any]]


def choose(draw: pl.DataFrame, params: MixParams) -> Choice:
    """The mixture of `draw` (id, part, task_type, source, bucket, tokens, loss_tokens, times, copy, in the order of drawing).

    Without mix.size the whole is the greatest that all entries allow. Raises ConfigError with the reason when there is none.
    """
    problem = _Problem(draw, params)
    if params.size is not None:
        try:
            return problem.at(float(params.size))
        except Lack as lack:
            raise ConfigError(
                f"mix.size: {params.size} {params.unit} cannot be had: {lack}; {problem.at_most()}."
            ) from None
    top = problem.top()
    try:
        return problem.at(top)
    except Lack as lack:
        return _greatest(problem, top, lack)


def _greatest(problem: _Problem, top: float, lack: Lack) -> Choice:
    """The mixture of the greatest whole below `top`, by bisection to a thousandth; the reason for `top` is `lack`."""
    reasons = {lack.side: lack}
    low, high, best = 0.0, top, None
    while high - low > max(0.5, top / 1000):
        middle = (low + high) / 2
        try:
            best, low = problem.at(middle), middle
        except Lack as found:
            reasons[found.side] = found
            low, high = (middle, high) if found.side == "small" and best is None else (low, middle)
    if best is None:
        # The last reasons on either side of the border: both must be told, for neither alone is the obstacle.
        said = ", and with a greater whole ".join(str(reasons[side]) for side in ("small", "large") if side in reasons)
        raise ConfigError(
            f"{said}; the whole is at most {top:.0f} {problem.params.unit} with these weights. Ask for less, or add rows."
        )
    return best


class _Problem:
    """The draw as arrays, and what params ask of it."""

    def __init__(self, draw: pl.DataFrame, params: MixParams) -> None:
        self.draw, self.params = draw, params
        self.names = sorted(draw["part"].unique())
        number = {name: i for i, name in enumerate(self.names)}
        self.parts = draw["part"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
        self.members = {name: np.flatnonzero(self.parts == i) for i, name in enumerate(self.names)}
        self.sizes = {"rows": np.ones(draw.height, np.int64)} | {u: draw[u].to_numpy() for u in UNITS[1:]}
        self.unit = params.unit
        whole_parts, across = self._sorted_targets()
        self.targets = [self._limit(e, w) for w, e in across]
        self.floors = [self._limit(e, f"mix.floors[{i}]") for i, e in enumerate(params.floors)]
        self.caps = [self._limit(e, f"mix.caps[{i}]") for i, e in enumerate(params.caps)]
        self.exact = {part: entry.amount for part, (_, entry) in whole_parts.items() if entry.fraction is None}
        fractions = {part: e.fraction for part, (_, e) in whole_parts.items() if e.fraction is not None}
        fixed = {part: self._fixed(part, *whole_parts[part]) for part in self.exact}
        self.asked = ratios.asked(params, fractions, fixed)
        self._all_there()
        wanted = np.isin(self.parts, [number[p] for p in self.asked.names])  # rows of other parts cannot be drawn
        for entry in [*self.targets, *self.floors, *self.caps]:
            entry.rows[~wanted] = False
            if not entry.rows.any() and entry not in self.caps:
                raise ConfigError(
                    f"{entry.where}: {entry.name}: its rows are in parts that this mixture leaves out; give those a weight in "
                    "mix.ratios, or leave the entry out."
                )

    def _limit(self, entry: Amount, where: str) -> Limit:
        return limits.limit(self.draw, entry, where, self.unit)

    def _sorted_targets(self) -> tuple[dict[str, tuple[str, Amount]], list[tuple[str, Amount]]]:
        """Targets on whole parts, by part, and those that cut across parts."""
        whole_parts: dict[str, tuple[str, Amount]] = {}
        across = []
        for i, entry in enumerate(self.params.targets):
            where, (key, value) = f"mix.targets[{i}]", entry.chooser
            rows = limits.chosen_rows(self.draw, entry, where)
            name = str(value)
            whole = key in ("part", "bucket") and name in self.members and len(self.members[name]) == rows.sum()
            if whole and rows[self.members[name]].all():
                if self.params.phases:
                    raise ConfigError(
                        f"{where}: {entry.name}: phases say what each part gets; leave the target out, or the phases."
                    )
                if name in whole_parts:
                    raise ConfigError(
                        f"{where}: {entry.name} has a target already ({whole_parts[name][0]}); leave one out."
                    )
                whole_parts[name] = (where, entry)
            else:
                across.append((where, entry))
        return whole_parts, across

    def _fixed(self, part: str, where: str, entry: Amount) -> float:
        """What a target in rows, tokens or loss tokens comes to in mix.unit; raises ConfigError when it is not there."""
        unit, amount = entry.amount
        there = int(self.sizes[unit][self.members[part]].sum())
        epochs = self.params.max_epochs if self.params.exhaustion == "repeat" else 1
        if amount > there * epochs:
            more = "" if epochs > 1 else ", or set mix.exhaustion to repeat"
            held = f"{there} are there" + (f", {there * epochs} in {epochs} epochs" if epochs > 1 else "")
            raise ConfigError(
                f"{where}: {entry.name} is asked for {amount:.0f} {unit} and {held}; ask for less, add rows{more}."
            )
        rows, _ = self._prefix(self.members[part], self.members[part], unit, amount)
        return float(self.sizes[self.unit][rows].sum())

    def _all_there(self) -> None:
        empty = [part for part in self.asked.names if part not in self.members]
        if empty:
            have = {name: int(self.sizes[self.unit][rows].sum()) for name, rows in self.members.items()}
            raise ConfigError(
                f"mix: no row for {', '.join(empty)} (weights ask for some); add rows, or set the weight to 0 "
                f"(present: {', '.join(f'{p} {n} {self.unit}' for p, n in have.items())})."
            )

    def top(self) -> float:
        """The greatest whole that the parts allow, limits not counted."""
        have = {name: float(self.sizes[self.unit][rows].sum()) for name, rows in self.members.items()}
        return ratios.largest(self.asked, have, self.params)

    def at_most(self) -> str:
        """What could be had instead, said only where the parts alone decide it."""
        if self.targets or self.floors or self.caps or self.params.exhaustion != "stop" or self.asked.fixed:
            return "ask for less, or add rows"
        return f"at most {int(self.top())} with these weights"

    def at(self, whole: float) -> Choice:
        """The mixture for a whole of `whole` (in mix.unit); raises Lack."""
        have = self._available(whole)
        renormalise = self.params.exhaustion == "renormalise"
        amounts = ratios.renormalised(self.asked, whole, have) if renormalise else self.asked.amounts(whole)
        if abs(sum(amounts.values()) - whole) > max(1.0, self.params.tolerance * whole):
            raise Lack(f"the targets make {sum(amounts.values()):.0f}", "large")
        over = {p: a for p, a in amounts.items() if a > have[p] * (1 + 1e-9) + 0.5}
        if over:
            said = "; ".join(f"{p} needs {over[p]:.0f} {self.unit} and has {have[p]:.0f}" for p in sorted(over))
            raise Lack(said, "large")
        given = limits.access(
            self.parts, self.names, self.sizes, self.unit, amounts, whole, self.targets, self.floors, self.caps
        )
        chosen = self._take(amounts, given)
        while self.caps:
            taken = np.zeros(len(self.parts), bool)
            taken[np.concatenate([rows for rows, _ in chosen.values()])] = True
            barred = limits.beyond_caps(taken, given, self.caps, self.sizes, whole) & ~given.barred
            if not barred.any():
                break
            given = replace(given, barred=given.barred | barred)
            chosen = self._take(amounts, given)
        for part, amount in amounts.items():
            unit, number = self.exact.get(part, (self.unit, amount))
            got = float(self.sizes[unit][chosen[part][0]].sum())
            if number - got > 0.5 * self.sizes[unit][self.members[part]].max() + 1e-6:
                raise Lack(f"{part} needs {number:.0f} {unit} and has {got:.0f} that targets and caps allow", "large")
        targets = {part: self._target(part, amount, whole, have[part]) for part, amount in amounts.items()}
        return Choice(self._rows(list(chosen.values())), targets, self._limits(whole))

    def _take(self, amounts: Mapping[str, float], given: Access) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Part → rows and their epochs."""
        found = {}
        for part, amount in amounts.items():
            once, again = self._sequence(part, given)
            found[part] = self._prefix(once, again, *self.exact.get(part, (self.unit, amount)))
        return found

    def _sequence(self, part: str, given: Access) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a part in the order of taking, first time and again."""
        rows = self.members[part]
        rows = rows[~given.barred[rows]]
        return np.concatenate([rows[given.first[rows]], rows[~given.first[rows]]]), rows[~given.once[rows]]

    def _available(self, whole: float) -> dict[str, float]:
        """What each part has in mix.unit, repeats and caps counted; where a cap spans parts, each may count it all."""
        epochs = self.params.max_epochs if self.params.exhaustion == "repeat" else 1
        counted = np.zeros(len(self.parts), bool)  # by a cap or a target: not repeated
        for entry in [*self.targets, *self.caps]:
            counted |= entry.rows
        size, have = self.sizes[self.unit], {}
        for part, rows in self.members.items():
            left = ~counted[rows]
            have[part] = float(size[rows[left]].sum()) * epochs
            open_ = counted[rows]
            for cap in self.caps:
                mine = rows[open_ & cap.rows[rows]]
                open_ &= ~cap.rows[rows]
                held = float(size[mine].sum())
                have[part] += min(held, cap.amount(whole)) if cap.unit == self.unit else held
            have[part] += float(size[rows[open_]].sum())
        return have

    def _prefix(self, once: np.ndarray, again: np.ndarray, unit: str, amount: float) -> tuple[np.ndarray, np.ndarray]:
        """Rows and their epochs, to the end that is nearest to `amount`."""
        epochs = [once]
        if self.params.exhaustion == "repeat":
            held, each = (float(self.sizes[unit][rows].sum()) for rows in (once, again))
            while held < amount and each and len(epochs) < self.params.max_epochs:
                epochs.append(again)
                held += each
        rows = np.concatenate(epochs)
        number = np.repeat(np.arange(len(epochs)), [len(e) for e in epochs])
        ends = np.concatenate([[0], np.cumsum(self.sizes[unit][rows])])
        end = int(np.searchsorted(ends, amount))
        if end > 0 and (end == len(ends) or amount - ends[end - 1] <= ends[end] - amount):
            end -= 1
        return rows[:end], number[:end]

    def _target(self, part: str, amount: float, whole: float, available: float) -> dict[str, Any]:
        unit, number = self.exact.get(part, (self.unit, amount))
        return {
            "share": amount / whole,
            "unit": unit,
            "target": round(number, 3),
            "available": int(available),
            "fixed": part in self.exact,
        }

    def _limits(self, whole: float) -> list[dict[str, Any]]:
        said = [("target", entry) for entry in self.targets]
        said += [("floor", entry) for entry in self.floors] + [("cap", entry) for entry in self.caps]
        return [{"kind": kind, "fraction": e.number if e.of_whole else None} | _told(e, whole) for kind, e in said]

    def _rows(self, chosen: list[tuple[np.ndarray, np.ndarray]]) -> pl.DataFrame:
        rows = np.concatenate([r for r, _ in chosen])
        epochs = np.concatenate([e for _, e in chosen])
        taken = self.draw.select("id", "part", "tokens", "copy", "times")[rows].with_columns(
            pl.Series("epoch", epochs, dtype=pl.Int64), pl.Series("place", rows, dtype=pl.Int64)
        )
        repeat = pl.col("epoch") * pl.col("times") + pl.col("copy")
        return taken.sort("epoch", "place").select("id", "part", "tokens", repeat.alias("repeat"))


def _told(entry: Limit, whole: float) -> dict[str, Any]:
    return {"where": entry.where, "name": entry.name, "unit": entry.unit, "amount": round(entry.amount(whole), 3)}
