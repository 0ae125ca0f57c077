"""The chart of relative step times, for Markdown and notebooks. The page draws its own."""

import altair as alt

from harness.analysis.comparison import Comparison
from harness.report.chart_parts import Colours, Row, colour_of_rows, ends, layered, tips
from harness.report.chart_style import FRAME_HEIGHT, GREY, NAME_AXIS, ROW_HEIGHT
from harness.report.numbers import time_ratio
from harness.report.relative_times import relative_times


def relative_step_times(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """The step time of each configuration relative to the fastest, with intervals, on a logarithmic axis."""
    times = relative_times(comparison)
    if times is None:
        return None
    rows: list[Row] = [
        {
            "configuration": row.configuration,
            **ends(row.ratio, "ratio"),
            "relative": time_ratio(row.ratio) if row.quality else "reference",
            "quality": row.quality or "reference",
        }
        for row in times.rows
        if row.ratio is not None
    ]
    ticks = times.ticks
    labels = ", ".join(f'"{tick}": "{label}"' for tick, label in ticks.items())
    axis = alt.Axis(values=list(ticks), labelExpr=f"({{{labels}}})[datum.value]")
    scale = alt.Scale(type="log", domain=[times.low, times.high], nice=False)
    x = alt.X(
        "ratio:Q",
        title=f"step time relative to {times.rows[0].configuration} (log scale)",
        axis=axis,
        scale=scale,
    )
    y = alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS)
    colour = colour_of_rows(rows, colours, None)
    tip = tips("configuration:N", ("relative:N", "step time"), ("quality:N", comparison.measure.name))
    data = alt.Chart()
    reference = alt.Chart(alt.InlineData(values=[{"ratio": 1}]))
    return layered(
        rows,
        reference.mark_rule(strokeDash=[4, 4], color=GREY).encode(x=x),
        data.mark_rule(strokeWidth=2).encode(
            x=alt.X("ratio low:Q"), x2=alt.X2("ratio high:Q"), y=y, color=colour
        ),
        data.mark_point(filled=True, opacity=1, size=90).encode(x=x, y=y, color=colour, tooltip=tip),
        height=FRAME_HEIGHT + ROW_HEIGHT * len(rows),
    )
