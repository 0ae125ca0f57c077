"""The look of charts: colours, fonts, axes and legends."""

from typing import Any

import altair as alt

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
