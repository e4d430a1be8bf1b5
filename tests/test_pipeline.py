"""The whole chain on a few rows of the starter sources, with the real models, server, training and DVC."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow

# Smaller than the defaults, so that the chain takes a minute or two.
SMALLER = {
    "parents: {en: 9, zh: 1}": "parents: {en: 1}",
    "buckets: [general]": "buckets: [general, domain, math_code]",
    "task_types: [open_qa, brainstorming, chat]  # of the parents": "task_types: [open_qa, chat, writing, math, code, reasoning]",
    "max_units: 60": "max_units: 200",
    "instruction_tokens: 160": "instruction_tokens: 24",
    "answer_tokens: 224": "answer_tokens: 24",
    "rows: 4  # for each language": "rows: 1  # for each language",
    "max_tokens: 512  # a row": "max_tokens: 96  # a row",
    "max_length: 1024": "max_length: 384",
    "max_steps: 16": "max_steps: 2",
    "eval_steps: 8": "eval_steps: 1",
    "eval_tokens: 3000": "eval_tokens: 300",
    "tolerance: 0.01": "tolerance: 0.2",
    "min_rows: 20": "min_rows: 8",
    "share: 0.12": "share: 0.3",
    "synthesized: reviewed": "synthesized: all",
}


def thin(path: Path, rows: int) -> None:
    """Leave `rows` records, evenly spread, in a source file."""
    if path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:: max(1, len(lines) // rows)][:rows]), encoding="utf-8")
    elif path.suffix == ".json":
        listed = json.loads(path.read_text(encoding="utf-8"))
        kept = listed[:: max(1, len(listed) // rows)][:rows]
        path.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
    elif path.suffix in (".csv", ".tsv"):
        separator = "," if path.suffix == ".csv" else "\t"
        with path.open(newline="", encoding="utf-8") as stream:
            table = list(csv.reader(stream, delimiter=separator))
        with path.open("w", newline="", encoding="utf-8") as stream:
            kept = [table[0], *table[1 :: max(1, len(table) // rows)][:rows]]
            csv.writer(stream, delimiter=separator, lineterminator="\n").writerows(kept)
    elif path.suffix == ".txt":
        path.write_text("\n\n\n".join(path.read_text(encoding="utf-8").split("\n\n\n")[:rows]), encoding="utf-8")


def run(folder: Path, *command: str, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=560
    )
    if ok:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone with few rows in it, built by `dvc repro` over an empty cache (converted models aside)."""
    folder = tmp_path_factory.mktemp("project") / "clone"
    cache = folder.parent / "cache"
    cache.mkdir()
    from curation.cache import folder as usual
    from curation.models import language_model_path

    for name in ("smollm2-135m-instruct", "gemma-3-270m"):
        language_model_path(name)
    (cache / "models").symlink_to(usual() / "models")
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and not name.startswith(("data/sources/planted", "reports/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for path in (folder / "data/sources").glob("*.*"):
        thin(path, 4)
    for path in (folder / "data/sources/replay").glob("*.txt"):
        thin(path, 2)
    for number, path in enumerate(sorted((folder / "data/sources/replay/code").iterdir())):
        if number % 8:
            path.unlink()
    for path in (folder / "data/evaluation").glob("*.jsonl"):
        thin(path, 2)
    (folder / "reports/merged").mkdir(parents=True)
    (folder / "reports/merged/.gitkeep").touch()  # the report depends on the folder, which stands in git
    (folder / "reports/accepted.json").write_text("{}\n")
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    for old, new in SMALLER.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    os.environ |= {"CURATION_CACHE": str(cache), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run(folder, "git", "init", "-q")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "add", "-A")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "start")
    run(folder, "dvc", "repro")
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """Output → hash, from dvc.lock, for the outputs from ingest to mix."""
    import yaml

    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {o["path"]: o["md5"] for s in stages.values() for o in s.get("outs", []) if o["path"].startswith("data/")}


def test_a_second_run_has_nothing_to_do(project):
    start = time.monotonic()
    assert "Data and pipelines are up to date." in run(project, "dvc", "repro").stdout
    assert time.monotonic() - start < 30


def test_audit_passes_and_says_each_balance(project):
    said = run(project, "curation", "audit").stdout
    assert said.endswith("Every row is accounted for, from source to loss token.\n")
    assert json.loads(run(project, "curation", "audit", "--json").stdout)["passed"] is True


FILES = [
    "data/raw/records", "data/repaired/raw/records", "data/labels/raw", "data/cleaned/records", "data/generated/attempts",
    "data/generated/records", "data/repaired/generated/records", "data/labels/generated", "data/synthesized/records",
    "data/mixed/train", "data/mixed/heldout", "data/mixed/unused",
    *(f"data/signals/raw/{s}" for s in ("language", "length", "repetition", "exact", "near", "embedding", "semantic", "perplexity")),
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_row_taken_out_by_hand_is_named(project, name, monkeypatch):
    from pipelines import audit, params

    path = project / f"{name}.parquet"
    whole = path.read_bytes()
    table = pl.read_parquet(path)
    monkeypatch.chdir(project)
    params.read.cache_clear()
    try:
        table.slice(1).write_parquet(path)
        broken = audit.first_break()
    finally:
        path.unlink()  # a link into DVC's cache may not be written through
        path.write_bytes(whole)
    assert broken is not None
    gone = table.row(0, named=True)
    lost = gone.get("id") or gone.get("attempt") or gone["content_hash"]
    if "id" not in gone and "attempt" not in gone:
        rows = pl.read_parquet(project / "data/repaired/raw/records.parquet", columns=["id", "content_hash"])
        lost = rows.filter(pl.col("content_hash") == lost)["id"].min()
    assert lost in broken.sentence()


def test_shuffled_sources_keep_the_same_rows(project, monkeypatch, tmp_path):
    monkeypatch.chdir(project)
    from curation import records, score
    from curation.clean import CleanParams, clean
    from curation.ingest import IngestParams, ingest
    from curation.label import LabelParams, label, taxonomy
    from curation.repair import RepairParams, repair
    from pipelines import params, paths

    params.read.cache_clear()
    before = set(pl.read_parquet(project / "data/cleaned/records.parquet")["content_hash"])
    copy = tmp_path / "shuffled"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git", ".dvc", "models", "reports"))
    for path in (copy / "data/sources").glob("*.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines()
        random.Random(5).shuffle(lines)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for path in (copy / "data/sources").glob("*.json"):
        listed = json.loads(path.read_text(encoding="utf-8"))
        random.Random(5).shuffle(listed)
        path.write_text(json.dumps(listed, ensure_ascii=False, indent=1), encoding="utf-8")
    monkeypatch.chdir(copy)
    rows, _ = repair(ingest(params.load("ingest", IngestParams))[0], [], params.load("repair", RepairParams))
    settings = params.load("score", score.ScoreParams)
    signals: dict[str, pl.DataFrame] = {}
    for name in score.SIGNALS:
        signals[name] = score.compute(name, rows, settings, have=signals)
    labels = label(rows, taxonomy.load(paths.TAXONOMY), params.load("label", LabelParams))
    kept, _ = clean(rows, signals, labels, params.load("clean", CleanParams), evaluation=paths.EVALUATION)
    assert set(kept["content_hash"]) == before
    assert set(kept.columns) == set(records.LABELLED)


def test_show_tells_a_rows_life(project):
    id_ = pl.read_parquet(project / "data/mixed/train.parquet")["id"][0]
    said = run(project, "curation", "show", id_, COLUMNS="200").stdout
    for word in ("record as it came", "signals of", "labels", "decision of clean", "where it ended", "position"):
        assert word in said
    nothing = run(project, "curation", "show", "nobody", ok=False)
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("curation show: nobody: no record or quarantined row has this id")


def cloned(project: Path, target: Path) -> Path:
    shutil.copytree(project, target, symlinks=True)
    return target


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_bad_input_gets_one_line_with_the_remedy(project, tmp_path):
    folder = cloned(project, tmp_path / "bad")
    text = (folder / "params.yaml").read_text(encoding="utf-8")

    def said(stage: str, old: str = "", new: str = "", **environment: str) -> str:
        assert not old or old in text
        (folder / "params.yaml").write_text(text.replace(old, new) if old else text, encoding="utf-8")
        return one_line(run(folder, sys.executable, "-m", f"pipelines.{stage[0]}", *stage[1:], ok=False, **environment))

    assert said(("ingest",), "path: data/sources/replay/code,", "path: data/nowhere,") == (
        "ingest: ingest.sources: data/nowhere: no such file, folder or pattern; restore it or take the entry out of params.yaml."
    )
    assert said(("mix",), "replay: 0.05", "repaly: 0.05") == (
        "mix: mix.repaly: unknown key; accepted: caps, exhaustion, floors, heldout, max_epochs, parts, phases, quality, ratios, "
        "replay, seed, short_answers, size, synthesized, targets, task_weights, tolerance, unit, weights; did you mean 'replay'?"
    )
    assert "127.0.0.1:9" in said(
        ("synthesize",), "endpoint: local", "endpoint: http://127.0.0.1:9/v1", CURATION_CACHE=str(tmp_path / "c")
    )
    assert said(("score", "raw"), "    model: multilingual-e5-small", "    model: multilingual-e5-tiny") == (
        "score@raw: sentence encoder 'multilingual-e5-tiny': no such folder and no bundled model. "
        "Accepted: multilingual-e5-small, all-minilm-l6-v2, a folder, or a hub name such as org/model that can be reached."
    )
    path = folder / "data/repaired/raw/records.parquet"
    path.unlink()
    path.write_bytes(b"PAR1 not a table")
    assert said(("label", "raw")).startswith(
        "label@raw: data/repaired/raw/records.parquet: not a readable parquet file ("
    )


def test_a_full_disk_gets_one_line(project, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small], check=False).returncode
    ):
        pytest.skip("a full disk is a tmpfs of 16 kB here, and only root may mount one")
    try:
        folder = cloned(project, tmp_path / "full")
        shutil.rmtree(folder / "data/raw")
        (folder / "data/raw").symlink_to(small)
        line = one_line(run(folder, sys.executable, "-m", "pipelines.ingest", ok=False))
        assert line == (
            "ingest: no space left on the disk; free some (outputs: data/, models/; cache: CURATION_CACHE), then run again."
        )
    finally:
        subprocess.run(["umount", small], check=True)


def test_killed_in_the_middle_of_score_and_run_again_gives_the_same_bytes(project, tmp_path):
    folder = cloned(project, tmp_path / "killed")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(Path(os.environ["CURATION_CACHE"]) / "models")
    before = {p.name: p.read_bytes() for p in (folder / "data/signals/raw").iterdir()}
    shutil.rmtree(folder / "data/signals/raw")
    environment = os.environ | {"CURATION_CACHE": str(cache)}
    stage = subprocess.Popen(
        [sys.executable, "-m", "pipelines.score", "raw"], cwd=folder, env=environment, start_new_session=True
    )
    while not (cache / "perplexity.sqlite").exists() and stage.poll() is None:
        time.sleep(0.2)
    time.sleep(3)
    os.killpg(stage.pid, signal.SIGKILL)
    assert stage.wait() != 0
    run(folder, sys.executable, "-m", "pipelines.score", "raw", CURATION_CACHE=str(cache))
    assert {p.name: p.read_bytes() for p in (folder / "data/signals/raw").iterdir()} == before
