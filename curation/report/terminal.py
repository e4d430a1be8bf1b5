"""The summary for the terminal: the same numbers as the page's, without the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from curation.report import summary, training
from curation.report.run import Run

if TYPE_CHECKING:
    from rich.console import Console

_WORDS = {
    "source_rows": "source rows",
    "kept_raw": "cleaned",
    "kept_generated": "synthesized",
    "heldout": "held out",
    "train": "to train on",
    "consumed": "read",
    "unreached": "not reached",
    "loss_tokens": "loss tokens",
    "task_types": "task types",
    "rules_hit": "rules hit",
    "edits": "edit entries",
}
_ESCAPES = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0)], "�"
)  # names come from strangers' files; a terminal obeys escapes
WIDTH = 24


def plain(word: object) -> str:
    """A name without control characters and markup."""
    return escape(str(word).translate(_ESCAPES))


def show(run: Run, console: Console, page: str | None) -> None:
    """Print funnel, drops, mixture, scores and gate of a run; `page`: where the page is, None before it is made."""
    steps = summary.funnel(run)
    if steps:
        _funnel(console, steps)
    if run.raw.dropped is not None:
        _drops(console, run)
    mixture = summary.mixture(run)
    if mixture:
        _mixture(console, mixture)
    curves = training.curves(run)
    for finding in curves.findings if curves else ():
        console.print(f"curve      {plain(finding.en)}")
    _scores(console, run)
    for merging in training.merges(run):
        show_merge(console, merging)
    if run.gate:
        console.print("gate       " + ("[green]passed[/]" if run.gate["passed"] else "[red]not passed[/]"))
        for reason in run.gate["reasons"]:
            console.print(f"           - {plain(reason)}")
    console.print(f"page       {page}" if page else "page       not made yet: dvc repro report")
    console.print("audit      `curation audit` recounts every row, the sources included")


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), header_style="dim"
    )
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=justify == "right")  # type: ignore[arg-type]
    return table


def _funnel(console: Console, steps: list[summary.Step]) -> None:
    wide = console.width >= 120
    table = _table("from sources to loss tokens", ("stage", "left"), *([("", "left")] * (2 if wide else 1)))
    for step in steps:
        came, went = (" + ".join(f"{n:,} {_WORDS.get(k, k)}" for k, n in side) for side in (step.came, step.went))
        notes = ", ".join(f"{n:,} {_WORDS.get(k, k)}" for k, n in step.notes)
        beside = f"[dim]{notes}[/]" if step.balanced else f"[red]{plain(step.problem)}[/]"
        if wide:
            table.add_row(step.stage, f"{came} = {went}", beside)
        else:
            table.add_row(step.stage, f"{came} = {went}" + ("" if step.balanced else f"\n{beside}"))
    console.print(table)
    console.print()


def _drops(console: Console, run: Run) -> None:
    drops = summary.drops(run)
    most = max((sum(by.values()) for _, by in drops), default=1)
    table = _table("dropped by rule", ("rule", "left"), ("raw", "right"), ("made", "right"), ("", "left"))
    for rule, by in drops:
        bar = Text("█" * max(1, round(WIDTH * sum(by.values()) / most)), style="red")
        table.add_row(plain(rule), f"{by.get('raw', 0):,}", f"{by['generated']:,}" if "generated" in by else "", bar)
    console.print(table if drops else "no rule dropped a row")
    if run.off:
        console.print(f"not measured (score.off): {plain(', '.join(run.off))}; rules that read them judged no row")
    console.print()


def _mixture(console: Console, mixture: summary.Mixture) -> None:
    order = [mixture.unit, *(u for u in summary.UNITS if u != mixture.unit)]
    columns = [(_WORDS.get(u, u), "right") for u in order]
    table = _table(
        f"mixture, measured in {_WORDS.get(mixture.unit, mixture.unit)}",
        ("bucket", "left"),
        ("target", "right"),
        *columns,
    )
    for b in mixture.buckets:
        target = "—" if b.target is None else f"{b.target:.1%}"
        table.add_row(plain(b.bucket), target, *(f"{b.achieved[u]:,} [dim]{b.share[u]:6.1%}[/]" for u in order))
    table.add_row("all", "", *(f"{mixture.whole[u]:,} [dim]{1:6.1%}[/]" for u in order), style="bold")
    console.print(table)
    if mixture.unused:
        console.print("unused     " + ", ".join(f"{plain(reason)} {k['rows']:,}" for reason, k in mixture.unused))
    console.print()


_STYLE = {"better": "green", "worse": "red", "unclear": "yellow"}


def _scores(console: Console, run: Run) -> None:
    whole = training.heldout(run)
    if whole is None:
        return
    table = _table(
        "held-out loss, nats a token",
        ("", "left"),
        ("rows", "right"),
        ("base", "right"),
        ("trained", "right"),
        ("difference", "right"),
        ("interval", "right"),
        ("", "left"),
    )
    for score in [whole, *training.by_task(run)]:
        if score.difference is None:
            continue
        numbers = (
            f"{score.rows:,}",
            f"{score.base:.4f}",
            f"{score.trained:.4f}",
            f"{score.difference:+.4f}",
            f"{score.low:+.3f} … {score.high:+.3f}",
        )
        table.add_row(
            plain(score.name),
            *numbers,
            f"[{_STYLE.get(score.verdict, 'none')}]{plain(score.verdict)}[/]",
            style="bold" if score is whole else "",
        )
    console.print(table)
    for task in training.benchmark(run):
        if task.base is not None and task.trained is not None:
            head = "benchmark" if task.name == "all" else ""
            console.print(f"{head:10} {plain(task.name)}: {task.base:.1%} → {task.trained:.1%} of {task.items} items")
    console.print()


def show_merge(console: Console, merging: training.Merging) -> None:
    """A merged adapter beside its base and parents: held-out loss by task type, benchmark, and the differences."""
    merging, legend = _numbered(merging, console.width)
    for line in legend:
        console.print(plain(line), soft_wrap=True)
    headers = [plain(merging.called(who)) for who in merging.models]
    for title, unit, lines, form in (
        (
            f"{plain(merging.name)}, by {plain(merging.method)}: held-out loss, nats a token",
            "rows",
            merging.losses,
            "{:.4f}",
        ),
        ("benchmark of the same models", "items", merging.benchmark, "{:.1%}"),
    ):
        table = _table(title, ("", "left"), (unit, "right"), *((h, "right") for h in headers))
        for name, n, by in lines:
            values = (form.format(by[who]) if by[who] is not None else "—" for who in merging.models)
            table.add_row(plain(name), f"{n:,}", *values, style="bold" if name == "all" else "")
        if lines[0][1]:
            console.print(table)
    if merging.norm_kept < 0.9999:
        console.print(
            f"the rank was too small for all of it: {merging.norm_kept:.1%} of the change's squared norm kept"
        )
    for who, said in merging.minus.items():
        parent = merging.parents[who]
        if said["difference"] is not None:
            console.print(
                f"merged − {plain(parent['name'])} (weight {parent['weight']:g}): {said['difference']:+.4f}, "
                f"{said['low']:+.3f} … {said['high']:+.3f} [{_STYLE.get(said['verdict'], 'none')}]{plain(said['verdict'])}[/]"
            )
        if parent["heldout_read"]:
            console.print(
                f"[yellow]{plain(parent['name'])} learned {parent['heldout_read']:,} of the held-out rows; losses of it and "
                "of the merged adapter say too little[/]"
            )
    console.print()


def _numbered(merging: training.Merging, width: int) -> tuple[training.Merging, list[str]]:
    """Where names of adapters would be cut in a table `width` columns wide, numbers stand for them, and lines say whose they are."""
    lines = [*merging.losses, *merging.benchmark]
    first = max(cell_len(name) for name, _, _ in lines) + max(len("items"), *(len(f"{n:,}") for _, n, _ in lines))
    names = sum(max(len("0.0000"), cell_len(merging.called(who))) for who in merging.models)
    if first + names + 2 * (len(merging.models) + 2) <= width:  # two spaces after each column
        return merging, []
    short = {who: f"[{i}]" for i, who in enumerate(merging.parents, 1)}
    said = [f"{short[who]} {merging.called(who)}" for who in merging.parents]
    return replace(merging, parents={who: {**p, "name": short[who]} for who, p in merging.parents.items()}), said
