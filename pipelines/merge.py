"""Merge adapters and score the result beside its parents: `dvc repro merge@NAME`, `python -m pipelines.merge NAME`, `curation merge`.

params.yaml: merge names the adapters that stages make. The command takes any adapters and leaves the stages' files alone.
An adapter is a folder, or a git revision, branch, tag or DVC experiment, whose models/adapter is meant; REV:FOLDER names another
folder there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from curation.errors import ConfigError, DataError
from pipelines import params, paths
from pipelines.stage import Bar, run_named, write_json
from train.params import MergeParams, MergesParams


def work(name: str) -> str:
    named = params.load("merge", MergesParams)
    if name not in named.root:
        known = ", ".join(named.root) or "none"
        raise ConfigError(f"merge.{name}: not in params.yaml, whose section merge names {known}; add it there.")
    named.check()
    overall, by_task = merged(named.root[name], paths.MERGED / name)
    write_json(overall, paths.MERGED_SCORES / f"{name}.json")
    write_json(by_task, paths.MERGED_SCORES / f"{name}_by_task.json")
    return summary(overall)


def command(given: dict[str, Any], out: Path | None, scored: bool) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """`curation merge`: what was `given`, else the defaults; the sentence to print, and the scores in OUT/scores.json."""
    warnings.simplefilter("ignore", FutureWarning)  # as in stages
    settings = params.parse(MergeParams, given, "merge")
    target = out or Path(f"models/merged-{settings.method}")
    if paths.MERGED.resolve() in (target.resolve(), target.resolve().parent):
        raise ConfigError(
            f"--out {target}: belongs to the stages of merge, whose next run would overwrite it; name another folder, or an entry "
            "in params.yaml: merge."
        )
    overall, by_task = merged(settings, target, scored)
    if not scored:
        return f"{target}: {settings.method} of {', '.join(settings.adapters)}, not scored", {}, {}
    write_json({"overall": overall, "by_task": by_task}, target / "scores.json")
    return f"{target}: {summary(overall)}", overall, by_task


def merged(settings: MergeParams, target: Path, scored: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merge into the folder `target`; the overall scores and those by task type, both empty unless `scored`."""
    from curation import records
    from curation.models import identity
    from curation.render import RenderParams
    from train import merge, merge_scores
    from train.params import EvaluateParams

    evaluate, render = params.load("evaluate", EvaluateParams), params.load("render", RenderParams)
    settings.factors()
    merge.replaceable(target)
    heldout = records.read(paths.MIXED / "heldout.parquet", records.LABELLED) if scored else None
    exam = set(heldout["id"]) if heldout is not None else None
    parents = [merge.read(name, *found(name, exam)) for name in settings.adapters]
    base = parents[0].config.get("base_model_name_or_path")
    if base != render.model:
        raise DataError(
            f"{parents[0].name}: trained on {base!r}, but render.model is {render.model!r}; set render.model to the former."
        )
    with Bar() as bar:
        made = merge.merge(parents, settings, bar)
    story = merge.lineage(parents, settings, made, identity(render.model))
    merge.write(made, parents, story, target)
    if heldout is None:
        return {}, {}
    with Bar() as bar:
        folders = [p.folder for p in parents]
        scores = merge_scores.evaluations(heldout, target, folders, paths.EVALUATION, evaluate, render, bar)
    overall, by_task = merge_scores.scores(scores, evaluate)
    overall |= {"method": settings.method, "norm_kept": story["norm_kept"]["mean"]}
    overall["adapters"] = {
        merge_scores.parent(i): {"name": p.name, "weight": w, "heldout_read": p.known.get("heldout_read")}
        for i, (p, w) in enumerate(zip(parents, story["weights"], strict=True), 1)
    }
    return overall, by_task


def found(name: str, exam: set[str] | None = None) -> tuple[Path, dict[str, Any]]:
    """The folder of an adapter, and what is known of it: commit, training params, how many of the `exam`'s rows it learned.

    Raises DataError when there is no such folder or revision, or when its files cannot be had.
    """
    folder = Path(name)
    if folder.is_dir():
        lock = Path("dvc.lock") if folder == paths.ADAPTER else None
        known = _told(lock.read_text(encoding="utf-8") if lock and lock.is_file() else None, folder)
        consumed = folder.parent / paths.CONSUMED.name if folder.name == paths.ADAPTER.name else None
        return folder, known | _read_before(consumed, exam)
    revision, colon, inside = name.partition(":")
    place = Path(inside) if colon else paths.ADAPTER
    if not revision or name.startswith((".", "/", "~")):
        raise DataError(f"{name}: no such folder; accepted: a folder, a git revision or an experiment, or REV:FOLDER.")
    commit, fetched = _fetch(name, revision, place)
    lock = fetched / "dvc.lock"
    known = {"commit": commit} | _told(
        lock.read_text(encoding="utf-8") if lock.is_file() else None, fetched / "adapter"
    )
    return fetched / "adapter", known | _read_before(fetched / paths.CONSUMED.name, exam)


def _fetch(name: str, revision: str, place: Path) -> tuple[str, Path]:
    """(commit, a folder in the cache with `adapter`, and dvc.lock and consumed.parquet where the commit has them)."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError
    from dvc_data.index import DataIndexDirError

    from curation.cache import folder

    # A queued experiment runs in a clone, which does not have the names of other experiments.
    roots = [None, *([os.environ["DVC_ROOT"]] if "DVC_ROOT" in os.environ else [])]
    for root in roots:
        try:
            files = DVCFileSystem(root, rev=revision)
            commit = files.repo.get_rev()
            break
        except RevError:
            continue
        except DvcException as error:
            raise DataError(
                f"{name}: DVC cannot open {revision!r} ({error}); run it in the project's folder."
            ) from None
    else:
        raise DataError(
            f"{name}: no such folder, git revision or experiment; `dvc exp show` lists experiments, `git log` revisions."
        )
    target = folder() / "adapters" / f"{commit}-{quote(place.as_posix(), safe='')}"
    if target.is_dir():
        return commit, target
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        if not files.isdir(place.as_posix()):
            raise DataError(f"{name}: the revision has no folder {place}; name another with REV:FOLDER.")
        files.get(place.as_posix(), str(part / "adapter"), recursive=True)
        for other in (Path("dvc.lock"), paths.CONSUMED):
            if place == paths.ADAPTER and files.exists(other.as_posix()):
                files.get(other.as_posix(), str(part / other.name))
        part.rename(target)
    except (OSError, DvcException, DataIndexDirError) as error:
        if target.is_dir():  # another process fetched the same one meanwhile
            return commit, target
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise DataError(
            f"{name}: {place} of {commit[:7]} is not in DVC's cache; bring it with `dvc fetch`, or check it out and `dvc repro`."
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return commit, target


def _told(lock: str | None, folder: Path) -> dict[str, Any]:
    """Params that made the adapter, from the dvc.lock beside it; of a merged one its own lineage."""
    import yaml

    known: dict[str, Any] = {}
    if lock is not None:
        stages = (yaml.safe_load(lock) or {}).get("stages", {})
        known["params"] = {
            section: values
            for stage in ("mix", "train")
            for section, values in stages.get(stage, {}).get("params", {}).get(params.PARAMS.name, {}).items()
        }
    if (folder / "lineage.json").is_file():
        known["lineage"] = json.loads((folder / "lineage.json").read_text(encoding="utf-8"))
    return known


def _read_before(consumed: Path | None, exam: set[str] | None) -> dict[str, Any]:
    """How many rows of the exam the adapter was trained on; nothing where it is not known what it read."""
    if consumed is None or exam is None or not consumed.is_file():
        return {}
    import polars as pl

    return {"heldout_read": len(exam & set(pl.read_parquet(consumed, columns=["id"])["id"]))}


def summary(overall: dict[str, Any]) -> str:
    """One line for people."""
    models = overall["models"]
    losses = [f"{who.replace('_', ' ')} {m['nll']:.4f}" for who, m in models.items() if m["nll"] is not None]
    shares = [f"{m['benchmark']:.3f}" for m in models.values() if m["benchmark"] is not None]
    return f"{overall['method']}, held-out loss {', '.join(losses)}; benchmark {', '.join(shares)}"


if __name__ == "__main__":
    run_named("merge", work)
