"""The `curation` command: reports, audits and single rows of the project in the current folder.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def main() -> None:
    """Parse the command line and run one command; errors come as one line, without a traceback."""
    parser = argparse.ArgumentParser(
        prog="curation",
        description="Temper: data-centric curation for SFT. Every row accounted for, every ratio verified.",
        epilog="The stages themselves run by `dvc repro` (or `make repro`); experiments by `dvc exp run -S mix.ratios.domain=0.5`.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, work: Callable[[argparse.Namespace], int], about: str, example: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about, epilog=f"example: {example}")
        command.set_defaults(work=work, name=name)
        return command

    add("check", _check, "parse every section of params.yaml and list all faults at once", "curation check")
    add("report", _report, "print the run's summary: funnel, drops by rule, mixture, scores", "curation report")
    audit = add(
        "audit", _audit, "recount every row from the files; name the first break and exit 1", "curation audit --json"
    )
    audit.add_argument("--json", action="store_true", help="print the balance of each stage as JSON")
    show = add(
        "show", _show, "one record's whole life, from source line to loss token", "curation show general_en-0f3c…"
    )
    show.add_argument("id", help="the record's id; a unique beginning is enough")
    mix = add("mix", _mix, "print what the mixture comes to, without writing it", "curation mix --plan --by task_type")
    mix.add_argument("--plan", action="store_true", required=True, help="the one thing that this command does")
    mix.add_argument(
        "--by", choices=("bucket", "task_type", "source", "origin"), help="also where rows go by this label"
    )
    mix.add_argument(
        "--ladder", choices=("replay",), help="the mixture at each rung of a ladder (curation/mix/presets.yaml)"
    )
    mix.add_argument(
        "--harder", metavar="FILE", help="scores by task type of an earlier run: suggest mix.task_weights from them"
    )
    health = add(
        "health", _health, "diversity by task type: alarms with the rows behind them", "curation health --corpus mixed"
    )
    health.add_argument(
        "--corpus",
        choices=("raw", "generated", "mixed"),
        default="raw",
        help="cleaned rows (raw), made rows, or the mixture",
    )
    health.add_argument("--json", action="store_true", help="print every measure and alarm as JSON")
    doctor = add(
        "doctor",
        _doctor,
        "what must be right before a long run, and advice; exit 1 where training would refuse",
        "curation doctor --show-mask luya_en-0f3c…",
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument(
        "--show-mask", metavar="ID", help="print a row's tokens instead, those that bear loss in colour"
    )
    sweep = add(
        "sweep",
        _sweep,
        "a grid of experiments for DVC's queue; said again, where each stands and what came out",
        "curation sweep replay --set train.seed=17,18 --queue",
    )
    sweep.add_argument(
        "grid", nargs="*", help="replay, domain, loss, learning_rate, epochs, seeds; several are multiplied"
    )
    sweep.add_argument(
        "--set", action="append", default=[], metavar="KEY=V,V", help="values of a key of params.yaml, multiplied too"
    )
    sweep.add_argument("--queue", action="store_true", help="queue the runs that are not there yet")
    merge = add(
        "merge",
        _merge,
        "several adapters into one, with its lineage, scored beside its parents",
        "curation merge exp-domain exp-general --method slerp --weights 0.7,0.3",
    )
    merge.add_argument(
        "adapters",
        nargs="+",
        metavar="ADAPTER",
        help="a folder, or a git revision or experiment whose models/adapter is meant",
    )
    merge.add_argument("--method", help="linear, ties, dare, dare_ties or slerp")
    merge.add_argument("--weights", metavar="W,W", help="one an adapter")
    merge.add_argument("--density", type=float, help="share of the values that ties, dare and dare_ties keep")
    merge.add_argument("--rank", type=int, help="of the merged adapter; by default its parents' ranks together")
    merge.add_argument("--seed", type=int, help="of what dare and dare_ties drop")
    merge.add_argument("--out", metavar="FOLDER", help="by default models/merged-METHOD")
    merge.add_argument(
        "--no-scores", action="store_true", help="merge only; the held-out rows and the base are not read"
    )
    add("gate", _gate, "print the verdict of reports/gate.json; exit 1 when it did not pass", "curation gate")
    accept = add(
        "accept",
        _accept,
        "make this run's scores the ones that later runs are compared with",
        "curation accept --by mei",
    )
    accept.add_argument("--by", required=True, help="who accepts it")
    arguments = parser.parse_args()

    from pipelines.stage import errors_in_one_line

    with errors_in_one_line(f"curation {arguments.name}"):
        sys.exit(arguments.work(arguments))


def _check(arguments: argparse.Namespace) -> int:
    from pipelines import params

    sections = params.check()
    print(f"params.yaml: {len(sections)} sections, no fault.")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pipelines.report import print_summary

    print_summary()
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    from pipelines import audit

    found = []
    for check in audit.checks():
        found.append(check)
        if not arguments.json:
            state = "broken" if check.broken else "ok" if check.built else "-"
            print(f"{state:7} {check.stage:17} {check.said}", flush=True)
        if check.broken:
            break
    broken = found[-1].broken
    if arguments.json:
        print(audit.as_json(found))
    elif broken:
        print(f"\ncuration audit: {broken.sentence()}", file=sys.stderr)
    else:
        print(f"\n{audit.conclusion(found)}")
    return 1 if broken else 0


def _show(arguments: argparse.Namespace) -> int:
    from pipelines.life import show

    show(arguments.id)
    return 0


def _mix(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from pipelines.mix import plan

    plan(arguments.by, arguments.ladder, Path(arguments.harder) if arguments.harder else None)
    return 0


def _health(arguments: argparse.Namespace) -> int:
    from pipelines import health

    return health.main(arguments.corpus, arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from pipelines.doctor import doctor, show_mask

    if arguments.show_mask:
        show_mask(arguments.show_mask)
        return 0
    return doctor(arguments.json)


def _sweep(arguments: argparse.Namespace) -> int:
    from curation.errors import ConfigError
    from pipelines.sweep import GRIDS, sweep

    if not arguments.grid and not arguments.set:
        raise ConfigError(f"name a grid ({', '.join(GRIDS)}) or give --set KEY=VALUE,VALUE.")
    return sweep(arguments.grid, arguments.set, arguments.queue)


def _merge(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from curation.errors import ConfigError
    from pipelines.merge import command

    given = {key: getattr(arguments, key) for key in ("method", "density", "rank", "seed")}
    given = {key: value for key, value in given.items() if value is not None} | {"adapters": arguments.adapters}
    if arguments.weights is not None:
        try:
            given["weights"] = [float(w) for w in arguments.weights.split(",")]
        except ValueError:
            raise ConfigError(
                f"--weights {arguments.weights}: numbers with commas between are accepted, as 0.7,0.3."
            ) from None
    said, overall, by_task = command(given, Path(arguments.out) if arguments.out else None, not arguments.no_scores)
    if overall:
        from rich.console import Console

        from curation.report import terminal, training

        terminal.show_merge(Console(highlight=False), training.merge(said.partition(":")[0], overall, by_task))
    print(said)
    return 0


def _gate(arguments: argparse.Namespace) -> int:
    import json

    from curation.errors import DataError
    from pipelines import paths

    path = paths.REPORTS / "gate.json"
    if not path.exists():
        raise DataError(f"{path}: no such file; run `dvc repro gate` first.")
    verdict = json.loads(path.read_text(encoding="utf-8"))
    print("passed" if verdict["passed"] else "not passed")
    for reason in verdict["reasons"]:
        print(f"- {reason}")
    return 0 if verdict["passed"] else 1


def _accept(arguments: argparse.Namespace) -> int:
    import json

    import polars as pl

    from curation.errors import DataError
    from pipelines import paths
    from pipelines.stage import write_json
    from train.compare import evidence

    scores, manifest = paths.REPORTS / "scores.json", paths.MIXED / "manifest.json"
    for path, stage in ((scores, "evaluate"), (manifest, "mix")):
        if not path.exists():
            raise DataError(f"{path}: no such file; run `dvc repro {stage}` first.")
    accepted = {
        "by": arguments.by,
        "plan_hash": json.loads(manifest.read_text(encoding="utf-8"))["plan_hash"],
        "scores": json.loads(scores.read_text(encoding="utf-8")),
    }
    by_task = paths.REPORTS / "scores_by_task.json"
    if by_task.exists():
        accepted["scores_by_task"] = json.loads(by_task.read_text(encoding="utf-8"))
    rows, cases = paths.REPORTS / "scores_by_row.csv", paths.REPORTS / "cases.jsonl"
    if not (rows.exists() and cases.exists()):
        raise DataError(f"{rows}, {cases}: no such files; run `dvc repro evaluate` first.")
    accepted |= evidence(pl.read_csv(rows), pl.read_ndjson(cases))  # later runs are held against it row by row
    write_json(accepted, paths.ACCEPTED)
    print(f"{paths.ACCEPTED}: these scores are what later runs are compared with; commit the file.")
    return 0


if __name__ == "__main__":
    main()
