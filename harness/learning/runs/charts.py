"""Charts of a comparison of runs: of summaries over seeds, so that they do not grow with the runs."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.core.documents.charts import (
    GREY,
    MOST_TOGETHER,
    PHASES,
    Colours,
    Described,
    Row,
    Spec,
    by_name,
    colour_of_rows,
    configuration_colours,
    ends,
    field,
    figures,
    interval,
    layer,
    layered,
    named_rows,
    scaled,
    tips,
    zero_line,
)
from harness.core.documents.document import Figure
from harness.core.documents.numbers import busy_mark, time_ratio, with_unit
from harness.core.stats.intervals import Array
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.configuration_summary import ConfigurationSummary
from harness.learning.runs.curve_charts import (
    coincidences,
    gap_curves,
    learning_curves,
    loss_curves,
    loss_lines,
    reading,
    score_lines,
)
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.outcome_charts import outcome_figures
from harness.learning.runs.overfit import Overfitting
from harness.learning.runs.tables import relative_times

#: Dots of runs per configuration. More of them hide one another.
MOST_POINTS = 30
#: Room beyond the outermost values, as a share of their range.
_ROOM = 0.06


def _time_title(comparison: Comparison, title: str) -> str:
    """Return the title of an axis of times of runs, marked if other programs used the machine."""
    disturbed = any(summary.disturbed for summary in comparison.summaries)
    return busy_mark(title, disturbed=disturbed)


def time_against_quality(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw a diamond per configuration at its mean training time and quality, both intervals, a dot per run.

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
    quality = with_unit(comparison.measure, "test")
    training = _time_title(comparison, "training time (s)")
    x = field("seconds:Q", title=training, scale=_possible(rows + dots, "seconds", None))
    y = field("score:Q", title=quality, scale=_possible(rows + dots, "score", comparison.measure.upper))
    colour = colour_of_rows(rows, colours, "diamond")
    tip = tips(
        "configuration:N",
        ("seconds:Q", "training time (s)"),
        ("score:Q", quality),
        ("front:N", "beaten by none in both"),
    )
    return layered(
        rows,
        layer("circle", {"opacity": 0.6, "size": 32}, rows=dots, x=x, y=y, color=colour),
        interval("y", "score", 1.5, x=x, color=colour),
        interval("x", "seconds", 1.5, y=y, color=colour),
        layer("point", {"size": 130, "shape": "diamond"}, x=x, y=y, color=colour, tooltip=tip),
    )


def _possible(rows: Sequence[Row], name: str, upper: float | None) -> Spec:
    """Return a scale with room around the values and intervals of ``name``, within 0 and ``upper``."""
    fields = (name, f"{name} low", f"{name} high")
    values = [float(str(row[field])) for row in rows for field in fields if field in row]
    low, high = min(values), max(values)
    room = _ROOM * (high - low) or _ROOM * high or 1.0
    end = high + room if upper is None else min(high + room, upper)
    return {"domain": [max(0.0, low - room), end], "zero": False, "nice": False}


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


def phase_bars(comparison: Comparison) -> Spec:
    """Draw a bar per configuration, divided into the phases of a run."""
    rows: list[Row] = [
        {"configuration": summary.name, "phase": phase, "seconds": round(seconds, 4), "order": order}
        for summary in comparison.summaries
        for order, (phase, seconds) in enumerate(summary.phases.items())
    ]
    names = dict.fromkeys(str(row["phase"]) for row in rows)
    encoded = layer(
        "bar",
        x=field("seconds:Q", stack="zero", title=_time_title(comparison, "time (s)")),
        y=by_name("configuration"),
        color=scaled("phase:N", dict(zip(names, PHASES, strict=False)), legend={"columns": 2}),
        order="order:Q",
        tooltip=tips("configuration:N", "phase:N", ("seconds:Q", "time (s)")),
    )
    return named_rows(rows, "configuration", encoded)


def step_distribution(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw quantiles of the step time over the steady blocks of a run, their geometric means over runs.

    So the median is the step time that tables state, however many blocks each run has.
    """
    rows = [row for summary in comparison.summaries if (row := _step_row(summary)) is not None]
    if not rows:
        return None
    y = by_name("configuration")
    colour = colour_of_rows(rows, colours, None)
    x = field("p5:Q", title=_time_title(comparison, "step time (ms)"), scale={"zero": False})
    quantiles = [(f"{name}:Q", f"{name} (ms)") for name in ("p5", "p25", "median", "p75", "p95")]
    tip = tips("configuration:N", *quantiles, "blocks:Q")
    return named_rows(
        rows,
        "configuration",
        layer("rule", {"strokeWidth": 1.5}, x=x, x2="p95", y=y, color=colour),
        layer("bar", {"size": 16, "opacity": 0.6}, x="p25:Q", x2="p75", y=y, color=colour, tooltip=tip),
        layer("tick", {"thickness": 3, "size": 22}, x="median:Q", y=y, color=colour, tooltip=tip),
    )


def _step_row(summary: ConfigurationSummary) -> Row | None:
    samples = [run.step_seconds * 1e3 for run in summary.configuration.runs if len(run.step_seconds)]
    if not samples:
        return None
    names = ("p5", "p25", "median", "p75", "p95")
    by_length: dict[int, list[Array]] = defaultdict(list)  # NumPy takes as long for one run as for many
    for own in samples:
        by_length[len(own)].append(own)
    of_runs = np.vstack([np.percentile(each, [5, 25, 50, 75, 95], axis=1).T for each in by_length.values()])
    cuts = (round(float(cut), 5) for cut in np.exp(np.log(of_runs).mean(axis=0)))
    blocks = sum(map(len, samples))
    return {"configuration": summary.name, "blocks": blocks, **dict(zip(names, cuts, strict=True))}


def relative_step_times(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw the step time of each configuration relative to the fastest, with intervals, logarithmically."""
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
    axis = {"values": list(ticks), "labelExpr": f"({{{labels}}})[datum.value]"}
    scale = {"type": "log", "domain": [times.low, times.high], "nice": False}
    title = f"step time relative to {times.rows[0].configuration} (log scale)"
    x = field("ratio:Q", title=title, axis=axis, scale=scale)
    y = by_name("configuration")
    colour = colour_of_rows(rows, colours, None)
    tip = tips("configuration:N", ("relative:N", "step time"), ("quality:N", comparison.measure.name))
    return named_rows(
        rows,
        "configuration",
        layer("rule", {"strokeDash": [4, 4], "color": GREY}, rows=[{"ratio": 1}], x=x),
        interval("x", "ratio", 2, y=y, color=colour),
        layer("point", {"size": 90}, x=x, y=y, color=colour, tooltip=tip),
    )


#: The two intervals of a difference: how far below the middle of its row each is drawn, and how thick.
_OF_DIFFERENCES = {"over seeds": (-5, 4.0), "for the population": (5, 1.5)}
_HOW_DIFFERENCES = "95 % intervals: thick over seeds, thin for the population. Grey: equal scores."


def score_differences(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw the differences of test scores from the reference on paired seeds, both intervals and the margin.

    None without a difference that has an interval.
    """
    measure = comparison.measure
    rows: list[Row] = []
    for pair in comparison.pairs:
        both = (pair.quality.over_seeds, pair.quality.population)
        for kind, estimate in zip(_OF_DIFFERENCES, both, strict=True):
            if estimate is not None and estimate.low is not None:
                difference = ends(estimate, "difference")
                rows.append({"configuration": pair.other.name, "interval": kind, **difference})
    if not rows:
        return None
    title = f"difference ({measure.unit})" if measure.unit else "difference"
    x, low, margins = (field(f"{end}:Q", title=title) for end in ("difference", "difference low", "from"))
    place: Spec = {"y": by_name("configuration"), "color": colour_of_rows(rows, colours, None)}
    margin = min(pair.quality.margin for pair in comparison.pairs)
    width: list[Row] = [{"from": -margin, "to": margin}]
    tip = tips(
        "configuration:N",
        "interval:N",
        ("difference:Q", "difference"),
        ("difference low:Q", "low"),
        ("difference high:Q", "high"),
    )
    layers = [layer("rect", {"color": GREY, "opacity": 0.15}, rows=width, x=margins, x2="to"), zero_line("x")]
    present = {row["interval"] for row in rows}
    for kind in (kind for kind in _OF_DIFFERENCES if kind in present):
        below, thickness = _OF_DIFFERENCES[kind]
        of_kind = {"field": "interval", "equal": kind}
        look = {"strokeWidth": thickness, "yOffset": below}
        dot = {"size": 50, "yOffset": below}
        layers.append(layer("rule", look, where=of_kind, x=low, x2="difference high", **place))
        layers.append(layer("point", dot, where=of_kind, x=x, **place, tooltip=tip))
    return named_rows(rows, "configuration", *layers)


_MARKED = "Diamond: best epoch (lowest validation loss). Dotted line: overfitting begins."
#: The kinds that are drawn where few are.
_CHOSEN = ("relative", "time", "differences", "curves")


def group_figures(
    group: GroupFindings,
    prefix: str,
    colours: Colours,
    results: Path | None = None,
    *,
    relative: bool = True,
) -> list[Figure]:
    """Draw every chart that a group of runs has the data for; an overview draws the ``relative`` one itself.

    Pictures of sample predictions are in the folder ``results``.
    """
    comparison, curves = group.comparison, group.overfittings
    quality = comparison.measure.name
    charts = _curve_figures(curves, colours) | {
        "relative": (
            "Relative step time",
            "Ratio to the fastest configuration with its 95 % interval.",
            relative_step_times(comparison, colours) if relative else None,
        ),
        "time": (
            f"Test {quality} and training time",
            f"Diamonds: mean with 95 % intervals. Dots: runs, up to {MOST_POINTS} per configuration.",
            time_against_quality(comparison, colours),
        ),
        "differences": (
            f"Differences of test {quality}",
            f"From {comparison.summaries[0].name} on the same seeds. {_HOW_DIFFERENCES}",
            score_differences(comparison, colours),
        ),
        "steps": (
            "Step time",
            "Blocks of a run: 5th to 95th percentile, quartiles, median; geometric means over runs.",
            None if comparison.group.is_of_settings else step_distribution(comparison, colours),
        ),
        "phases": ("Phases of a run", "Arithmetic mean over runs.", phase_bars(comparison)),
    }
    return [*figures(prefix, charts, _CHOSEN), *outcome_figures(group, prefix, colours, results)]


def _curve_figures(curves: Sequence[Overfitting], colours: Colours) -> dict[str, Described]:
    """Draw losses beside scores, and the gap."""
    if not curves:
        return {}
    seeds = max(len(curve.configuration.runs) for curve in curves)
    how = reading(seeds)
    lying: list[list[str]] = [[], []]
    if len(curves) <= MOST_TOGETHER:
        lying = [coincidences(lines(curves)) for lines in (loss_lines, score_lines)]
    title = "Loss of generator and discriminator" if curves[0].adversarial else "Loss"
    marked = "" if curves[0].adversarial else f" {_MARKED}"
    return {
        "loss": (
            title,
            " ".join([f"After each epoch. {how}{marked}", *lying[0]]),
            loss_curves(curves, colours),
        ),
        "curves": (
            "Classified as real" if curves[0].adversarial else curves[0].measure.name.capitalize(),
            " ".join([f"After each epoch. {how}", *lying[1]]),
            learning_curves(curves, colours),
        ),
        "gap": (
            "Generalisation gap",
            f"Difference between training and validation score after each epoch. {how}",
            gap_curves(curves, colours),
        ),
    }


def colours_of(findings: Findings) -> Colours:
    """Choose a colour for each configuration, in the order in which the report first shows it."""
    return configuration_colours(
        summary.name for group in findings.groups for summary in group.comparison.summaries
    )
