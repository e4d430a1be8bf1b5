"""The generation benchmark: the tasks in data/evaluation, answered through lm-eval, greedily, with the run's chat template.

A task is `NAME.yaml` with its items in `NAME.jsonl`: `{"key", "language", "prompt"}` and `answer` (a number) or
`constraints` (see `train.verify`). Answers are stored by model, template and task; verdicts are computed each time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import xxhash

from curation.cache import Cache
from curation.errors import DataError
from curation.progress import Progress, silent
from train.verify import correct, validate

if TYPE_CHECKING:
    from datasets import DatasetDict

ANSWERS: dict[str, type[pl.DataType]] = {
    "task": pl.String,
    "key": pl.String,
    "language": pl.String,
    "prompt": pl.String,
    "expected": pl.String,  # the number, or the constraints as JSON
    "item": pl.String,  # hash of all that makes the item
    "answer": pl.String,
    "correct": pl.Boolean,
}
VERSION = "1"


def items(path: Path) -> list[dict[str, Any]]:
    """The items of a task file; raises DataError with file:line for one that cannot be used."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # U+2028 may stand raw in JSON
    except OSError:
        raise DataError(f"{path}: no such file; restore it with `git checkout {path}`.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            item = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); accepted: one object a line.") from None
        validate(item, where)
        if item["key"] in found:
            raise DataError(f"{where}: the key {item['key']!r} stands twice; give each item its own.")
        found[item["key"]] = item
    return list(found.values())


def expected(item: Mapping[str, Any]) -> str:
    """What the item wants, as text."""
    return item["answer"] if "answer" in item else json.dumps(item["constraints"], ensure_ascii=False)


def dataset(file: str, **_: Any) -> DatasetDict:
    """The items as lm-eval's documents; named in the task files. Constraints stay JSON text: Arrow would add null keys."""
    from datasets import Dataset, DatasetDict

    rows = [{"prompt": i["prompt"], "expected": expected(i), "item": json.dumps(i)} for i in items(Path(file))]
    return DatasetDict({"test": Dataset.from_list(rows)})


def process_results(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's verdict on one answer; named in the task files."""
    return {"correct": float(correct(json.loads(doc["item"]), results[0]))}


def tasks(folder: Path) -> list[str]:
    """The names of the tasks in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def answer(
    folder: Path,
    identity: str,
    template: str,
    load: Callable[[], tuple[Any, Any]],
    *,
    batch_size: int = 8,
    label: str = "benchmark",
    progress: Progress = silent,
) -> pl.DataFrame:
    """Every item with a model's answer and whether it is right: a frame of ANSWERS, by task and key.

    `load` gives model and tokenizer and is called only when an answer is not stored yet under `identity` (of the model's
    weights) and `template` (its text).
    """
    names = tasks(folder)
    known = {name: items(folder / f"{name}.jsonl") for name in names}
    keys = {name: _key(folder, name, known[name], identity, template) for name in names}
    cache = Cache("answers")
    stored = {k: json.loads(v) for k, v in cache.get(keys.values()).items()}
    missing = [name for name in names if keys[name] not in stored]
    if missing:
        total = sum(len(known[name]) for name in missing)
        model, tokenizer = load()
        tokenizer.chat_template = template
        given = _generate(folder, missing, model, tokenizer, batch_size, total, label, progress)
        new = {keys[name]: given[name] for name in missing}
        cache.put({k: json.dumps(v, ensure_ascii=False).encode() for k, v in new.items()})
        stored |= new
    cache.close()
    rows = []
    for name in names:
        for item in known[name]:
            text = stored[keys[name]][item["key"]]
            fingerprint = xxhash.xxh3_64_hexdigest(json.dumps([name, item], sort_keys=True).encode())
            rows.append(
                (
                    name,
                    item["key"],
                    item["language"],
                    item["prompt"],
                    expected(item),
                    fingerprint,
                    text,
                    correct(item, text),
                )
            )
    return pl.DataFrame(rows, schema=ANSWERS, orient="row").sort("task", "key")


def _key(folder: Path, name: str, known: list[dict[str, Any]], identity: str, template: str) -> str:
    """What the answers of a task depend on: what is asked and how, not how it is judged."""
    asked = [[item["key"], item["prompt"]] for item in known]
    files = [(folder / file).read_text(encoding="utf-8") for file in (f"{name}.yaml", "_defaults")]
    return xxhash.xxh3_128_hexdigest(json.dumps([VERSION, identity, template, asked, files]).encode())


def _generate(
    folder: Path,
    names: list[str],
    model: Any,
    tokenizer: Any,
    batch_size: int,
    total: int,
    label: str,
    progress: Progress,
) -> dict[str, dict[str, str]]:
    """Task → key → answer, through lm-eval."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    done = 0

    class Model(HFLM):
        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
            return super().generate_until(requests, disable_tqdm=True)  # its bar; `progress` tells the same

        def _model_generate(self, context: Any, *args: Any, **given: Any) -> Any:
            nonlocal done
            written = super()._model_generate(context, *args, **given)
            done += len(context)
            progress(label, done, total)
            return written

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    result = simple_evaluate(
        model=Model(pretrained=model, tokenizer=tokenizer, batch_size=batch_size),
        tasks=list(names),
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        apply_chat_template=True,
        bootstrap_iters=0,
        log_samples=True,
    )
    assert result is not None
    return {
        name: {json.loads(s["doc"]["item"])["key"]: s["resps"][0][0] for s in result["samples"][name]} for name in names
    }
