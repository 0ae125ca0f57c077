"""Findings as Altair charts. Data are summaries over seeds, so that a chart does not grow with the runs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np

from harness.comparison import Comparison, SideSummary
from harness.intervals import Array, Estimate
from harness.overfit import Band, Overfitting
from harness.runs import Measure
from harness.study_effects import StudyFinding

Row = dict[str, object]

#: Told apart by people who do not see red and green (Okabe and Ito 2008), on white and on black.
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c"]
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": "transparent"},
    "range": {"category": COLOURS},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "gridOpacity": 0.5},
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
_HEIGHT = 260
_MOST_POINTS = 200
_MOST_TICKS = 10


def _chart(rows: Sequence[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=list(rows))).properties(width="container", height=_HEIGHT)


def _layers(*charts: alt.Chart, height: int = _HEIGHT) -> alt.LayerChart:
    layered = alt.LayerChart(layer=list(charts))
    return layered.properties(width="container", height=height)


def _title(measure: Measure, what: str = "") -> str:
    unit = {"points": " (%)"}.get(measure.unit, "")
    return f"{what} {measure.name}{unit}".strip()


def _ends(value: Estimate, name: str) -> Row:
    low, high = (value.mean if end is None else end for end in (value.low, value.high))
    return {name: value.mean, f"{name} low": low, f"{name} high": high}


def time_against_quality(comparison: Comparison) -> alt.LayerChart | None:
    """A mark a side at its mean training time and quality, with both intervals, and a dot a run."""
    measure = comparison.measure
    rows: list[Row] = []
    for side in comparison.sides:
        if side.quality and side.training_seconds:
            place = _ends(side.training_seconds, "seconds") | _ends(side.quality, "score")
            rows.append({"side": side.side.name, "front": "yes" if side.on_front else "no", **place})
    if not rows:
        return None
    x = alt.X("seconds:Q", title="training (s)", scale=alt.Scale(zero=False, padding=20))
    y = alt.Y("score:Q", title=_title(measure, "test"), scale=alt.Scale(zero=False, padding=20))
    colour = alt.Color("side:N")
    tip = [alt.Tooltip(name) for name in ("side:N", "seconds:Q", "score:Q", "front:N")]
    means = _chart(rows)
    return _layers(
        _chart(_run_points(comparison)).mark_circle(opacity=0.45, size=28).encode(x=x, y=y, color=colour),
        means.mark_rule().encode(x=x, y=alt.Y("score low:Q", title=""), y2="score high:Q", color=colour),
        means.mark_rule().encode(x=alt.X("seconds low:Q", title=""), x2="seconds high:Q", y=y, color=colour),
        means.mark_point(filled=True, size=130, shape="diamond").encode(x=x, y=y, color=colour, tooltip=tip),
    )


def _run_points(comparison: Comparison) -> list[Row]:
    measure = comparison.measure
    rows: list[Row] = []
    for side in comparison.sides:
        for run in side.side.runs[:_MOST_POINTS]:
            score = run.score(measure.key)
            if score is not None:
                seconds = run.record.phases.training_seconds
                rows.append({"side": side.side.name, "seconds": seconds, "score": score * measure.factor})
    return rows


def _band_rows(found: Iterable[Overfitting], wanted: Callable[[Overfitting], dict[str, Band]]) -> list[Row]:
    rows: list[Row] = []
    for one in found:
        for what, band in wanted(one).items():
            low = band.mean if band.low is None else band.low
            high = band.mean if band.high is None else band.high
            for epoch, values in enumerate(zip(band.mean, low, high, strict=True), 1):
                if np.isfinite(values).all():
                    named = dict(
                        zip(("mean", "low", "high"), (round(float(v), 5) for v in values), strict=True)
                    )
                    rows.append({"side": one.side.name, "what": what, "epoch": epoch, **named})
    return rows


def learning_curves(found: Sequence[Overfitting]) -> alt.LayerChart | None:
    """Training and held-out scores after each epoch."""
    if not found:
        return None
    key = "real" if "train real" in found[0].bands else found[0].measure.key
    title = "called real (%)" if key == "real" else _title(found[0].measure)

    def wanted(one: Overfitting) -> dict[str, Band]:
        names = {"training": f"train {key}", "held out": f"validation {key}"}
        return {what: one.bands[name] for what, name in names.items() if name in one.bands}

    return _bands(_band_rows(found, wanted), title, dashes=True)


def gap_curves(found: Sequence[Overfitting]) -> alt.LayerChart | None:
    """The generalisation gap after each epoch."""
    if not found:
        return None
    unit = found[0].measure.unit or found[0].measure.name
    title = "gap (points)" if "train real" in found[0].bands else f"gap ({unit})"
    return _bands(_band_rows(found, lambda one: {"gap": one.bands["gap"]}), title, dashes=False)


def _bands(rows: list[Row], title: str, *, dashes: bool) -> alt.LayerChart | None:
    if not rows:
        return None
    last = max(int(str(row["epoch"])) for row in rows)
    every = -(-last // _MOST_TICKS)
    ticks = alt.Axis(values=list(range(every, last + 1, every)), format="d")
    x = alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False))
    colour = alt.Color("side:N", legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=2, symbolOpacity=1))
    legend = alt.Legend(symbolType="stroke", symbolStrokeColor=COLOURS[-1], symbolStrokeWidth=2)
    dash = alt.StrokeDash("what:N", sort=["held out", "training"], legend=legend if dashes else None)
    tip = [alt.Tooltip(name) for name in ("side:N", "what:N", "epoch:Q", "mean:Q", "low:Q", "high:Q")]
    data = _chart(rows)
    area = data.mark_area(opacity=0.16).encode(
        x=x,
        y=alt.Y("low:Q", title=title),
        y2="high:Q",
        color=colour,
        detail="what:N",
    )
    line = data.mark_line(strokeWidth=2)
    points = data.mark_circle(size=26).encode(x=x, y=y, color=colour, tooltip=tip)
    return _layers(area, line.encode(x=x, y=y, color=colour, strokeDash=dash), points)


def phase_bars(comparison: Comparison) -> alt.Chart:
    """A bar a side, cut into the phases of a run."""
    rows: list[Row] = [
        {"side": side.side.name, "phase": phase, "seconds": round(seconds, 4), "order": order}
        for side in comparison.sides
        for order, (phase, seconds) in enumerate(side.phases.items())
    ]
    names = list(dict.fromkeys(str(row["phase"]) for row in rows))
    bars: alt.Chart = _chart(rows).properties(height=40 + 34 * len(comparison.sides)).mark_bar()
    encoded: alt.Chart = bars.encode(
        x=alt.X("sum(seconds):Q", title="seconds"),
        y=alt.Y("side:N", title=None, sort=None, axis=_SIDE_AXIS),
        color=alt.Color("phase:N", sort=names, scale=alt.Scale(domain=names), legend=alt.Legend(columns=3)),
        order="order:Q",
        tooltip=["side:N", "phase:N", "seconds:Q"],
    )
    return encoded


_SIDE_AXIS = alt.Axis(labelLimit=130)


def step_distribution(comparison: Comparison) -> alt.LayerChart | None:
    """Quantiles of the step time over the steady blocks of all runs of a side."""
    rows = [row for side in comparison.sides if (row := _step_row(side)) is not None]
    if not rows:
        return None
    y = alt.Y("side:N", title=None, sort=None, axis=_SIDE_AXIS)
    scale = alt.Scale(zero=False)
    colour = alt.Color("side:N", legend=None)
    data = _chart(rows)
    tip = [
        alt.Tooltip(name) for name in ("side:N", "p5:Q", "p25:Q", "median:Q", "p75:Q", "p95:Q", "blocks:Q")
    ]
    return _layers(
        data.mark_rule().encode(
            x=alt.X("p5:Q", title="step (ms)", scale=scale), x2="p95:Q", y=y, color=colour
        ),
        data.mark_bar(size=16, opacity=0.6).encode(x="p25:Q", x2="p75:Q", y=y, color=colour, tooltip=tip),
        data.mark_tick(thickness=3, size=22).encode(x="median:Q", y=y, color=colour, tooltip=tip),
        height=40 + 34 * len(rows),
    )


def _step_row(side: SideSummary) -> Row | None:
    samples: Array = np.concatenate([run.step_seconds for run in side.side.runs]) * 1e3
    if not len(samples):
        return None
    names = ("p5", "p25", "median", "p75", "p95")
    cuts = (round(float(cut), 5) for cut in np.percentile(samples, [5, 25, 50, 75, 95]))
    return {"side": side.side.name, "blocks": len(samples), **dict(zip(names, cuts, strict=True))}


def remedy_changes(found: StudyFinding) -> alt.LayerChart:
    """What each remedy changes of the test score and of the gap, with intervals, against the plain task."""
    rows: list[Row] = []
    for effect in found.effects[1:]:
        for what, change in (("test score", effect.score_change), ("gap", effect.gap_change)):
            if change is not None:
                rows.append({"remedy": effect.variant.name, "what": what, **_ends(change, "change")})
    unit = found.measure.unit or found.measure.name
    y = alt.Y("remedy:N", title=None, sort=None, axis=_SIDE_AXIS)
    offset = alt.YOffset("what:N")
    data = _chart(rows)
    x = alt.X("change:Q", title=f"change against plain ({unit})")
    zero = (
        alt.Chart(alt.InlineData(values=[{"zero": 0}]))
        .mark_rule(strokeDash=[4, 4], color=COLOURS[-1])
        .encode(x=alt.X("zero:Q", title=""))
    )
    return _layers(
        zero,
        data.mark_rule(strokeWidth=2).encode(
            x=alt.X("change low:Q", title=""), x2="change high:Q", y=y, yOffset=offset, color="what:N"
        ),
        data.mark_point(filled=True, size=70).encode(
            x=x, y=y, yOffset=offset, color="what:N", tooltip=["remedy:N", "what:N", "change:Q"]
        ),
        height=60 + 40 * len(found.effects),
    )
