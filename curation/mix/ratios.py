"""How much of each part a whole of a given size holds: shares, absolute targets, and what happens when a part runs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from curation.errors import ConfigError
from curation.mix.params import REPLAY, MixParams


class Lack(Exception):
    """A whole that cannot be had. `side`: large when less would do, small when more might."""

    def __init__(self, said: str, side: str) -> None:
        super().__init__(said)
        self.side = side


@dataclass(frozen=True)
class Asked:
    """What params ask of the parts: `weights` share what `fixed` (part → amount in mix.unit) and `fractions` leave."""

    weights: Mapping[str, float]
    fractions: Mapping[str, float]
    fixed: Mapping[str, float]

    @property
    def names(self) -> list[str]:
        return [*self.weights, *self.fractions, *self.fixed]

    def share(self, part: str) -> float:
        """Of the whole, 0…1; of what `fixed` leaves, where a part has a weight."""
        if part in self.fractions:
            return self.fractions[part]
        return (1 - sum(self.fractions.values())) * self.weights[part] / sum(self.weights.values())

    def amounts(self, whole: float) -> dict[str, float]:
        """Part → amount in mix.unit."""
        given = sum(self.fixed.values())
        total = sum(self.weights.values())
        found = {p: self.share(p) * whole - given * w / total for p, w in self.weights.items()}
        if any(amount < 0 for amount in found.values()):
            need = given + sum(self.fractions.values()) * whole
            raise Lack(
                f"targets and fractions need {need:.0f} and leave nothing for {', '.join(self.weights)}", "small"
            )
        return found | {p: f * whole for p, f in self.fractions.items()} | dict(self.fixed)

    def whole(self, part: str, amount: float) -> float:
        """The whole at which `part` needs `amount`."""
        if part in self.fractions:
            return amount / self.share(part)
        return (amount + sum(self.fixed.values()) * self.weights[part] / sum(self.weights.values())) / self.share(part)


def shares(ratios: Mapping[str, float], replay: float) -> dict[str, float]:
    """Share of the whole for each part: relative weights, and replay as it stands."""
    total = sum(ratios.values())
    found = {part: (1 - replay) * weight / total for part, weight in ratios.items() if weight > 0}
    return found | ({REPLAY: replay} if replay > 0 else {})


def asked(params: MixParams, fractions: Mapping[str, float], fixed: Mapping[str, float]) -> Asked:
    """Weights of params, where `fractions` and `fixed` of targets on whole parts stand in place of a part's own share."""
    if params.phases:
        blended: dict[str, float] = {}
        for phase in params.phases:
            replay = params.replay if phase.replay is None else phase.replay
            for part, share in shares(phase.ratios, replay).items():
                blended[part] = blended.get(part, 0.0) + phase.share * share
        return Asked({}, blended, {})
    weights = {p: w for p, w in params.plain_ratios().items() if w > 0 and p not in fractions and p not in fixed}
    own = {} if params.replay == 0 or REPLAY in fractions or REPLAY in fixed else {REPLAY: params.replay}
    found = {p: f for p, f in ({**fractions, **own}).items() if f > 0}
    total = sum(found.values())
    if total > 1 + 1e-9:
        said = " + ".join(f"{p} {f:g}" for p, f in found.items())
        raise ConfigError(
            f"mix.targets: fractions and replay make {total:g} of the whole ({said}); at most 1 is accepted."
        )
    if weights and total > 1 - 1e-9:
        raise ConfigError(
            f"mix.targets: fractions and replay take the whole, and nothing is left for {', '.join(weights)} of mix.ratios; "
            "lower a fraction, or set those weights to 0."
        )
    if not weights and not fixed and total < 1 - 1e-9:
        raise ConfigError(
            f"mix.targets: fractions and replay make {total:g} of the whole, and no part has a weight for the rest; "
            "raise a fraction, or give a part a weight in mix.ratios."
        )
    return Asked(weights, found, fixed)


def largest(asked: Asked, available: Mapping[str, float], params: MixParams) -> float:
    """The greatest whole that these amounts allow; with `repeat`, that at which the most plentiful part is used once.

    `available`: in mix.unit, without repeats.
    """
    if not asked.weights:
        rest = 1 - sum(asked.fractions.values())
        if asked.fixed and rest > 1e-9:
            return sum(asked.fixed.values()) / rest
    bounded = [p for p in asked.names if p not in asked.fixed]
    once = [asked.whole(p, available[p]) for p in bounded]
    if params.exhaustion != "repeat":
        return min(once)
    return min(max(once), min(asked.whole(p, available[p] * params.max_epochs) for p in bounded))


def renormalised(asked: Asked, whole: float, available: Mapping[str, float]) -> dict[str, float]:
    """Amounts where a part that runs out gives all it has and the other weights share what it lacks."""
    found = asked.amounts(whole)
    full = {p: available[p] for p in asked.fractions if found[p] > available[p]}
    while True:
        taken = sum(full.values()) + sum(found[p] for p in {*asked.fractions, *asked.fixed} - set(full))
        open_ = {p: w for p, w in asked.weights.items() if p not in full}
        given = {p: (whole - taken) * w / sum(open_.values()) for p, w in open_.items()}
        over = {p: available[p] for p, amount in given.items() if amount > available[p]}
        if not over:
            break
        full |= over
    found |= full | given
    if sum(found.values()) < whole * (1 - 1e-9) - 0.5:
        raise Lack(f"all parts together hold {sum(found.values()):.0f}", "large")
    return found
