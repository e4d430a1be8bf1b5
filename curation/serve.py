"""The life of the local server: `transformers serve` for one model, started when first needed, ended whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from curation import models
from curation.errors import EndpointError

START_LIMIT = 180.0  # seconds; 5–8 on an idle machine
STOP_LIMIT = 2.0  # seconds for SIGTERM: a request in flight would be finished first, and nobody waits for it any more
_PORT_TAKEN = "address already in use"


@contextlib.contextmanager
def local_server(
    model: str, start_limit: float = START_LIMIT, section: str = "synthesize"
) -> Iterator[Callable[[], tuple[str, str]]]:
    """Gives a function that starts the server at its first call and returns (base URL, the model's name there).

    The server answers one request at a time, greedily at temperature 0. It ends with the `with` block and, by the
    kernel's hand, with this process, even on `kill -9`. Call the function from the main thread: on Linux the server
    ends with the thread that started it. Raises EndpointError when the server does not come up within `start_limit`
    seconds; the message names the `section` of params.yaml that asked for it.
    """
    running: list[_Server] = []

    def start() -> tuple[str, str]:
        if not running:
            running.append(_start(model, start_limit, section))
        return running[0].url, running[0].served

    try:
        yield start
    finally:
        for server in running:
            server.stop()


class _Server:
    def __init__(self, model: str, path: str, section: str) -> None:
        self.model, self.served, self.section, self.port = model, path, section, _free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop) has no name, so that nothing is left by kill -9
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", path]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=_environment(path),
            start_new_session=True,  # a Ctrl-C at the terminal reaches only the owner, which then stops it in order
            preexec_fn=_end_with_parent(),
        )

    def wait(self, limit: float) -> bool:
        """True when it listens, False when another program took the port; EndpointError when neither comes."""
        deadline = time.monotonic() + limit
        while self.process.poll() is None:
            if _healthy(self.port) and self._owns_port():
                return True
            if time.monotonic() > deadline:
                raise self._failure(f"not ready after {limit:.0f} s")
            time.sleep(0.1)
        if _PORT_TAKEN in self._logged().lower():
            return False
        raise self._failure(f"ended with exit code {self.process.returncode} before it was ready")

    def stop(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_LIMIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def _owns_port(self) -> bool:
        """Whether it is this server that answered: another program may have taken the port in the meantime."""
        import psutil

        try:
            connections = psutil.Process(self.process.pid).net_connections("tcp")
        except psutil.Error:
            return False
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == self.port for c in connections)

    def _logged(self) -> str:
        descriptor = self.log.fileno()  # read at a position: the server writes at the one that both share
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")

    def _failure(self, problem: str) -> EndpointError:
        lines = self._logged().replace("\r", "\n").splitlines()
        tail = " | ".join(line.strip() for line in lines[-8:] if line.strip())[-600:] or "nothing"
        return EndpointError(
            f"local server for model {self.model!r}: {problem}. Its log ends: {tail}. Accepted: a model that "
            f"`transformers serve` can load; name another in {self.section}.model, or set OPENAI_BASE_URL to use an endpoint of your own."
        )


def _start(model: str, limit: float, section: str) -> _Server:
    path = models.language_model_path(model)
    for _ in range(3):
        server = _Server(model, path, section)
        with contextlib.ExitStack() as not_ready:
            not_ready.callback(server.stop)
            if server.wait(limit):
                not_ready.pop_all()
                return server
    raise EndpointError(
        f"local server for model {model!r}: three free ports in a row were taken before it could listen; run again."
    )


def _environment(path: str) -> dict[str, str]:
    hidden = {"OPENAI_API_KEY", "OPENAI_BASE_URL"}  # the server has no use for them
    other = {k: v for k, v in os.environ.items() if k not in hidden}
    # Threads that spin while they wait fight for the cores with whoever else is at work: on a busy machine two spinning
    # threads decoded 3 tokens/s, two that sleep 12.
    added = {"OMP_NUM_THREADS": str(models.threads()), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if Path(path).is_dir():
        added["HF_HUB_OFFLINE"] = "1"
    return other | added


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # a proxy could not reach this machine's loopback
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _end_with_parent() -> Callable[[], None] | None:
    """What the child runs before it becomes the server: be killed when the parent ends (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()  # looked up here: little is safe between fork and exec

    def before_exec() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it ended in between
            os._exit(1)

    return before_exec
