from typing import Literal

import pytest
from pydantic import Field

from curation.errors import ConfigError
from curation.params import Params, parse
from train.params import EvaluateParams, TrainParams


class Inner(Params):
    limit: float = Field(0.5, gt=0, le=1)


class Outer(Params):
    unit: Literal["rows", "tokens"] = "rows"
    inner: Inner = Inner()


def test_every_fault_is_told_at_once_with_what_is_accepted():
    with pytest.raises(ConfigError) as error:
        parse(Outer, {"unit": "bytes", "inner": {"limit": 3, "limt": 0.2}, "other": 1}, "mix")
    assert str(error.value).splitlines() == [
        "mix.unit: found 'bytes'; input should be 'rows' or 'tokens'.",
        "mix.inner.limit: found 3; input should be less than or equal to 1.",
        "mix.inner.limt: unknown key; accepted: limit; did you mean 'limit'?",
        "mix.other: unknown key; accepted: inner, unit; remove it or rename it.",
    ]


@pytest.mark.parametrize("seed", [-1, 2**32])
@pytest.mark.parametrize("model", [TrainParams, EvaluateParams])
def test_seeds_that_no_generator_takes_are_refused(model, seed):
    with pytest.raises(ConfigError, match=f"train.seed: found {seed}; input should be"):
        parse(model, {"seed": seed}, "train")


def test_params_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Inner().limit = 0.1
