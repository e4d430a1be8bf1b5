"""The base of every params model, and the sentence for each way in which params can be wrong."""

from __future__ import annotations

import difflib
import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from curation.errors import ConfigError


class Params(BaseModel):
    """Frozen; unknown keys and numbers that are not finite are errors. Subclasses stand beside the algorithm that they configure."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


M = typing.TypeVar("M", bound=BaseModel)


def parse(model: type[M], values: Any, where: str) -> M:
    """`values` as a `model`; raises ConfigError with every fault at once, a line each."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_sentence(model, where, fault) for fault in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _sentence(model: type[BaseModel], where: str, fault: Any) -> str:
    path = ".".join([where, *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        fields = _fields_at(model, fault["loc"][:-1])
        close = difflib.get_close_matches(str(fault["loc"][-1]), fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it or rename it."
        return f"{path}: unknown key; accepted: {', '.join(sorted(fields)) or 'nothing'}; {hint}"
    if fault["type"] == "missing":
        return f"{path}: missing; add it."
    found = fault.get("input")
    return f"{path}: found {found!r}; {fault['msg'][0].lower() + fault['msg'][1:]}."


def _fields_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Field names of the model that `loc` (a pydantic error location) leads to."""
    current: Any = model
    for part in loc:
        if isinstance(current, type) and issubclass(current, RootModel):  # of entries by name
            current = typing.get_args(current.model_fields["root"].annotation)[1]
            continue
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
            for inner in typing.get_args(current):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    current = inner
                    break
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
