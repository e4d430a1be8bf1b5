"""`curation audit`: every row accounted for, recounted from the files and not from what a stage said of itself.

A run may end early: stages behind the last one that left a file are named as not built, and are no break. A stage without
files before one that has some is: its rows cannot have come from nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curation import ledger, records
from curation.ledger import Break
from pipelines import params, paths
from pipelines.paths import Corpus


@dataclass(frozen=True)
class Check:
    """One stage's balance: the sum in words, and the break if it does not hold."""

    stage: str
    said: str
    broken: Break | None
    built: bool = True  # False: neither it nor a stage behind it has left a file, so there is nothing to check


def checks() -> Iterator[Check]:
    """The balance of each stage in the order of the flow; raises DataError for a file that is missing before the last stage built."""
    stages = list(_CHECKS)
    last = max((i for i, stage in enumerate(stages) if any(p.exists() for p in _files(stage))), default=0)
    for i, stage in enumerate(stages):
        if i > last:
            yield Check(stage, "not built", None, built=False)
            continue
        said, broken = _CHECKS[stage]()
        yield Check(stage, said, broken)


def conclusion(found: list[Check]) -> str:
    """The last line when nothing is broken: how far the rows were followed, and what there was nothing to check of."""
    absent = [c.stage for c in found if not c.built]
    if not absent:
        return "Every row is accounted for, from source to loss token."
    last = [c.stage for c in found if c.built][-1]
    return (
        f"Every row is accounted for, from source to {last}. "
        f"Not built, so not checked: {', '.join(absent)}; `dvc repro` builds them."
    )


def first_break() -> Break | None:
    """The first break of the flow, or None."""
    return next((c.broken for c in checks() if c.broken), None)


def as_json(found: list[Check]) -> str:
    """For machines: `{"passed": …, "stages": [{"stage", "built", "balance", "problem", "ids"}]}`."""
    stages = []
    for c in found:
        problem, ids = (c.broken.problem, list(c.broken.ids)) if c.broken else (None, [])
        stages.append({"stage": c.stage, "built": c.built, "balance": c.said, "problem": problem, "ids": ids})
    return json.dumps({"passed": not any(c.broken for c in found), "stages": stages}, ensure_ascii=False, indent=2)


def _ids(path: Any) -> list[str]:
    return records.read(path, columns=["id"])["id"].to_list()


def _ingest() -> tuple[str, Break | None]:
    """The sources are read again: what stands in them is the only count that no file of ours could falsify."""
    from curation.ingest import IngestParams, ingest

    good, bad = ingest(params.load("ingest", IngestParams))
    kept, quarantined = _ids(paths.RAW / "records.parquet"), _ids(paths.RAW / "quarantine.parquet")
    said = f"{good.height + bad.height} in the sources = {len(kept)} records + {len(quarantined)} quarantined"
    broken = ledger.balance(
        "ingest",
        {"data/sources": [*good["id"], *bad["id"]]},
        {"data/raw/records.parquet": kept, "data/raw/quarantine.parquet": quarantined},
    )
    return said, broken or _same_content("ingest", good, paths.RAW / "records.parquet")


def _same_content(stage: str, before: pl.DataFrame, after: Any) -> Break | None:
    """Rows of the file `after` are hashed anew: the hash in a file says nothing of the content beside it."""
    rows = records.read(after, records.SCHEMA)
    then = dict(before.select("id", "content_hash").iter_rows())
    hashed = records.rehash(rows)
    changed = [i for i, h in hashed.select("id", "content_hash").iter_rows() if h != then.get(i, h)]
    if changed:
        return Break(stage, f"content changed without a word in {after}", tuple(sorted(changed)))
    return _own_hashes(stage, rows, hashed, after)


def _own_hashes(stage: str, rows: pl.DataFrame, hashed: pl.DataFrame, path: Any) -> Break | None:
    """None when each hash in the file is that of its row, as in `hashed`: signals are found by it."""
    wrong = sorted(rows.filter(rows["content_hash"].ne_missing(hashed["content_hash"]))["id"])
    return Break(stage, f"content_hash is not that of the content in {path}", tuple(wrong)) if wrong else None


def _repair(corpus: Corpus) -> tuple[str, Break | None]:
    stage = f"repair@{corpus.name}"
    before = records.read(corpus.came_from / "records.parquet", records.SCHEMA)
    after = records.read(corpus.repaired / "records.parquet", records.SCHEMA)
    edits = records.read(corpus.repaired / "edits.parquet", ledger.EDITS)
    said = f"{before.height} in = {after.height} out, {edits['id'].n_unique()} of them edited"
    broken = ledger.balance(
        stage,
        {f"{corpus.came_from}/records.parquet": before["id"]},
        {f"{corpus.repaired}/records.parquet": after["id"]},
    )
    hashed = [records.rehash(f) for f in (before, after)]
    hashes = [dict(f.select("id", "content_hash").iter_rows()) for f in hashed]
    broken = broken or _own_hashes(stage, before, hashed[0], corpus.came_from / "records.parquet")
    broken = broken or ledger.chain(stage, hashes[0], hashes[1], edits)
    return said, broken or _own_hashes(stage, after, hashed[1], corpus.repaired / "records.parquet")


def _score(corpus: Corpus) -> tuple[str, Break | None]:
    from curation.score import SIGNALS, told
    from pipelines.stage import not_measured, off

    without: list[str] = []
    rows = records.read(corpus.repaired / "records.parquet", columns=["id", "content_hash"])
    by_hash: dict[str, str] = {}
    for i, h in rows.sort("id", descending=True).iter_rows():
        by_hash[h] = i
    wanted = [s for s in SIGNALS if s != "judge" or (corpus.signals / "judge.parquet").exists()]  # off by default
    for signal in wanted:
        path = corpus.signals / f"{signal}.parquet"
        sidecar = records.read(path, columns=["content_hash", "not_applicable"])
        measured = sidecar["content_hash"].to_list()
        without += off({signal: sidecar})
        broken = ledger.balance(
            f"score@{corpus.name}",
            {f"{corpus.repaired}/records.parquet": by_hash.values()},
            {str(path): [by_hash.get(h, f"content hash {h}") for h in measured]},
        )
        empty = pl.scan_parquet(path).filter(~told()).select("content_hash").collect()
        if not broken and len(empty):
            ids = tuple(sorted(by_hash[h] for h in empty["content_hash"]))
            broken = Break(f"score@{corpus.name}", f"neither a value nor a reason in {path}", ids)
        if broken:
            return f"{len(by_hash)} distinct rows", broken
    said = f"{len(by_hash)} distinct rows × {len(wanted)} signals, each with a value or a reason"
    return said + not_measured(without), None


def _label(corpus: Corpus) -> tuple[str, Break | None]:
    rows, labels = _ids(corpus.repaired / "records.parquet"), _ids(corpus.labels)
    broken = ledger.balance(
        f"label@{corpus.name}", {f"{corpus.repaired}/records.parquet": rows}, {str(corpus.labels): labels}
    )
    return f"{len(rows)} in = {len(labels)} labelled", broken


def _clean(corpus: Corpus) -> tuple[str, Break | None]:
    before = records.read(corpus.repaired / "records.parquet", records.SCHEMA)
    kept, dropped = _ids(corpus.cleaned / "records.parquet"), _ids(corpus.cleaned / "dropped.parquet")
    broken = ledger.balance(
        f"clean@{corpus.name}",
        {f"{corpus.repaired}/records.parquet": before["id"]},
        {f"{corpus.cleaned}/records.parquet": kept, f"{corpus.cleaned}/dropped.parquet": dropped},
    )
    said = f"{before.height} in = {len(kept)} kept + {len(dropped)} dropped"
    return said, broken or _same_content(f"clean@{corpus.name}", before, corpus.cleaned / "records.parquet")


def _synthesize() -> tuple[str, Break | None]:
    from curation.synthesize import SynthesizeParams, plan

    cleaned = records.read(paths.CLEANED / "records.parquet", records.LABELLED)
    planned = plan(cleaned, params.load("synthesize", SynthesizeParams))
    attempts = records.read(paths.GENERATED / "attempts.parquet")
    made = _ids(paths.GENERATED / "records.parquet")
    broken = ledger.balance(
        "synthesize",
        {"the plan over data/cleaned": planned["attempt"]},
        {"data/generated/attempts.parquet": attempts["attempt"]},
    )
    kept = attempts.filter(pl.col("fate") == "kept")["record"]
    broken = broken or ledger.balance(
        "synthesize", {"data/generated/attempts.parquet": kept}, {"data/generated/records.parquet": made}
    )
    return f"{attempts.height} attempts = {len(made)} records + {attempts.height - len(made)} rejected", broken


def _mix() -> tuple[str, Break | None]:
    from curation.mix import HELDOUT, TRAIN, UNUSED

    came = {f"{c.cleaned}/records.parquet": _ids(c.cleaned / "records.parquet") for c in paths.CORPORA.values()}
    train = records.read(paths.MIXED / "train.parquet", TRAIN)
    heldout = records.read(paths.MIXED / "heldout.parquet", HELDOUT)
    unused = records.read(paths.MIXED / "unused.parquet", UNUSED)
    once = train.filter(pl.col("repeat") == 0)["id"]
    went = {
        "data/mixed/train.parquet": once,
        "data/mixed/heldout.parquet": heldout["id"],
        "data/mixed/unused.parquet": unused["id"],
    }
    said = f"{sum(len(v) for v in came.values())} in = {len(once)} train + {heldout.height} held out + {unused.height} unused"
    return said, ledger.balance("mix", came, went) or _manifest(train, heldout, unused)


def _manifest(train: pl.DataFrame, heldout: pl.DataFrame, unused: pl.DataFrame) -> Break | None:
    """The manifest against the rows themselves."""
    from curation.mix import manifest

    path = paths.MIXED / "manifest.json"
    if not path.exists():
        return Break("mix", f"{path} is missing", ())
    said = json.loads(path.read_bytes())
    if train["position"].to_list() != list(range(train.height)):
        return Break("mix", "positions in data/mixed/train.parquet have gaps", tuple(train["id"].head(1)))
    for name, rows in (("train", train), ("heldout", heldout), ("unused", unused)):
        counted = manifest.total(rows)
        for unit, number in counted.items():
            if said[name][unit] != number:
                return Break("mix", f"{path} says {said[name][unit]} {unit} {name}; the files hold {number}", ())
    by_part = manifest.amounts(train, "part")
    for part, row in said["mixture"].items():
        for unit, number in by_part.get(part, dict.fromkeys(row["achieved"], 0)).items():
            if row["achieved"][unit] != number:
                return Break(
                    "mix", f"{path} says {row['achieved'][unit]} {unit} of {part}; the files hold {number}", ()
                )
    if said["plan_hash"] != manifest.plan_hash(train):
        return Break("mix", f"{path}: the plan's hash is not that of data/mixed/train.parquet", ())
    return None


def _train() -> tuple[str, Break | None]:
    from curation.mix import TRAIN
    from curation.render import RenderParams
    from train.params import TrainParams
    from train.plan import CONSUMED, consumed_matches, plan

    train = records.read(paths.MIXED / "train.parquet", TRAIN)
    consumed = records.read(paths.CONSUMED, CONSUMED)
    render = params.load("render", RenderParams)
    found = consumed_matches(train, consumed, plan(train, params.load("train", TrainParams), render.max_length))
    said = (
        f"{found.steps} of {found.planned_steps} steps read {found.rows} rows, {found.tokens} tokens, "
        f"{found.label_tokens} of them with loss; {found.unread} rows of the mixture were not reached"
    )
    return said, Break("train", found.problem, ()) if found.problem else None


_raw, _generated = paths.CORPORA["raw"], paths.CORPORA["generated"]
_CHECKS: dict[str, Callable[[], tuple[str, Break | None]]] = {
    "ingest": _ingest,
    "repair@raw": lambda: _repair(_raw),
    "score@raw": lambda: _score(_raw),
    "label@raw": lambda: _label(_raw),
    "clean@raw": lambda: _clean(_raw),
    "synthesize": _synthesize,
    "repair@generated": lambda: _repair(_generated),
    "score@generated": lambda: _score(_generated),
    "label@generated": lambda: _label(_generated),
    "clean@generated": lambda: _clean(_generated),
    "mix": _mix,
    "train": _train,
}


def _files(stage: str) -> tuple[Path, ...]:
    """What a stage leaves; one of them tells that it has run."""
    verb, _, name = stage.partition("@")
    if not name:
        return {
            "ingest": (paths.RAW / "records.parquet", paths.RAW / "quarantine.parquet"),
            "synthesize": (paths.GENERATED / "records.parquet", paths.GENERATED / "attempts.parquet"),
            "mix": tuple(paths.MIXED / f"{name}.parquet" for name in ("train", "heldout", "unused")),
            "train": (paths.CONSUMED, paths.ADAPTER),
        }[verb]
    corpus = paths.CORPORA[name]
    return {
        "repair": (corpus.repaired / "records.parquet", corpus.repaired / "edits.parquet"),
        "score": (corpus.signals,),
        "label": (corpus.labels,),
        "clean": (corpus.cleaned / "records.parquet", corpus.cleaned / "dropped.parquet"),
    }[verb]
