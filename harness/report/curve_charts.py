"""Which curves of a run are drawn: losses, scores and the generalisation gap, with the epochs that matter."""

from collections.abc import Sequence

import altair as alt
import numpy as np

from harness.analysis.overfit import Overfitting
from harness.report.chart_parts import Colours
from harness.report.charts import axis_title
from harness.report.curve_layers import Line, Marked, Marks, curve_chart

TRAINING, VALIDATION = "training", "validation"


def loss_lines(curves: Sequence[Overfitting]) -> list[Line]:
    """Training and validation loss; of an adversarial task both players' on validation samples."""
    if curves and curves[0].adversarial:
        names = {"discriminator": "validation loss", "generator": "validation generator_loss"}
    else:
        names = {TRAINING: "train loss", VALIDATION: "validation loss"}
    return _lines(curves, names)


def score_lines(curves: Sequence[Overfitting]) -> list[Line]:
    """Training and validation scores; of an adversarial task what the discriminator classifies as real."""
    key = _score_key(curves)
    return _lines(curves, {TRAINING: f"train {key}", VALIDATION: f"validation {key}"})


def loss_curves(curves: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """Losses after each epoch, with the best epoch and the onset of overfitting."""
    if not curves:
        return None
    title = axis_title(curves[0].measure) if curves[0].measure.key == "loss" else "loss"
    return curve_chart(loss_lines(curves), title, colours, Marks(_marks(curves, "loss")))


def learning_curves(curves: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """Training and validation scores after each epoch; None where the score is the loss."""
    if not curves or _score_key(curves) == "loss":
        return None
    key = _score_key(curves)
    title = "classified as real (%)" if key == "real" else axis_title(curves[0].measure)
    return curve_chart(score_lines(curves), title, colours, Marks(_marks(curves, key), texts_at_bottom=True))


def gap_curves(curves: Sequence[Overfitting], colours: Colours) -> alt.LayerChart | None:
    """The generalisation gap after each epoch."""
    if not curves:
        return None
    first = curves[0]
    unit = first.measure.unit or first.measure.name
    title = "gap (points)" if first.adversarial else f"gap ({unit})"
    return curve_chart(_lines(curves, {"gap": "gap"}), title, colours)


def _score_key(curves: Sequence[Overfitting]) -> str:
    return "real" if curves and curves[0].adversarial else curves[0].measure.key if curves else ""


def _lines(curves: Sequence[Overfitting], names: dict[str, str]) -> list[Line]:
    return [
        Line(curve.configuration.name, data, curve.bands[name])
        for curve in curves
        for data, name in names.items()
        if name in curve.bands
    ]


def _marks(curves: Sequence[Overfitting], key: str) -> list[Marked]:
    """The best epoch as a diamond on the validation curve, the onset as a vertical line."""
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
