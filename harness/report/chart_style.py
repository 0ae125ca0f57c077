"""How charts look: colours, fonts, axes and legends."""

from typing import Any

import altair as alt

#: Of sides. Told apart by people who do not see red and green (Okabe and Ito 2008), on white and on black.
PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c"]
#: Of phases, which are no sides: the light scheme of Tol (2021), for the same eyes.
PHASES = ["#99ddff", "#aaaa00", "#44bb99", "#ffaabb", "#77aadd", "#ee8866"]
#: Of a gate's verdicts, each with a shape of its own for those who see no colours.
VERDICTS = {
    "PASS": ("#009e73", "circle"),
    "INCONCLUSIVE": ("#e69f00", "diamond"),
    "FAIL": ("#d55e00", "triangle-up"),
}
GREY = "#8c8c8c"
HEIGHT = 260
SIDE_AXIS = alt.Axis(labelLimit=130)
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
        "gridOpacity": 0.5,
    },
    "axisX": {"tickCount": 6, "labelFlush": False},
    "legend": {
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "labelLimit": 140,
        "symbolOpacity": 1,
        "columns": 2,
        "layout": {"top": {"direction": "vertical", "anchor": "start"}},
    },
}
