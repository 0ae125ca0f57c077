"""A history as one HTML file that opens offline: what changed and where, as a table and as charts."""

import math
from collections.abc import Sequence

import altair as alt
import msgspec

from harness.gate.history import MetricHistory
from harness.report.charts import GREY, VERDICTS, Row, layered, tips, unchecked, zero_line
from harness.report.escaping import one_line
from harness.report.figure import Figure
from harness.report.gate_words import change
from harness.report.history import (
    HistoryFindings,
    gap_sentence,
    headline,
    in_order,
    left_out_sentence,
    name_of,
    series_table,
    steps_of,
)
from harness.report.html import render

# The charts of a history: for each series its gates, the level, and where it changes.

_DEVIATES = 1.959964


@unchecked
def history_figures(series: Sequence[MetricHistory]) -> list[Figure]:
    """A chart of each series with more than one gate and known noise."""
    shown = [each for each in series if each.trend is not None and len(each.points) > 1]
    return [
        Figure(f"series-{number}", _caption(each), _chart(each), name_of(each))
        for number, each in enumerate(shown, 1)
    ]


def _caption(series: MetricHistory) -> str:
    return f"Change since {one_line(series.start)}: each gate with its 95 % interval, and the level (line)."


def _chart(series: MetricHistory) -> alt.LayerChart:
    rows, steps = _point_rows(series), _step_rows(series)
    names = [str(row["name"]) for row in rows]
    axis = alt.Axis(labelAngle=-40, labelLimit=80, labelOverlap=True, grid=False)
    x = alt.X("name:N", title=None, sort=names, axis=axis)
    y = alt.Y("change:Q", title="change since the base (%)", scale=alt.Scale(zero=False))
    low, high = alt.Y("low:Q", title=""), alt.Y2("high:Q")
    tip = tips("name:N", "date:N", "change:Q", "low:Q", "high:Q", "level:Q")
    data = alt.Chart()
    line = data.mark_line(interpolate="step", strokeWidth=2.5, color="#0072b2")
    return layered(
        rows,
        zero_line().encode(y=alt.Y("zero:Q", title="")),
        data.mark_rule(color=GREY, opacity=0.6).encode(x=x, y=low, y2=high),
        data.mark_circle(color=GREY, opacity=0.9, size=32).encode(x=x, y=y, tooltip=tip),
        line.encode(x=x, y=alt.Y("level:Q", title="")),
        *(_step_layers(steps, x) if steps else []),
    )


def _step_layers(steps: list[Row], x: alt.X) -> list[alt.Chart]:
    """The size of each step, at the first gate with the new level. A triangle shows its direction."""
    colours = [VERDICTS["FAIL"][0], VERDICTS["PASS"][0]]
    colour = alt.Color("direction:N", scale=alt.Scale(domain=["worse", "better"], range=colours), legend=None)
    shapes = alt.Scale(domain=["worse", "better"], range=["triangle-up", "triangle-down"])
    data = alt.Chart(alt.InlineData(values=steps))
    tip = tips("name:N", "date:N", "size:N")
    y = alt.Y("level:Q", title="")
    mark = data.mark_point(filled=True, opacity=1, size=130)
    return [
        mark.encode(
            x=x, y=y, color=colour, shape=alt.Shape("direction:N", scale=shapes, legend=None), tooltip=tip
        ),
        data.mark_text(dy=-14, fontSize=12).encode(x=x, y=y, text=alt.Text("short:N")),
    ]


def _percent(log: float) -> float:
    return round(100 * math.expm1(log), 4)


def _point_rows(series: MetricHistory) -> list[Row]:
    trend = series.trend
    assert trend is not None  # noqa: S101  only such series are shown
    rows: list[Row] = []
    for number, point in enumerate(series.points):
        value = point.ratio.log
        half = _DEVIATES * float(trend.noise[number])
        rows.append(
            {
                "name": point.name,
                "date": point.date,
                "change": _percent(value),
                "low": _percent(value - half),
                "high": _percent(value + half),
                "level": _percent(float(trend.levels[number])),
            }
        )
    return rows


def _step_rows(series: MetricHistory) -> list[Row]:
    trend = series.trend
    assert trend is not None  # noqa: S101  only such series are shown
    return [
        {
            "name": point.name,
            "date": point.date,
            "level": _percent(float(trend.levels[step.at])),
            "size": size,
            "short": change(series.metric, msgspec.structs.replace(step.change, low=None, high=None)),
            "direction": "worse" if step.change.value > 1 else "better",
        }
        for step, (point, size) in zip(trend.steps, steps_of(series), strict=True)
    ]


#: Charts on a page; series that changed come first.
MOST_CHARTS = 60


def history_page(findings: HistoryFindings) -> str:
    """The page; all text from the records is escaped.

    Raises:
        ImportError: the extra "report" is not installed.
    """
    series = in_order(findings.history.series)
    figures = history_figures(series)
    return render(
        "history.html.j2",
        figures[:MOST_CHARTS],
        headline=headline(findings),
        changed=series_table([each for each in series if steps_of(each)]),
        same=series_table([each for each in series if not steps_of(each)]),
        gaps=[gap_sentence(gap) for gap in findings.gaps],
        left_out=list(map(left_out_sentence, findings.history.left_out)),
        charts=figures[:MOST_CHARTS],
        hidden=max(0, len(figures) - MOST_CHARTS),
        machines=sorted({gate.machine.cpu for gate in findings.gates}),
    )
