"""The page's charts: which numbers of a run are drawn, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from curation.report import charts, summary, svg, training
from curation.report.words import words


def by_section(context: Mapping[str, Any]) -> dict[str, Any]:
    """Section → its SVG, None where there is nothing to draw. `context`: what the page's template knows."""
    drawing = svg.Drawing(words()["name"])
    made, mixture, curves = context["makeup"], context["mixture"], context["curves"]
    drawn: dict[str, Any] = dict.fromkeys(
        ("types", "buckets", "sources", "lengths", "confidence", "mixture", "loss", "norm", "tasks", "scores")
    )

    def draw(name: str, chart: Any) -> None:
        drawn[name] = Markup(drawing.svg(chart))  # noqa: S704 (tidied: text is escaped by vl-convert and again by svg.tidy)

    if made and made.rows:
        languages, count = context["languages"], context["in_language"]
        draw(
            "types",
            charts.stacked(
                [(t.name, lang, count(t.languages, lang)) for t in made.types for lang in languages], languages
            ),
        )
        draw(
            "buckets",
            charts.stacked([(b, lang, count(k, lang)) for b, k in made.buckets for lang in languages], languages),
        )
        spans = [
            (t.name, part, q.p10, q.p25, q.p50, q.p75, q.p90)
            for t in made.types
            for part, q in (("prompt", t.prompt), ("answer", t.answer))
            if q
        ]
        if spans:
            draw("lengths", charts.spans(spans, ("prompt", "answer")))
        draw("confidence", charts.histogram(made.confidences, [i / 20 for i in range(21)]))
        cells = [(t.name, s, t.sources.get(s, 0)) for t in made.types for s in made.sources]
        draw("sources", charts.heatmap(cells, list(made.sources), [t.name for t in made.types]))
    if mixture:
        units = summary.UNITS
        draw(
            "mixture",
            charts.shares(
                [(b.bucket, u, b.share[u]) for b in mixture.buckets for u in units],
                [(b.bucket, b.target) for b in mixture.buckets if b.target is not None],
                units,
            ),
        )
    if curves:
        draw("loss", charts.curve(curves.loss, second=curves.heldout, names=("train_loss", "heldout_loss")))
        if curves.grad_norm:
            draw("norm", charts.curve(curves.grad_norm))
        drawn["tasks"] = _small(drawing, curves)
    if context["scores"]:
        judged = [
            (s.name, s.difference, s.low, s.high, s.verdict) for s in context["scores"] if s.difference is not None
        ]
        draw("scores", charts.forest(judged))
    return drawn


def _small(drawing: svg.Drawing, curves: training.Curves) -> list[tuple[str, Markup]]:
    """A small chart for each task type, on the same scales."""
    listed = [p for points in curves.tasks.values() for p in points]
    if not listed:
        return []
    steps = (min(s for s, _ in listed), max(s for s, _ in listed))
    values = sorted(v for _, v in listed)
    top = values[min(len(values) - 1, int(0.98 * len(values)))]  # one wild step must not flatten all others
    found = []
    for name, points in curves.tasks.items():
        tamed = [(s, min(v, top)) for s, v in points]
        chart = charts.curve(tamed, width=130, height=60, steps=steps, values=(values[0], top))
        found.append((name, Markup(drawing.svg(chart))))  # noqa: S704
    return found
