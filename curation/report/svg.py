"""A chart as inline SVG: vl-convert draws, without browser or network, what the cache does not have; `tidy` makes it part of the page.

Colours are those of the light page; page.css gives each its dark counterpart by the attribute's value, so a chart follows
the page's theme and prints. Text stays text, in the page's font; names that the dictionary knows are in both languages.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import xxhash

from curation.score.batches import cached

INK, MUTED, LINE = "#24292c", "#6b7276", "#dedcd3"
# Eight hues that stay apart for the colour-blind (Okabe and Ito 2008, softened), then their order of use.
SERIES = ("#1f6f78", "#d08a2e", "#7a5ba6", "#b5483a", "#5a8f3c", "#3f6fb5", "#a8577e", "#8a8272")
GOOD, BAD, NEUTRAL = "#2f7d4f", "#b5483a", "#8a8272"
RAMP = ("#f3f1ea", "#1f6f78")
Names = Mapping[str, Mapping[str, str]]  # name → {zh, en}

_CONFIG: dict[str, Any] = {
    "background": None,
    "aria": False,
    "padding": {
        "left": 16,
        "right": 8,
        "top": 4,
        "bottom": 4,
    },  # readers' fonts may be wider than the one measured with
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 170,
        "labelPadding": 6,
        "tickSize": 4,
    },
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "labelColor": INK,
        "titleColor": MUTED,
        "labelFontSize": 11,
        "symbolSize": 80,
        "orient": "top",
        "title": None,
        "labelLimit": 160,
    },
    "bar": {"discreteBandSize": {"band": 0.72}},
    "range": {"category": list(SERIES)},
}


class Drawing:
    """Draws charts for one page: ids within SVG are kept apart by a running number, names come from one dictionary."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._count = 0

    def svg(self, chart: Any) -> str:
        """An altair chart as an SVG element without styles, scripts, links or ids that could collide."""
        spec = _tame(chart.to_dict(validate=False) | {"config": _CONFIG})  # ours: validating takes as long as drawing
        text = json.dumps(spec, sort_keys=True)
        key = xxhash.xxh3_128_hexdigest(f"{version('vl-convert-python')} {version('altair')} {text}".encode())
        stored = cached("charts", [key], [[0]], lambda _: [_drawn(spec).encode()])
        self._count += 1
        return tidy(stored[key].decode(), f"c{self._count}", self._names)


def _drawn(spec: dict[str, Any]) -> str:
    """SVG of a specification; half a second for the first, 30 ms for others."""
    import altair
    import vl_convert

    ours, known = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2]), vl_convert.get_vegalite_versions()
    return str(vl_convert.vegalite_to_svg(spec, vl_version=ours if ours in known else known[-1]))


# Vega's expressions do not parse line separators within strings, and nothing that reorders text belongs in a label.
_WILD = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], "�")


def _tame(part: Any) -> Any:
    """A specification with every string in it, names of strangers included, without control characters."""
    if isinstance(part, str):
        return part.translate(_WILD)
    if isinstance(part, dict):
        return {key: _tame(value) for key, value in part.items()}
    return [_tame(value) for value in part] if isinstance(part, list) else part


_TEXT = re.compile(r"<text([^>]*)>([^<]*)</text>")


def tidy(drawn: str, prefix: str, names: Names) -> str:
    """vl-convert's SVG for the page: own ids, the page's font, both languages, no attributes but those that draw."""
    drawn = re.sub(
        r' xmlns(?::xlink)?="[^"]*"| version="[^"]*"| (?:style|class|role|aria-[a-z]+|font-family|pointer-events)="[^"]*"',
        "",
        drawn,
    )
    drawn = re.sub(r' id="([^"]*)"', rf' id="{prefix}-\1"', drawn)
    drawn = re.sub(r'="url\(#([^)]*)\)"', rf'="url(#{prefix}-\1)"', drawn)
    drawn = _TEXT.sub(lambda m: f"<text{m[1]}>{_both(html.unescape(m[2]), names)}</text>", drawn)
    return drawn.replace("<svg ", '<svg class="chart" aria-hidden="true" focusable="false" ', 1)


def _both(text: str, names: Names) -> str:
    known = names.get(text)
    if not known:
        return html.escape(text)
    return "".join(f'<tspan class="{lang}">{html.escape(known[lang])}</tspan>' for lang in ("zh", "en"))
