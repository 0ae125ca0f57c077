"""Charts of studies: curves of the variants, their effects, and what tuning found."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from harness.analysis.overfit import Overfitting
from harness.analysis.study_effects import StudyFinding
from harness.analysis.study_quantities import Quantity
from harness.analysis.study_scaling import amounts, scaling
from harness.analysis.study_tuning import criterion
from harness.report.charts.base import (
    FRAME_HEIGHT,
    GREY,
    NAME_AXIS,
    PALETTE,
    ROW_HEIGHT,
    Colours,
    Row,
    Spec,
    axis_title,
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
from harness.report.document import Figure, Picture
from harness.report.files import read_png
from harness.runs.store import RUNS
from harness.stats.intervals import FEWEST_FOR_INTERVAL

# How each variant changes a quantity.


def effects(study: StudyFinding, prefix: str) -> list[Figure]:
    """A chart for each quantity whose change is a difference: what decides first."""
    names = dict.fromkeys([*study.study.kind.decisive, *study.quantities])
    shown = [study.quantities[name] for name in names if not study.quantities[name].ratio]
    figures = [_changes(study, each, prefix) for each in shown]
    return [figure for figure in figures if figure is not None]


def _changes(study: StudyFinding, of: Quantity, prefix: str) -> Figure | None:
    rows: list[Row] = []
    for effect in study.effects[1:]:
        change = effect.changes[of.name]
        if change is not None:
            rows.append({"variant": effect.variant.name, **ends(change, "change")})
    if not rows:
        return None
    decisive = of.name in study.study.kind.decisive
    y = field("variant:N", title=None, sort=None, axis=NAME_AXIS)
    colour = {"value": PALETTE[0] if decisive else GREY}
    unit = f" ({of.measure.unit})" if of.measure.unit else ""
    x = field("change:Q", title=f"change of the {of.measure.name}{unit}")
    tip = tips("variant:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
    chart = layered(
        rows,
        zero_line("x"),
        layer(
            "rule", {"strokeWidth": 2}, x=field("change low:Q", title=""), x2="change high", y=y, color=colour
        ),
        layer("point", {"size": 80}, x=x, y=y, color=colour, tooltip=tip),
        height=FRAME_HEIGHT + ROW_HEIGHT * len(rows),
    )
    better = "right" if of.measure.higher_is_better else "left"
    caption = f"Change from {study.reference.variant.name} on the same seeds; to the {better} of 0 is better."
    if any(effect.seeds >= FEWEST_FOR_INTERVAL for effect in study.effects[1:]):
        caption += " A line is the 95 % interval; one that crosses 0 shows no certain effect."
    title = f"Effect on the {of.measure.name}"
    return Figure(f"{prefix}-effects-{_slug(of.name)}", caption, chart, title, chosen=decisive)


#: One curve compares nothing.
_FEWEST_LINES = 2


def _slug(name: str) -> str:
    return name.replace(" ", "-").replace("_", "-")


# Curves.


def plain(study: StudyFinding, prefix: str) -> list[Figure]:
    """Loss and score of the reference on training and validation samples."""
    curve = study.curves().get(study.reference.variant.name)
    if curve is None:
        return []
    how = reading(len(curve.configuration.runs))
    colours = configuration_colours([curve.configuration.name])
    score = study.measure.name.capitalize()
    charts: dict[str, tuple[str, str, Spec | None]] = {
        "loss": (
            "Loss on training and validation samples",
            f"Loss of {study.reference.variant.name}. {how}",
            loss_curves([curve], colours),
        ),
        "score": (
            f"{score} on training and validation samples",
            f"The same runs. {how}",
            learning_curves([curve], colours),
        ),
    }
    return [
        Figure(f"{prefix}-plain-{kind}", caption, chart, title)
        for kind, (title, caption, chart) in charts.items()
        if chart is not None
    ]


def curves(study: StudyFinding, prefix: str) -> list[Figure]:
    """The validation loss, and the validation score if it is another, of each variant."""
    read = study.curves()
    shown = [name for name in read if not study.study.described(name).data] or list(read)
    if len(shown) < _FEWEST_LINES:
        shown = list(read)
    caption = "Mean over seeds. Lower is better; a curve that turns upwards overfits."
    figures = [_overlaid(study, read, shown, "loss", f"{prefix}-curves-loss", caption)]
    if study.measure.key != "loss":
        caption = f"Mean {study.measure.name} over seeds."
        figures.append(_overlaid(study, read, shown, study.measure.key, f"{prefix}-curves-score", caption))
    return [figure for figure in figures if figure is not None]


def less_data(study: StudyFinding, prefix: str) -> list[Figure]:
    """The validation loss with all and with less data."""
    read = study.curves()
    reference = study.reference.variant.name
    shown = [name for name in read if name == reference or study.study.described(name).data]
    caption = "Mean over seeds, with the whole training data and with less of it."
    figure = _overlaid(study, read, shown, "loss", f"{prefix}-data", caption)
    return [figure] if figure is not None else []


def _overlaid(
    study: StudyFinding,
    read: Mapping[str, Overfitting],
    names: Collection[str],
    key: str,
    figure: str,
    caption: str,
) -> Figure | None:
    lines = [
        Line(name, VALIDATION, read[name].bands[f"validation {key}"]._replace(low=None, high=None))
        for name in names
        if f"validation {key}" in read[name].bands
    ]
    if len(lines) < _FEWEST_LINES:
        return None
    alone = [line._replace(band=line.band._replace(seeds=line.band.seeds[:1])) for line in lines]
    title = axis_title(study.measure, "validation") if key == study.measure.key else "validation loss"
    chart = curve_chart(alone, title, colours_of(study, names))
    text = " ".join([caption, *coincidences(alone)])
    heading = title.partition(" (")[0].capitalize()
    return (
        None if chart is None else Figure(figure, text, chart, f"{heading} of each {study.study.kind.noun}")
    )


def colours_of(study: StudyFinding, names: Collection[str]) -> Colours:
    """A colour for each variant; grey for a first one that is the task as it is."""
    if study.study.kind.reference == "best":
        return configuration_colours([variant.name for variant in study.study.variants])
    reference = study.reference.variant.name
    return {
        reference: GREY,
        **configuration_colours([name for name in names if name != reference], without=GREY),
    }


# What tuning found.


def tuning(study: StudyFinding, prefix: str) -> list[Figure]:
    """The validation score of every trial against the first option that its variant is tuned by."""
    recorded = study.study
    measure = criterion(recorded.kind, study.configuration.runs[0].record.task.description)
    by_option: dict[str, list[Row]] = {}
    logs: dict[str, bool] = {}
    for trial in recorded.trials:
        described = recorded.described(trial.variant)
        if not described.ranges or trial.value is None:
            continue
        range_ = described.ranges[0]
        values = dict(each.split("=", 1) for each in trial.assignments)
        logs[range_.option] = range_.log
        row: Row = {
            "configuration": trial.variant,
            "setting": float(values[range_.option]),
            "score": trial.value,
            "state": "ended early" if trial.stopped else "complete",
            "settings": " ".join(trial.assignments),
        }
        by_option.setdefault(range_.option, []).append(row)
    figures = []
    for option, rows in by_option.items():
        scale = {"type": "log"} if logs[option] else {"zero": False}
        x = field("setting:Q", title=option.replace("_", " "), scale=scale)
        y = field("score:Q", title=axis_title(measure, "validation"), scale={"zero": False})
        names = list(dict.fromkeys(str(row["configuration"]) for row in rows))
        colours = configuration_colours([variant.name for variant in recorded.variants])
        colour_scale = {"domain": names, "range": [colours[name] for name in names]}
        colour = field(
            "configuration:N", scale=colour_scale, legend={"columns": 3} if len(names) > 1 else None
        )
        states = {"domain": ["complete", "ended early"], "range": ["circle", "cross"]}
        shape = field("state:N", scale=states, legend=None)
        tip = tips("configuration:N", "settings:N", ("score:Q", f"validation {measure.name}"), "state:N")
        chart = layered(
            rows,
            layer(
                "line",
                {"strokeWidth": 1, "opacity": 0.35},
                where={"field": "state", "equal": "complete"},
                x=x,
                y=y,
                color=colour,
            ),
            layer("point", {"size": 60}, x=x, y=y, color=colour, shape=shape, tooltip=tip),
        )
        caption = "A point is a trial"
        caption += "; crosses were ended early." if any(trial.stopped for trial in recorded.trials) else "."
        caption += " The wider the range of settings that do well, the less depends on tuning."
        name = f"{prefix}-tuning-{_slug(option)}"
        title = f"Validation {measure.name} by {option.replace('_', ' ')}"
        figures.append(Figure(name, caption, chart, title))
    return figures


def target(study: StudyFinding, prefix: str) -> list[Figure]:
    """The steps, and the time, that each variant needs to the target."""
    figures = []
    for name in ("steps to target", "time to target"):
        of = study.quantities.get(name)
        rows: list[Row] = [
            {"variant": effect.variant.name, "seeds": level.n, **ends(level, "amount")}
            for effect in study.effects
            if of is not None and (level := effect.levels[name]) is not None
        ]
        if of is None or not rows:
            continue
        y = field("variant:N", title=None, sort=None, axis=NAME_AXIS)
        x = field("amount:Q", title=f"{of.measure.unit} to the target", scale={"type": "log"})
        tip = tips("variant:N", "amount:Q", ("amount low:Q", "low"), ("amount high:Q", "high"), "seeds:Q")
        positive = [row for row in rows if _number(row["amount low"]) > 0]
        rule = layer(
            "rule",
            {"strokeWidth": 2},
            rows=positive,
            x=field("amount low:Q", title=""),
            x2="amount high",
            y=y,
        )
        chart = layered(
            rows,
            *([rule] if positive else []),
            layer("point", {"size": 80, "color": PALETTE[0]}, x=x, y=y, tooltip=tip),
            height=FRAME_HEIGHT + ROW_HEIGHT * len(rows),
        )
        caption = "Mean over the seeds that reach the target, with the 95 % interval. Further left is faster."
        figures.append(Figure(f"{prefix}-target-{_slug(name)}", caption, chart, name.capitalize()))
    return figures


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


# Scores against the amount of data.

_STEPS = 60


def scaling_chart(study: StudyFinding, prefix: str) -> list[Figure]:
    """The loss of every seed against the number of samples, with the fitted law and its continuation."""
    found, law = amounts(study), scaling(study)
    of = study.quantities[study.study.kind.decisive[0]]
    rows: list[Row] = [
        {"samples": each.samples, "loss": value, "seed": seed}
        for each in found
        for seed, value in each.by_seed.items()
    ]
    if not rows:
        return []
    x = field("samples:Q", title="training samples", scale={"type": "log"})
    y = field("loss:Q", title=axis_title(of.measure), scale={"type": "log"})
    layers = [
        layer(
            "point",
            {"size": 50, "color": PALETTE[0]},
            x=x,
            y=y,
            tooltip=tips("samples:Q", "seed:N", "loss:Q"),
        )
    ]
    caption = "A point is a seed."
    if law is not None:
        within: list[Row] = []
        for place in np.geomspace(law.samples[0], 4 * law.samples[-1], _STEPS).tolist():
            part = "fitted law" if place <= law.samples[-1] else "continued"
            within.append({"samples": place, "loss": law.at(place), "part": part})
        dash = field("part:N", sort=["fitted law", "continued"], legend={"columns": 2})
        layers.append(layer("line", {"color": PALETTE[1]}, rows=within, x=x, y=y, strokeDash=dash))
        caption += " The line is the fitted law, continued to four times the data."
    chart = layered(rows, *layers)
    return [
        Figure(
            f"{prefix}-scaling",
            caption,
            chart,
            f"{of.measure.name.capitalize()} against training samples",
            chosen=True,
        )
    ]


# Several tasks.


def profiles(slowdowns: Mapping[str, Sequence[float | None]]) -> list[Figure]:
    """By variant the share of tasks on which it needs at most so many times the steps of the fastest one.

    ``slowdowns`` has a value for each task, None where the target was not reached.
    """
    rows: list[Row] = []
    largest = max((each for values in slowdowns.values() for each in values if each is not None), default=1.0)
    for name, values in slowdowns.items():
        reached = sorted(each for each in values if each is not None)
        places = [1.0, *reached, max(1.0, largest)]
        for place in sorted(places):
            share = 100 * sum(each <= place for each in reached) / len(values)
            rows.append({"configuration": name, "factor": place, "share": share})
    if not rows:
        return []
    x = field("factor:Q", title="steps to the target, as a multiple of the fastest", scale={"type": "log"})
    y = field("share:Q", title="share of tasks (%)", scale={"domain": [0, 100]})
    colours = configuration_colours(slowdowns)
    colour = field(
        "configuration:N",
        scale={"domain": list(colours), "range": list(colours.values())},
        legend={"columns": 3},
    )
    look = {"interpolate": "step-after", "strokeWidth": 2}
    tip = tips("configuration:N", ("factor:Q", "multiple"), ("share:Q", "share (%)"))
    chart = layered(rows, layer("line", look, x=x, y=y, color=colour, tooltip=tip))
    caption = "Further up and further left is better. A line that stays below 100 % has missed targets."
    return [Figure("profiles", caption, chart, "Performance profiles", chosen=True)]


# Rare classes.


def recalls(study: StudyFinding, prefix: str) -> list[Figure]:
    """The recall of each class with each variant, beside the size of the class."""
    rows: list[Row] = []
    names: list[str] = []
    for variant, _, runs in study.treated:
        outcomes = [
            run.record.outcomes for run in runs.runs if run.record.outcomes and run.record.outcomes.confusion
        ]
        if not outcomes:
            continue
        counts = np.sum([np.array(each.confusion) for each in outcomes], axis=0)
        shares = 100 * counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
        kept = study.study.described(variant.name).data
        names.append(variant.name)
        for number, (label, share) in enumerate(zip(outcomes[0].classes, shares.tolist(), strict=True)):
            rare = " (rare)" if number >= len(shares) // 2 else ""
            rows.append(
                {
                    "class": f"{label}{rare}",
                    "variant": f"{variant.name}{' (no remedy)' if kept else ''}",
                    "recall": round(share, 1),
                }
            )
    if not rows:
        return []
    order = list(dict.fromkeys(str(row["variant"]) for row in rows))
    colours = colours_of(study, names)
    scale = {"domain": order, "range": [colours[name] for name in names]}
    classes = len({str(row["class"]) for row in rows})
    x = field("recall:Q", title="recall (%)", scale={"domain": [0, 100]})
    y = field("class:N", title=None, sort=None)
    colour = field("variant:N", scale=scale, legend={"columns": 2})
    tip = tips("class:N", "variant:N", ("recall:Q", "recall (%)"))
    bars = layer(
        "bar",
        {"height": {"band": 0.9}},
        x=x,
        y=y,
        yOffset=field("variant:N", sort=order),
        color=colour,
        tooltip=tip,
    )
    height = FRAME_HEIGHT + max(24, 9 * len(order)) * classes
    caption = "Over all seeds. The classes marked as rare keep a tenth of their training samples."
    return [
        Figure(
            f"{prefix}-recalls",
            caption,
            layered(rows, bars, height=height),
            "Recall of each class",
            chosen=True,
        )
    ]


def trade_off(study: StudyFinding, prefix: str) -> list[Figure]:
    """Precision against recall of the rare classes, a point for each variant."""
    rows: list[Row] = []
    for effect in study.effects:
        recall, precision = effect.levels.get("rare recall"), effect.levels.get("rare precision")
        if recall is not None and precision is not None:
            rows.append(
                {"variant": effect.variant.name, **ends(recall, "recall"), **ends(precision, "precision")}
            )
    if not rows:
        return []
    x, y = (
        field(f"{name}:Q", title=f"{name} of rare classes (%)", scale={"zero": False})
        for name in ("recall", "precision")
    )
    names = [str(row["variant"]) for row in rows]
    colours = colours_of(study, names)
    colour = field(
        "variant:N",
        scale={"domain": names, "range": [colours[name] for name in names]},
        legend={"columns": 2},
    )
    tip = tips("variant:N", "recall:Q", "precision:Q")
    chart = layered(
        rows,
        layer("rule", x=field("recall low:Q", title=""), x2="recall high", y=y, color=colour),
        layer("rule", x=x, y=field("precision low:Q", title=""), y2="precision high", color=colour),
        layer("point", {"size": 90}, x=x, y=y, color=colour, tooltip=tip),
    )
    caption = "Mean over seeds; lines are 95 % intervals."
    return [Figure(f"{prefix}-trade-off", caption, chart, "Precision and recall of the rare classes")]


# Calibration, and gradients of losses.


def reliability(study: StudyFinding, prefix: str) -> list[Figure]:
    """Accuracy against confidence, in bins over all seeds."""
    rows: list[Row] = []
    for variant, _, runs in study.treated:
        seen = [run.record.outcomes for run in runs.runs]
        bins = [each.calibration for each in seen if each is not None and each.calibration is not None]
        if not bins:
            continue
        counts = np.array([each.counts for each in bins])
        sums = {
            name: np.nansum(counts * np.array([getattr(each, name) for each in bins], float), axis=0)
            for name in ("confidences", "accuracies")
        }
        for place in np.flatnonzero(counts.sum(axis=0)):
            total = int(counts[:, place].sum())
            row: Row = {"configuration": variant.name, "samples": total}
            row |= {name: round(100 * float(sums[name][place]) / total, 2) for name in sums}
            rows.append(row)
    if not rows:
        return []
    names = list(dict.fromkeys(str(row["configuration"]) for row in rows))
    x = field("confidences:Q", title="confidence (%)", scale={"domain": [0, 100]})
    y = field("accuracies:Q", title="right answers (%)", scale={"domain": [0, 100]})
    tip = tips("configuration:N", ("confidences:Q", "confidence"), ("accuracies:Q", "right"), "samples:Q")
    size = field("samples:Q", legend=None)
    ideal: list[Row] = [{"confidences": each, "accuracies": each} for each in (0, 100)]
    chart = layered(
        rows,
        layer("line", {"strokeDash": [4, 4], "color": GREY}, rows=ideal, x=x, y=y),
        layer("line", {"strokeWidth": 1.5}, x=x, y=y, color=_colour(study, names)),
        layer("circle", {"opacity": 1}, x=x, y=y, color=_colour(study, names), size=size, tooltip=tip),
    )
    caption = "Test samples of all seeds at the best epoch, in 15 bins; a larger point has more samples."
    return [Figure(f"{prefix}-reliability", caption, chart, "Reliability", chosen=True)]


def _colour(study: StudyFinding, names: Sequence[str]) -> Spec:
    colours = colours_of(study, names)
    scale = {"domain": list(names), "range": [colours[name] for name in names]}
    return field("configuration:N", scale=scale, legend={"columns": 2} if len(names) > 1 else None)


_SMOOTHING = 0.1


def gradients(_study: StudyFinding, prefix: str) -> list[Figure]:
    """The size of the gradient of losses of two classes at the logit of the right class, by formula.

    With the probability ``p = sigmoid(z)`` of the right class, whose logit is ``z`` above the other:
    cross-entropy ``1 - p``; with smoothing ``s`` over two classes ``|p - 1 + s / 2|``; squared error of the
    probability ``2 (1 - p) p (1 - p)``.
    """
    p = np.linspace(0.005, 0.995, 100)
    sizes = {
        "cross-entropy": 1 - p,
        f"label smoothing of {_SMOOTHING:g}": np.abs(p - 1 + _SMOOTHING / 2),
        "squared error of the probability": 2 * p * (1 - p) ** 2,
    }
    rows: list[Row] = [
        {"loss": name, "probability": round(100 * float(at), 2), "gradient": round(float(value), 5)}
        for name, values in sizes.items()
        for at, value in zip(p, values, strict=True)
    ]
    x = field("probability:Q", title="probability of the right class (%)")
    y = field("gradient:Q", title="size of the gradient")
    chart = layered(rows, layer("line", x=x, y=y, color=field("loss:N", sort=None, legend={"columns": 1})))
    caption = "By formula, for two classes; nothing here was measured."
    return [Figure(f"{prefix}-gradients", caption, chart, "Gradient by how right the answer is")]


# Generators.


def samples(study: StudyFinding, prefix: str) -> list[Picture]:
    """For each variant the generated images that look most like copies, and their nearest real ones."""
    if study.results is None:
        return []
    pictures = []
    for number, (variant, _, runs) in enumerate(study.treated):
        for run in runs.runs:
            name = run.record.pictures.neighbours
            png = read_png(study.results / RUNS.folder, name) if name else None
            if png is not None:
                outcomes = run.record.outcomes
                seen = outcomes and outcomes.generated
                ratio = f"; distance ratio {seen.distance_ratio:.2f}" if seen and seen.distance_ratio else ""
                caption = f"{variant.name}, seed {run.record.seed}, epoch {run.record.best_epoch}{ratio}."
                title = f"{variant.name.capitalize()}: generated, nearest training, nearest held-out"
                pictures.append(Picture(f"{prefix}-samples-{number}", caption, png, title))
                break
    return pictures


def frechet(study: StudyFinding, prefix: str) -> list[Figure]:
    """The Fréchet distance to validation images over the epochs, with that of noise and of real images."""
    read = study.curves()
    caption = "Mean over seeds. Dashed: noise (above) and training images (below)."
    figure = _overlaid(study, read, list(read), study.measure.key, f"{prefix}-frechet", caption)
    if figure is None:
        return []
    first = next((run.record.outcomes for run in study.runs if run.record.outcomes), None)
    seen = first.generated if first is not None else None
    levels = [seen.frechet_of_noise, seen.frechet_of_training_images] if seen is not None else []
    lines: list[Row] = [{"level": level} for level in levels if level is not None]
    if lines:
        look = {"strokeDash": [4, 4], "color": GREY}
        figure.chart["layer"].append(layer("rule", look, rows=lines, y=field("level:Q", title="")))
    return [figure]


def explanations(study: StudyFinding, prefix: str) -> list[Figure | Picture]:
    """Curves of deletion and insertion: the mean output over seeds, by the share of positions."""
    networks = [run.record.explained for run in study.configuration.runs if run.record.explained is not None]
    if not networks:
        return []
    figures: list[Figure | Picture] = []
    for curve in ("deletion", "insertion"):
        rows: list[Row] = []
        courses = {
            name: [getattr(each.methods[name], curve) for each in networks] for name in networks[0].methods
        }
        courses["random order"] = [getattr(each, f"chance_{curve}") for each in networks]
        for name, values in courses.items():
            means = np.mean(values, axis=0).tolist()
            rows += [
                {"method": name, "share": 100 * place / (len(means) - 1), "output": mean}
                for place, mean in enumerate(means)
            ]
        scale = {"domain": [*courses], "range": [*PALETTE[: len(courses) - 1], GREY]}
        lines = layer(
            "line",
            {"point": True},
            x=field("share:Q", title=f"{'removed' if curve == 'deletion' else 'restored'} positions (%)"),
            y=field("output:Q", title="output", scale={"zero": False}),
            color=field("method:N", scale=scale, legend={"columns": 2}),
            tooltip=tips("method:N", "share:Q", "output:Q"),
        )
        order = "falls" if curve == "deletion" else "rises"
        caption = f"The most relevant positions come first: the better a map, the faster its curve {order}."
        figures.append(
            Figure(f"{prefix}-{curve}", caption, layered(rows, lines), f"{curve.capitalize()} by {MAPS_OF}")
        )
    return figures


MAPS_OF = "maps of the right class"


#: By the section of the page that shows them.
# Privacy.


def privacy(study: StudyFinding, prefix: str) -> list[Figure]:
    """The score and the area of membership inference against epsilon, a chart each."""
    shown = [study.quantities[name] for name in ("score", "membership AUC") if name in study.quantities]
    figures = [_against_epsilon(study, each, prefix) for each in shown]
    return [figure for figure in figures if figure is not None]


def _against_epsilon(study: StudyFinding, of: Quantity, prefix: str) -> Figure | None:
    points: list[Row] = []
    lines: list[Row] = []
    for effect in study.effects:
        level, epsilon = effect.levels.get(of.name), effect.levels.get("epsilon")
        if level is None:
            continue
        row: Row = {"variant": effect.variant.name, **ends(level, "level")}
        if epsilon is None:
            lines.append(row)
        else:
            points.append({**row, "epsilon": epsilon.value})
    if not points:
        return None
    names = [str(row["variant"]) for row in [*lines, *points]]
    colours = colours_of(study, names)
    scale = {"domain": names, "range": [colours[name] for name in names]}
    colour = field("variant:N", scale=scale, legend={"columns": 2})
    x = field("epsilon:Q", title="epsilon", scale={"type": "log"})
    y = field("level:Q", title=axis_title(of.measure), scale={"zero": False})
    tip = tips("variant:N", "epsilon:Q", "level:Q")
    chart = layered(
        points,
        layer("rule", {"strokeDash": [4, 4]}, rows=lines, y=y, color=colour, tooltip=tip),
        layer("rule", x=x, y=field("level low:Q", title=""), y2="level high", color=colour),
        layer("point", {"size": 90, "filled": True}, x=x, y=y, color=colour, tooltip=tip),
    )
    caption = "Mean over seeds; vertical lines are 95 % intervals. Dashed: without a proof."
    name = of.measure.name
    return Figure(f"{prefix}-privacy-{_slug(of.name)}", caption, chart, f"{name} against epsilon")


CHARTS: Mapping[str, Callable[[StudyFinding, str], Sequence[Figure | Picture]]] = {
    "onset": plain,
    "effects": effects,
    "curves": curves,
    "more data": less_data,
    "tuning": tuning,
    "target": target,
    "scaling": scaling_chart,
    "recalls": recalls,
    "trade-off": trade_off,
    "reliability": reliability,
    "gradients": gradients,
    "samples": samples,
    "frechet": frechet,
    "explanations": explanations,
    "privacy": privacy,
}
