"""Ready mixtures and ladders: the names in `presets.yaml`."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

PRESETS = Path(__file__).parent / "presets.yaml"


class Preset(BaseModel):
    """What a name stands for: weights by part, and the parts that are no buckets (see params.Part)."""

    about: str
    ratios: dict[str, float]
    parts: dict[str, dict[str, Any]] = {}


@cache
def _file() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PRESETS.read_text(encoding="utf-8"))
    return loaded


def names() -> list[str]:
    return list(_file()["presets"])


def preset(name: str) -> Preset:
    """The preset; raises ValueError naming those there are."""
    found = _file()["presets"]
    if name not in found:
        close = difflib.get_close_matches(name, found, n=1)
        hint = f" (nearest: {close[0]})" if close else ""
        raise ValueError(f"no preset {name!r}; accepted: {', '.join(found)}, or weights by bucket{hint}")
    return Preset.model_validate(found[name])


def ladder(name: str) -> list[float]:
    """Values of one key of `mix`, to be tried one after the other."""
    return [float(v) for v in _file()["ladders"][name]]
