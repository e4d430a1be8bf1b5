"""All benchmarks, one after the other, into benchmarks/results.md.

    python -m benchmarks.run                          # what `make bench` does
    python -m benchmarks.run --only near --rows 20000
    python -m benchmarks.run --list

Each benchmark is a process of its own; what it prints becomes its section, its progress is shown. A section says when and
where it was measured, and one that is not run keeps what stands there. The exit code is 1 when a benchmark failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path("benchmarks/results.md")
HEAD = """# Benchmarks

Written by `make bench` (`python -m benchmarks.run`). Each section says when, where and how it was measured; what a benchmark does,
and what its columns mean, stands at the head of its file."""


@dataclass(frozen=True)
class Benchmark:
    title: str
    options: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()  # none: it does not scale
    quotes: str = ""  # lines that quote public texts, which the project does not carry: shown, not written


BENCHMARKS = {
    "near": Benchmark("Near duplicates, and peers", (), (1_000, 10_000, 100_000, 1_000_000)),
    "exact": Benchmark("Exact duplicates", (), (1_000_000,)),
    "paragraphs": Benchmark("Paragraphs said before", (), (10_000,)),
    "ingest": Benchmark("Ingest", (), (1_000_000,)),
    "clean": Benchmark("Clean with another threshold", (), (100_000,)),
    "decontaminate": Benchmark("Decontamination", (), (100_000,), quotes=r"^    "),
    "mix": Benchmark("Mix", (), (1_000_000,)),
    "perplexity": Benchmark("Perplexity"),
    "quality": Benchmark("Quality of planted degradations"),
    "semantic": Benchmark("Semantic pairs, and SemHash"),
    "language": Benchmark("Language", quotes=r"^ +\d+: "),
    "pii": Benchmark("Personal data and secrets"),
    "label": Benchmark("Labels"),
    "train_speed": Benchmark("Training speed beside TRL"),
    "short_answers": Benchmark("Short answers under packing"),
    "replay_ladder": Benchmark("Replay ladder"),
}


def command(name: str, rows: int | None) -> list[str]:
    benchmark = BENCHMARKS[name]
    sizes = (rows,) if rows and benchmark.rows else benchmark.rows
    scale = ["--rows", *map(str, sizes)] if sizes else []
    return [sys.executable, "-m", f"benchmarks.{name}", *scale, *benchmark.options]


def run(call: list[str]) -> tuple[str, int]:
    """What the benchmark prints, shown as it comes, and its exit code; what it says to stderr is its progress."""
    said = []
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    return "".join(said).strip(), process.returncode


def machine() -> str:
    """Date, commit, processor, memory, load and versions, in one line."""
    about = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    processor = found[1] if found else platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    versions = ", ".join(f"{name} {version(name)}" for name in ("polars", "numba", "numpy", "datasketch", "rensa"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}; {processor}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, load {os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}, {versions}"
    )


def sections(page: str) -> dict[str, str]:
    """Text below each `## title`, by title."""
    parts = re.split(r"^## (.*)$", page, flags=re.MULTILINE)
    return {title.strip(): text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def section(call: list[str], where: str, said: str, quotes: str, code: int, seconds: float) -> str:
    shown = " ".join(["python", *call[1:]])
    if quotes:
        said = "\n".join(line for line in said.splitlines() if not re.search(quotes, line))
    body = said if re.search(r"^\|[ :]*---", said, re.MULTILINE) else f"```text\n{said}\n```"
    ended = "" if code == 0 else f"\n\n**It failed** (exit code {code})."
    return f"{where}. `{shown}`, {seconds:.0f} s in all.\n\n{body}{ended}"


def write(path: Path, page: dict[str, str]) -> None:
    titles = [b.title for b in BENCHMARKS.values()]
    kept = [f"## {title}\n\n{page[title]}" for title in titles if title in page]
    path.write_text("\n\n".join([HEAD, *kept]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), metavar="NAME")
    parser.add_argument("--rows", type=int, help="this size only, for those that scale")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the page; sections that are not run stay")
    parser.add_argument("--list", action="store_true", help="show what there is, and run nothing")
    args = parser.parse_args()
    if args.list:
        for name in args.only:
            print(f"{name:14} {' '.join(command(name, args.rows)[1:])}")
        return
    page = sections(args.results.read_text(encoding="utf-8")) if args.results.exists() else {}
    summary = []
    for number, name in enumerate(args.only, 1):
        if not Path(f"benchmarks/{name}.py").exists():
            print(f"\n[{number} of {len(args.only)}] {name}: benchmarks/{name}.py is absent, skipped", file=sys.stderr)
            continue
        call, where, start = command(name, args.rows), machine(), time.monotonic()
        print(f"\n[{number} of {len(args.only)}] {name}: {' '.join(call[1:])}", file=sys.stderr, flush=True)
        said, code = run(call)
        seconds = time.monotonic() - start
        page[BENCHMARKS[name].title] = section(call, where, said, BENCHMARKS[name].quotes, code, seconds)
        write(args.results, page)  # after each: a stop loses one section
        summary.append((name, seconds, code))
    print(f"\n{args.results}")
    for name, seconds, code in summary:
        print(f"  {name:14}{seconds:8.0f} s  {'done' if code == 0 else f'failed with exit code {code}'}")
    sys.exit(any(code for _, _, code in summary))


if __name__ == "__main__":
    main()
