"""Charts of studies: what those of several parts share, and the profiles over several tasks."""

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from harness.core.documents.charts import (
    GREY,
    Colours,
    Row,
    Spec,
    configuration_colours,
    scaled,
)
from harness.core.documents.document import Figure
from harness.core.documents.numbers import capitalised, listed, significant, with_unit
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL, Array
from harness.learning.runs.curve_charts import VALIDATION, Line, coinciding, curve_chart
from harness.learning.runs.overfit import Band, Overfitting
from harness.learning.study.finding import StudyFinding

#: A chart of fewer curves compares nothing.
FEWEST_LINES = 2


def slug(name: str) -> str:
    """Return the name of a quantity or an option as part of a chart's name."""
    return name.replace(" ", "-").replace("_", "-")


def colours_of(study: StudyFinding, names: Collection[str]) -> Colours:
    """Choose a colour for each variant; the first one is grey where it is the task as it is."""
    if study.study.kind.reference == "best":
        return configuration_colours([variant.name for variant in study.study.variants])
    reference = study.reference.variant.name
    return {reference: GREY, **configuration_colours(name for name in names if name != reference)}


def colour_of_variants(study: StudyFinding, rows: Sequence[Row], name: str = "variant") -> Spec:
    """Return the colour channel of the variants that these rows name in the column ``name``."""
    names = list(dict.fromkeys(str(row[name]) for row in rows))
    colours = colours_of(study, names)
    return scaled(f"{name}:N", {each: colours[each] for each in names}, legend={"columns": 2})


def interval_caption(study: StudyFinding) -> str:
    """Explain the lines of a chart of means; empty where too few seeds give intervals."""
    has_lines = any(effect.seeds >= FEWEST_FOR_INTERVAL for effect in study.effects)
    return " Lines are 95 % intervals." * has_lines


#: A curve of a loss or a distance whose peak is this multiple of the median peak is cut: the others would
#: lie on the axis.
_CUT_ABOVE = 10.0


def overlaid(
    study: StudyFinding,
    read: Mapping[str, Overfitting],
    names: Collection[str],
    key: str,
    figure: str,
    caption: str,
    over: Literal["epoch", "steps"] = "epoch",
) -> Iterator[Figure]:
    """Draw the validation curves of ``names`` in one chart, if two or more of them have the score ``key``.

    The horizontal axis is that of epochs, or of ``steps`` where variants have epochs of other lengths. Curves
    that leave the range of the others are cut, and the caption names them.
    """
    is_score = key == study.measure.key
    found = {
        name: read[name].bands.get(f"validation {read[name].measure.key if is_score else key}")
        for name in names
    }
    bands = {name: band for name, band in found.items() if band is not None}
    if len(bands) < FEWEST_LINES:
        return
    if over == "steps":
        bands = {name: _over_steps(band, read[name]) for name, band in bands.items()}
    peaks = {name: float(np.nanmax(band.mean)) for name, band in bands.items()}
    limit = _CUT_ABOVE * statistics.median_low(peaks.values())
    falls = key == "loss" or not study.measure.higher_is_better
    cut = [name for name, peak in peaks.items() if falls and not peak <= limit]
    top = max(peak for name, peak in peaks.items() if name not in cut)
    lines = [
        Line(
            name,
            VALIDATION,
            band._replace(mean=_up_to(band.mean, top), low=None, high=None, seeds=band.seeds[:1]),
        )
        for name, band in bands.items()
    ]
    title = with_unit(study.measure, "validation") if key == study.measure.key else "validation loss"
    chart = curve_chart(lines, title, colours_of(study, names))
    if chart is None:
        return
    if over == "steps":
        for each in chart["layer"]:
            each["encoding"]["x"]["title"] = "step"
    if cut:
        highest = [significant(peaks[name]) for name in cut]
        caption += f" The axis ends at {significant(top)}; {listed(cut)} rose to {listed(highest)}."
    if together := [listed(names) for names in coinciding(lines)]:
        caption += f" The curves of {'; of '.join(together)} lie on each other."
    heading = capitalised(title.partition(" (")[0])
    yield Figure(figure, caption, chart, f"{heading} of each {study.study.kind.noun}")


def _up_to(values: Array, top: float) -> Array:
    """Return the values, NaN where they exceed ``top``."""
    return np.where(values > top, np.nan, values)


def _over_steps(band: Band, curve: Overfitting) -> Band:
    """Return the band with the step at which each of its epochs ended, in place of the epoch."""
    last = curve.configuration.runs[0].record.epochs[-1]
    return band._replace(epochs=[round(epoch * last.steps / last.epoch) for epoch in band.epochs])
