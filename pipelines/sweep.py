"""Ready grids of experiments for DVC's queue, and their results side by side. `curation sweep replay --queue`

Said again, the command shows where each run stands; with --queue it adds only those that are not there yet, so a sweep that
was stopped goes on. Runs belong to the commit they start from, as DVC's experiments do.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash
import yaml

from curation.errors import ConfigError, DataError
from pipelines import params

Grid = Mapping[str, Sequence[str]]  # key of params.yaml → values, as they would be written there

GRIDS: dict[str, tuple[str, Grid]] = {
    "replay": ("the replay ladder", {"mix.replay": ("0.0", "0.01", "0.05", "0.1", "0.2")}),
    "domain": ("the domain's weight", {"mix.ratios.domain": ("0.2", "0.4", "0.8")}),
    "loss": ("token mean against sample mean", {"train.loss": ("token_mean", "sample_mean")}),
    "learning_rate": ("peaks around the default", {"train.learning_rate": ("0.00005", "0.0001", "0.0002", "0.0004")}),
    "epochs": ("whole epochs", {"train.max_steps": ("null",), "train.epochs": ("1", "2", "3")}),
    "seeds": ("how much is luck", {"train.seed": ("17", "18", "19")}),
}
BUCKETS = ("general", "math_code", "domain", "safety", "replay")
# Header → key of `dvc exp show`.
RESULTS = {
    "base": "heldout.nll_base", "trained": "heldout.nll_trained", "held-out": "heldout.verdict", "benchmark": "benchmark.trained",
}  # fmt: skip


def parse_sets(given: Sequence[str]) -> Grid:
    """`mix.replay=0,0.05` → {"mix.replay": ("0", "0.05")}; commas inside brackets part nothing. Raises ConfigError."""
    grid = {}
    for text in given:
        key, equals, values = text.partition("=")
        found = tuple(v.strip() for v in _parted(values) if v.strip())
        if not equals or not key.strip() or not found:
            raise ConfigError(f"found {text!r}; accepted: KEY=VALUE,VALUE such as mix.replay=0,0.05.")
        grid[key.strip()] = found
    return grid


def _parted(values: str) -> list[str]:
    """`values` cut at commas that stand in no bracket, however deep."""
    parts, depth = [""], 0
    for character in values:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def runs(grids: Sequence[Grid], text: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Every combination of the grids: name of the experiment → overrides; raises ConfigError for one that params refuse.

    A name says the values that vary and ends in a digest of all params, so that a run of other params has another name.
    """
    merged: dict[str, Sequence[str]] = {}
    for grid in grids:
        merged |= grid
    found = {}
    for values in itertools.product(*merged.values()):
        overrides = dict(zip(merged, values, strict=True))
        told = {k: v for k, v in overrides.items() if len(merged[k]) > 1} or overrides
        changed = json.dumps(overridden(text, overrides), sort_keys=True, default=str)
        words = "_".join(f"{k.split('.')[-1]}-{v}" for k, v in told.items())
        # DVC keeps an experiment under this name, as a git reference.
        name = re.sub(r"[^A-Za-z0-9._-]|\.\.+", "-", words).strip("-.")[:60]
        found[f"{name}-{xxhash.xxh3_64_hexdigest(changed.encode())[:5]}"] = overrides
    return found


def overridden(text: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """params.yaml as it will be under these overrides; raises ConfigError for a key that is not in it or a value not accepted.

    As DVC takes them: +KEY adds one that must not be there, ++KEY adds or changes one.
    """
    changed = copy.deepcopy(dict(text))
    for key, value in overrides.items():
        bare = key.removeprefix("+").removeprefix("+")
        plus = len(key) - len(bare)
        *above, last = bare.split(".")
        section = bare.split(".")[0]
        if section not in params.SECTIONS:
            raise ConfigError(f"{key}: unknown section {section!r}; accepted: {', '.join(params.SECTIONS)}.")
        place: Any = changed
        for part in above:
            if plus and isinstance(place, dict):
                place.setdefault(part, {})
            place = place.get(part) if isinstance(place, dict) else None
        if not isinstance(place, dict) or (last not in place and not plus):
            raise ConfigError(f"{key}: not a key of params.yaml; `params.yaml` lists and explains all of them.")
        if plus == 1 and last in place:
            raise ConfigError(f"{key}: is in params.yaml already, which DVC refuses; write {bare}, or ++{bare}.")
        try:
            place[last] = yaml.load(value, params.Loader)  # noqa: S506 -- safe: built on SafeLoader
        except yaml.YAMLError:
            raise ConfigError(f"{key}: {value!r} is not YAML; quote it or mend its brackets.") from None
    with tempfile.TemporaryDirectory() as folder:  # a file, so that the run is checked as `curation check` would
        path = Path(folder) / params.PARAMS.name
        path.write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
        params.check(path)
    return changed


def sweep(names: Sequence[str], sets: Sequence[str], queue: bool) -> int:
    """Print what the grid comes to and where each run stands; with `queue`, put into DVC's queue what is not there yet."""
    from rich.console import Console
    from rich.table import Table

    unknown = [n for n in names if n not in GRIDS]
    if unknown:
        raise ConfigError(f"unknown grid {unknown[0]!r}; accepted: {', '.join(GRIDS)}, or --set KEY=VALUE,VALUE.")
    planned = runs([*(GRIDS[n][1] for n in names), parse_sets(sets)], params.read(params.PARAMS))
    there = _there()
    missing = [name for name in planned if name not in there or there[name].get("State") == "Failed"]
    if queue:
        for done, name in enumerate(missing, 1):
            _queue(name, planned[name])
            print(f"queued {done} of {len(missing)}: {name}", flush=True)
            there[name] = {"State": "Queued"}
    console = Console()
    table = Table(
        title=f"{len(planned)} runs; mixture in percent: {', '.join(BUCKETS)}", title_justify="left", box=None
    )
    for header in ("run", "state", "mixture", *RESULTS):
        table.add_column(header, justify="left" if header in ("run", "state", "verdict") else "right", overflow="fold")
    for name in planned:
        row = there.get(name, {"State": "not queued"})
        shares = [row.get(f"share.{bucket}") for bucket in BUCKETS]
        mixture = " ".join(f"{share:.0%}"[:-1] if isinstance(share, float) else "–" for share in shares)
        told = mixture if isinstance(row.get("share.replay"), float) else ""
        table.add_row(name, row.get("State") or "Success", told, *(_shown(row.get(key)) for key in RESULTS.values()))
    console.print(table)
    if queue or any(row.get("State") == "Queued" for row in there.values()):
        console.print("Run them: `dvc queue start --jobs 2`, or one after the other: `dvc exp run --run-all`.")
    elif missing:
        console.print("Nothing was queued; add --queue.")
    running = [name for name in planned if there.get(name, {}).get("State") == "Running"]
    if running:
        status = subprocess.run([sys.executable, "-m", "dvc", "queue", "status"], capture_output=True, text=True).stdout
        for line in cut_off(running, status):
            console.print(line, soft_wrap=True)
    return 0


def cut_off(running: Sequence[str], status: str) -> list[str]:
    """What to do about runs that DVC calls running while `dvc queue status` knows no worker: the machine stopped under them."""
    if not running or "0 active, 0 idle" not in status:
        return []
    return [
        f"{', '.join(running)}: said to be running, but no worker is (a stop of the machine leaves this). `dvc exp run --run-all` "
        "would wait for it for ever: run `dvc queue remove --all`, delete .dvc/tmp/exps, and queue again."
    ]


def _there() -> dict[str, dict[str, Any]]:
    """Experiments of this commit by name, with what `dvc exp show` says of them."""
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        rows = dvc.api.exp_show()
    except DvcException as error:
        raise DataError(f"DVC cannot list experiments ({error}); run it in a git repository with dvc.yaml.") from None
    return {row["Experiment"]: row for row in rows if row.get("Experiment")}


def _queue(name: str, overrides: Mapping[str, str]) -> None:
    call = [sys.executable, "-m", "dvc", "exp", "run", "--quiet", "--queue", "--name", name]
    call += [part for key, value in overrides.items() for part in ("--set-param", f"{key}={value}")]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(
            f"{name}: DVC did not queue it ({said[-1] if said else done.returncode}); mend that and run again."
        )


def _shown(value: Any) -> str:
    if value is None or value == "None":
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
