"""The stage merge and `curation merge`: where adapters come from, what is kept, and what is said when it cannot be."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from curation.errors import ConfigError, DataError
from pipelines import cli, merge, params
from pipelines.stage import run_named

PARAMS = "render: {model: tiny}\nmerge: {mild: {adapters: [a, b], weights: [0.2, 0.8]}}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "tiny").mkdir()
    params.read.cache_clear()
    yield tmp_path
    params.read.cache_clear()


def adapter(folder: Path, value: float, base: str = "tiny") -> Path:
    folder.mkdir(parents=True)
    key = "base_model.model.layers.0.q_proj.lora_{}.weight"
    save_file(
        {key.format("A"): torch.full((1, 3), value), key.format("B"): torch.ones(2, 1)},
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "bias": "none", "r": 1, "lora_alpha": 1, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_stage_makes_the_adapter_of_its_name_and_scores_it(project, monkeypatch):
    adapter(project / "a", 1.0), adapter(project / "b", 4.0)
    (project / "data/mixed").mkdir(parents=True)
    monkeypatch.setattr("curation.records.read", lambda *_: pl.DataFrame({"id": ["r1"]}))
    monkeypatch.setattr("train.merge_scores.evaluations", lambda *_: {})
    models = {"merged": {"nll": 2.5, "benchmark": 0.5}}
    monkeypatch.setattr("train.merge_scores.scores", lambda *_: ({"models": models}, {"math": {"rows": 3}}))
    assert merge.work("mild") == "linear, held-out loss merged 2.5000; benchmark 0.500"
    assert json.loads((project / "models/merged/mild/lineage.json").read_text())["weights"] == [0.2, 0.8]
    assert json.loads((project / "reports/merged/mild.json").read_text())["adapters"]["parent_2"]["name"] == "b"
    assert json.loads((project / "reports/merged/mild_by_task.json").read_text()) == {"math": {"rows": 3}}
    with pytest.raises(ConfigError) as error:
        merge.work("bold")
    assert str(error.value) == "merge.bold: not in params.yaml, whose section merge names mild; add it there."


def test_the_command_merges_folders(project):
    a, b = adapter(project / "a", 1.0), adapter(project / "b", 4.0)
    given = {"adapters": [a.name, b.name]}
    said, overall, by_task = merge.command(given, None, scored=False)
    assert (said, overall, by_task) == ("models/merged-linear: linear of a, b, not scored", {}, {})
    lineage = json.loads((project / "models/merged-linear/lineage.json").read_text())
    assert lineage["weights"] == [0.5, 0.5]  # not those of params.yaml, which are for others
    assert [p["name"] for p in lineage["parents"]] == ["a", "b"]
    names = {"adapter_config.json", "adapter_model.safetensors", "lineage.json", "tokenizer.json"}
    assert {p.name for p in (project / "models/merged-linear").iterdir()} == names
    merge.command(given | {"method": "slerp", "weights": [0.9, 0.1]}, Path("models/merged-linear"), scored=False)
    again = json.loads((project / "models/merged-linear/lineage.json").read_text())
    assert (again["method"], again["weights"]) == ("slerp", [0.9, 0.1])
    merge.command({"adapters": ["models/merged-linear", "b"]}, Path("twice"), scored=False)
    assert json.loads((project / "twice/lineage.json").read_text())["parents"][0]["lineage"] == again


@pytest.mark.parametrize(
    ("given", "out", "said"),
    [
        ({}, None, "merge.adapters: found 0; two or more accepted."),
        (
            {"adapters": ["a", "b"]},
            "models/merged",
            "--out models/merged: belongs to the stages of merge, whose next run would overwrite it; name another folder, or an entry "
            "in params.yaml: merge.",
        ),
        (
            {"adapters": ["a", "b"], "weights": [1.0, 1.0, 1.0]},
            None,
            "merge.weights: found 3 for 2 adapters; give one each, or null.",
        ),
        (
            {"adapters": ["a", "b"]},
            "a",
            "a: is there already and is no merged adapter; name another folder or remove it.",
        ),
        (
            {"adapters": ["a", "other"]},
            None,
            "other: trained on 'large', but a on 'tiny'; only adapters of one base model can be merged.",
        ),
        (
            {"adapters": ["other", "other"]},
            None,
            "other: trained on 'large', but render.model is 'tiny'; set render.model to the former.",
        ),
        (
            {"adapters": ["a", "./missing"]},
            None,
            "./missing: no such folder; accepted: a folder, a git revision or an experiment, or REV:FOLDER.",
        ),
    ],
)
def test_what_cannot_be_merged_gets_one_line(project, given, out, said):
    adapter(project / "a", 1.0), adapter(project / "b", 4.0), adapter(project / "other", 1.0, base="large")
    with pytest.raises((ConfigError, DataError)) as error:
        merge.command(given, Path(out) if out else None, scored=False)
    assert str(error.value) == said
    assert not list(project.glob("**/*.part"))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{mild: {adapters: [a], weights: null}}", "merge.mild.adapters: found 1; two or more accepted."),
        ("{mild: {}}", "merge.mild.adapters: found 0; two or more accepted."),
        ("{mild: {adapters: [a, b, c], method: slerp}}", "merge.mild.adapters: found 3; two for slerp accepted."),
        (
            "{mild: {adapters: [a, b, c], weights: [0.2, 0.8]}}",
            "merge.mild.weights: found 2 for 3 adapters; give one each, or null.",
        ),
        (
            "{mild: {adapters: [a, b], methd: ties}}",
            "merge.mild.methd: unknown key; accepted: adapters, density, method, rank, seed, weights; did you mean 'method'?",
        ),
        (
            "{adapters: [a, b], method: ties}",
            "merge: found {'adapters': ['a', 'b'], 'method': 'ties'}; value error, adapters is no mapping; NAME: {adapters: [A, B], "
            "method: …} is accepted.",
        ),
        ("", "merge: empty or absent, and DVC then runs no command at all; write `merge: {}`."),
        (
            "{mild: {adapters: [a, b]}, mild_by_task: {adapters: [a, b]}}",
            "merge.mild_by_task: reports/merged/mild_by_task.json is for the scores by task; choose another name.",
        ),
        (
            "{mild: {adapters: [a, ./models/merged/bold]}}",
            "merge.mild.adapters: found './models/merged/bold', made by a stage that DVC does not know to run before; merge it by "
            "`curation merge`, or name its revision (REV:./models/merged/bold).",
        ),
        ("{mild: {adapters: [a]}, bold: {adapters: [b]}}", "merge.bold.adapters: found 1; two or more accepted."),
        (
            "{a/b: {adapters: [a, b]}}",
            "merge: found {'a/b': {'adapters': ['a', 'b']}}; value error, 'a/b' names files; letters, digits, _ and - are accepted.",
        ),
    ],
)
def test_check_tells_what_is_wrong_with_an_entry(project, section, said):
    (project / "params.yaml").write_text(f"render: {{model: tiny}}\nmerge: {section}\n")
    with pytest.raises(ConfigError) as error:
        params.check(project / "params.yaml")
    assert said in str(error.value).splitlines()


def test_a_file_without_the_section_is_told(project):
    (project / "params.yaml").write_text("render: {model: tiny}\n")
    with pytest.raises(ConfigError) as error:
        params.check(project / "params.yaml")
    assert (
        "merge: empty or absent, and DVC then runs no command at all; write `merge: {}`."
        in str(error.value).splitlines()
    )


class Revision:
    """As DVC's file system of a revision; another process may have fetched the folder when this one has."""

    repo = type("Repo", (), {"get_rev": staticmethod(lambda: "c" * 40)})

    def __init__(self, meanwhile=lambda: None):
        self.isdir, self.exists, self.meanwhile = (lambda _: True), (lambda _: False), meanwhile

    def get(self, _, target, recursive):
        Path(target).mkdir()
        (Path(target) / "f").write_text("this")
        self.meanwhile()


def test_two_that_fetch_the_same_parent_use_the_first(project, monkeypatch):
    theirs = project / "cache/adapters" / f"{'c' * 40}-models%2Fadapter/adapter"

    def other():
        theirs.mkdir(parents=True)
        (theirs / "f").write_text("theirs")

    monkeypatch.setattr("dvc.api.DVCFileSystem", lambda *_, **__: Revision(other))
    assert merge.found("v1")[0] == theirs
    assert (theirs / "f").read_text() == "theirs"
    assert [p.name for p in (project / "cache/adapters").iterdir()] == [theirs.parent.name]


def test_a_full_disk_is_not_told_as_a_missing_file(project, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dvc.api.DVCFileSystem", lambda *_, **__: Revision(full))
    with pytest.raises(OSError, match="No space left"):
        merge.found("v1")


def test_folders_of_a_revision_have_caches_of_their_own(project, monkeypatch):
    monkeypatch.setattr("dvc.api.DVCFileSystem", lambda *_, **__: Revision())
    names = ("v1:models/merged/linear", "v1:models/merged-linear", "v1:models-merged/linear")
    assert len({merge.found(name)[0] for name in names}) == 3


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_a_stage_by_name_wants_one(project, monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["pipelines/merge.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_named("merge", merge.work)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"merge: found {len(arguments)} arguments; one name is accepted: `python -m pipelines.merge NAME`, or `dvc repro merge`.\n"
    )


def test_accepting_in_a_fresh_clone_says_what_is_missing(project, monkeypatch, capsys):
    (project / "reports").mkdir()
    (project / "reports/scores.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["curation", "accept", "--by", "mei"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "curation accept: data/mixed/manifest.json: no such file; run `dvc repro mix` first.\n"
    )


def test_what_is_known_of_this_runs_adapter(project):
    adapter(project / "models/adapter", 1.0)
    pl.DataFrame({"id": ["r1", "r2", "r2"]}).write_parquet(project / "models/consumed.parquet")
    lock = {"stages": {"train": {"params": {"params.yaml": {"train": {"seed": 3}}}}, "mix": {}}}
    (project / "dvc.lock").write_text(json.dumps(lock))
    folder, known = merge.found("models/adapter", {"r2", "r9"})
    assert (folder, known) == (Path("models/adapter"), {"params": {"train": {"seed": 3}}, "heldout_read": 1})


@pytest.mark.slow
def test_a_revisions_adapter_is_fetched_with_what_it_read(project):
    def call(*words: str) -> str:
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    dvc = (sys.executable, "-m", "dvc")
    call("git", "init", "-q", "."), call("git", "config", "user.email", "a@b"), call("git", "config", "user.name", "a")
    call(*dvc, "init", "-q"), call(*dvc, "config", "core.analytics", "false")
    adapter(project / "models/adapter", 1.0)
    pl.DataFrame({"id": ["r1"]}).write_parquet(project / "models/consumed.parquet")
    call(*dvc, "add", "-q", "models/adapter", "models/consumed.parquet")
    call("git", "add", "models", ".dvc"), call("git", "commit", "-qm", "v1"), call("git", "tag", "v1")
    commit = call("git", "rev-parse", "HEAD")
    for path in (project / "models/adapter").iterdir():
        path.unlink()
    (project / "models/adapter").rmdir()
    folder, known = merge.found("v1", {"r1", "r2"})
    assert known == {"commit": commit, "heldout_read": 1}
    assert sorted(p.name for p in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
    ]
    assert merge.found("v1:models/adapter")[0] == folder
    for name, said in (
        (
            "v2",
            "v2: no such folder, git revision or experiment; `dvc exp show` lists experiments, `git log` revisions.",
        ),
        ("v1:models/none", "v1:models/none: the revision has no folder models/none; name another with REV:FOLDER."),
    ):
        with pytest.raises(DataError) as error:
            merge.found(name)
        assert str(error.value) == said
    call("rm", "-rf", ".dvc/cache", "cache")
    with pytest.raises(DataError) as error:
        merge.found("v1")
    assert str(error.value) == (
        f"v1: models/adapter of {commit[:7]} is not in DVC's cache; bring it with `dvc fetch`, or check it out and `dvc repro`."
    )
