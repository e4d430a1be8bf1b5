"""The real local server: greedy answers, none asked twice, none left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from curation import models, serve
from curation.completion import Request
from curation.endpoint import EndpointParams, connect
from curation.errors import EndpointError

OWNER = """
import sys
from curation.serve import local_server
with local_server(sys.argv[1]) as start:
    print(*start(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bundled model's folder, with a request cache of the test's own and no endpoint configured."""
    pytest.importorskip("uvicorn")
    path = models.language_model_path("smollm2-135m-instruct")
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return path


@pytest.mark.slow
def test_two_requests_then_the_cache(alone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        Request((("system", "Be brief."), ("user", text)), 12)
        for text in ("What is the capital of France?", "Say hello.")
    ]
    params = EndpointParams(model=alone)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with connect(params) as model:
        answers = model.ask(asked)
    assert "Paris" in answers[0].text
    assert all(a.failure is None and a.completion_tokens > 0 and "<|im_end|>" not in a.text for a in answers)
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before
    monkeypatch.setattr(serve, "_start", None)  # would fail if called
    with connect(params) as model:
        assert model.ask(asked) == answers
    assert (model.asked, model.cached) == (0, 2)


@pytest.mark.slow
def test_kill_9_of_the_owner_leaves_no_server(alone: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, alone], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("http://127.0.0.1:")
        servers = psutil.Process(owner.pid).children(recursive=True)
        assert servers
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    deadline = time.monotonic() + 10
    while any(s.is_running() and s.status() != psutil.STATUS_ZOMBIE for s in servers):
        assert time.monotonic() < deadline, "the server outlived its owner"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_folder_that_holds_no_model(alone: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EndpointError) as error, serve.local_server(str(tmp_path / "empty")) as start:
        start()
    assert str(error.value).startswith(
        f"local server for model {str(tmp_path / 'empty')!r}: ended with exit code 1 before it was ready. Its log ends: "
    )
    assert str(error.value).endswith(
        "Accepted: a model that `transformers serve` can load; name another in synthesize.model, or set OPENAI_BASE_URL to "
        "use an endpoint of your own."
    )
