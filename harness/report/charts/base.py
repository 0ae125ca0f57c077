"""What all charts share: their look, layers over the same rows, the colours of configurations, and drawing.

Channels are written as classes, never as strings: Altair needs a third of a second to look up the class of
its first string.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from harness.report.document import Figure
from harness.report.escaping import visible_json
from harness.report.numbers import score_unit
from harness.stats.estimate import Estimate
from harness.training.measures import Measure

# The look of charts: colours, fonts, axes and legends.

#: Colours of configurations: Okabe and Ito (2008), which readers without red-green vision can distinguish.
#: Ordered by contrast: the first three reach 3:1 on the page's light and dark backgrounds.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"]
#: Colours of a run's phases, distinct from those of configurations: the light scheme of Tol (2021).
PHASES = ["#99ddff", "#aaaa00", "#44bb99", "#ffaabb", "#77aadd", "#ee8866"]
#: Colour and shape of each verdict of a gate. The shape carries the verdict without colour.
VERDICTS = {
    "PASS": ("#009e73", "circle"),
    "INCONCLUSIVE": ("#e69f00", "diamond"),
    "INVALID": ("#cc79a7", "cross"),
    "FAIL": ("#d55e00", "triangle-up"),
}
GREY = "#8c8c8c"
#: Height of a chart in pixels, without axes and legend.
HEIGHT = 240
#: Height of a row in a chart of one row per name, and of what is around the rows.
ROW_HEIGHT = 34
FRAME_HEIGHT = 40
#: Names of configurations break before their versions: ``torch:eager`` above ``(torch 2.9.0)``.
NAME_AXIS = alt.Axis(
    labelExpr="split(replace(datum.label, ' (', '\\n('), '\\n')",
    labelLimit=140,
    ticks=False,
    domain=False,
    labelPadding=8,
)
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": "transparent"},
    "range": {"category": PALETTE},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridOpacity": 0.6,
    },
    "axisX": {"tickCount": 6, "labelFlush": False},
    "axisY": {"tickCount": 6},
    "legend": {
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "labelLimit": 140,
        "symbolOpacity": 1,
        "columns": 3,
        "offset": 10,
        "layout": {"top": {"direction": "vertical", "anchor": "start"}},
    },
}


# Parts shared by all charts: the colours of configurations, layers over the same rows, tooltips.

Row = dict[str, object]
#: The colour of each configuration, the same in every chart of a report.
Colours = Mapping[str, str]

#: Spreads the backends that come with the harness over the palette, so that none displaces another.
_SPREAD = 75945
#: Columns of a legend that fit a phone, with the most characters that a name may have.
_LEGEND_COLUMNS = ((3, 12), (2, 20))

#: Builds charts without validating each part against the schema of Vega-Lite, which takes longer than all
#: else. The tests validate every chart as a whole.
unchecked = debug_mode(False)


class Rows(alt.InlineData):
    """Rows that a chart and its copies share: Altair makes many copies, and none of them is changed."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(values=list(rows))

    def __deepcopy__(self, _memo: object) -> "Rows":
        return self


def layered(rows: Sequence[Row], *layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Layers over the same rows, which stand in the whole alone."""
    chart = alt.LayerChart(data=Rows(rows), width="container", height=height)
    chart.layer = list(layers)  # as an argument, Altair would copy each of them several times
    return chart


def tips(*fields: str | tuple[str, str]) -> list[alt.Tooltip]:
    """Tooltips of fields such as ``mean:Q`` or, with a title, ``("mean:Q", "mean (s)")``; four digits."""
    pairs = [(field, alt.Undefined) if isinstance(field, str) else field for field in fields]
    return [
        alt.Tooltip(field, title=title, format=".4~r" if field.endswith(":Q") else "")
        for field, title in pairs
    ]


def zero_line() -> alt.Chart:
    """A dashed line where its axis is 0. The axis must encode the field ``zero:Q``."""
    line: alt.Chart = alt.Chart(Rows([{"zero": 0}])).mark_rule(strokeDash=[4, 4], color=GREY)
    return line


def ends(value: Estimate, name: str) -> Row:
    """An estimate as three fields: ``name``, ``name low`` and ``name high``."""
    low, high = (value.value if end is None else end for end in (value.low, value.high))
    return {name: value.value, f"{name} low": low, f"{name} high": high}


def configuration_colours(names: Iterable[str], without: str = "") -> Colours:
    """A colour for each name, in their order: the same on every page, as far as no other name has it.

    A name's checksum chooses its colour; versions in brackets do not count. Of two names with the same choice
    the alphabetically later one takes the next free colour. From the eighth name on the colours repeat. The
    colour ``without`` is not used.
    """
    shown = list(dict.fromkeys(names))
    palette = [colour for colour in PALETTE if colour != without]
    taken: dict[str, str] = {}
    for name in sorted(shown):
        label = name.partition(" (")[0]
        first = zlib.crc32(f"{_SPREAD} {label}".encode()) % len(palette)
        choices = [*palette[first:], *palette[:first]]
        free = [colour for colour in choices if colour not in taken.values()]
        taken[name] = (free or choices)[0]
    return {name: taken[name] for name in shown}


def colour_of_rows(rows: Sequence[Row], colours: Colours, symbol: str | None) -> alt.Color:
    """The colour channel of rows with a field ``configuration``; its legend shows ``symbol``, if any."""
    present = {row["configuration"] for row in rows}
    shown = [name for name in colours if name in present]
    scale = alt.Scale(domain=shown, range=[colours[name] for name in shown])
    if symbol is None:
        return alt.Color("configuration:N", scale=scale, legend=None)
    longest = max(map(len, shown), default=0)
    columns = next((columns for columns, most in _LEGEND_COLUMNS if longest <= most), 1)
    legend = alt.Legend(symbolType=symbol, symbolStrokeWidth=2, columns=columns, labelLimit=260)
    return alt.Color("configuration:N", scale=scale, legend=legend)


def axis_title(measure: Measure, prefix: str = "") -> str:
    """``test accuracy (%)``: the measure with its unit, where it has one."""
    unit = score_unit(measure)
    return f"{prefix} {measure.name}{f' ({unit})' * bool(unit)}".strip()


# Charts outside a page: as SVG and PNG.

#: Width of a chart in pixels, and how many pixels of a PNG each of them becomes.
_WIDTH = 480
_SCALE = 2


def specification(figure: Figure, **more: object) -> str:
    """The chart as Vega-Lite in ASCII, with these further properties; control characters are replaced."""
    spec: dict[str, Any] = figure.chart.to_dict(validate=False) | {"config": CONFIG} | more
    return visible_json(json.dumps(spec, separators=(",", ":")))


def _on_white(figure: Figure, width: int) -> str:
    """The chart for a file, in a font that every system has."""
    config = CONFIG | {"background": "white", "font": "sans-serif"}
    title = {"title": {"text": figure.title, "anchor": "start", "fontSize": 14}} if figure.title else {}
    return specification(figure, config=config, width=width, **title)


def svg(figure: Figure, width: int = _WIDTH) -> str:
    """The chart as SVG."""
    drawn: str = vl_convert.vegalite_to_svg(_on_white(figure, width))
    return drawn


def png(figure: Figure, width: int = _WIDTH) -> bytes:
    """The chart as PNG, with two pixels for each of SVG."""
    drawn: bytes = vl_convert.vegalite_to_png(_on_white(figure, width), scale=_SCALE)
    return drawn
