"""Charts of studies: the plain curves, those of the remedies over one another, and their effects."""

from collections.abc import Collection, Mapping

from harness.analysis.overfit import Overfitting
from harness.analysis.study_effects import DATA_VARIANTS, StudyFinding
from harness.report.charts.base import (
    GREY,
    NAME_AXIS,
    PALETTE,
    Row,
    Spec,
    configuration_colours,
    ends,
    field,
    layer,
    layered,
    tips,
    zero_line,
)
from harness.report.charts.curves import (
    VALIDATION,
    Line,
    coincidences,
    curve_chart,
    learning_curves,
    loss_curves,
    reading,
)
from harness.report.document import Figure

# The chart of a study: how each remedy changes score and gap.


def remedy_changes(study: StudyFinding) -> Spec:
    """How each remedy changes the test score and the gap, with intervals, relative to the plain task."""
    rows: list[Row] = []
    for effect in study.effects[1:]:
        score_change = study.measure.as_change(effect.score_change)
        for name, change in (("test score", score_change), ("gap", effect.gap_change)):
            if change is not None:
                rows.append({"remedy": effect.variant.name, "quantity": name, **ends(change, "change")})
    unit, gap_unit = (of.unit or of.name for of in (study.measure, study.gap_measure))
    unit += f"; of the gap: {gap_unit}" if gap_unit != unit else ""
    order = ["test score", "gap"]
    y = field("remedy:N", title=None, sort=None, axis=NAME_AXIS)
    colours, shapes = ({"domain": order, "range": looks} for looks in (PALETTE[:2], ["circle", "diamond"]))
    shape = field("quantity:N", scale=shapes)
    place: Spec = {"y": y, "yOffset": field("quantity:N", sort=order)}
    place["color"] = field("quantity:N", scale=colours)
    x = field("change:Q", title=f"change ({unit})")

    tip = tips("remedy:N", "quantity:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
    return layered(
        rows,
        zero_line("x"),
        layer("rule", {"strokeWidth": 2}, x=field("change low:Q", title=""), x2="change high", **place),
        layer("point", {"size": 80}, x=x, **place, shape=shape, tooltip=tip),
        height=60 + 40 * len(study.effects),
    )


def study_figures(study: StudyFinding, prefix: str) -> list[Figure]:
    """Every chart that the study has the data for; those of the plain task first."""
    curves = study.curves()
    figures = [
        *(_plain_figures(study, curves, prefix) if study.study.kind == "overfitting" else []),
        _overlaid(study, curves, prefix),
        remedies_figure(study, prefix),
        _less_data(study, curves, prefix),
    ]
    return [figure for figure in figures if figure is not None]


def remedies_figure(study: StudyFinding, prefix: str) -> Figure | None:
    """How each remedy changes score and gap."""
    if len(study.effects) == 1:
        return None
    reference = study.effects[0].variant.name
    better = "right" if study.measure.higher_is_better else "left"
    caption = (
        f"Change from {reference} on the same seeds. Test scores to the {better} of 0 and gaps to the left "
        "of 0 are better."
    )
    changes = [change for effect in study.effects[1:] for change in (effect.score_change, effect.gap_change)]
    if any(change is not None and change.low is not None for change in changes):
        caption += " A line is the 95 % interval, for all remedies together. "
        caption += "One that crosses 0 shows no clear effect."
    return Figure(f"{prefix}-remedies", caption, remedy_changes(study), "Effect of each remedy", chosen=True)


def _plain_figures(study: StudyFinding, curves: Mapping[str, Overfitting], prefix: str) -> list[Figure]:
    plain = curves.get(study.effects[0].variant.name)
    if plain is None:
        return []
    how = reading(len(plain.configuration.runs))
    colours = configuration_colours([plain.configuration.name])
    loss = loss_curves([plain], colours)
    score = learning_curves([plain], colours)
    name = f"{prefix}-plain"
    titles = {"loss": f"Loss without a remedy. {how}", "score": f"The same runs. {how}"}
    charts: dict[str, tuple[str, Spec | None]] = {
        "loss": ("Loss on training and validation samples", loss),
        "score": (f"{study.measure.name.capitalize()} on training and validation samples", score),
    }
    return [
        Figure(f"{name}-{kind}", titles[kind], chart, title)
        for kind, (title, chart) in charts.items()
        if chart is not None
    ]


def _overlaid(study: StudyFinding, curves: Mapping[str, Overfitting], prefix: str) -> Figure | None:
    """The validation loss of the plain task and of each remedy."""
    names = [name for name in curves if name not in DATA_VARIANTS]
    caption = "Mean over seeds. Lower is better; a curve that turns upwards overfits."
    return _validation_losses(
        study, curves, names, f"{prefix}-losses", "Validation loss with each remedy", caption
    )


def _less_data(study: StudyFinding, curves: Mapping[str, Overfitting], prefix: str) -> Figure | None:
    plain = study.effects[0].variant.name
    names = [name for name in curves if name == plain or name in DATA_VARIANTS]
    caption = "Mean over seeds, with the whole training data and with less of it."
    if study.study.kind == "imbalance":
        return None
    return _validation_losses(
        study, curves, names, f"{prefix}-data", "Validation loss with less data", caption
    )


def _validation_losses(
    study: StudyFinding,
    curves: Mapping[str, Overfitting],
    names: Collection[str],
    figure: str,
    title: str,
    caption: str,
) -> Figure | None:
    lines = [
        Line(name, VALIDATION, curves[name].bands["validation loss"]._replace(low=None, high=None))
        for name in names
        if "validation loss" in curves[name].bands
    ]
    if len(lines) < 2:  # noqa: PLR2004  the plain one and another
        return None
    plain = study.effects[0].variant.name
    colours = {plain: GREY, **configuration_colours([name for name in names if name != plain], without=GREY)}
    alone = [line._replace(band=line.band._replace(seeds=line.band.seeds[:1])) for line in lines]
    text = " ".join([caption, *coincidences(alone)])
    chart = curve_chart(alone, "validation loss", colours)
    return None if chart is None else Figure(figure, text, chart, title)
