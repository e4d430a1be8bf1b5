"""What all tests share: the folder of public test data, and a cache of their own for tests that write one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("machine", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("machine")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder named by CURATION_TEST_DATA (default ../shared/data); tests that need it skip where it is absent."""
    folder = Path(os.environ.get("CURATION_TEST_DATA") or ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"public test data is not at {folder}; set CURATION_TEST_DATA")
    return folder


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CURATION_CACHE; models that were converted before are reached through a link."""
    from curation.cache import folder

    models = folder() / "models"
    models.mkdir(exist_ok=True)
    target = tmp_path / "cache"
    target.mkdir()
    (target / "models").symlink_to(models)
    monkeypatch.setenv("CURATION_CACHE", str(target))
    return target


@pytest.fixture(scope="session")
def renderer():
    """A Renderer of the bundled model."""
    from curation.models import load_tokenizer
    from curation.render import Renderer

    return Renderer(load_tokenizer("smollm2-135m-instruct"))
