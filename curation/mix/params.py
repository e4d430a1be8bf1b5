"""`params.yaml: mix`: what each key accepts. Faults that need the rows to be seen are told by the module that reads the key."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from curation.mix import presets
from curation.params import Params

Unit = Literal["rows", "tokens", "loss_tokens"]
REPLAY = "replay"
AMOUNTS = ("rows", "fraction", "tokens", "loss_tokens")
CHOOSERS = ("part", "bucket", "task_type", "source", "min_input_tokens")
Positive = Annotated[float, Field(gt=0)]
Ratios = dict[str, float]


class Chooser(Params):
    """Which rows an entry speaks of: exactly one of these keys."""

    part: str | None = None
    bucket: str | None = None
    task_type: str | None = None
    source: str | None = None
    min_input_tokens: int | None = Field(None, ge=1)  # rows whose prompt (tokens without loss) has so many

    @model_validator(mode="after")
    def _one_chooser(self) -> Chooser:
        said = [k for k in CHOOSERS if getattr(self, k) is not None]
        if len(said) != 1:
            raise ValueError(f"exactly one of {', '.join(CHOOSERS)} is accepted, found {', '.join(said) or 'none'}")
        return self

    @property
    def chooser(self) -> tuple[str, str | int]:
        """The key that is set and its value."""
        return next((k, getattr(self, k)) for k in CHOOSERS if getattr(self, k) is not None)

    @property
    def name(self) -> str:
        key, value = self.chooser
        return f"{key} {value}"


class Amount(Chooser):
    """How much of what: the rows of a Chooser, and exactly one of rows, fraction (of the whole, in mix.unit), tokens, loss_tokens."""

    rows: int | None = Field(None, ge=0)
    fraction: float | None = Field(None, ge=0, le=1)
    tokens: int | None = Field(None, ge=0)
    loss_tokens: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _one_amount(self) -> Amount:
        said = [k for k in AMOUNTS if getattr(self, k) is not None]
        if len(said) != 1:
            raise ValueError(f"exactly one of {', '.join(AMOUNTS)} is accepted, found {', '.join(said) or 'none'}")
        return self

    @property
    def amount(self) -> tuple[str, float]:
        """The key that is set and its number."""
        return next((k, float(getattr(self, k))) for k in AMOUNTS if getattr(self, k) is not None)


class Weight(Chooser):
    """A factor on the loss weight of rows."""

    weight: float = Field(ge=0)


class Part(Params):
    """A part of the mixture that is not a bucket: rows that meet every key that is set."""

    bucket: tuple[str, ...] | None = None
    task_type: tuple[str, ...] | None = None
    source: tuple[str, ...] | None = None
    quality: Literal["core", "tail"] | None = None

    @model_validator(mode="after")
    def _some_key(self) -> Part:
        if all(value is None for _, value in self):
            raise ValueError(f"at least one of {', '.join(type(self).model_fields)} is accepted, found none")
        return self


class QualityParams(Params):
    """`params.yaml: mix.quality`. Read only where a part or the temperature asks for quality."""

    by: Literal["auto", "judge"] = "auto"  # judge: grades of score.judge, (grade - 1) / 4
    core: float = Field(0.3, gt=0, lt=1)
    temperature: float | None = Field(None, gt=0)


class ShortParams(Params):
    """`params.yaml: mix.short_answers`."""

    max_loss_tokens: int = Field(8, ge=1)
    times: int = Field(1, ge=1)


class Phase(Params):
    """One phase of a curriculum: its name, its share of the steps and its own weights."""

    name: str = Field(min_length=1)
    share: float = Field(gt=0, le=1)
    ratios: Ratios
    replay: float | None = Field(None, ge=0, lt=1)  # null: mix.replay

    @field_validator("ratios")
    @classmethod
    def _weights(cls, value: Ratios) -> Ratios:
        return checked(value)


class HeldoutParams(Params):
    """`params.yaml: mix.heldout`."""

    share: float = Field(0.12, ge=0, lt=1)  # of clusters
    seed: int = 0
    near: float = Field(0.5, gt=0, le=1)  # pairs at or above this Jaccard stay together; not below score.near.floor


class MixParams(Params):
    """`params.yaml: mix`."""

    ratios: Ratios | str = {"general": 0.2, "math_code": 0.3, "domain": 0.4, "safety": 0.1}
    replay: float = Field(0.05, ge=0, lt=1)
    unit: Unit = "tokens"
    size: int | None = Field(None, ge=1)  # of the whole, in `unit`; null: as much as the scarcest part allows
    tolerance: float = Field(0.01, gt=0, le=1)  # of the whole; or one row's size, where that is more
    exhaustion: Literal["stop", "repeat", "renormalise"] = "stop"
    max_epochs: int = Field(3, ge=1)
    parts: dict[str, Part] = {}
    targets: tuple[Amount, ...] = ()
    floors: tuple[Amount, ...] = ()
    caps: tuple[Amount, ...] = ()
    task_weights: dict[str, Positive] = {}
    quality: QualityParams = QualityParams()
    short_answers: ShortParams = ShortParams()
    weights: tuple[Weight, ...] = ()
    phases: tuple[Phase, ...] = ()
    synthesized: Literal["none", "reviewed", "all"] = "reviewed"
    seed: int = 0
    heldout: HeldoutParams = HeldoutParams()

    @field_validator("ratios", mode="before")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if isinstance(value, str):
            presets.preset(value)
            return value
        numbers = isinstance(value, dict) and all(
            isinstance(weight, int | float) and not isinstance(weight, bool) for weight in value.values()
        )
        if not numbers:
            raise ValueError(f"numbers by bucket, or one of {', '.join(presets.names())}, are accepted")
        return checked(value)

    @field_validator("parts")
    @classmethod
    def _names(cls, value: dict[str, Part]) -> dict[str, Part]:
        if REPLAY in value:
            raise ValueError(f"{REPLAY} is the name of a bucket; another name is accepted")
        return value

    @model_validator(mode="after")
    def _fit(self) -> MixParams:
        if self.phases:
            if abs(sum(p.share for p in self.phases) - 1) > 1e-6:
                raise ValueError(f"phases: shares add up to {sum(p.share for p in self.phases):g}; 1 is accepted")
            if len({p.name for p in self.phases}) < len(self.phases):
                raise ValueError("phases: each has a name of its own")
            if self.unit != "tokens":
                raise ValueError(f"phases: a step is filled by tokens, found unit {self.unit}; set mix.unit to tokens")
            if self.exhaustion == "renormalise":
                raise ValueError("phases: each keeps its mixture, so exhaustion stop or repeat is accepted")
        if self.exhaustion == "renormalise" and self.size is None:
            raise ValueError("exhaustion renormalise fills up to a size; set mix.size")
        return self

    def plain_ratios(self) -> Ratios:
        """Relative weights by part, a preset's name resolved."""
        return presets.preset(self.ratios).ratios if isinstance(self.ratios, str) else self.ratios

    def all_parts(self) -> dict[str, Part]:
        """Parts beside the buckets, a preset's first."""
        made = presets.preset(self.ratios).parts if isinstance(self.ratios, str) else {}
        return {name: Part.model_validate(p) for name, p in made.items()} | self.parts


def checked(value: Ratios) -> Ratios:
    """`value` when it can be weights; raises ValueError."""
    if not all(math.isfinite(weight) for weight in value.values()):
        raise ValueError("finite weights are accepted")
    if not value or any(weight < 0 for weight in value.values()) or sum(value.values()) <= 0:
        raise ValueError("weights ≥ 0, at least one above 0, are accepted")
    if REPLAY in value:
        raise ValueError("replay is a share of the whole: set mix.replay")
    return value
