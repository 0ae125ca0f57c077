"""Parts that show the course of training: curves of the variants, overfitting, and the worth of data."""

from collections.abc import Iterator

import numpy as np

from harness.core.documents.charts import configuration_colours, figures
from harness.core.documents.document import Figure
from harness.core.documents.numbers import counted, seeds, significant
from harness.learning.runs.curve_charts import learning_curves, loss_curves, reading
from harness.learning.runs.overfit import Overfitting
from harness.learning.study.answer import changes_text
from harness.learning.study.charts import FEWEST_LINES, overlaid
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.parts import Content, Part


def _curves(study: StudyFinding) -> Content:
    return Content(f"The course of training with each {study.study.kind.noun}")


def _curve_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the validation loss, and the validation score if it is another, of each variant."""
    read = study.curves
    shown = [name for name in read if not study.study.described(name).data]
    if len(shown) < FEWEST_LINES:
        shown = list(read)
    caption = "Mean over seeds. Lower is better; a curve that turns upwards overfits."
    yield from overlaid(study, read, shown, "loss", f"{prefix}-curves-loss", caption)
    if study.measure.key != "loss":
        caption = f"Mean {study.measure.name} over seeds."
        yield from overlaid(study, read, shown, study.measure.key, f"{prefix}-curves-score", caption)


def _onset(study: StudyFinding) -> Content | None:
    """State where overfitting of the reference begins."""
    plain = study.reference_curve
    if plain is None:
        return None
    title = "Where it begins here" if plain.onset.epoch else "Does the network overfit here?"
    return Content(title, beginning(plain) if plain.onset.epoch is not None else [])


def beginning(plain: Overfitting) -> list[str]:
    """State where overfitting begins and what it costs, with the numbers of this study."""
    train, validation = (plain.bands[f"{split} loss"].mean for split in ("train", "validation"))
    epochs = plain.bands["validation loss"].epochs
    best = int(np.abs(np.array(epochs) - (plain.best_epoch or epochs[-1])).argmin())
    lowest, end, last = float(validation[best]), float(validation[-1]), epochs[-1]
    count = len(plain.configuration.runs)
    median = f" (median over {seeds(count)})" if count > 1 else ""
    lowest_at = (
        f"The validation loss is lowest after epoch {epochs[best]}{median}: {significant(lowest)}. "
        f"The training loss is {significant(float(train[best]))} there."
    )
    if plain.onset.epoch:
        later = (
            f"After epoch {last} the training loss has fallen to {significant(float(train[-1]))}, "
            f"but the validation loss has risen to {significant(end)}, by {100 * (end / lowest - 1):.0f} %. "
            f"From epoch {plain.onset.epoch} on it stays at least 5 % above its lowest value: "
            "there overfitting begins."
        )
    else:
        later = (
            "The validation loss does not stay 5 % above its lowest value until the end, so the network "
            f"does not overfit within {counted(last, 'epoch')}. More epochs (--epochs) or less data may make "
            "it overfit."
        )
    return [lowest_at, later, *_scores(plain)]


def _scores(plain: Overfitting) -> list[str]:
    """State the final scores, and that the accuracy does not show the overfitting where it does not."""
    measure = plain.measure
    if measure.key == "loss" or f"train {measure.key}" not in plain.bands:
        return []
    train, validation = (
        float(plain.bands[f"{split} {measure.key}"].mean[-1]) for split in ("train", "validation")
    )
    final = (
        f"In the end {train:.1f} % of the training samples and {validation:.1f} % of the validation samples "
        f"are classified correctly: a gap of {train - validation:.1f} points."
    )
    dropped = plain.lost is not None and plain.lost.low is not None and plain.lost.low > 0
    if not plain.onset.epoch or dropped:
        return [final]
    unseen = (
        "The validation accuracy did not clearly drop: the network became more sure of its mistakes. "
        "The loss shows that, the accuracy does not."
    )
    return [final, unseen]


def _onset_charts(study: StudyFinding, prefix: str) -> list[Figure]:
    """Draw loss and score of the reference on training and validation samples."""
    curve = study.reference_curve
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


def _onset_headline(study: StudyFinding, task: str) -> str:
    plain = study.reference_curve
    if plain is None or plain.onset.epoch is None:
        return f"{task}: overfitting is not assessed, because a loss is not finite"
    return f"{task} {_onset_text(plain)}{f' of {plain.epochs}' if plain.onset.epoch else ''}"


def _onset_text(curve: Overfitting) -> str:
    """Return ``overfits from epoch 3`` or ``does not overfit within 12 epochs``."""
    if curve.onset.epoch:
        return f"overfits from epoch {curve.onset.epoch}"
    return f"does not overfit within {counted(curve.epochs, 'epoch')}"


def _onset_of_variant(study: StudyFinding, effect: Effect) -> str:
    curve = study.curves.get(effect.variant.name)
    return "" if curve is None or curve.onset.epoch is None or curve.adversarial else _onset_text(curve)


def _none_helps(study: StudyFinding) -> str:
    return f"No {study.study.kind.noun} is certainly better than {study.reference.variant.name}"


def more_data(study: StudyFinding) -> str:
    """State what training on less data shows about more; empty where the study did not try less."""
    tried = [effect for effect in study.effects[1:] if "train_fraction" in effect.variant.options]
    if not tried:
        return ""
    changes = "; ".join(f"{each.variant.name}: {changes_text(study, each)}" for each in tried)
    # Less data also makes fewer steps, so only a wider gap shows that the data are what is missing.
    widened = [
        each for each in tried if (gap := each.changes.get("gap")) and gap.low is not None and gap.low > 0
    ]
    if any(each.verdict == "worse" for each in widened):
        return (
            f"With less data the network does worse and the gap widens ({changes}). So more data should help."
        )
    return f"Change with less data: {changes}. This does not show whether more data would help."


def _more_data(study: StudyFinding) -> Content | None:
    text = more_data(study)
    return Content("Would more data help?", [text]) if text else None


def _data_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the validation loss with all and with less data."""
    read = study.curves
    reference = study.reference.variant.name
    shown = [name for name in read if name == reference or study.study.described(name).data]
    caption = "Mean over seeds, with the whole training data and with less of it."
    return overlaid(study, read, shown, "loss", f"{prefix}-data", caption)


PARTS = (
    Part("curves", "validation loss and score of each variant over the epochs", _curves, _curve_charts),
    Part(
        "onset",
        "the epoch from which the reference overfits, with its curves",
        _onset,
        _onset_charts,
        headline=_onset_headline,
        none_better=_none_helps,
        remark=_onset_of_variant,
    ),
    Part(
        "more data",
        "whether the variants with less data show that more data would help",
        _more_data,
        _data_charts,
    ),
)
