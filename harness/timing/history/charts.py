"""Charts of a history: for each series its gates, the level, and where it changes."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from harness.core.documents.charts import (
    GREY,
    VERDICTS,
    Row,
    Spec,
    field,
    layer,
    layered,
    scaled,
    tips,
    zero_line,
)
from harness.core.documents.document import Figure
from harness.core.documents.escaping import one_line
from harness.timing.gate.words import change
from harness.timing.history.series import MetricHistory
from harness.timing.history.words import has_chart, name_of, steps_of


def _percent_of_log(log: float) -> float:
    return round(100 * math.expm1(log), 4)


_DEVIATES = 1.959964


def history_figures(series: Sequence[MetricHistory]) -> list[Figure]:
    """Draw a chart of each series with more than one gate and known noise."""
    return [
        Figure(
            f"series-{number}",
            f"Change since {one_line(each.start)}: each gate with its 95 % interval, and the level (line).",
            _chart(each),
            name_of(each),
        )
        for number, each in enumerate(filter(has_chart, series), 1)
    ]


def _chart(series: MetricHistory) -> Spec:
    trend = series.trend
    assert trend is not None  # noqa: S101  only such series are shown
    logs = np.array([point.ratio.log for point in series.points])
    half, levels = _DEVIATES * trend.noise, list(map(_percent_of_log, trend.levels))
    values = {"change": logs, "low": logs - half, "high": logs + half}
    columns = {"level": levels, **{name: list(map(_percent_of_log, each)) for name, each in values.items()}}
    rows: list[Row] = [
        {"name": point.name, "date": point.date, **{name: each[place] for name, each in columns.items()}}
        for place, point in enumerate(series.points)
    ]
    steps: list[Row] = [
        {
            "name": point.name,
            "date": point.date,
            "level": levels[step.at],
            "size": size,
            "short": change(series.metric, msgspec.structs.replace(step.change, low=None, high=None)),
            "direction": "worse" if step.change.value > 1 else "better",
        }
        for step, (point, size) in zip(trend.steps, steps_of(series), strict=True)
    ]
    names = [point.name for point in series.points]
    axis = {"labelAngle": -40, "labelLimit": 80, "labelOverlap": True, "grid": False}
    x = field("name:N", title=None, sort=names, axis=axis)
    y = field("change:Q", title="change since the base (%)", scale={"zero": False})
    low, level = field("low:Q", title=""), field("level:Q", title="")
    tip = tips("name:N", "date:N", "change:Q", "low:Q", "high:Q", "level:Q")
    steps_of_level = {"interpolate": "step", "strokeWidth": 2.5, "color": "#0072b2"}
    return layered(
        rows,
        zero_line("y"),
        layer("rule", {"color": GREY, "opacity": 0.6}, x=x, y=low, y2="high"),
        layer("circle", {"color": GREY, "opacity": 0.9, "size": 32}, x=x, y=y, tooltip=tip),
        layer("line", steps_of_level, x=x, y=level),
        *(_step_layers(steps, x) if steps else []),
    )


def _step_layers(steps: list[Row], x: Spec) -> list[Spec]:
    """Draw the size of each step, at the first gate with the new level.

    A triangle shows its direction.
    """
    colours = {"worse": VERDICTS["FAIL"][0], "better": VERDICTS["PASS"][0]}
    colour = scaled("direction:N", colours, legend=None)
    shape = scaled("direction:N", {"worse": "triangle-up", "better": "triangle-down"}, legend=None)
    tip = tips("name:N", "date:N", "size:N")
    place: Spec = {"x": x, "y": field("level:Q", title="")}
    return [
        layer("point", {"size": 130}, rows=steps, **place, color=colour, shape=shape, tooltip=tip),
        layer("text", {"dy": -14, "fontSize": 12}, rows=steps, **place, text="short:N"),
    ]
