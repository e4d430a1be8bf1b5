"""The parts fit: layers, what each stage depends on, what each params key is for."""

from __future__ import annotations

import ast
import re
import typing
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, RootModel

ROOT = Path(__file__).parent.parent
SOURCES = sorted(p for room in ("curation", "pipelines", "train") for p in (ROOT / room).rglob("*.py"))
# What any module may use and what changes no result: errors, the params base, progress, where the cache is.
INFRASTRUCTURE = {
    "curation",
    "curation.errors",
    "curation.params",
    "curation.progress",
    "curation.cache",
    "train",
    "pipelines",
}
PLUMBING = {"pipelines.stage", "pipelines.params", "pipelines.paths"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(p): p for p in SOURCES}


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of this project that a module imports, at any depth of its code; names in tables of modules count too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "." in node.value
            and node.value in MODULES
        ):
            found.add(node.value)
    return frozenset(found & MODULES.keys()) - {module}


def reached(module: str) -> set[str]:
    todo, seen = [module], set()
    while todo:
        current = todo.pop()
        for name in imports(current) - PLUMBING:
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


@pytest.mark.parametrize("module", MODULES)
def test_layers(module):
    used = imports(module)
    room = module.split(".")[0]
    if room == "curation":
        assert not {u for u in used if u.split(".")[0] in ("pipelines", "train")}
    if room == "train":
        allowed = INFRASTRUCTURE | {"curation.records", "curation.render", "curation.models", "curation.endpoint"}
        assert {u for u in used if not u.startswith("train")} <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_no_drawer_for_odds_and_ends(module):
    assert not set(module.split(".")) & {"utils", "util", "common", "helpers", "misc"}


def stages() -> dict[str, dict]:
    """Stage name (without corpus) → its body in dvc.yaml."""
    text = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: body.get("do", body) for name, body in text.items()}


def test_each_word_is_a_stage_a_script_and_a_section():
    sections = set(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))) - {"render"}
    assert set(stages()) == sections
    for name, body in stages().items():
        assert (ROOT / f"pipelines/{name}.py").is_file()
        assert body["cmd"].split()[:3] == ["python", "-m", f"pipelines.{name}"]


@pytest.mark.parametrize("stage", stages())
def test_each_stage_depends_on_the_code_that_it_reaches(stage):
    deps = [d for d in stages()[stage]["deps"] if isinstance(d, str)]
    assert f"pipelines/{stage}.py" in deps
    for module in sorted(reached(f"pipelines.{stage}") - INFRASTRUCTURE - PLUMBING):
        path = MODULES[module].relative_to(ROOT).as_posix()
        assert any(path == d or path.startswith(f"{d}/") for d in deps), (
            f"{stage} reaches {path}, which is not among its deps"
        )


@pytest.mark.parametrize("stage", stages())
def test_each_stage_names_its_params(stage):
    named = {str(p) for p in stages()[stage]["params"]}
    scripts = {
        f"pipelines.{stage}",
        *(m for m in imports(f"pipelines.{stage}") - PLUMBING if m.startswith("pipelines.")),
    }
    text = "\n".join(MODULES[m].read_text(encoding="utf-8") for m in scripts)
    loaded = set(re.findall(r'params\.load\(\s*"(\w+)"', text))
    assert loaded == {name.removesuffix(".${key}") for name in named}


def leaves(model: type[BaseModel], values: dict, where: str):
    """(dotted name, field name, whether it is there) of every field, walking into nested models and entries by name."""
    if issubclass(model, RootModel):
        entry = typing.get_args(model.model_fields["root"].annotation)[1]
        for name, there in values.items():
            yield from leaves(entry, there, f"{where}.{name}")
        return
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, values.get(name) or {}, f"{where}.{name}")
        else:
            yield f"{where}.{name}", name, name in values


def example_of_a_merge(text: str) -> dict:
    """The section that stands there as a comment, since nothing is merged by default."""
    lines = re.search(r"((?:^#   .*\n)+)merge: {}\n", text, re.M).group(1)
    return {"merge": yaml.safe_load(re.sub(r"^#", "", lines, flags=re.M))}


def test_every_params_key_stands_in_the_file_and_is_explained():
    from pipelines import params

    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text) | example_of_a_merge(text)
    missing = [
        dotted
        for section, model in params.models().items()
        for dotted, _, there in leaves(model, values.get(section) or {}, section)
        if not there
    ]
    assert missing == []
    bare = []
    previous = ""
    for number, line in enumerate(text.splitlines(), 1):
        key = re.match(r"\s*-?\s*[\w.]+:", line)
        if key and "#" not in line and not previous.strip().startswith("#") and not re.match(r"\s*- ", line):
            bare.append(f"{number}: {line}")
        previous = line
    assert bare == []


def test_every_params_key_is_read_by_code():
    from pipelines import params

    code = "\n".join(p.read_text(encoding="utf-8") for p in SOURCES)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text) | example_of_a_merge(text)
    unread = [
        dotted
        for section, model in params.models().items()
        for dotted, name, _ in leaves(model, values.get(section) or {}, section)
        if not re.search(rf"\.{name}\b|\"{name}\"", code)
    ]
    assert unread == []


def test_params_file_has_no_fault():
    from pipelines import params

    assert set(params.check(ROOT / "params.yaml")) == set(params.models())
    example = example_of_a_merge((ROOT / "params.yaml").read_text(encoding="utf-8"))["merge"]
    params.models()["merge"].model_validate(example).check()


def test_paths_are_those_of_dvc_yaml():
    from pipelines import paths

    corpora = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["vars"][0]["corpora"]
    for name, corpus in paths.CORPORA.items():
        assert corpora[name]["from"] == corpus.came_from.as_posix()
        assert corpora[name]["to"] == corpus.cleaned.as_posix()
        if corpus.against:
            assert corpora[name]["against"] == corpus.against.as_posix()


def test_every_signal_is_a_module_with_params_and_compute():
    import importlib

    from curation.score import SIGNALS, ScoreParams

    assert set(SIGNALS) == set(ScoreParams.model_fields) - {"off"}
    assert all(hasattr(importlib.import_module(m), "compute") for m in SIGNALS.values())


def test_help_starts_in_half_a_second():
    import subprocess
    import sys
    import time

    taken = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run([sys.executable, "-m", "pipelines.cli", "--help"], check=True, capture_output=True, cwd=ROOT)
        taken.append(time.monotonic() - start)
    assert min(taken) < 0.5


def test_dvc_reads_yaml_in_c():
    """An experiment parses dvc.lock, dvc.yaml and params.yaml about a hundred times."""
    from ruamel.yaml.main import CParser

    assert CParser is not None
