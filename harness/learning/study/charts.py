"""Charts of studies: curves of the variants, their effects, and what tuning found."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from harness.core.documents.charts import (
    FRAME_HEIGHT,
    GREY,
    PALETTE,
    Colours,
    Row,
    Spec,
    by_name,
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
from harness.core.documents.document import Figure, Picture
from harness.core.documents.files import read_png
from harness.core.documents.numbers import with_unit
from harness.core.runs.store import RUNS
from harness.core.stats.intervals import FEWEST_FOR_INTERVAL
from harness.learning.runs.curve_charts import (
    VALIDATION,
    Line,
    coincidences,
    curve_chart,
    learning_curves,
    loss_curves,
    reading,
)
from harness.learning.runs.overfit import Overfitting
from harness.learning.study.effects import StudyFinding
from harness.learning.study.scaling import amounts, scaling
from harness.learning.study.tuning import criterion
from harness.weights.explain.record import explained_network

# How each variant changes a quantity.


def effects(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """A chart for each quantity whose change is a difference: what decides first."""
    changed, decisive = study.effects[1:], study.study.kind.decisive
    reading_intervals = (
        " A line is the 95 % interval; one that crosses 0 shows no certain effect."
        if any(effect.seeds >= FEWEST_FOR_INTERVAL for effect in changed)
        else ""
    )
    for name in dict.fromkeys([*decisive, *study.quantities]):
        of = study.quantities[name]
        rows: list[Row] = [
            {"variant": effect.variant.name, **ends(change, "change")}
            for effect in changed
            if (change := effect.changes[name]) is not None
        ]
        if of.ratio or not rows:
            continue
        y = by_name("variant")
        colour = {"value": PALETTE[0] if name in decisive else GREY}
        unit = f" ({of.measure.unit})" if of.measure.unit else ""
        x = field("change:Q", title=f"change of the {of.measure.name}{unit}")
        tip = tips("variant:N", "change:Q", ("change low:Q", "low"), ("change high:Q", "high"))
        chart = named_rows(
            rows,
            "variant",
            zero_line("x"),
            interval("x", "change", 2, y=y, color=colour),
            layer("point", {"size": 80}, x=x, y=y, color=colour, tooltip=tip),
        )
        better = "right" if of.measure.higher_is_better else "left"
        caption = (
            f"Change from {study.reference.variant.name} on the same seeds; to the {better} of 0 is better."
            f"{reading_intervals}"
        )
        title = f"Effect on the {of.measure.name}"
        yield Figure(f"{prefix}-effects-{_slug(name)}", caption, chart, title, chosen=name in decisive)


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
    charts = {
        "loss": (
            "Loss on training and validation samples",
            f"Loss of {study.reference.variant.name}. {how}",
            loss_curves([curve], colours),
        ),
        "score": (
            f"{study.measure.name.capitalize()} on training and validation samples",
            f"The same runs. {how}",
            learning_curves([curve], colours),
        ),
    }
    return figures(f"{prefix}-plain", charts)


def curves(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The validation loss, and the validation score if it is another, of each variant."""
    read = study.curves()
    shown = [name for name in read if not study.study.described(name).data]
    if len(shown) < _FEWEST_LINES:
        shown = list(read)
    caption = "Mean over seeds. Lower is better; a curve that turns upwards overfits."
    yield from _overlaid(study, read, shown, "loss", f"{prefix}-curves-loss", caption)
    if study.measure.key != "loss":
        caption = f"Mean {study.measure.name} over seeds."
        yield from _overlaid(study, read, shown, study.measure.key, f"{prefix}-curves-score", caption)


def less_data(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The validation loss with all and with less data."""
    read = study.curves()
    reference = study.reference.variant.name
    shown = [name for name in read if name == reference or study.study.described(name).data]
    caption = "Mean over seeds, with the whole training data and with less of it."
    return _overlaid(study, read, shown, "loss", f"{prefix}-data", caption)


def _overlaid(
    study: StudyFinding,
    read: Mapping[str, Overfitting],
    names: Collection[str],
    key: str,
    figure: str,
    caption: str,
) -> Iterator[Figure]:
    """The chart of these variants, if a chart of curves can be drawn of them."""
    lines = [
        Line(name, VALIDATION, read[name].bands[f"validation {key}"]._replace(low=None, high=None))
        for name in names
        if f"validation {key}" in read[name].bands
    ]
    if len(lines) < _FEWEST_LINES:
        return
    alone = [line._replace(band=line.band._replace(seeds=line.band.seeds[:1])) for line in lines]
    title = with_unit(study.measure, "validation") if key == study.measure.key else "validation loss"
    chart = curve_chart(alone, title, colours_of(study, names))
    if chart is not None:
        text = " ".join([caption, *coincidences(alone)])
        heading = title.partition(" (")[0].capitalize()
        yield Figure(figure, text, chart, f"{heading} of each {study.study.kind.noun}")


def colours_of(study: StudyFinding, names: Collection[str]) -> Colours:
    """A colour for each variant; grey for a first one that is the task as it is."""
    if study.study.kind.reference == "best":
        return configuration_colours([variant.name for variant in study.study.variants])
    reference = study.reference.variant.name
    return {reference: GREY, **configuration_colours(name for name in names if name != reference)}


# What tuning found.


def tuning(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The validation score of every trial against the first option that its variant is tuned by."""
    recorded = study.study
    measure = criterion(recorded.kind, study.configuration.runs[0].record.task.description)
    colours = configuration_colours([variant.name for variant in recorded.variants])
    ended = "; crosses were ended early." if any(trial.stopped for trial in recorded.trials) else "."
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
    for option, rows in by_option.items():
        scale = {"type": "log"} if logs[option] else {"zero": False}
        x = field("setting:Q", title=option.replace("_", " "), scale=scale)
        y = field("score:Q", title=with_unit(measure, "validation"), scale={"zero": False})
        shown = {name: colours[name] for name in dict.fromkeys(str(row["configuration"]) for row in rows)}
        legend = {"columns": 3} if len(shown) > 1 else None
        colour = scaled("configuration:N", shown, legend=legend)
        shape = scaled("state:N", {"complete": "circle", "ended early": "cross"}, legend=None)
        tip = tips("configuration:N", "settings:N", ("score:Q", f"validation {measure.name}"), "state:N")
        complete = {"field": "state", "equal": "complete"}
        chart = layered(
            rows,
            layer("line", {"strokeWidth": 1, "opacity": 0.35}, where=complete, x=x, y=y, color=colour),
            layer("point", {"size": 60}, x=x, y=y, color=colour, shape=shape, tooltip=tip),
        )
        caption = (
            f"A point is a trial{ended} The wider the range of settings that do well, the less depends on "
            "tuning."
        )
        title = f"Validation {measure.name} by {option.replace('_', ' ')}"
        yield Figure(f"{prefix}-tuning-{_slug(option)}", caption, chart, title)


def target(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The steps, and the time, that each variant needs to the target."""
    for name in ("steps to target", "time to target"):
        of = study.quantities.get(name)
        rows: list[Row] = [
            {"variant": effect.variant.name, "seeds": level.n, **ends(level, "amount")}
            for effect in study.effects
            if of is not None and (level := effect.levels[name]) is not None
        ]
        if of is None or not rows:
            continue
        y = by_name("variant")
        x = field("amount:Q", title=f"{of.measure.unit} to the target", scale={"type": "log"})
        tip = tips("variant:N", "amount:Q", ("amount low:Q", "low"), ("amount high:Q", "high"), "seeds:Q")
        positive = [row for row in rows if float(str(row["amount low"])) > 0]
        chart = named_rows(
            rows,
            "variant",
            *([interval("x", "amount", 2, rows=positive, y=y)] if positive else []),
            layer("point", {"size": 80, "color": PALETTE[0]}, x=x, y=y, tooltip=tip),
        )
        caption = "Mean over the seeds that reach the target, with the 95 % interval. Further left is faster."
        yield Figure(f"{prefix}-target-{_slug(name)}", caption, chart, name.capitalize())


# Scores against the amount of data.

_STEPS = 60


def scaling_chart(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The loss of every seed against the number of samples, with the fitted law and its continuation."""
    law = scaling(study)
    of = study.quantities[study.study.kind.decisive[0]]
    rows: list[Row] = [
        {"samples": each.samples, "loss": value, "seed": seed}
        for each in amounts(study)
        for seed, value in each.by_seed.items()
    ]
    if not rows:
        return
    x = field("samples:Q", title="training samples", scale={"type": "log"})
    y = field("loss:Q", title=with_unit(of.measure), scale={"type": "log"})
    tip = tips("samples:Q", "seed:N", "loss:Q")
    layers = [layer("point", {"size": 50, "color": PALETTE[0]}, x=x, y=y, tooltip=tip)]
    caption = "A point is a seed."
    if law is not None:
        within: list[Row] = []
        for place in np.geomspace(law.samples[0], 4 * law.samples[-1], _STEPS).tolist():
            part = "fitted law" if place <= law.samples[-1] else "continued"
            within.append({"samples": place, "loss": law.at(place), "part": part})
        dash = field("part:N", sort=["fitted law", "continued"], legend={"columns": 2})
        layers.append(layer("line", {"color": PALETTE[1]}, rows=within, x=x, y=y, strokeDash=dash))
        caption += " The line is the fitted law, continued to four times the data."
    title = f"{of.measure.name.capitalize()} against training samples"
    yield Figure(f"{prefix}-scaling", caption, layered(rows, *layers), title, chosen=True)


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
    colour = scaled("configuration:N", configuration_colours(slowdowns), legend={"columns": 3})
    look = {"interpolate": "step-after", "strokeWidth": 2}
    tip = tips("configuration:N", ("factor:Q", "multiple"), ("share:Q", "share (%)"))
    chart = layered(rows, layer("line", look, x=x, y=y, color=colour, tooltip=tip))
    caption = "Further up and further left is better. A line that stays below 100 % has missed targets."
    return [Figure("profiles", caption, chart, "Performance profiles", chosen=True)]


# Rare classes.


def recalls(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The recall of each class with each variant, beside the size of the class."""
    rows: list[Row] = []
    shown: dict[str, str] = {}
    for variant, _, runs in study.treated:
        outcomes = [
            run.record.outcomes for run in runs.runs if run.record.outcomes and run.record.outcomes.confusion
        ]
        if not outcomes:
            continue
        counts = np.sum([np.array(each.confusion) for each in outcomes], axis=0)
        shares = 100 * counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
        kept = study.study.described(variant.name).data
        shown[variant.name] = f"{variant.name}{' (no remedy)' if kept else ''}"
        for number, (label, share) in enumerate(zip(outcomes[0].classes, shares.tolist(), strict=True)):
            rare = " (rare)" if number >= len(shares) // 2 else ""
            row: Row = {"class": f"{label}{rare}", "variant": shown[variant.name], "recall": round(share, 1)}
            rows.append(row)
    if not rows:
        return
    colours = colours_of(study, shown)
    colour = scaled("variant:N", {text: colours[name] for name, text in shown.items()}, legend={"columns": 2})
    bars = layer(
        "bar",
        {"height": {"band": 0.9}},
        x=field("recall:Q", title="recall (%)", scale={"domain": [0, 100]}),
        y=field("class:N", title=None, sort=None),
        yOffset=field("variant:N", sort=[*shown.values()]),
        color=colour,
        tooltip=tips("class:N", "variant:N", ("recall:Q", "recall (%)")),
    )
    height = FRAME_HEIGHT + max(24, 9 * len(shown)) * len({row["class"] for row in rows})
    caption = "Over all seeds. The classes marked as rare keep a tenth of their training samples."
    chart = layered(rows, bars, height=height)
    yield Figure(f"{prefix}-recalls", caption, chart, "Recall of each class", chosen=True)


def trade_off(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Precision against recall of the rare classes, a point for each variant."""
    rows: list[Row] = []
    for effect in study.effects:
        recall, precision = effect.levels.get("rare recall"), effect.levels.get("rare precision")
        if recall is not None and precision is not None:
            rows.append(
                {"variant": effect.variant.name, **ends(recall, "recall"), **ends(precision, "precision")}
            )
    if not rows:
        return
    x, y = (
        field(f"{name}:Q", title=f"{name} of rare classes (%)", scale={"zero": False})
        for name in ("recall", "precision")
    )
    colour = _colour_of_variants(study, rows)
    chart = layered(
        rows,
        interval("x", "recall", y=y, color=colour),
        interval("y", "precision", x=x, color=colour),
        layer(
            "point",
            {"size": 90},
            x=x,
            y=y,
            color=colour,
            tooltip=tips("variant:N", "recall:Q", "precision:Q"),
        ),
    )
    caption = "Mean over seeds; lines are 95 % intervals."
    yield Figure(f"{prefix}-trade-off", caption, chart, "Precision and recall of the rare classes")


def _colour_of_variants(study: StudyFinding, rows: Sequence[Row], name: str = "variant") -> Spec:
    """The colour channel of the variants that these rows name."""
    names = list(dict.fromkeys(str(row[name]) for row in rows))
    colours = colours_of(study, names)
    return scaled(f"{name}:N", {each: colours[each] for each in names}, legend={"columns": 2})


# Calibration, and gradients of losses.


def reliability(study: StudyFinding, prefix: str) -> Iterator[Figure]:
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
        return
    colour = _colour_of_variants(study, rows, "configuration")
    x = field("confidences:Q", title="confidence (%)", scale={"domain": [0, 100]})
    y = field("accuracies:Q", title="right answers (%)", scale={"domain": [0, 100]})
    tip = tips("configuration:N", ("confidences:Q", "confidence"), ("accuracies:Q", "right"), "samples:Q")
    size = field("samples:Q", legend=None)
    ideal: list[Row] = [{"confidences": each, "accuracies": each} for each in (0, 100)]
    chart = layered(
        rows,
        layer("line", {"strokeDash": [4, 4], "color": GREY}, rows=ideal, x=x, y=y),
        layer("line", {"strokeWidth": 1.5}, x=x, y=y, color=colour),
        layer("circle", {"opacity": 1}, x=x, y=y, color=colour, size=size, tooltip=tip),
    )
    caption = "Test samples of all seeds at the best epoch, in 15 bins; a larger point has more samples."
    yield Figure(f"{prefix}-reliability", caption, chart, "Reliability", chosen=True)


_SMOOTHING = 0.1


def gradients(_study: StudyFinding, prefix: str) -> Iterator[Figure]:
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
    yield Figure(f"{prefix}-gradients", caption, chart, "Gradient by how right the answer is")


# Generators.


def samples(study: StudyFinding, prefix: str) -> Iterator[Picture]:
    """For each variant the generated images that look most like copies, and their nearest real ones."""
    for number, (variant, _, runs) in enumerate(study.treated if study.results else []):
        for record in (run.record for run in runs.runs):
            name = record.pictures.neighbours
            png = read_png(study.results / RUNS.folder, name) if name and study.results else None
            if png is not None:
                seen = record.outcomes and record.outcomes.generated
                ratio = f"; distance ratio {seen.distance_ratio:.2f}" if seen and seen.distance_ratio else ""
                caption = f"{variant.name}, seed {record.seed}, epoch {record.best_epoch}{ratio}."
                title = f"{variant.name.capitalize()}: generated, nearest training, nearest held-out"
                yield Picture(f"{prefix}-samples-{number}", caption, png, title)
                break


def frechet(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The Fréchet distance to validation images over the epochs, with that of noise and of real images."""
    read = study.curves()
    caption = "Mean over seeds. Dashed: noise (above) and training images (below)."
    first = next((run.record.outcomes for run in study.runs if run.record.outcomes), None)
    seen = first.generated if first is not None else None
    levels = [seen.frechet_of_noise, seen.frechet_of_training_images] if seen is not None else []
    lines: list[Row] = [{"level": level} for level in levels if level is not None]
    for figure in _overlaid(study, read, list(read), study.measure.key, f"{prefix}-frechet", caption):
        if lines:
            look = {"strokeDash": [4, 4], "color": GREY}
            figure.chart["layer"].append(layer("rule", look, rows=lines, y=field("level:Q", title="")))
        yield figure


def explanations(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Curves of deletion and insertion: the mean output over seeds, by the share of positions."""
    found = [explained_network(run.record) for run in study.configuration.runs]
    networks = [network for network in found if network is not None]
    words = {"deletion": ("removed", "falls"), "insertion": ("restored", "rises")}
    for curve, (done, course) in words.items() if networks else ():
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
        colours = dict(zip(courses, [*PALETTE[: len(courses) - 1], GREY], strict=True))
        lines = layer(
            "line",
            {"point": True},
            x=field("share:Q", title=f"{done} positions (%)"),
            y=field("output:Q", title="output", scale={"zero": False}),
            color=scaled("method:N", colours, legend={"columns": 2}),
            tooltip=tips("method:N", "share:Q", "output:Q"),
        )
        caption = f"The most relevant positions come first: the better a map, the faster its curve {course}."
        title = f"{curve.capitalize()} by maps of the right class"
        yield Figure(f"{prefix}-{curve}", caption, layered(rows, lines), title)


# Privacy.


def privacy(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """The score and the area of membership inference against epsilon, a chart each."""
    for of in (study.quantities[name] for name in ("score", "membership AUC") if name in study.quantities):
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
            continue
        colour = _colour_of_variants(study, [*lines, *points])
        x = field("epsilon:Q", title="epsilon", scale={"type": "log"})
        y = field("level:Q", title=with_unit(of.measure), scale={"zero": False})
        tip = tips("variant:N", "epsilon:Q", "level:Q")
        chart = layered(
            points,
            layer("rule", {"strokeDash": [4, 4]}, rows=lines, y=y, color=colour, tooltip=tip),
            interval("y", "level", x=x, color=colour),
            layer("point", {"size": 90, "filled": True}, x=x, y=y, color=colour, tooltip=tip),
        )
        caption = "Mean over seeds; vertical lines are 95 % intervals. Dashed: without a proof."
        title = f"{of.measure.name} against epsilon"
        yield Figure(f"{prefix}-privacy-{_slug(of.name)}", caption, chart, title)


#: By the section of the page that shows them.
CHARTS: Mapping[str, Callable[[StudyFinding, str], Iterable[Figure | Picture]]] = {
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
