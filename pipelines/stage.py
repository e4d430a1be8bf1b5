"""What every stage's `main` shares: one writer at a time, no life after its parent, errors in one line, a progress bar."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import ConfigError, TemperError

if TYPE_CHECKING:
    import polars as pl

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Threads that wait sleep: beside other work on the machine, spinning ones cost most of the time (docs/log.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' own bars; Bar draws ours. Read when tqdm is imported.


def run(name: str, work: Callable[[], str]) -> None:
    """Run a stage's work, print the summary that it returns, exit 1 with one line when it fails (2 for wrong params)."""
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    logging.getLogger("sentence_transformers").setLevel(
        logging.ERROR
    )  # warns that the encoder has a default prompt: so it should
    warnings.simplefilter("ignore", FutureWarning)  # what one library has to tell another
    if "DVC_STAGE" in os.environ:
        _die_with_parent()
    start = time.monotonic()
    with errors_in_one_line(name), _only_writer(name):
        summary = work()
        print(f"{name}: {summary} ({time.monotonic() - start:.1f} s)", flush=True)


def run_named(stage: str, work: Callable[[str], str]) -> None:
    """`run` for `STAGE@NAME`, whose NAME is the one argument of the command line."""
    if len(sys.argv) != 2:
        said = f"found {len(sys.argv) - 1} arguments; one name is accepted: `python -m pipelines.{stage} NAME`, or `dvc repro {stage}`."
        sys.exit(_say(stage, said, 2))
    name = sys.argv[1]
    run(f"{stage}@{name}", lambda: work(name))


@contextlib.contextmanager
def errors_in_one_line(name: str) -> Iterator[None]:
    """Turn what a user can mend into `name: sentence` on stderr and a non-zero exit."""
    try:
        yield
    except ConfigError as error:
        sys.exit(_say(name, str(error), 2))
    except TemperError as error:
        sys.exit(_say(name, str(error), 1))
    except KeyboardInterrupt:
        sys.exit(_say(name, "interrupted; run again to go on from what is stored.", 130))
    except Exception as error:
        # Libraries report a full disk in errors of their own (safetensors, sqlite, arrow).
        full = getattr(error, "errno", None) == errno.ENOSPC or any(
            mark in str(error) for mark in ("No space left", "os error 28", "StorageFull", "disk is full")
        )
        if not full:
            raise
        sys.exit(
            _say(
                name,
                "no space left on the disk; free some (outputs: data/, models/; cache: CURATION_CACHE), then run again.",
                1,
            )
        )


def _say(name: str, text: str, code: int) -> int:
    for line in text.splitlines():
        print(f"{name}: {line}", file=sys.stderr, flush=True)
    return code


@contextlib.contextmanager
def _only_writer(name: str) -> Iterator[None]:
    """Wait for another process that runs this stage in this folder. The lock goes with its holder, whatever kills it."""
    path = Path(".dvc/tmp") / f"temper-{name.replace('@', '-')}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: another process runs this stage here; waiting for it to end.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _die_with_parent() -> None:
    """End this process when dvc ends: `kill -9` of dvc leaves its stage running beside the next one otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    import psutil

    watched = [psutil.Process(os.getppid())]
    if watched[0].name() in {"sh", "bash", "dash", "zsh"} and watched[0].parent():
        watched.append(watched[0].parent())

    def watch() -> None:
        while all(p.is_running() for p in watched):
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def off(signals: Mapping[str, pl.DataFrame]) -> list[str]:
    """Names of the sidecars that hold no value for any row because `score.off` names the signal."""
    return [name for name, rows in signals.items() if rows.height and rows["not_applicable"].eq_missing("off").all()]


def not_measured(names: Iterable[str]) -> str:
    """For the end of a summary: what `score.off` left out; empty when nothing was."""
    said = ", ".join(sorted(names))
    return f"; not applicable to any row, off: {said}" if said else ""


def write_json(value: Any, path: Path) -> None:
    """A report file, whole or not at all: sorted, indented, the same bytes for the same value."""
    from curation.records import whole

    with whole(path) as part:
        part.write_text(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")


class Bar:
    """Draws progress: a bar with rate and time left on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._tasks: dict[str, tuple[object, float]] = {}
        self._said: dict[str, float] = {}

    def __enter__(self) -> Bar:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if label not in self._tasks:
            self._tasks[label] = (self._progress.add_task(label, total=total, rate=""), now)
            self._said[label] = now
        task, start = self._tasks[label]
        rate = done / (now - start) if now - start > 0.1 else 0.0
        self._progress.update(task, completed=done, total=total, rate=f"{rate:.1f}/s" if rate else "")  # type: ignore[arg-type]
        if not self._console.is_terminal and (now - self._said[label] > 15 or (done == total and now - start > 15)):
            self._said[label] = now
            left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
            print(f"  {label}: {done}/{total}, {rate:.1f}/s{left}", file=sys.stderr, flush=True)
