"""Curves over epochs: training and held-out scores, and the generalisation gap."""

import itertools
from collections.abc import Callable, Iterable, Sequence

import altair as alt
import numpy as np

from harness.analysis.overfit import Band, Overfitting
from harness.report.chart_parts import Colours, Row, colour_of_rows, layered, tips
from harness.report.chart_style import GREY
from harness.report.charts import axis_title

#: Number of epochs up to which each epoch has a dot.
_MOST_DOTS = 40
_MOST_TICKS = 10


def learning_curves(curves: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """Training and held-out scores after each epoch."""
    if not curves:
        return None
    first = curves[0]
    key = "real" if first.adversarial else first.measure.key
    title = "classified as real (%)" if key == "real" else axis_title(first.measure)

    def bands(curve: Overfitting) -> dict[str, Band]:
        names = {"training": f"train {key}", "held out": f"validation {key}"}
        return {data: curve.bands[name] for data, name in names.items() if name in curve.bands}

    return _bands(_band_rows(curves, bands), title, colours, dashes=True)


def gap_curves(curves: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """The generalisation gap after each epoch."""
    if not curves:
        return None
    first = curves[0]
    unit = first.measure.unit or first.measure.name
    title = "gap (points)" if first.adversarial else f"gap ({unit})"
    rows = _band_rows(curves, lambda curve: {"gap": curve.bands["gap"]})
    return _bands(rows, title, colours, dashes=False)


def _band_rows(curves: Iterable[Overfitting], bands: Callable[[Overfitting], dict[str, Band]]) -> list[Row]:
    rows: list[Row] = []
    for curve in curves:
        for data, band in bands(curve).items():
            low = band.mean if band.low is None else band.low
            high = band.mean if band.high is None else band.high
            for epoch, values in enumerate(zip(band.mean, low, high, strict=True), 1):
                if np.isfinite(values).all():
                    mean, below, above = (round(float(value), 5) for value in values)
                    ends = {"mean": mean, "low": below, "high": above}
                    rows.append(
                        {"configuration": curve.configuration.name, "data": data, "epoch": epoch, **ends}
                    )
    return rows


def _bands(rows: list[Row], title: str, colours: Colours, *, dashes: bool) -> alt.LayerChart | None:
    if not rows:
        return None
    last = max(int(str(row["epoch"])) for row in rows)
    every = _round_step(last)
    epochs = list(range(every, last + 1, every))
    ticks = alt.Axis(values=epochs, tickCount=len(epochs), format="d")
    x = alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False))
    colour = colour_of_rows(rows, colours, "stroke")
    grey = alt.Legend(symbolType="stroke", symbolStrokeColor=GREY, symbolStrokeWidth=2)
    dash = alt.StrokeDash("data:N", sort=["held out", "training"], legend=grey if dashes else None)
    low, high = alt.Y("low:Q", title=title), alt.Y2("high:Q")
    tip = tips("configuration:N", "data:N", "epoch:Q", ("mean:Q", title), "low:Q", "high:Q")
    data = alt.Chart()
    area = data.mark_area(opacity=0.16).encode(x=x, y=low, y2=high, color=colour, detail=alt.Detail("data:N"))
    line = data.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash)
    # Among many epochs the dots would hide the line; they stay, invisible, to carry the tooltips.
    dots = data.mark_circle(size=26, opacity=1 if last <= _MOST_DOTS else 0)
    return layered(rows, area, line, dots.encode(x=x, y=y, color=colour, tooltip=tip))


def _round_step(last: int) -> int:
    """The smallest step of 1, 2 or 5 times a power of ten that makes at most ten ticks up to ``last``."""
    steps = (factor * 10**power for power in itertools.count() for factor in (1, 2, 5))
    return int(next(step for step in steps if last <= _MOST_TICKS * step))
