"""Charts of a comparison and of a study. The data are summaries over seeds, so charts do not grow with runs.

Channels are written as classes, never as strings: Altair needs a third of a second to look up the class of
its first string.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import altair as alt
import numpy as np

from harness.analysis.comparison import Comparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.study_effects import StudyFinding
from harness.report.chart_parts import Row, layered, tips, zero_line
from harness.report.chart_style import GREY, NAME_AXIS, PALETTE, PHASES
from harness.report.numbers import time_ratio
from harness.report.relative_times import relative_times
from harness.stats.estimate import Estimate
from harness.stats.intervals import Array
from harness.training.measures import Measure

#: The colour of each configuration, the same in every chart of a report.
Colours = Mapping[str, str]

#: Dots of runs per configuration. More of them hide one another.
MOST_POINTS = 30
_ROW_HEIGHT = 34
#: Columns of a legend that fit a phone, with the most characters that a name may have.
_LEGEND_COLUMNS = ((3, 12), (2, 20))
#: Height of axis and legend beside the rows of a chart of bars.
_FRAME_HEIGHT = 40


def configuration_colours(names: Iterable[str]) -> Colours:
    """A colour for each name, in their order. From the eighth name on the colours repeat."""
    return dict(zip(dict.fromkeys(names), itertools.cycle(PALETTE), strict=False))


def colour_of_rows(rows: Sequence[Row], colours: Colours, symbol: str | None) -> alt.Color:
    """The colour channel of rows with a field ``configuration``; its legend shows ``symbol``, if any."""
    shown = list(dict.fromkeys(str(row["configuration"]) for row in rows))
    scale = alt.Scale(domain=shown, range=[colours[name] for name in shown])
    if symbol is None:
        return alt.Color("configuration:N", scale=scale, legend=None)
    longest = max(map(len, shown), default=0)
    columns = next((columns for columns, most in _LEGEND_COLUMNS if longest <= most), 1)
    legend = alt.Legend(symbolType=symbol, symbolStrokeWidth=2, columns=columns, labelLimit=260)
    return alt.Color("configuration:N", scale=scale, legend=legend)


def axis_title(measure: Measure, prefix: str = "") -> str:
    """``test accuracy (%)``: the measure with its unit, where it has one."""
    unit = {"points": " (%)"}.get(measure.unit, "")
    return f"{prefix} {measure.name}{unit}".strip()


def _ends(value: Estimate, name: str) -> Row:
    low, high = (value.value if end is None else end for end in (value.low, value.high))
    return {name: value.value, f"{name} low": low, f"{name} high": high}


def relative_step_times(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """The step time of each configuration relative to the fastest, with intervals, on a logarithmic axis."""
    times = relative_times(comparison)
    if times is None:
        return None
    rows: list[Row] = [
        {
            "configuration": row.configuration,
            **_ends(row.ratio, "ratio"),
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
        height=_FRAME_HEIGHT + _ROW_HEIGHT * len(rows),
    )


def time_against_quality(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """A diamond per configuration at its mean training time and quality, both intervals, and a dot per run.

    None where there is only one configuration.
    """
    dots = _run_points(comparison)
    if len({row["configuration"] for row in dots}) < 2:  # noqa: PLR2004
        return None
    rows: list[Row] = []
    for summary in comparison.summaries:
        if summary.quality and summary.training_seconds:
            place = _ends(summary.training_seconds, "seconds") | _ends(summary.quality, "score")
            place["seconds low"] = max(0.0, float(str(place["seconds low"])))  # a wide interval of few seeds
            rows.append(
                {"configuration": summary.name, "front": "yes" if summary.on_front else "no", **place}
            )
    scale = alt.Scale(zero=False, padding=20)
    quality = axis_title(comparison.measure, "test")
    x = alt.X("seconds:Q", title="training time (s)", scale=scale)
    y = alt.Y("score:Q", title=quality, scale=scale)
    colour = colour_of_rows(rows, colours, "diamond")
    low_score, high_score = alt.Y("score low:Q", title=""), alt.Y2("score high:Q")
    low_seconds, high_seconds = alt.X("seconds low:Q", title=""), alt.X2("seconds high:Q")
    tip = tips(
        "configuration:N",
        ("seconds:Q", "training time (s)"),
        ("score:Q", quality),
        ("front:N", "Pareto front"),
    )
    means, runs = alt.Chart(), alt.Chart(alt.InlineData(values=dots))
    return layered(
        rows,
        runs.mark_circle(opacity=0.5, size=28).encode(x=x, y=y, color=colour),
        means.mark_rule().encode(x=x, y=low_score, y2=high_score, color=colour),
        means.mark_rule().encode(x=low_seconds, x2=high_seconds, y=y, color=colour),
        means.mark_point(filled=True, opacity=1, size=130, shape="diamond").encode(
            x=x, y=y, color=colour, tooltip=tip
        ),
    )


def _run_points(comparison: Comparison) -> list[Row]:
    measure = comparison.measure
    rows: list[Row] = []
    for summary in comparison.summaries:
        for run in summary.configuration.runs[:MOST_POINTS]:
            score = run.score(measure.key)
            if score is not None:
                seconds = run.record.phases.training_seconds
                rows.append(
                    {"configuration": summary.name, "seconds": seconds, "score": score * measure.factor}
                )
    return rows


def phase_bars(comparison: Comparison) -> alt.LayerChart:
    """A bar per configuration, divided into the phases of a run."""
    rows: list[Row] = [
        {"configuration": summary.name, "phase": phase, "seconds": round(seconds, 4), "order": order}
        for summary in comparison.summaries
        for order, (phase, seconds) in enumerate(summary.phases.items())
    ]
    names = list(dict.fromkeys(str(row["phase"]) for row in rows))
    scale = alt.Scale(domain=names, range=PHASES[: len(names)])
    encoded = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=alt.X("seconds:Q", stack="zero", title="time (s)"),
            y=alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS),
            color=alt.Color("phase:N", scale=scale, legend=alt.Legend(columns=2)),
            order=alt.Order("order:Q"),
            tooltip=tips("configuration:N", "phase:N", ("seconds:Q", "time (s)")),
        )
    )
    return layered(rows, encoded, height=_FRAME_HEIGHT + _ROW_HEIGHT * len(comparison.summaries))


def step_distribution(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """Quantiles of the step time over the steady blocks of all runs of each configuration."""
    rows = [row for summary in comparison.summaries if (row := _step_row(summary)) is not None]
    if not rows:
        return None
    y = alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS)
    colour = colour_of_rows(rows, colours, None)
    x = alt.X("p5:Q", title="step time (ms)", scale=alt.Scale(zero=False))
    quantiles = [(f"{name}:Q", f"{name} (ms)") for name in ("p5", "p25", "median", "p75", "p95")]
    tip = tips("configuration:N", *quantiles, "blocks:Q")
    data = alt.Chart()
    box = data.mark_bar(size=16, opacity=0.6).encode(x=alt.X("p25:Q"), x2=alt.X2("p75:Q"))
    return layered(
        rows,
        data.mark_rule().encode(x=x, x2=alt.X2("p95:Q"), y=y, color=colour),
        box.encode(y=y, color=colour, tooltip=tip),
        data.mark_tick(thickness=3, size=22).encode(x=alt.X("median:Q"), y=y, color=colour, tooltip=tip),
        height=_FRAME_HEIGHT + _ROW_HEIGHT * len(rows),
    )


def _step_row(summary: ConfigurationSummary) -> Row | None:
    samples: Array = np.concatenate([run.step_seconds for run in summary.configuration.runs]) * 1e3
    if not len(samples):
        return None
    names = ("p5", "p25", "median", "p75", "p95")
    cuts = (round(float(cut), 5) for cut in np.percentile(samples, [5, 25, 50, 75, 95]))
    return {"configuration": summary.name, "blocks": len(samples), **dict(zip(names, cuts, strict=True))}


def remedy_changes(study: StudyFinding) -> alt.LayerChart:
    """How each remedy changes the test score and the gap, with intervals, relative to the plain task."""
    rows: list[Row] = []
    for effect in study.effects[1:]:
        score_change = study.measure.as_change(effect.score_change)
        for name, change in (("test score", score_change), ("gap", effect.gap_change)):
            if change is not None:
                rows.append({"remedy": effect.variant.name, "quantity": name, **_ends(change, "change")})
    unit, gap_unit = (of.unit or of.name for of in (study.measure, study.gap_measure))
    unit += f"; of the gap: {gap_unit}" if gap_unit != unit else ""
    order = ["test score", "gap"]
    y = alt.Y("remedy:N", title=None, sort=None, axis=NAME_AXIS)
    colours, shapes = (alt.Scale(domain=order, range=looks) for looks in (PALETTE[:2], ["circle", "diamond"]))
    offset = alt.YOffset("quantity:N", sort=order)
    colour, shape = alt.Color("quantity:N", scale=colours), alt.Shape("quantity:N", scale=shapes)
    x = alt.X("change:Q", title=f"change ({unit})")
    low, high = alt.X("change low:Q", title=""), alt.X2("change high:Q")
    tip = tips("remedy:N", "quantity:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
    data = alt.Chart()
    return layered(
        rows,
        zero_line().encode(x=alt.X("zero:Q", title="")),
        data.mark_rule(strokeWidth=2).encode(x=low, x2=high, y=y, yOffset=offset, color=colour),
        data.mark_point(filled=True, opacity=1, size=80).encode(
            x=x, y=y, yOffset=offset, color=colour, shape=shape, tooltip=tip
        ),
        height=60 + 40 * len(study.effects),
    )
