"""A command as a process of its own: what it prints, its processor time, and the most memory that it and its children held."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path


def run(command: list[str]) -> dict[str, float] | str:
    """What the command prints last, as JSON, and the most memory that it and its children held; or why it failed."""
    peak, worked, over = 0.0, {}, threading.Event()
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process:

            def watch() -> None:
                nonlocal peak
                while not over.wait(0.1):
                    peak = max(peak, held(process.pid, worked))

            watcher = threading.Thread(target=watch)
            watcher.start()
            printed = process.stdout.read()
            over.set()
            watcher.join()
        if process.returncode:
            errors.seek(0)
            said = errors.read().strip().splitlines()
            return said[-1] if said else f"ended with {process.returncode}"
    return {"cpu": sum(worked.values())} | json.loads(printed.strip().splitlines()[-1]) | {"peak_mb": peak}


def held(session: int, worked: dict[str, float]) -> float:
    """Memory of all processes of a session in MB; of a single one the most that it ever held. `worked` gets their CPU seconds."""
    now, most = 0, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if os.getsid(int(stat.parent.name)) != session:
                continue
            status = (stat.parent / "status").read_text()
            used = stat.read_text().rsplit(")", 1)[1].split()[11:13]
        except (OSError, ValueError):
            continue
        worked[stat.parent.name] = sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
        sizes = dict(re.findall(r"(VmHWM|VmRSS):\s+(\d+)", status))
        now, most = now + int(sizes.get("VmRSS", 0)), max(most, int(sizes.get("VmHWM", 0)))
    return max(now, most) / 1024
