"""Charts of a history: for each series its gates, the level, and where it changes."""

import math
from collections.abc import Sequence

import msgspec

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
from harness.timing.history.words import has_chart, name_of, steps_of, values_text


def _percent_of_log(log: float) -> float:
    return round(100 * math.expm1(log), 4)


_DEVIATES = 1.959964


def history_figures(series: Sequence[MetricHistory]) -> list[Figure]:
    """Draw a chart of each series with more than one gate and known noise."""
    return [
        Figure(f"series-{number}", _caption(each), _chart(each), name_of(each))
        for number, each in enumerate(filter(has_chart, series), 1)
    ]


def _caption(series: MetricHistory) -> str:
    is_whole = len(series.connected) == len(series.stretches)
    since = one_line(series.start) if is_whole else "the first base of each connected part"
    text = f"Change since {since}: each gate with its 95 % interval, and the level (line)."
    return text + " A dashed line is a change of the base or of the work." * (len(series.stretches) > 1)


def _chart(series: MetricHistory) -> Spec:
    rows = _rows(series)
    steps: list[Row] = [
        {
            "name": rows[step.at]["name"],
            "date": point.date,
            "level": rows[step.at]["level"],
            "size": size,
            "short": change(series.metric, msgspec.structs.replace(step.change, low=None, high=None)),
            "direction": "worse" if step.change.value > 1 else "better",
        }
        for step, (point, size) in zip(series.steps, steps_of(series), strict=True)
    ]
    names = [row["name"] for row in rows]
    axis = {"labelAngle": -40, "labelLimit": 80, "labelOverlap": True, "grid": False}
    x = field("name:N", title=None, sort=names, axis=axis)
    y = field("change:Q", title="change since the base (%)", scale={"zero": False})
    low, level = field("low:Q", title=""), field("level:Q", title="")
    tip = tips("name:N", "date:N", "change:Q", "low:Q", "high:Q", "level:Q", "values:N", "verdict:N")
    breaks = [row for row in rows if row["mark"]]
    mark = layer(
        "rule",
        {"color": GREY, "strokeDash": [4, 3]},
        rows=breaks,
        x=x,
        tooltip=tips("name:N", "date:N", "mark:N"),
    )
    steps_of_level = {"interpolate": "step", "strokeWidth": 2.5, "color": "#0072b2"}
    return layered(
        rows,
        zero_line("y"),
        layer("rule", {"color": GREY, "opacity": 0.6}, x=x, y=low, y2="high"),
        layer("circle", {"color": GREY, "opacity": 0.9, "size": 32}, x=x, y=y, tooltip=tip),
        *([mark] if breaks else []),
        layer("line", steps_of_level, x=x, y=level, detail=field("run:N")),
        *(_step_layers(steps, x) if steps else []),
    )


def _rows(series: MetricHistory) -> list[Row]:
    """Return a row for each gate, whose level is relative to the first base that it is connected to."""
    rows: list[Row] = []
    run, names = 0, dict[str, int]()
    for number, stretch in enumerate(series.stretches):
        run += stretch.origin is None
        origin = stretch.origin[0] if stretch.origin else 0.0
        for place, point in enumerate(stretch.points):
            names[point.name] = names.get(point.name, 0) + 1
            log, trend = origin + point.ratio.log, stretch.trend
            half = None if trend is None else _DEVIATES * float(trend.noise[place])
            rows.append(
                {
                    "name": point.name + f" ({names[point.name]})" * (names[point.name] > 1),
                    "date": point.date,
                    "change": _percent_of_log(log),
                    "low": None if half is None else _percent_of_log(log - half),
                    "high": None if half is None else _percent_of_log(log + half),
                    "level": None if trend is None else _percent_of_log(origin + float(trend.levels[place])),
                    "values": values_text(series.metric, point.values),
                    "verdict": point.verdict,
                    "run": run,
                    "mark": stretch.mark if number and not place else "",
                }
            )
    return rows


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
