"""Scores of the trained model beside its base: held-out loss by task type, bucket and language, and the benchmark."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from curation.cache import Cache
from curation.errors import DataError
from curation.progress import Progress, silent
from curation.render import Encoded, Renderer, RenderParams
from train import benchmarks
from train.compare import DIGITS, Difference, against_accepted, by_group, paired
from train.losses import row_nll
from train.params import WHOLE, EvaluateParams

DIMENSIONS = ("task_type", "bucket", "language")
ROWS: dict[str, type[pl.DataType]] = {
    "id": pl.String,
    "content_hash": pl.String,
    "task_type": pl.String,
    "bucket": pl.String,
    "language": pl.String,
    "tokens": pl.Int64,  # label tokens
    "base": pl.Float64,  # summed nats
    "trained": pl.Float64,
}
VERSION = "1"
STORED_TOGETHER = 8  # rows; a killed run loses fewer


@dataclass(frozen=True)
class Evaluation:
    """The reports of a run; every number rounded, every order total."""

    scores: dict[str, Any]  # overall numbers
    by_task: dict[str, dict[str, Any]]  # task type → its Difference
    groups: pl.DataFrame  # dimension, group, model, rows, tokens, nll, perplexity: a row a model, for plots
    rows: pl.DataFrame  # of ROWS
    cases: pl.DataFrame  # each benchmark item with both answers


def evaluate(
    heldout: pl.DataFrame,
    adapter: Path,
    evaluation: Path,
    params: EvaluateParams,
    render: RenderParams,
    *,
    accepted: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score base and trained model on `heldout` (a frame as in data/mixed) and on the tasks in the folder `evaluation`.

    Base and trained numbers are kept in the cache by content and weights, so experiments share those of the base.
    Raises DataError when there is no adapter, or when it belongs to another base.
    """
    from curation.models import identity, load_tokenizer

    weights = adapter_identity(adapter, render.model)
    renderer = Renderer(load_tokenizer(render.model), render.template)
    held = heldout.sort("id")
    encoded = [renderer.encode(row, render.turns) for row in held.iter_rows(named=True)]
    models = _Models(render.model, adapter)
    base = identity(render.model)
    losses, answers = {}, {}
    for name, key, load in (("base", base, models.base), ("trained", f"{base}+{weights}", models.trained)):
        losses[name] = heldout_losses(encoded, key, load, f"{name}: held-out rows", progress)

        def both(load: Callable[[], Any] = load) -> tuple[Any, Any]:
            return load(), renderer.tokenizer

        answers[name] = benchmarks.answer(
            evaluation, key, renderer.template, both,
            batch_size=params.batch_size, label=f"{name}: benchmark items", progress=progress,
        )  # fmt: skip
    rows = held.select("id", "content_hash", *DIMENSIONS).with_columns(
        pl.Series("tokens", [n for _, n in losses["base"]], dtype=pl.Int64),
        pl.Series("base", [total for total, _ in losses["base"]], dtype=pl.Float64),
        pl.Series("trained", [total for total, _ in losses["trained"]], dtype=pl.Float64),
    )
    shared = ["task", "key", "language", "prompt", "expected", "item"]
    cases = answers["base"].rename({"answer": "base_answer", "correct": "base_correct"}).join(
        answers["trained"].rename({"answer": "trained_answer", "correct": "trained_correct"}),
        on=shared, how="inner", maintain_order="left",
    )  # fmt: skip
    return report(rows, cases, params, accepted)


def report(
    rows: pl.DataFrame, cases: pl.DataFrame, params: EvaluateParams, accepted: Mapping[str, Any] | None = None
) -> Evaluation:
    """The reports from losses a row (of ROWS) and answered cases; pure."""
    draws = {"seed": params.seed, "resamples": params.resamples, "interval": params.interval}
    overall = paired(rows["base"].to_list(), rows["trained"].to_list(), rows["tokens"].to_list(), **draws)  # type: ignore[arg-type]
    grouped = {d: by_group(rows, d, **draws) for d in DIMENSIONS}  # type: ignore[arg-type]
    scores: dict[str, Any] = {"heldout": _flat(overall), "benchmark": _benchmark(cases)}
    if accepted:
        scores["accepted"] = against_accepted(accepted, rows, cases, **draws)  # type: ignore[arg-type]
    lines = [
        (dimension, name, model, found.rows, found.tokens, nll, _perplexity(nll))
        for dimension, groups in {"all": {"all": overall}, **grouped}.items()
        for name, found in groups.items()
        for model, nll in (("base", found.first), ("trained", found.second))
        if nll is not None
    ]
    columns = {"dimension": pl.String, "group": pl.String, "model": pl.String, "rows": pl.Int64, "tokens": pl.Int64,
               "nll": pl.Float64, "perplexity": pl.Float64}  # fmt: skip
    return Evaluation(
        scores=scores,
        by_task={name: _flat(found) for name, found in grouped["task_type"].items()},
        groups=pl.DataFrame(lines, schema=columns, orient="row"),
        rows=rows,
        cases=cases,
    )


def _flat(found: Difference) -> dict[str, Any]:
    values = asdict(found)
    values["nll_base"], values["nll_trained"] = values.pop("first"), values.pop("second")
    return values | {
        "perplexity_base": _perplexity(found.first),
        "perplexity_trained": _perplexity(found.second),
    }


def _perplexity(nll: float | None) -> float | None:
    return None if nll is None else round(math.exp(nll), 4)


def _benchmark(cases: pl.DataFrame) -> dict[str, Any]:
    def share(part: pl.DataFrame, column: str) -> float | None:
        return round(int(part[column].sum()) / len(part), DIGITS) if len(part) else None

    tasks = {
        name: {"items": len(part), "base": share(part, "base_correct"), "trained": share(part, "trained_correct")}
        for name in sorted(cases["task"].unique().to_list())
        for part in [cases.filter(pl.col("task") == name)]
    }
    return {
        "items": len(cases),
        "base": share(cases, "base_correct"),
        "trained": share(cases, "trained_correct"),
    } | tasks


def heldout_losses(
    encoded: list[Encoded],
    key: str,
    load: Callable[[], Any],
    label: str,
    progress: Progress = silent,
) -> list[tuple[float, int]]:
    """Summed nats (4 decimals: the last bits hang on the machine) and label tokens of each row, computed once a model.

    `load` gives the model and is called only when a row is not stored yet under `key`, the model's identity.
    """
    cache = Cache("heldout")
    keys = [
        xxhash.xxh3_128_hexdigest(json.dumps([VERSION, key, e.ids, [w > 0 for w in e.weights]]).encode())
        for e in encoded
    ]
    stored = {k: json.loads(v) for k, v in cache.get(keys).items()}
    todo = list({k: e for k, e in zip(keys, encoded, strict=True) if k not in stored}.items())
    for start in range(0, len(todo), STORED_TOGETHER):
        part = todo[start : start + STORED_TOGETHER]
        found = row_nll(load(), [e for _, e in part])
        progress(label, start + len(part), len(todo))
        new = {k: (round(total, 4), n) for (k, _), (total, n) in zip(part, found, strict=True)}
        cache.put({k: json.dumps(v).encode() for k, v in new.items()})
        stored |= new
    cache.close()
    return [(stored[k][0], stored[k][1]) for k in keys]


def adapter_identity(adapter: Path, base: str) -> str:
    """A hash of the weights and config of an adapter, or of a whole model.

    Raises DataError when they are missing or made for another base.
    """
    digest = xxhash.xxh3_128()
    whole = (adapter / WHOLE).is_file()
    files = ("config.json", *_shards(adapter)) if whole else ("adapter_config.json", "adapter_model.safetensors")
    for name in files:
        if not (adapter / name).is_file():
            raise DataError(f"{adapter}/{name}: no such file; run `dvc repro train` first.")
        digest.update((adapter / name).read_bytes())
    made_for = json.loads((adapter / (WHOLE if whole else files[0])).read_text())["base_model_name_or_path"]
    if made_for != base:
        raise DataError(
            f"{adapter}: trained on {made_for!r}, but render.model is {base!r}; run `dvc repro train`, or put render.model back."
        )
    return digest.hexdigest()


def _shards(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("model*.safetensors")) or ["model.safetensors"]


class _Models:
    """Loads the base when it is asked for, and turns it into the trained model when that one is; never back."""

    def __init__(self, name: str, adapter: Path) -> None:
        self._name, self._adapter = name, adapter
        self._base: Any = None
        self._trained: Any = None

    def base(self) -> Any:
        if self._base is None:
            from curation.models import load_language_model

            self._base = load_language_model(self._name)
        return self._base

    def trained(self) -> Any:
        if self._trained is None and (self._adapter / WHOLE).is_file():
            from curation.models import load_language_model

            self._base = None  # two whole models would not fit where one just does
            self._trained = load_language_model(str(self._adapter))
        if self._trained is None:
            from peft import PeftModel

            # Merged in memory: as fast as the base, and equal to the adapter beside it up to float32 rounding.
            self._trained = PeftModel.from_pretrained(self.base(), str(self._adapter)).merge_and_unload().eval()
        return self._trained
