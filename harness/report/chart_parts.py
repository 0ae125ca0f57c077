"""Parts shared by all charts: layers over the same rows, tooltips, a line at zero."""

from collections.abc import Sequence

import altair as alt
from altair.utils.schemapi import debug_mode

from harness.report.chart_style import GREY, HEIGHT

Row = dict[str, object]

#: Builds charts without validating each part against the schema of Vega-Lite, which takes longer than all
#: else. The tests validate every chart as a whole.
unchecked = debug_mode(False)


def layered(rows: Sequence[Row], *layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Layers over the same rows, which stand in the whole alone."""
    chart = alt.LayerChart(data=alt.InlineData(values=list(rows)), width="container", height=height)
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
    line: alt.Chart = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(strokeDash=[4, 4], color=GREY)
    return line
