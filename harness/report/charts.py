"""Findings as Altair charts. Data are summaries over seeds, so that a chart does not grow with the runs.

Channels are written as their classes, never as strings: Altair takes a third of a second to find the
class of a first string.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import altair as alt
import numpy as np

from harness.analysis.comparison import Comparison, ConfigurationSummary
from harness.analysis.overfit import Band, Overfitting
from harness.analysis.study_effects import StudyFinding
from harness.report.chart_parts import Row, layered, tips, zero_line
from harness.report.chart_style import GREY, PALETTE, PHASES, SIDE_AXIS
from harness.stats.estimate import Estimate
from harness.stats.intervals import Array
from harness.training.measures import Measure

#: A colour for each side, the same in every chart of a report.
Colours = Mapping[str, str]

#: Dots of runs a side: more of them hide one another.
MOST_POINTS = 30
#: Epochs up to which each has a dot.
_MOST_DOTS = 40
_MOST_TICKS = 10


def side_colours(names: Iterable[str]) -> Colours:
    """A colour for each name, in their order; from the eighth on they come again."""
    return dict(zip(dict.fromkeys(names), itertools.cycle(PALETTE), strict=False))


def _side_colour(rows: Sequence[Row], colours: Colours, legend: alt.Legend | None) -> alt.Color:
    shown = list(dict.fromkeys(str(row["side"]) for row in rows))
    scale = alt.Scale(domain=shown, range=[colours[name] for name in shown])
    return alt.Color("side:N", scale=scale, legend=legend)


def _title(measure: Measure, what: str = "") -> str:
    unit = {"points": " (%)"}.get(measure.unit, "")
    return f"{what} {measure.name}{unit}".strip()


def _ends(value: Estimate, name: str) -> Row:
    low, high = (value.value if end is None else end for end in (value.low, value.high))
    return {name: value.value, f"{name} low": low, f"{name} high": high}


def time_against_quality(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """A mark a side at its mean training time and quality, with both intervals, and a dot a run.

    None where there is but one run, which makes no picture.
    """
    dots = _run_points(comparison)
    if len(dots) < 2:  # noqa: PLR2004
        return None
    rows: list[Row] = []
    for side in comparison.sides:
        if side.quality and side.training_seconds:
            place = _ends(side.training_seconds, "seconds") | _ends(side.quality, "score")
            rows.append({"side": side.side.name, "front": "yes" if side.on_front else "no", **place})
    scale = alt.Scale(zero=False, padding=20)
    x = alt.X("seconds:Q", title="training (s)", scale=scale)
    y = alt.Y("score:Q", title=_title(comparison.measure, "test"), scale=scale)
    colour = _side_colour(rows, colours, alt.Legend(symbolType="diamond"))
    low_score, high_score = alt.Y("score low:Q", title=""), alt.Y2("score high:Q")
    low_seconds, high_seconds = alt.X("seconds low:Q", title=""), alt.X2("seconds high:Q")
    tip = tips("side:N", "seconds:Q", "score:Q", "front:N")
    means, runs = alt.Chart(), alt.Chart(alt.InlineData(values=dots))
    return layered(
        rows,
        runs.mark_circle(opacity=0.45, size=28).encode(x=x, y=y, color=colour),
        means.mark_rule().encode(x=x, y=low_score, y2=high_score, color=colour),
        means.mark_rule().encode(x=low_seconds, x2=high_seconds, y=y, color=colour),
        means.mark_point(filled=True, opacity=1, size=130, shape="diamond").encode(
            x=x, y=y, color=colour, tooltip=tip
        ),
    )


def _run_points(comparison: Comparison) -> list[Row]:
    measure = comparison.measure
    rows: list[Row] = []
    for side in comparison.sides:
        for run in side.side.runs[:MOST_POINTS]:
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
                    mean, below, above = (round(float(value), 5) for value in values)
                    ends = {"mean": mean, "low": below, "high": above}
                    rows.append({"side": one.side.name, "what": what, "epoch": epoch, **ends})
    return rows


def learning_curves(found: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """Training and held-out scores after each epoch."""
    if not found:
        return None
    key = "real" if "train real" in found[0].bands else found[0].measure.key
    title = "called real (%)" if key == "real" else _title(found[0].measure)

    def wanted(one: Overfitting) -> dict[str, Band]:
        names = {"training": f"train {key}", "held out": f"validation {key}"}
        return {what: one.bands[name] for what, name in names.items() if name in one.bands}

    return _bands(_band_rows(found, wanted), title, colours, dashes=True)


def gap_curves(found: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """The generalisation gap after each epoch."""
    if not found:
        return None
    unit = found[0].measure.unit or found[0].measure.name
    title = "gap (points)" if "train real" in found[0].bands else f"gap ({unit})"
    rows = _band_rows(found, lambda one: {"gap": one.bands["gap"]})
    return _bands(rows, title, colours, dashes=False)


def _bands(rows: list[Row], title: str, colours: Colours, *, dashes: bool) -> alt.LayerChart | None:
    if not rows:
        return None
    last = max(int(str(row["epoch"])) for row in rows)
    every = _round_step(last)
    epochs = list(range(every, last + 1, every))
    ticks = alt.Axis(values=epochs, tickCount=len(epochs), format="d")
    x = alt.X("epoch:Q", title="epoch", axis=ticks, scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False))
    colour = _side_colour(rows, colours, alt.Legend(symbolType="stroke", symbolStrokeWidth=2))
    grey = alt.Legend(symbolType="stroke", symbolStrokeColor=GREY, symbolStrokeWidth=2)
    dash = alt.StrokeDash("what:N", sort=["held out", "training"], legend=grey if dashes else None)
    low, high = alt.Y("low:Q", title=title), alt.Y2("high:Q")
    tip = tips("side:N", "what:N", "epoch:Q", "mean:Q", "low:Q", "high:Q")
    data = alt.Chart()
    area = data.mark_area(opacity=0.16).encode(x=x, y=low, y2=high, color=colour, detail=alt.Detail("what:N"))
    line = data.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash)
    # Among many epochs the dots would be a thicker line over the line; they stay to be pointed at.
    dots = data.mark_circle(size=26, opacity=1 if last <= _MOST_DOTS else 0)
    return layered(rows, area, line, dots.encode(x=x, y=y, color=colour, tooltip=tip))


def _round_step(last: int) -> int:
    """The step of 1, 2 or 5 times a power of ten that makes at most ten ticks up to ``last``."""
    steps = (factor * 10**power for power in itertools.count() for factor in (1, 2, 5))
    return int(next(step for step in steps if last <= _MOST_TICKS * step))


def phase_bars(comparison: Comparison) -> alt.LayerChart:
    """A bar a side, cut into the phases of a run."""
    rows: list[Row] = [
        {"side": side.side.name, "phase": phase, "seconds": round(seconds, 4), "order": order}
        for side in comparison.sides
        for order, (phase, seconds) in enumerate(side.phases.items())
    ]
    names = list(dict.fromkeys(str(row["phase"]) for row in rows))
    scale = alt.Scale(domain=names, range=PHASES[: len(names)])
    bars = alt.Chart().mark_bar()
    encoded = bars.encode(
        x=alt.X("seconds:Q", stack="zero", title="seconds"),
        y=alt.Y("side:N", title=None, sort=None, axis=SIDE_AXIS),
        color=alt.Color("phase:N", scale=scale, legend=alt.Legend(columns=3)),
        order=alt.Order("order:Q"),
        tooltip=tips("side:N", "phase:N", "seconds:Q"),
    )
    return layered(rows, encoded, height=40 + 34 * len(comparison.sides))


def step_distribution(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """Quantiles of the step time over the steady blocks of all runs of a side."""
    rows = [row for side in comparison.sides if (row := _step_row(side)) is not None]
    if not rows:
        return None
    y = alt.Y("side:N", title=None, sort=None, axis=SIDE_AXIS)
    colour = _side_colour(rows, colours, None)
    x = alt.X("p5:Q", title="step (ms)", scale=alt.Scale(zero=False))
    tip = tips("side:N", "p5:Q", "p25:Q", "median:Q", "p75:Q", "p95:Q", "blocks:Q")
    data = alt.Chart()
    box = data.mark_bar(size=16, opacity=0.6).encode(x=alt.X("p25:Q"), x2=alt.X2("p75:Q"))
    return layered(
        rows,
        data.mark_rule().encode(x=x, x2=alt.X2("p95:Q"), y=y, color=colour),
        box.encode(y=y, color=colour, tooltip=tip),
        data.mark_tick(thickness=3, size=22).encode(x=alt.X("median:Q"), y=y, color=colour, tooltip=tip),
        height=40 + 34 * len(rows),
    )


def _step_row(side: ConfigurationSummary) -> Row | None:
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
        score_change = found.measure.as_change(effect.score_change)
        for what, change in (("test score", score_change), ("gap", effect.gap_change)):
            if change is not None:
                rows.append({"remedy": effect.variant.name, "what": what, **_ends(change, "change")})
    unit, gap_unit = (of.unit or of.name for of in (found.measure, found.gap_measure))
    unit += f"; of the gap: {gap_unit}" if gap_unit != unit else ""
    order = ["test score", "gap"]
    y = alt.Y("remedy:N", title=None, sort=None, axis=SIDE_AXIS)
    offset, colour = alt.YOffset("what:N", sort=order), alt.Color("what:N", sort=order)
    x = alt.X("change:Q", title=f"change ({unit})")
    low, high = alt.X("change low:Q", title=""), alt.X2("change high:Q")
    tip = tips("remedy:N", "what:N", "change:Q", "change low:Q", "change high:Q")
    data = alt.Chart()
    return layered(
        rows,
        zero_line().encode(x=alt.X("zero:Q", title="")),
        data.mark_rule(strokeWidth=2).encode(x=low, x2=high, y=y, yOffset=offset, color=colour),
        data.mark_point(filled=True, opacity=1, size=70).encode(
            x=x, y=y, yOffset=offset, color=colour, tooltip=tip
        ),
        height=60 + 40 * len(found.effects),
    )
