"""Charts of curves over epochs: losses, scores and the generalisation gap, with the epochs that matter.

Where curves coincide, the lower ones are drawn wider, so that each stays visible.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.documents.charts import (
    GREY,
    MOST_TOGETHER,
    Colours,
    Row,
    Spec,
    colour_of_rows,
    field,
    layer,
    layered,
    multiples,
    tips,
)
from harness.core.documents.numbers import with_unit
from harness.core.stats.intervals import Array
from harness.learning.runs.overfit import Band, Overfitting

#: Number of epochs up to which each has a dot.
_MOST_DOTS = 40
#: Epochs of a mean and of a seed's line, and seeds of a configuration, that are drawn: a page stays small.
_MOST_EPOCHS = 200
_MOST_SEED_EPOCHS = 60
_MOST_SEEDS = 5
#: The fewest seeds with a band: the interval of two is as wide as the chart.
FEWEST_BAND_SEEDS = 3
#: Curves closer than this share of the chart's height look like one.
_COINCIDE = 0.004
_WIDTH, _WIDER = 2, 3


class Line(NamedTuple):
    """A mean curve: ``label`` has the colour, a configuration, remedy or option; ``data`` the dashes."""

    label: str
    data: str
    band: Band


class Marked(NamedTuple):
    """An epoch that is marked on the curve of a label: a diamond at ``value``, or a vertical line without."""

    label: str
    epoch: float
    value: float | None
    text: str


#: Explains the marks, see :class:`Marked`.
MARKED = "Diamond: best epoch (lowest validation loss). Dotted line: overfitting begins."


def curve_chart(
    lines: Sequence[Line],
    title: str,
    colours: Colours,
    marks: Sequence[Marked] = (),
    panels: Sequence[str] = (),
) -> Spec | None:
    """Draw overlaid curves over the epochs; None without a finite value.

    ``title`` is that of the vertical axis. Up to five seeds are thin lines, and three or more have a band.
    The labels among ``panels`` have a chart each.
    """
    widths = dict.fromkeys(panels, _WIDTH) or _widths(lines)
    rows = [row for line in lines for row in _mean_rows(line, widths[line.label])]
    if not rows:
        return None
    last = max(line.band.epochs[-1] for line in lines)
    axis = {"tickMinStep": 1, "format": "d"}
    x = field("epoch:Q", title="epoch", axis=axis, scale={"zero": False, "nice": False})
    y = field("mean:Q", title=title, scale={"zero": False})
    colour = colour_of_rows(rows, colours, "stroke")
    dash = _dashes(lines)
    width = field("width:O", scale=None, legend=None)
    tip = tips("configuration:N", "data:N", "epoch:Q", ("mean:Q", title), "low:Q", "high:Q")
    dotted = last <= _MOST_DOTS
    # Among many epochs the dots would hide the line; they stay, invisible, to carry the tooltips.
    chart = layered(
        rows,
        *_band_layer(lines, x, title, colour),
        *_seed_layer(lines, x, y, colour, dash),
        layer("line", x=x, y=y, color=colour, strokeDash=dash, strokeWidth=width),
        layer("circle", {"size": 26, "opacity": 1 if dotted else 0}, x=x, y=y, color=colour, tooltip=tip),
        *_mark_layers(marks, x, title, colour),
    )
    return multiples(chart, panels) if panels else chart


def coinciding(lines: Sequence[Line]) -> list[list[str]]:
    """Group the labels all of whose curves coincide, in order."""
    by_label: dict[str, dict[str, Array]] = {}
    for line in lines:
        by_label.setdefault(line.label, {})[line.data] = line.band.mean
    finite = [line.band.mean[np.isfinite(line.band.mean)] for line in lines]
    height = float(np.ptp(np.concatenate(finite))) if any(map(len, finite)) else 0.0
    sets: list[list[str]] = []
    left = list(by_label)
    while left:
        first, *others = left
        close = [
            label for label in others if _distance(by_label[first], by_label[label]) <= _COINCIDE * height
        ]
        sets += [[first, *close]] if close else []
        left = [label for label in others if label not in close]
    return sets


def _distance(first: dict[str, Array], second: dict[str, Array]) -> float:
    """Return the largest distance of two labels' curves at one epoch; infinite if one lacks a curve."""
    if first.keys() != second.keys() or any(first[data].shape != second[data].shape for data in first):
        return math.inf
    largest = max(float(np.max(np.abs(first[data] - second[data]))) for data in first)
    return math.inf if math.isnan(largest) else largest


def _widths(lines: Sequence[Line]) -> dict[str, int]:
    """Return the width of each label's lines. Of those that coincide, the first is lowest and widest."""
    widths = {line.label: _WIDTH for line in lines}
    for labels in coinciding(lines):
        widths |= {label: _WIDTH + _WIDER * place for place, label in enumerate(reversed(labels))}
    return widths


def _thinned(count: int, most: int) -> list[int]:
    """Choose at most about ``most`` of ``count`` positions, evenly, the last included."""
    return sorted({*range(0, count, max(1, math.ceil(count / most))), count - 1})


def _rounded(values: Array) -> list[float]:
    """Round to five digits of the largest value: shorter texts make smaller pages."""
    largest = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    digits = 5 - math.ceil(math.log10(largest)) if largest > 0 else 0
    rounded: list[float] = np.round(values, max(digits, 0)).tolist()
    return rounded


def _mean_rows(line: Line, width: int) -> list[Row]:
    band = line.band
    ends = (band.mean if end is None else end for end in (band.low, band.high))
    mean, low, high = map(_rounded, (band.mean, *ends))
    return [
        {
            "configuration": line.label,
            "data": line.data,
            "epoch": band.epochs[place],
            "mean": mean[place],
            "low": low[place],
            "high": high[place],
            "width": width,
        }
        for place in _thinned(len(mean), _MOST_EPOCHS)
        if math.isfinite(mean[place]) and math.isfinite(low[place]) and math.isfinite(high[place])
    ]


def _band_layer(lines: Iterable[Line], x: Spec, title: str, colour: Spec) -> list[Spec]:
    """Draw bands where there are enough seeds."""
    banded = {line.label for line in lines if len(line.band.seeds) >= FEWEST_BAND_SEEDS}
    if not banded:
        return []
    where = {"field": "configuration", "oneOf": sorted(banded)}
    ends: Spec = {"y": field("low:Q", title=title), "y2": "high"}
    return [layer("area", {"opacity": 0.13}, where=where, x=x, **ends, color=colour, detail="data:N")]


def _seed_layer(lines: Sequence[Line], x: Spec, y: Spec, colour: Spec, dash: Spec) -> list[Spec]:
    """Draw a thin line for each seed under the mean."""
    rows: list[Row] = []
    for line in lines:
        if len(line.band.seeds) == 1:
            continue
        for seed, curve in enumerate(line.band.seeds[:_MOST_SEEDS]):
            values = _rounded(curve)
            rows += [
                {
                    "configuration": line.label,
                    "data": line.data,
                    "seed": seed,
                    "epoch": line.band.epochs[place],
                    "mean": values[place],
                }
                for place in _thinned(len(values), _MOST_SEED_EPOCHS)
                if math.isfinite(values[place])
            ]
    if not rows:
        return []
    look = {"strokeWidth": 0.8, "opacity": 0.4}
    return [layer("line", look, rows=rows, x=x, y=y, color=colour, strokeDash=dash, detail="seed:N")]


def _mark_layers(marks: Sequence[Marked], x: Spec, title: str, colour: Spec) -> list[Spec]:
    """Draw vertical lines and diamonds, whose texts are tooltips."""
    rows: list[Row] = [
        {"configuration": mark.label, "epoch": mark.epoch, "mean": mark.value, "mark": mark.text}
        for mark in marks
    ]
    points = [row for row in rows if row["mean"] is not None]
    rules = [row for row in rows if row["mean"] is None]
    tip = tips("configuration:N", "mark:N", "epoch:Q")
    layers: list[Spec] = []
    if rules:
        look: Spec = {"strokeWidth": 1.5, "strokeDash": [2, 3]}
        layers.append(layer("rule", look, rows=rules, x=x, color=colour, tooltip=tip))
    if points:
        y = field("mean:Q", title=title)
        look = {"size": 90, "shape": "diamond"}
        layers.append(layer("point", look, rows=points, x=x, y=y, color=colour, tooltip=tip))
    return layers


def _dashes(lines: Iterable[Line]) -> Spec:
    kinds: Collection[str] = dict.fromkeys(line.data for line in lines)
    ordered = sorted(kinds, reverse=True)  # validation is drawn without dashes
    grey = {"symbolType": "stroke", "symbolStrokeColor": GREY, "symbolStrokeWidth": 2}
    return field("data:N", sort=ordered, legend=grey if len(kinds) > 1 else None)


TRAINING, VALIDATION = "training", "validation"


def loss_lines(curves: Sequence[Overfitting]) -> list[Line]:
    """Return training and validation loss; of an adversarial task both players' on validation samples."""
    if curves[0].adversarial:
        return _lines(curves, {"discriminator": "validation loss", "generator": "validation generator_loss"})
    return _lines(curves, {TRAINING: "train loss", VALIDATION: "validation loss"})


def score_lines(curves: Sequence[Overfitting]) -> list[Line]:
    """Return training and validation scores; of an adversarial task the share classified as real."""
    key = _score_key(curves[0])
    return _lines(curves, {TRAINING: f"train {key}", VALIDATION: f"validation {key}"})


def loss_curves(curves: Sequence[Overfitting], colours: Colours) -> Spec | None:
    """Draw losses after each epoch, with the best epoch and the onset of overfitting."""
    measure = curves[0].measure
    title = with_unit(measure) if measure.key == "loss" else "loss"
    return curve_chart(loss_lines(curves), title, colours, _marks(curves, "loss"), _panels(curves))


def learning_curves(curves: Sequence[Overfitting], colours: Colours) -> Spec | None:
    """Draw training and validation scores after each epoch; None where the score is the loss."""
    key = _score_key(curves[0])
    if key == "loss":
        return None
    title = "classified as real (%)" if key == "real" else with_unit(curves[0].measure)
    return curve_chart(score_lines(curves), title, colours, _marks(curves, key), _panels(curves))


def gap_curves(curves: Sequence[Overfitting], colours: Colours) -> Spec | None:
    """Draw the generalisation gap after each epoch."""
    first = curves[0]
    title = f"gap ({'points' if first.adversarial else first.measure.unit or first.measure.name})"
    return curve_chart(_lines(curves, {"gap": "gap"}), title, colours, panels=_panels(curves))


def _panels(curves: Sequence[Overfitting]) -> list[str]:
    """Return the configurations that have a chart each, if a chart of all would be crowded."""
    names = [curve.configuration.name for curve in curves]
    return names if len(names) > MOST_TOGETHER else []


def _score_key(curve: Overfitting) -> str:
    return "real" if curve.adversarial else curve.measure.key


def _lines(curves: Sequence[Overfitting], names: dict[str, str]) -> list[Line]:
    return [
        Line(curve.configuration.name, data, curve.bands[name])
        for curve in curves
        for data, name in names.items()
        if name in curve.bands
    ]


def _marks(curves: Sequence[Overfitting], key: str) -> list[Marked]:
    """Mark the best epoch by a diamond on the validation curve, the onset by a vertical line."""
    marks = []
    for curve in curves:
        name = curve.configuration.name
        if curve.onset.epoch:
            marks.append(Marked(name, curve.onset.epoch, None, f"overfits from epoch {curve.onset.epoch}"))
        band = curve.bands.get(f"validation {key}")
        if curve.best_epoch is not None and band is not None and not curve.adversarial:
            place = int(np.abs(np.array(band.epochs) - curve.best_epoch).argmin())
            if np.isfinite(value := float(band.mean[place])):
                text = f"best epoch {curve.best_epoch:g}"
                marks.append(Marked(name, band.epochs[place], round(value, 5), text))
    return marks


def reading(seeds: int) -> str:
    """Explain how to read curves over this many seeds."""
    if seeds == 1:
        return "One seed."
    if seeds < FEWEST_BAND_SEEDS:
        return "Thick lines: mean; thin lines: single seeds."
    return "Thick lines: mean; thin lines: up to five seeds; bands: 95 % interval of the mean."
