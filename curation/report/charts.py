"""The kinds of charts: numbers in, an altair chart out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from curation.report.svg import BAD, GOOD, INK, NEUTRAL, SERIES


def _data(rows: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    return alt.Data(values=[dict(row) for row in rows])


def stacked(rows: Sequence[tuple[str, str, int]], colours: Sequence[str], width: int = 300) -> Any:
    """Horizontal bars of (name, part, number), in the given order of names; parts in the order of `colours`."""
    import altair as alt

    order = list(dict.fromkeys(name for name, _, _ in rows))
    data = _data([{"name": n, "part": p, "n": k, "place": list(colours).index(p)} for n, p, k in rows])
    return (
        alt.Chart(data, width=width, height=alt.Step(22))
        .mark_bar()
        .encode(
            y=alt.Y("name:N", sort=order, title=None),
            x=alt.X("n:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1, format=",d")),
            color=alt.Color(
                "part:N", sort=list(colours), scale=alt.Scale(domain=list(colours), range=list(SERIES[: len(colours)]))
            ),
            order=alt.Order("place:Q"),
        )
    )


def heatmap(
    rows: Sequence[tuple[str, str, int]], across: Sequence[str], down: Sequence[str], cell: tuple[int, int] = (32, 24)
) -> Any:
    """(down, across, number) as a table of shaded cells with their numbers; shade by the square root, so that few rows show."""
    import altair as alt

    most = max((n for _, _, n in rows), default=1)
    values = [{"down": d, "across": a, "n": n, "dark": n > most / 3} for d, a, n in rows if n]
    base = alt.Chart(_data(values), width=alt.Step(cell[0]), height=alt.Step(cell[1])).encode(
        x=alt.X(
            "across:N",
            sort=list(across),
            scale=alt.Scale(domain=list(across)),
            title=None,
            axis=alt.Axis(orient="top", labelAngle=-40, domain=False, ticks=False),
        ),
        y=alt.Y("down:N", sort=list(down), scale=alt.Scale(domain=list(down)), title=None),
    )
    # Shades are opacities of one colour, so that they work on a dark page too.
    opacity = alt.Opacity("n:Q", scale=alt.Scale(type="sqrt", domain=[0, most], range=[0.06, 1]), legend=None)
    return base.mark_rect(color=SERIES[0], stroke=None).encode(opacity=opacity) + base.mark_text(fontSize=11).encode(
        text=alt.Text("n:Q"), color=alt.condition("datum.dark", alt.value("#ffffff"), alt.value(INK))
    )


def histogram(values: Sequence[float], edges: Sequence[float], width: int = 300, height: int = 130) -> Any:
    """Numbers of values between neighbouring edges, the last edge included."""
    import altair as alt

    rows = []
    for i, (low, high) in enumerate(pairwise(edges)):
        last = i == len(edges) - 2
        rows.append({"low": low, "high": high, "n": sum(low <= v < high or (last and v == high) for v in values)})
    return (
        alt.Chart(_data(rows), width=width, height=height)
        .mark_bar(color=SERIES[0], binSpacing=2)
        .encode(
            x=alt.X("low:Q", bin="binned", title=None, axis=alt.Axis(format=".1f", grid=False)),
            x2="high:Q",
            y=alt.Y("n:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1)),
        )
    )


def spans(
    rows: Sequence[tuple[str, str, float, float, float, float, float]], parts: Sequence[str], width: int = 300
) -> Any:
    """(name, part, p10, p25, p50, p75, p90): a line from p10 to p90, a bar from p25 to p75, a dot at the median; log scale."""
    import altair as alt

    order = list(dict.fromkeys(r[0] for r in rows))
    keys = ("name", "part", "p10", "p25", "p50", "p75", "p90")
    data = _data([dict(zip(keys, (r[0], r[1], *(max(1.0, v) for v in r[2:])), strict=True)) for r in rows])
    base = alt.Chart(data, width=width, height=alt.Step(13)).encode(
        y=alt.Y("name:N", sort=order, title=None),
        yOffset=alt.YOffset("part:N", sort=list(parts)),
        color=alt.Color(
            "part:N", sort=list(parts), scale=alt.Scale(domain=list(parts), range=list(SERIES[: len(parts)]))
        ),
    )
    scale = alt.Scale(type="log", nice=False)
    axis = alt.Axis(values=[1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000], format=",d")
    return (
        base.mark_rule(strokeWidth=1.2).encode(x=alt.X("p10:Q", scale=scale, title=None, axis=axis), x2="p90:Q")
        + base.mark_bar(height=6, opacity=0.55).encode(x="p25:Q", x2="p75:Q")
        + base.mark_point(filled=True, size=28, opacity=1).encode(x="p50:Q")
    )


def shares(
    rows: Sequence[tuple[str, str, float]], targets: Sequence[tuple[str, float]], units: Sequence[str], width: int = 300
) -> Any:
    """(bucket, unit, achieved share) as bars, and each bucket's target as a mark across them."""
    import altair as alt

    order = list(dict.fromkeys(r[0] for r in rows))
    bars = (
        alt.Chart(_data([{"name": n, "part": u, "share": s} for n, u, s in rows]), width=width, height=alt.Step(13))
        .mark_bar()
        .encode(
            y=alt.Y("name:N", sort=order, title=None),
            yOffset=alt.YOffset("part:N", sort=list(units)),
            x=alt.X("share:Q", title=None, axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color(
                "part:N", sort=list(units), scale=alt.Scale(domain=list(units), range=list(SERIES[: len(units)]))
            ),
        )
    )
    marks = (
        alt.Chart(_data([{"name": n, "share": s} for n, s in targets]))
        .mark_tick(color=INK, thickness=2.5, size=36)
        .encode(y=alt.Y("name:N", sort=order), x="share:Q")
    )
    return bars + marks


def curve(
    points: Sequence[tuple[int, float]],
    width: int = 340,
    height: int = 170,
    second: Sequence[tuple[int, float]] = (),
    names: tuple[str, str] = ("", ""),
    steps: tuple[int, int] | None = None,
    values: tuple[float, float] | None = None,
) -> Any:
    """(step, value) as a line; `second` as dots joined by a line. `steps`, `values`: the scales, where charts stand side by side."""
    import altair as alt

    top = max([step for step, _ in (*points, *second)], default=1)
    x = alt.X(
        "step:Q",
        title=None,
        scale=alt.Scale(domain=list(steps or (0, top)), nice=False),
        axis=alt.Axis(grid=False, tickCount=4 if width > 200 else 2, tickMinStep=1, format="d"),
    )
    scale = alt.Scale(domain=list(values), zero=False, nice=False) if values else alt.Scale(zero=False)
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4 if height > 100 else 2))
    colour = alt.Color(
        "name:N",
        scale=alt.Scale(domain=list(names), range=[SERIES[0], SERIES[1]]),
        legend=alt.Legend() if second else None,
    )
    first = alt.Chart(_data([{"step": s, "value": v, "name": names[0]} for s, v in points]), width=width, height=height)
    drawn = first.mark_line(strokeWidth=1.6).encode(x=x, y=y, color=colour)
    if len(points) == 1:
        drawn = first.mark_point(filled=True).encode(x=x, y=y, color=colour)
    if not second:
        return drawn
    dots = alt.Chart(_data([{"step": s, "value": v, "name": names[1]} for s, v in second]))
    return drawn + dots.mark_line(strokeWidth=1.6, point={"filled": True, "size": 45}).encode(x=x, y=y, color=colour)


def forest(rows: Sequence[tuple[str, float, float, float, str]], width: int = 300) -> Any:
    """(name, difference, low, high, verdict): a dot with its interval beside the line of no difference."""
    import altair as alt

    order = [r[0] for r in rows]
    base = alt.Chart(
        _data([dict(zip(("name", "d", "low", "high", "verdict"), r, strict=True)) for r in rows]),
        width=width,
        height=alt.Step(22),
    ).encode(
        y=alt.Y("name:N", sort=order, title=None),
        color=alt.Color(
            "verdict:N",
            sort=["better", "unclear", "worse"],
            scale=alt.Scale(domain=["better", "unclear", "worse"], range=[GOOD, NEUTRAL, BAD]),
        ),
    )
    zero = alt.Chart(_data([{"zero": 0}])).mark_rule(color=INK, strokeWidth=1).encode(x="zero:Q")
    return (
        zero
        + base.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", title=None, axis=alt.Axis(format="+.2f", tickCount=5)), x2="high:Q"
        )
        + base.mark_point(filled=True, size=60, opacity=1).encode(x="d:Q")
    )
