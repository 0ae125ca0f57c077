"""Charts of a comparison of runs: of summaries over seeds, so that they do not grow with the runs."""

from collections.abc import Sequence
from pathlib import Path

from harness.core.documents.charts import (
    GREY,
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
    tips,
    zero_line,
)
from harness.core.documents.document import Figure
from harness.core.documents.numbers import busy_mark, capitalised, with_unit
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.curve_charts import (
    MARKED,
    gap_curves,
    learning_curves,
    loss_curves,
    reading,
)
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.outcome_charts import outcome_figures
from harness.learning.runs.overfit import Overfitting
from harness.learning.runs.sentences import UNRELIABLE

#: Dots of runs per configuration. More of them hide one another.
MOST_POINTS = 30
#: The axis of ratios spans at least these, so that equal configurations look equal.
_EQUAL_LOOK = (0.95, 1.1)


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
            rows.append({"configuration": summary.name, **place})
    quality = with_unit(comparison.measure, "test")
    training = _time_title(comparison, "training time (s)")
    x = field("seconds:Q", title=training, scale={"zero": False})
    y = field("score:Q", title=quality, scale={"zero": False})
    colour = colour_of_rows(rows, colours, "diamond")
    tip = tips("configuration:N", ("seconds:Q", "training time (s)"), ("score:Q", quality))
    return layered(
        rows,
        layer("circle", {"opacity": 0.6, "size": 32}, rows=dots, x=x, y=y, color=colour),
        interval("y", "score", 1.5, x=x, color=colour),
        interval("x", "seconds", 1.5, y=y, color=colour),
        layer("point", {"size": 130, "shape": "diamond"}, x=x, y=y, color=colour, tooltip=tip),
    )


def _run_points(comparison: Comparison) -> list[Row]:
    measure = comparison.measure
    rows: list[Row] = []
    for summary in comparison.summaries:
        for run in summary.configuration.runs[:MOST_POINTS]:
            score, judged = run.score(measure.key), run.record.judged_seconds
            if score is not None and judged is not None:
                seconds = judged.training_seconds
                rows.append(
                    {"configuration": summary.name, "seconds": seconds, "score": score * measure.factor}
                )
    return rows


def relative_step_times(comparison: Comparison, colours: Colours) -> Spec | None:
    """Draw the step time of each configuration over that of the fastest, with intervals.

    None for settings, or where no times can be compared.
    """
    pairs = [pair for pair in comparison.pairs if pair.ratio and pair.speed_verdict != UNRELIABLE]
    if not pairs:
        return None
    reference = pairs[0].reference.name
    rows: list[Row] = [{"configuration": reference, "ratio": 1.0, "ratio low": 1.0, "ratio high": 1.0}]
    rows += [{"configuration": pair.other.name, **ends(pair.ratio, "ratio")} for pair in pairs if pair.ratio]
    low, high = (
        end([_EQUAL_LOOK[place], *(float(str(row[f"ratio {name}"])) for row in rows)])
        for place, (name, end) in enumerate((("low", min), ("high", max)))
    )
    title = f"step time relative to {reference} (×)"
    x = field("ratio:Q", title=title, scale={"domain": [low, high]})
    y = by_name("configuration")
    colour = colour_of_rows(rows, colours, None)
    tip = tips("configuration:N", "ratio:Q", ("ratio low:Q", "low"), ("ratio high:Q", "high"))
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


#: The kinds that are drawn where few are.
_CHOSEN = ("relative", "time", "differences", "curves")


def group_figures(
    group: GroupFindings,
    prefix: str,
    colours: Colours,
    results: Path | None = None,
) -> list[Figure]:
    """Draw every chart that a group of runs has the data for.

    Pictures of sample predictions are in the folder ``results``.
    """
    comparison, curves = group.comparison, group.overfittings
    quality = comparison.measure.name
    charts: dict[str, Described] = {
        "relative": (
            "Relative step time",
            "Ratio to the fastest configuration with its 95 % interval.",
            relative_step_times(comparison, colours),
        ),
        **_curve_figures(curves, colours),
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
    }
    return [*figures(prefix, charts, _CHOSEN), *outcome_figures(group, prefix, colours, results)]


def _curve_figures(curves: Sequence[Overfitting], colours: Colours) -> dict[str, Described]:
    """Draw losses beside scores, and the gap."""
    if not curves:
        return {}
    how = reading(max(len(curve.configuration.runs) for curve in curves))
    if len(curves) > 1:
        how += " Where curves coincide, the lower ones are drawn wider."
    title = "Loss of generator and discriminator" if curves[0].adversarial else "Loss"
    marked = "" if curves[0].adversarial else f" {MARKED}"
    return {
        "loss": (
            title,
            f"After each epoch. {how}{marked}",
            loss_curves(curves, colours),
        ),
        "curves": (
            "Classified as real" if curves[0].adversarial else capitalised(curves[0].measure.name),
            f"After each epoch. {how}",
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
