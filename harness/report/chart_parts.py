"""What charts are put together from: layers over the same rows, tooltips, a line at zero."""

from collections.abc import Sequence

import altair as alt
from altair.utils.schemapi import debug_mode

from harness.report.chart_style import GREY, HEIGHT

Row = dict[str, object]

#: Charts are built without a check of each part against Vega-Lite's schema, which takes longer than all
#: else; the tests check every chart as a whole.
unchecked = debug_mode(False)


def layered(rows: Sequence[Row], *layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Layers over the same rows, which stand in the whole alone: Altair copies a layer with each call."""
    return alt.LayerChart(
        data=alt.InlineData(values=list(rows)), layer=list(layers), width="container", height=height
    )


def tips(*names: str) -> list[alt.Tooltip]:
    """Tooltips of fields such as ``mean:Q``, numbers to four digits."""
    return [alt.Tooltip(name, format=".4~r" if name.endswith(":Q") else "") for name in names]


def zero_line() -> alt.Chart:
    """A dashed line, to be drawn where the axis that it is given is 0: its field is ``zero:Q``."""
    line: alt.Chart = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(strokeDash=[4, 4], color=GREY)
    return line
