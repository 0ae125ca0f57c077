"""Charts of studies: what those of several parts share, and the profiles over several tasks."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from harness.core.documents.charts import (
    GREY,
    Colours,
    Row,
    Spec,
    configuration_colours,
    scaled,
)
from harness.core.documents.document import Figure
from harness.core.documents.numbers import with_unit
from harness.learning.runs.curve_charts import VALIDATION, Line, curve_chart
from harness.learning.runs.overfit import Overfitting
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


def overlaid(
    study: StudyFinding,
    read: Mapping[str, Overfitting],
    names: Collection[str],
    key: str,
    figure: str,
    caption: str,
) -> Iterator[Figure]:
    """Draw the validation curves of ``names`` in one chart, if two or more of them have the score ``key``."""
    lines = [
        Line(name, VALIDATION, read[name].bands[f"validation {key}"]._replace(low=None, high=None))
        for name in names
        if f"validation {key}" in read[name].bands
    ]
    if len(lines) < FEWEST_LINES:
        return
    alone = [line._replace(band=line.band._replace(seeds=line.band.seeds[:1])) for line in lines]
    title = with_unit(study.measure, "validation") if key == study.measure.key else "validation loss"
    chart = curve_chart(alone, title, colours_of(study, names))
    if chart is not None:
        heading = title.partition(" (")[0].capitalize()
        yield Figure(figure, caption, chart, f"{heading} of each {study.study.kind.noun}")
