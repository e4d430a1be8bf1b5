"""The page: one file with everything in it, in Chinese and English, that asks no server for anything.

Rows are strangers' text. They reach the page through jinja's escaping or as JSON that page.js puts in place by
`textContent`; the policy in the head lets only the page's own script and style run, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from curation.clean import CleanParams
from curation.report import ReportParams, decisions, drawn, makeup, rows, summary, synthesis, training
from curation.report.run import Run
from curation.report.words import TEMPLATES, about, named, number, percent, see, short, signed, text, words

if TYPE_CHECKING:
    from curation.repair import RepairParams

SECTIONS = ("headline", "funnel", "refused", "rules", "copies", "types", "mixture", "training", "synthesis", "rows")
MOST_LANGUAGES = 4


def safe_json(value: Any) -> Markup:
    """JSON for a script element: what could end it, begin a comment or break a line is written as an escape."""
    dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(re.sub(r"[<>&\u2028\u2029\x7f-\x9f]", lambda m: f"\\u{ord(m[0]):04x}", dumped))  # noqa: S704


def policy(styles: list[str], scripts: list[str]) -> str:
    """The content security policy that lets just these inline texts work."""

    def hashes(texts: list[str]) -> str:
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)

    own = f"style-src {hashes(styles)}; script-src {hashes(scripts)}"
    return f"default-src 'none'; {own}; img-src data:; base-uri 'none'; form-action 'none'"


def page(
    run: Run,
    params: ReportParams,
    clean: CleanParams,
    taxonomy: Mapping[str, Any] | None = None,
    repair: RepairParams | None = None,
) -> str:
    """The page of a run. `taxonomy`: the content of the taxonomy file, for descriptions; `repair`: what it hides or marks."""
    import jinja2

    hide = rows.hider(repair)
    said = rows.texts(run, hide)
    context = _numbers(run, params, clean, said, hide) | _words(said, hide, taxonomy or {}, params, run.interval)
    context |= {
        "drawn": drawn.by_section(context),
        "headline_sentence": _headline(context),
        "label_of": _labeller(run),
    } | _matrix(context["confusion"])
    css, early, script = (
        (TEMPLATES / n).read_text(encoding="utf-8").strip() for n in ("page.css", "early.js", "page.js")
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= context
    rendered = environment.get_template("page.html.jinja").render(
        policy=policy([css], [early, script]),
        css=Markup(css),  # noqa: S704 (the project's own files)
        early=Markup(early),  # noqa: S704
        js=Markup(script),  # noqa: S704
    )
    return rendered.replace("\r", "") + "\n"


def _numbers(
    run: Run, params: ReportParams, clean: CleanParams, said: Mapping[str, Any], hide: rows.Hide
) -> dict[str, Any]:
    """All figures of the page, under the names that the template uses."""
    steps = summary.funnel(run)
    clusters, cluster_counts = decisions.clusters(run, {i: row["text"] for i, row in said.items()}, params.clusters)
    ledger, total = rows.ledger(run, said, hide, params.rows, params.row_chars)
    kept, dropped = (
        _sum(f.height for f in frames)
        for frames in (
            [c.kept for c in run.corpora if c.kept is not None],
            [c.dropped for c in run.corpora if c.dropped is not None],
        )
    )
    recipes = synthesis.recipes(run, said, hide, params.examples)
    confusion = makeup.confusion(run)
    made = makeup.makeup(run)
    curves = training.curves(run)
    return {
        "sections": SECTIONS,
        "steps": steps,
        "widest": max((s.total for s in steps), default=1),
        "missing": _missing(run, steps),
        "came": run.raw.came.height + run.raw.quarantine.height
        if run.raw.came is not None and run.raw.quarantine is not None
        else None,
        "quarantined": run.raw.quarantine.height if run.raw.quarantine is not None else None,
        "made": run.generated.came.height if run.generated.came is not None else 0,
        "kept": kept,
        "dropped": dropped,
        "cleaned": run.raw.kept is not None,
        "repaired": run.raw.edits is not None,
        "audit": run.audit,
        "off": run.off,
        "broken": next((c for c in run.audit if c.problem), None),
        "gate": run.gate,
        "reasons": decisions.quarantine(run, params.examples),
        "edits": decisions.edits(run, params.examples),
        "rules": decisions.rules(run, clean, params.examples, params.inside),
        "clusters": clusters,
        "cluster_counts": cluster_counts,
        "makeup": made,
        "confusion": confusion,
        **_languages(made),
        "mixture": summary.mixture(run),
        "units": summary.UNITS,
        "curves": curves,
        "heldout": training.heldout(run),
        "scores": training.by_task(run),
        "benchmark": training.benchmark(run),
        "merges": training.merges(run),
        "cases": training.cases(run, 2 * params.examples),
        "case_counts": training.fates(run),
        "synthesis": recipes,
        "synthesis_fates": sorted({f for r in recipes or () for f in r.fates}, key=lambda f: (f != "kept", f)),
        "shown_rows": len(ledger),
        "total_rows": total,
        "data": _data(ledger, total),
    }


def _sum(numbers: Any) -> int | None:
    listed = list(numbers)
    return sum(listed) if listed else None


_MADE_BY = {
    "ingest": "dvc repro ingest",
    "repair": "dvc repro repair@raw",
    "label": "dvc repro label@raw",
    "clean": "dvc repro clean@raw",
    "synthesize": "dvc repro synthesize",
    "mix": "dvc repro mix",
    "train": "dvc repro train",
}


def _missing(run: Run, steps: list[summary.Step]) -> list[str]:
    """The commands of the stages that have not run."""
    have = {step.stage.split("@")[0] for step in steps}
    return [command for stage, command in _MADE_BY.items() if stage not in have]


def _data(ledger: list[rows.Row], total: int) -> Markup:
    known = words()
    texts = {k.removeprefix("js."): v for k, v in known["text"].items() if k.startswith("js.")}
    return safe_json({"rows": ledger, "total": total, "text": texts, "name": known["name"]})


def _languages(made: makeup.Makeup | None) -> dict[str, Any]:
    """The commonest languages, `other` for the rest, and the function that counts in them."""
    found = list(made.languages) if made else []
    shown = found if len(found) <= MOST_LANGUAGES else [*found[: MOST_LANGUAGES - 1], "other"]

    def in_language(counts: Mapping[str, int], language: str) -> int:
        return sum(n for k, n in counts.items() if k not in shown) if language == "other" else counts.get(language, 0)

    return {"languages": shown, "in_language": in_language}


def _headline(context: Mapping[str, Any]) -> Markup:
    """The run in one sentence, as far as it went."""
    came, kept, mixture = context["came"], context["kept"], context["mixture"]
    if came is None:
        return text("headline.nothing")
    if kept is None:
        return text("headline.came", came=came)
    return (
        text("headline.all", came=came, made=context["made"], kept=kept, train=mixture.whole["rows"])
        if mixture
        else text("headline.kept", came=came, kept=kept)
    )


def _labeller(run: Run) -> Callable[[str], Markup]:
    """id → its task type by name."""
    labels = {
        i: t for c in run.corpora if c.labels is not None for i, t in c.labels.select("id", "task_type").iter_rows()
    }
    return lambda id_: named(labels.get(id_, "—"), False)


def _matrix(confusion: makeup.Confusion | None) -> dict[str, Any]:
    """Row sums of the confusion table, and the class that shades a cell by its share of the row."""
    cells = confusion.cells if confusion else {}
    return {
        "row_total": lambda truth: sum(k for (t, _), k in cells.items() if t == truth),
        "shade": lambda k, whole: f"q{min(5, 1 + int(5 * k / whole))}" if k and whole else "",
    }


def _words(
    said: Mapping[str, Any], hide: rows.Hide, taxonomy: Mapping[str, Any], params: ReportParams, level: float
) -> dict[str, Any]:
    """What the template calls."""
    types = taxonomy.get("task_types", {})
    any_private = any(row["private"] for row in said.values())

    def described(task_type: str, subtype: str | None = None) -> Markup:
        known = types.get(task_type, {})
        found = known.get("subtypes", {}).get(subtype) if subtype else known.get("description")
        if not found:
            return Markup("")
        return Markup('<span class="zh" lang="zh">{zh}</span><span class="en" lang="en">{en}</span>').format(
            zh=found.get("zh", ""), en=found.get("en", "")
        )

    def turns(id_: str) -> list[list[str]]:
        return rows.cut(said[id_]["turns"], params.row_chars) if id_ in said else []

    def first_words(id_: str) -> str:
        spoken = [t[1] for t in said[id_]["turns"] if t[0] in ("user", "text")] if id_ in said else []
        return see(" ".join(spoken[-1][:120].split())) if spoken else ""

    return {
        "t": text,
        "n": number,
        "some": lambda k: number(k) if k else "",
        "pct": percent,
        "short": short,
        "signed": signed,
        "named": named,
        "about": about,
        "see": see,
        "described": described,
        "turns": turns,
        "first_words": first_words,
        "role_of": lambda role: named(role, False),
        "raw_turns": lambda row: rows.cut([["raw", hide(row["raw"] or "")]], params.row_chars),
        "hidden": lambda text: see(hide(text or "")),
        "detail_of": lambda row: see(
            hide(row["detail"]) if row["id"] in said and said[row["id"]]["private"] else row["detail"]
        ),
        "common": lambda text: see(hide(text) if any_private else text),
        "level": f"{level:.0%}",
        "truth_file": params.truth or "",
    }
