"""Parts that show the course of training: curves of the variants, overfitting, and the worth of data."""

from collections.abc import Collection, Iterator

from harness.core.documents.charts import configuration_colours, figures
from harness.core.documents.document import Figure
from harness.core.documents.numbers import capitalised, counted, listed
from harness.core.stats.intervals import CONFIDENCE
from harness.learning.runs.curve_charts import MARKED, learning_curves, loss_curves, reading
from harness.learning.runs.overfit import Overfitting
from harness.learning.runs.overfitting_text import overfitting_sentence
from harness.learning.study.answer import changes_text, verdict_text
from harness.learning.study.charts import FEWEST_LINES, overlaid
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.judging import contrast, verdict_of
from harness.learning.study.parts import Content, Part


def _curves(study: StudyFinding) -> Content:
    return Content(f"The course of training with each {study.study.kind.noun}")


def _curve_charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the validation loss, and the validation score if it is another, of each variant."""
    read = study.curves
    shown = [name for name in read if not study.study.described(name).data]
    if len(shown) < FEWEST_LINES:
        shown = list(read)
    losses = {
        runs.record.task.description.special_loss()
        for variant, _, runs in study.treated
        if variant.name in shown
    }
    is_same_loss = len(losses) == 1
    if is_same_loss:
        caption = _loss_caption(study, shown)
        yield from overlaid(study, read, shown, "loss", f"{prefix}-curves-loss", caption)
    if study.measure.key != "loss" or not is_same_loss:
        caption = f"Mean {study.measure.name} over seeds."
        yield from overlaid(study, read, shown, study.measure.key, f"{prefix}-curves-score", caption)


def _loss_caption(study: StudyFinding, shown: Collection[str]) -> str:
    """Explain the curves of the loss by what they show: which of them turn upwards, and why."""
    onsets = {name: study.curves[name].onset.epoch for name in shown}
    overfit = [name for name, epoch in onsets.items() if epoch]
    if not overfit:
        return "Mean over seeds. Lower is better."
    turn = "turn" if len(overfit) > 1 else "turns"
    return (
        f"Mean over seeds. Lower is better. {listed(overfit)} {turn} upwards while the training loss falls: "
        "overfitting."
    )


def _onset(study: StudyFinding) -> Content | None:
    """State where overfitting of the reference begins."""
    plain = study.reference_curve
    if plain is None:
        return None
    title = "Where it begins here" if plain.onset.epoch else "Does the network overfit here?"
    return Content(title, [overfitting_sentence(plain)])


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
            f"Loss of {study.reference.variant.name}. {how} {MARKED}",
            loss_curves([curve], colours),
        ),
        "score": (
            f"{capitalised(study.measure.name)} on training and validation samples",
            f"The same runs. {how}",
            learning_curves([curve], colours),
        ),
    }
    return figures(f"{prefix}-plain", charts)


def _onset_headline(study: StudyFinding, task: str) -> str:
    plain = study.reference_curve
    if plain is None or plain.onset.epoch is None:
        return f"{task}: overfitting is not assessed, because a loss is not finite"
    begins = f" of {plain.epochs}" * bool(plain.onset.epoch)
    return f"{task} {_onset_text(plain)}{begins}; {verdict_text(study)}"


def _onset_text(curve: Overfitting) -> str:
    """Return ``overfits from epoch 3``, ``does not overfit within 12 epochs``, or that it is undecided.

    It is certain where 95 % of resampled seeds agree with their mean, or where there are too few to resample.
    """
    epoch, share = curve.onset.epoch, curve.onset.share
    agree = share is None or (share if epoch else 1 - share) >= CONFIDENCE
    if epoch:
        return f"overfits from epoch {epoch}" if agree else f"may overfit from epoch {epoch}"
    none = f"within {counted(curve.epochs, 'epoch')}"
    return f"does not overfit {none}" if agree else f"may or may not overfit {none}"


def _onset_of_variant(study: StudyFinding, effect: Effect) -> str:
    curve = study.curves.get(effect.variant.name)
    return "" if curve is None or curve.onset.epoch is None or curve.adversarial else _onset_text(curve)


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
    if any(_is_worse(study, each) for each in widened):
        return (
            f"With less data the network does worse and the gap widens ({changes}). So more data should help."
        )
    return f"Change with less data: {changes}. This does not show whether more data would help."


def _is_worse(study: StudyFinding, effect: Effect) -> bool:
    """Check that a variant is certainly worse than the reference, whatever its verdict says it is for."""
    ours, reference = (study.sides[each.variant.name] for each in (effect, study.reference))
    decisive = [study.quantities[name] for name in study.study.kind.decisive]
    return verdict_of([contrast(each, ours, reference, study.confidence) for each in decisive]) == "worse"


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
        remark=_onset_of_variant,
    ),
    Part(
        "more data",
        "whether the variants with less data show that more data would help",
        _more_data,
        _data_charts,
    ),
)
