"""Parts of all charts: their look, layers over the same rows, colours of configurations, and drawing.

A chart is a dictionary, a Vega-Lite specification: building it with Altair would take longer than all other
work for a page. The tests validate every chart with Altair.
"""

import json
import math
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from harness.core.documents.document import Figure
from harness.core.documents.escaping import visible_json
from harness.core.stats.estimate import Estimate

#: Colours of configurations: Okabe and Ito (2008), which readers without red-green vision can distinguish.
#: Ordered by contrast: the first three reach 3:1 on the page's light and dark backgrounds.
#: Grey is left out: it marks everything that is not a configuration, such as the dashes of a legend.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255"]
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
#: Height of a row in a chart with one row per name, and of the frame around the rows.
ROW_HEIGHT = 34
FRAME_HEIGHT = 40
#: Places at which names of configurations are broken: before each setting and before a version.
_NAME_PARTS = r" (?=\(|[a-z_0-9]+=)"
#: Lines of a name have at most so many characters, and half as many of wide ones, such as capitals.
_NAME_LINE = 20
_WIDE = r"[A-Z@%\u1100-\u{10ffff}]"
_WIDE_NAME = re.compile("[A-Z@%\u1100-\U0010ffff]")
_LINE_HEIGHT = 12
_LONG_PARTS = (
    rf"({_WIDE}{{{_NAME_LINE // 2}}})(?=[^\n])",
    rf"(?=[^\n]{{{_NAME_LINE + 1}}})([^\n]{{0,{_NAME_LINE - 1}}}[ :,/_-]|[^\n]{{{_NAME_LINE}}})",
)


def _in_lines() -> str:
    """Return the expression that breaks a name into lines without cutting any line."""
    broken = f"replace(datum.label, regexp({json.dumps(_NAME_PARTS)}, 'g'), '\\n')"
    for part in _LONG_PARTS:
        broken = f"replace({broken}, regexp({json.dumps(part)}, 'gu'), '$1\\n')"
    return f"split({broken}, '\\n')"


#: A label as a name in lines. No label is cut: names may differ at any place.
_NAME_LABEL = {"labelExpr": _in_lines(), "labelLimit": 0}
NAME_AXIS = {
    **_NAME_LABEL,
    "labelLineHeight": _LINE_HEIGHT,
    "ticks": False,
    "domain": False,
    "labelPadding": 8,
}
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
    "point": {"filled": True, "opacity": 1},
    "axisX": {"tickCount": 6, "labelFlush": False},
    "axisY": {"tickCount": 6},
    "legend": {
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "labelLimit": 0,
        "symbolOpacity": 1,
        "columns": 3,
        "offset": 10,
        "layout": {"top": {"direction": "vertical", "anchor": "start"}},
    },
}


Row = dict[str, object]
#: A chart, or a part of one, in Vega-Lite.
Spec = dict[str, Any]
#: The colour of each configuration, the same in every chart of a report.
Colours = Mapping[str, str]

#: Seed of the checksum of a name. With it, the included backends have different colours.
_SPREAD = 75945
#: Columns of a legend that fit a phone, each with the longest name for which they do.
_LEGEND_COLUMNS = ((3, 12), (2, 18))

#: The version of Vega-Lite that the charts are written for; the tests validate each of them.
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
_TYPES = {"Q": "quantitative", "N": "nominal", "O": "ordinal"}


def field(name: str, **properties: object) -> Spec:
    """Return the channel of the field ``name``, such as ``mean:Q``: quantitative, nominal (N) or ordinal (O).

    The second end of an interval, ``x2`` or ``y2``, has no type.
    """
    *names, kind = name.rsplit(":", 1)
    return {"field": names[0], "type": _TYPES[kind], **properties} if names else {"field": kind}


def layer(
    mark: str,
    look: Spec | None = None,
    *,
    rows: Sequence[Row] | None = None,
    where: Spec | None = None,
    **channels: object,
) -> Spec:
    """Return a layer of marks with the properties ``look``.

    ``rows`` default to those of the whole chart; ``where`` filters them. A channel is a :func:`field`, or the
    name of a field without further properties.
    """
    encoding = {name: field(given) if isinstance(given, str) else given for name, given in channels.items()}
    return {
        "mark": {"type": mark, **(look or {})},
        **({} if rows is None else {"data": {"values": rows}}),
        **({} if where is None else {"transform": [{"filter": where}]}),
        "encoding": encoding,
    }


def layered(rows: Sequence[Row], *layers: Spec, height: int = HEIGHT) -> Spec:
    """Return a chart of ``layers`` over the same ``rows``, which are stored once."""
    return {"data": {"values": rows}, "layer": list(layers), "width": "container", "height": height}


def by_name(name: str) -> Spec:
    """Return a vertical axis with one row per value of the field ``name``, in the order of the data."""
    return field(f"{name}:N", title=None, sort=None, axis=NAME_AXIS)


def named_rows(rows: Sequence[Row], name: str, *layers: Spec, frame: int = FRAME_HEIGHT) -> Spec:
    """Return a chart of ``layers``, as high as one row per value of the field ``name`` needs."""
    names = {str(row[name]) for row in rows}
    row_height = max([ROW_HEIGHT, *(_LINE_HEIGHT * (_most_lines(each) + 0.5) for each in names)])
    return layered(rows, *layers, height=frame + math.ceil(row_height * len(names)))


def _most_lines(name: str) -> int:
    """Return an upper limit of the lines into which a label breaks the name."""
    widths = (len(part) + len(_WIDE_NAME.findall(part)) for part in re.split(_NAME_PARTS, name))
    return sum(1 if width <= _NAME_LINE else 1 + math.ceil(width / _NAME_LINE) for width in widths)


def scaled(name: str, values: Mapping[Any, object], **properties: Any) -> Spec:
    """Return the channel of a field; ``values`` maps its values, in order, to colours, shapes or dashes.

    The labels of a ``legend`` are broken into lines if one of them is long.
    """
    if properties.get("legend") and any(len(str(value)) > _NAME_LINE for value in values):
        properties["legend"] = {**_NAME_LABEL, **properties["legend"]}
    return field(name, scale={"domain": list(values), "range": list(values.values())}, **properties)


#: Most configurations that share a chart of curves; if there are more, each has a panel.
MOST_TOGETHER = 4
#: Most panels of a chart, panels in a row of a wide page, and the pixels between and around panels.
_MOST_PANELS, PANEL_COLUMNS, _PANEL_SPACING, _PANEL_FRAME = 24, 4, 14, 62
_PANEL_HEIGHT = 110


def multiples(chart: Spec, names: Sequence[str], height: int = _PANEL_HEIGHT) -> Spec:
    """Divide a layered chart into small ones with common axes, one for each configuration in ``names``.

    A facet divides only the rows of the whole chart, so rows of single layers move there; rows without a
    configuration appear in every panel. Headings name the configurations in place of a legend.
    """
    shown = list(names[:_MOST_PANELS])
    parts = [chart["data"]["values"]]
    layers = []
    for given in chart["layer"]:
        own = given.get("data")
        part = len(parts) if own else 0
        parts += [own["values"]] if own else []
        only = [{"filter": {"field": "part", "equal": part}}, *given.get("transform", [])]
        rest = {name: value for name, value in given.items() if name != "data"}
        layers.append(_without_legend({**rest, "transform": only}))
    rows = [
        {**row, "configuration": name, "part": part}
        for part, values in enumerate(parts)
        for row in values
        for name in ([row["configuration"]] if "configuration" in row else shown)
        if name in shown
    ]
    heading = {
        "title": None,
        "labelAnchor": "start",
        "labelFontSize": 11,
        "labelPadding": 4,
        **_NAME_LABEL,
    }
    return {
        "data": {"values": rows},
        "facet": field("configuration:N", sort=shown, header=heading),
        "columns": PANEL_COLUMNS,
        "spacing": _PANEL_SPACING,
        "spec": {"layer": layers, "height": height},
    }


def _without_legend(given: Spec) -> Spec:
    """Return the layer without a legend for the colour of configurations, which a panel does not need."""
    colour = given["encoding"].get("color")
    if not colour or colour.get("field") != "configuration":
        return given
    return {**given, "encoding": {**given["encoding"], "color": {**colour, "legend": None}}}


def sized(chart: Spec, width: int, height: int | None = None) -> Spec:
    """Return the chart with a size in pixels, axes excluded; panels share the size."""
    if "facet" not in chart:
        return {**chart, "width": width, **({} if height is None else {"height": height})}
    columns = min(chart["columns"], max(1, width // 150))
    inner = {**chart["spec"], "width": (width - _PANEL_FRAME) // columns - _PANEL_SPACING}
    panels = len({row["configuration"] for row in chart["data"]["values"]})
    if height is not None:
        lines = -(-panels // columns)
        inner["height"] = max(40, height // lines - _PANEL_SPACING - 24)
    return {**chart, "columns": columns, "spec": inner}


def tips(*fields: str | tuple[str, str]) -> list[Spec]:
    """Return tooltips of fields such as ``mean:Q`` or, with a title, ``("mean:Q", "mean (s)")``."""
    tooltips = []
    for given in fields:
        name, title = (given, {}) if isinstance(given, str) else (given[0], {"title": given[1]})
        digits = {"format": ".4~r"} if name.endswith(":Q") else {}
        tooltips.append(field(name, **title, **digits))
    return tooltips


def zero_line(axis: Literal["x", "y"]) -> Spec:
    """Return a dashed line where the axis is 0."""
    look = {"strokeDash": [4, 4], "color": GREY}
    return layer("rule", look, rows=[{"zero": 0}], **{axis: field("zero:Q", title="")})


def ends(value: Estimate, name: str) -> Row:
    """Return an estimate as three fields: ``name``, ``name low`` and ``name high``."""
    low, high = (value.value if end is None else end for end in (value.low, value.high))
    return {name: value.value, f"{name} low": low, f"{name} high": high}


def interval(axis: Literal["x", "y"], name: str, width: float | None = None, **more: Any) -> Spec:
    """Return a line, ``width`` pixels wide, between the :func:`ends` of an estimate; ``more``: see layers."""
    look = {} if width is None else {"strokeWidth": width}
    along: Spec = {axis: field(f"{name} low:Q", title=""), f"{axis}2": f"{name} high"}
    return layer("rule", look, **along, **more)


#: Title, caption and chart of a figure; None without data.
Described = tuple[str, str, Spec | None]


def figures(prefix: str, charts: Mapping[str, Described], chosen: Collection[str] = ()) -> list[Figure]:
    """Return the charts that have data as figures; ``chosen`` are names among those of ``charts``."""
    return [
        Figure(f"{prefix}-{name}", caption, chart, title, chosen=name in chosen)
        for name, (title, caption, chart) in charts.items()
        if chart is not None
    ]


def configuration_colours(names: Iterable[str]) -> Colours:
    """Return a colour for each name, the same on every page unless another name on the page has taken it.

    The checksum of a name, without versions in brackets, selects its colour. If two names select the same
    colour, the alphabetically later one takes the next free colour. From the eighth name on, colours repeat.
    """
    shown = list(dict.fromkeys(names))
    taken: dict[str, str] = {}
    for name in sorted(shown):
        label = name.partition(" (")[0]
        first = zlib.crc32(f"{_SPREAD} {label}".encode()) % len(PALETTE)
        choices = [*PALETTE[first:], *PALETTE[:first]]
        free = [colour for colour in choices if colour not in taken.values()]
        taken[name] = (free or choices)[0]
    return {name: taken[name] for name in shown}


def colour_of_rows(rows: Sequence[Row], colours: Colours, symbol: str | None) -> Spec:
    """Return the colour channel of rows with a field ``configuration``.

    Its legend shows ``symbol``; without one there is no legend.
    """
    present = {row["configuration"] for row in rows}
    shown = {name: colour for name, colour in colours.items() if name in present}
    legend = None
    if symbol is not None:
        longest = max(map(len, shown), default=0)
        if longest > _NAME_LINE:
            longest = max(len(line) for name in shown for line in re.split(_NAME_PARTS, name))
        columns = next((columns for columns, most in _LEGEND_COLUMNS if longest <= most), 1)
        stroke = {"symbolType": symbol, "symbolStrokeWidth": 2}
        legend = {**stroke, "columns": columns}
    return scaled("configuration:N", shown, legend=legend)


#: Width of a chart in pixels, and the pixels of a PNG for each of them.
_WIDTH = 480
_SCALE = 2


def specification(figure: Figure, width: int | None = None, **more: object) -> str:
    """Write the chart as Vega-Lite in ASCII with ``more`` properties; replace control characters.

    Without a ``width`` in pixels, the chart is as wide as its place on the page.
    """
    chart = figure.chart if width is None else sized(figure.chart, width)
    spec = {"$schema": _SCHEMA, **chart, "config": CONFIG, **more}
    return visible_json(json.dumps(spec, separators=(",", ":")))


def _on_white(figure: Figure, width: int) -> str:
    """Return the chart for a file, with its title, in a font that every system has."""
    config = CONFIG | {"background": "white", "font": "sans-serif"}
    title = {"title": {"text": figure.title, "anchor": "start", "fontSize": 14}} if figure.title else {}
    return specification(figure, width, config=config, **title)


def svg(figure: Figure, width: int = _WIDTH) -> str:
    """Draw the chart as SVG."""
    import vl_convert  # from an extra, which specifications do not need

    drawn: str = vl_convert.vegalite_to_svg(_on_white(figure, width))
    return drawn


def png(figure: Figure) -> bytes:
    """Draw the chart as PNG, with two pixels for each pixel of the SVG."""
    import vl_convert

    drawn: bytes = vl_convert.vegalite_to_png(_on_white(figure, _WIDTH), scale=_SCALE)
    return drawn
