"""Charts of a comparison. The data are summaries over seeds, so charts do not grow with the number of runs.

Channels are written as classes, never as strings: Altair needs a third of a second to look up the class of
its first string.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from altair.utils.schemapi import debug_mode

from harness.analysis.comparison import Comparison
from harness.analysis.configuration_summary import ConfigurationSummary
from harness.report.numbers import busy_mark, score_unit
from harness.stats.estimate import Estimate
from harness.stats.intervals import Array
from harness.training.measures import Measure

# The look of charts: colours, fonts, axes and legends.

#: Colours of configurations: Okabe and Ito (2008), which readers without red-green vision can distinguish.
#: Ordered by contrast: the first three reach 3:1 on the page's light and dark backgrounds.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"]
#: Colours of a run's phases, distinct from those of configurations: the light scheme of Tol (2021).
PHASES = ["#99ddff", "#aaaa00", "#44bb99", "#ffaabb", "#77aadd", "#ee8866"]
#: Colour and shape of each verdict of a gate. The shape carries the verdict without colour.
VERDICTS = {
    "PASS": ("#009e73", "circle"),
    "INCONCLUSIVE": ("#e69f00", "diamond"),
    "INVALID": ("#cc79a7", "cross"),
    "FAIL": ("#d55e00", "triangle-up"),
}
GREY = "#8c8c8c"
#: Height of a chart in pixels, without axes and legend.
HEIGHT = 240
#: Height of a row in a chart of one row per name, and of what is around the rows.
ROW_HEIGHT = 34
FRAME_HEIGHT = 40
#: Names of configurations break before their versions: ``torch:eager`` above ``(torch 2.9.0)``.
NAME_AXIS = alt.Axis(
    labelExpr="split(replace(datum.label, ' (', '\\n('), '\\n')",
    labelLimit=140,
    ticks=False,
    domain=False,
    labelPadding=8,
)
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": "transparent"},
    "range": {"category": PALETTE},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridOpacity": 0.6,
    },
    "axisX": {"tickCount": 6, "labelFlush": False},
    "axisY": {"tickCount": 6},
    "legend": {
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "labelLimit": 140,
        "symbolOpacity": 1,
        "columns": 3,
        "offset": 10,
        "layout": {"top": {"direction": "vertical", "anchor": "start"}},
    },
}


# Parts shared by all charts: the colours of configurations, layers over the same rows, tooltips.

Row = dict[str, object]
#: The colour of each configuration, the same in every chart of a report.
Colours = Mapping[str, str]

#: Spreads the backends that come with the harness over the palette, so that none displaces another.
_SPREAD = 75945
#: Columns of a legend that fit a phone, with the most characters that a name may have.
_LEGEND_COLUMNS = ((3, 12), (2, 20))

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


def ends(value: Estimate, name: str) -> Row:
    """An estimate as three fields: ``name``, ``name low`` and ``name high``."""
    low, high = (value.value if end is None else end for end in (value.low, value.high))
    return {name: value.value, f"{name} low": low, f"{name} high": high}


def configuration_colours(names: Iterable[str], without: str = "") -> Colours:
    """A colour for each name, in their order: the same on every page, as far as no other name has it.

    A name's checksum chooses its colour; versions in brackets do not count. Of two names with the same choice
    the alphabetically later one takes the next free colour. From the eighth name on the colours repeat. The
    colour ``without`` is not used.
    """
    shown = list(dict.fromkeys(names))
    palette = [colour for colour in PALETTE if colour != without]
    taken: dict[str, str] = {}
    for name in sorted(shown):
        label = name.partition(" (")[0]
        first = zlib.crc32(f"{_SPREAD} {label}".encode()) % len(palette)
        choices = [*palette[first:], *palette[:first]]
        free = [colour for colour in choices if colour not in taken.values()]
        taken[name] = (free or choices)[0]
    return {name: taken[name] for name in shown}


def colour_of_rows(rows: Sequence[Row], colours: Colours, symbol: str | None) -> alt.Color:
    """The colour channel of rows with a field ``configuration``; its legend shows ``symbol``, if any."""
    present = {row["configuration"] for row in rows}
    shown = [name for name in colours if name in present]
    scale = alt.Scale(domain=shown, range=[colours[name] for name in shown])
    if symbol is None:
        return alt.Color("configuration:N", scale=scale, legend=None)
    longest = max(map(len, shown), default=0)
    columns = next((columns for columns, most in _LEGEND_COLUMNS if longest <= most), 1)
    legend = alt.Legend(symbolType=symbol, symbolStrokeWidth=2, columns=columns, labelLimit=260)
    return alt.Color("configuration:N", scale=scale, legend=legend)


#: Dots of runs per configuration. More of them hide one another.
MOST_POINTS = 30
#: Room beyond the outermost values, as a share of their range.
_ROOM = 0.06


def axis_title(measure: Measure, prefix: str = "") -> str:
    """``test accuracy (%)``: the measure with its unit, where it has one."""
    unit = score_unit(measure)
    return f"{prefix} {measure.name}{f' ({unit})' * bool(unit)}".strip()


def _time_title(comparison: Comparison, title: str) -> str:
    """The title of an axis of times of runs, marked if others used the machine."""
    disturbed = any(summary.disturbed for summary in comparison.summaries)
    return busy_mark(title, disturbed=disturbed)


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
            place = ends(summary.training_seconds, "seconds") | ends(summary.quality, "score")
            rows.append(
                {"configuration": summary.name, "front": "yes" if summary.on_front else "no", **place}
            )
    quality = axis_title(comparison.measure, "test")
    training = _time_title(comparison, "training time (s)")
    x = alt.X("seconds:Q", title=training, scale=_possible(rows + dots, "seconds", None))
    y = alt.Y("score:Q", title=quality, scale=_possible(rows + dots, "score", comparison.measure.upper))
    colour = colour_of_rows(rows, colours, "diamond")
    low_score, high_score = alt.Y("score low:Q", title=""), alt.Y2("score high:Q")
    low_seconds, high_seconds = alt.X("seconds low:Q", title=""), alt.X2("seconds high:Q")
    tip = tips(
        "configuration:N",
        ("seconds:Q", "training time (s)"),
        ("score:Q", quality),
        ("front:N", "beaten by none in both"),
    )
    means, runs = alt.Chart(), alt.Chart(alt.InlineData(values=dots))
    return layered(
        rows,
        runs.mark_circle(opacity=0.6, size=32).encode(x=x, y=y, color=colour),
        means.mark_rule(strokeWidth=1.5).encode(x=x, y=low_score, y2=high_score, color=colour),
        means.mark_rule(strokeWidth=1.5).encode(x=low_seconds, x2=high_seconds, y=y, color=colour),
        means.mark_point(filled=True, opacity=1, size=130, shape="diamond").encode(
            x=x, y=y, color=colour, tooltip=tip
        ),
    )


def _possible(rows: Sequence[Row], name: str, upper: float | None) -> alt.Scale:
    """A scale with room around the values and intervals of ``name``, but not below 0 or above ``upper``."""
    fields = (name, f"{name} low", f"{name} high")
    values = [float(str(row[field])) for row in rows for field in fields if field in row]
    low, high = min(values), max(values)
    room = _ROOM * (high - low) or _ROOM * high or 1.0
    end = high + room if upper is None else min(high + room, upper)
    return alt.Scale(domain=[max(0.0, low - room), end], zero=False, nice=False)


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
            x=alt.X("seconds:Q", stack="zero", title=_time_title(comparison, "time (s)")),
            y=alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS),
            color=alt.Color("phase:N", scale=scale, legend=alt.Legend(columns=2)),
            order=alt.Order("order:Q"),
            tooltip=tips("configuration:N", "phase:N", ("seconds:Q", "time (s)")),
        )
    )
    return layered(rows, encoded, height=FRAME_HEIGHT + ROW_HEIGHT * len(comparison.summaries))


def step_distribution(comparison: Comparison, colours: Colours) -> alt.LayerChart | None:
    """Quantiles of the step time over the steady blocks of a run, their geometric means over runs.

    So the median is the step time that tables state, however many blocks each run has.
    """
    rows = [row for summary in comparison.summaries if (row := _step_row(summary)) is not None]
    if not rows:
        return None
    y = alt.Y("configuration:N", title=None, sort=None, axis=NAME_AXIS)
    colour = colour_of_rows(rows, colours, None)
    x = alt.X("p5:Q", title=_time_title(comparison, "step time (ms)"), scale=alt.Scale(zero=False))
    quantiles = [(f"{name}:Q", f"{name} (ms)") for name in ("p5", "p25", "median", "p75", "p95")]
    tip = tips("configuration:N", *quantiles, "blocks:Q")
    data = alt.Chart()
    box = data.mark_bar(size=16, opacity=0.6).encode(x=alt.X("p25:Q"), x2=alt.X2("p75:Q"))
    return layered(
        rows,
        data.mark_rule(strokeWidth=1.5).encode(x=x, x2=alt.X2("p95:Q"), y=y, color=colour),
        box.encode(y=y, color=colour, tooltip=tip),
        data.mark_tick(thickness=3, size=22).encode(x=alt.X("median:Q"), y=y, color=colour, tooltip=tip),
        height=FRAME_HEIGHT + ROW_HEIGHT * len(rows),
    )


def _step_row(summary: ConfigurationSummary) -> Row | None:
    samples = [run.step_seconds * 1e3 for run in summary.configuration.runs if len(run.step_seconds)]
    if not samples:
        return None
    names = ("p5", "p25", "median", "p75", "p95")
    of_runs: Array = np.array([np.percentile(own, [5, 25, 50, 75, 95]) for own in samples])
    cuts = (round(float(cut), 5) for cut in np.exp(np.log(of_runs).mean(axis=0)))
    blocks = sum(map(len, samples))
    return {"configuration": summary.name, "blocks": blocks, **dict(zip(names, cuts, strict=True))}
