"""params.yaml → the params models of each room; every fault is reported at once."""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import yaml
from pydantic import BaseModel

from curation.errors import ConfigError
from curation.params import parse

if TYPE_CHECKING:
    from curation.clean import CleanParams
    from curation.mix import MixParams
    from train.params import MergesParams

PARAMS = Path("params.yaml")
SECTIONS = (
    "render", "ingest", "repair", "score", "label", "clean", "synthesize", "mix", "train", "evaluate", "gate", "merge", "report",
)  # fmt: skip
P = TypeVar("P", bound=BaseModel)


class Loader(yaml.SafeLoader):
    """Reads true and false as DVC does (YAML 1.2). PyYAML alone takes `off`, `on`, `yes`, `no` for them, keys included."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, what) for tag, what in known if tag != "tag:yaml.org,2002:bool"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


@cache
def read(path: Path) -> dict[str, Any]:
    """The file as it stands, sections unparsed; raises ConfigError."""
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 -- safe: built on SafeLoader
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; run from the project's root, or restore it with `git checkout {path}`."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not YAML ({getattr(error, 'problem', error)}); mend the line.") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: found {type(loaded).__name__}; a mapping of sections is accepted.")
    return loaded


def models() -> dict[str, type[BaseModel]]:
    """Section → its model. Imported late: each room brings its own."""
    from curation.clean import CleanParams
    from curation.ingest import IngestParams
    from curation.label import LabelParams
    from curation.mix import MixParams
    from curation.render import RenderParams
    from curation.repair import RepairParams
    from curation.report import ReportParams
    from curation.score import ScoreParams
    from curation.synthesize import SynthesizeParams
    from train.params import EvaluateParams, GateParams, MergesParams, TrainParams

    known: tuple[type[BaseModel], ...] = (
        RenderParams, IngestParams, RepairParams, ScoreParams, LabelParams, CleanParams, SynthesizeParams, MixParams,
        TrainParams, EvaluateParams, GateParams, MergesParams, ReportParams,
    )  # fmt: skip
    return dict(zip(SECTIONS, known, strict=True))


def load(section: str, model: type[P], path: Path = PARAMS) -> P:
    """One section as its model. A section of another name anywhere in the file is an error too."""
    text = read(path)
    for name in text:
        if name not in SECTIONS:
            close = difflib.get_close_matches(str(name), SECTIONS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ConfigError(f"{path}: unknown section {name!r}; accepted: {', '.join(SECTIONS)}{hint}")
    return parse(model, text.get(section) or {}, section)


def check(path: Path = PARAMS) -> dict[str, BaseModel]:
    """Every section parsed; raises one ConfigError that names every fault of the file."""
    parsed, faults = {}, []
    for section, model in models().items():
        try:
            parsed[section] = load(section, model, path)
        except ConfigError as error:
            faults.append(str(error))
    if read(path).get("merge") is None:
        faults.append("merge: empty or absent, and DVC then runs no command at all; write `merge: {}`.")
    try:
        if "mix" in parsed:
            above_floor(cast("MixParams", parsed["mix"]), path)
            judged(cast("MixParams", parsed["mix"]), path)
    except ConfigError as error:
        faults.append(str(error))
    try:
        if "clean" in parsed:
            below_floor(cast("CleanParams", parsed["clean"]), path)
    except ConfigError as error:
        faults.append(str(error))
    try:
        if "merge" in parsed:
            cast("MergesParams", parsed["merge"]).check()
    except ConfigError as error:
        faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))
    return parsed


def _as_it_stands(path: Path, *keys: str) -> Any:
    """What the file says under `keys`, unparsed; None where it says nothing."""
    found: Any = read(path)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def above_floor(mix: MixParams, path: Path = PARAMS) -> None:
    """Raises ConfigError when pairs are asked for that score did not write.

    The floor is read as it stands in the file: another one makes score's sidecars anew, which mix depends on already.
    """
    floor = _as_it_stands(path, "score", "near", "floor")
    asked = mix.heldout.near
    if isinstance(floor, int | float) and asked < floor:
        raise ConfigError(
            f"mix.heldout.near: found {asked:g}; pairs below score.near.floor ({floor:g}) are not written, so {floor:g} or more is "
            "accepted; raise it, or lower the floor."
        )


def below_floor(clean: CleanParams, path: Path = PARAMS) -> None:
    """Raises ConfigError when copies are to go at a limit below the floor of score, where no pair is written. Read as above."""
    from curation.score.near import NearParams
    from curation.score.semantic import SemanticParams

    limits, faults = clean.duplicates, []
    for name, asked, signal, model in (
        ("near", limits.near, "near", NearParams),
        ("synthetic_near", limits.synthetic_near, "near", NearParams),
        ("semantic", limits.semantic, "semantic", SemanticParams),
    ):
        floor = _as_it_stands(path, "score", signal, "floor")
        floor = model.model_fields["floor"].default if floor is None else floor
        if isinstance(floor, int | float) and asked < floor:
            faults.append(
                f"clean.duplicates.{name}: found {asked:g}; pairs below score.{signal}.floor ({floor:g}) are not written, so "
                f"{floor:g} or more is accepted; raise it, or lower the floor."
            )
    if faults:
        raise ConfigError("\n".join(faults))


def judged(mix: MixParams, path: Path = PARAMS) -> None:
    """Raises ConfigError when grades are asked for that score does not measure. Read as the floor is."""
    enabled = _as_it_stands(path, "score", "judge", "enabled")
    if mix.quality.by == "judge" and enabled is not True:
        raise ConfigError(
            "mix.quality.by: found 'judge', and score.judge.enabled is not true, so that there are no grades; set it to true, or "
            "mix.quality.by to auto."
        )
