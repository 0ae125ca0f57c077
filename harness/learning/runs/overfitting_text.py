"""Overfitting as sentences: where it begins, what it costs, and whether configurations overfit alike."""

from collections.abc import Sequence

from harness.core.documents.document import Table, table_of
from harness.core.documents.numbers import NOTHING, counted, estimate, percent, score_digits, seeds
from harness.core.stats.intervals import CONFIDENCE
from harness.learning.runs.overfit import Copying, GapDifference, Onset, Overfitting
from harness.learning.runs.quality_text import margin_text, seeds_needed

_COPYING: dict[Copying, str] = {
    "one seed": "one seed does not show whether it copies",
    "copies": "samples lie nearer to training than to held-out samples",
    "undecided": "whether it copies is undecided",
    "no sign": "no sign that it copies a quarter of its samples or more",
}


def overfitting_sentence(overfit: Overfitting) -> str:
    """State the verdict on one configuration: ``torch:eager overfits from epoch 6: …``."""
    verdict = _adversarial_verdict(overfit) if overfit.adversarial else _verdict(overfit)
    return f"{overfit.configuration.name} {verdict} ({seeds(len(overfit.configuration.runs))})."


def _verdict(overfit: Overfitting) -> str:
    begins = overfit.onset.epoch
    if begins is None:
        return "has a loss that is not finite, so overfitting is not assessed"
    gap = f"gap {estimate(overfit.gap, score_digits(overfit.measure), overfit.measure.unit)}"
    share = overfit.onset.share or 0.0
    if begins == 0:
        return f"does not overfit within {counted(overfit.epochs, 'epoch')}; {gap}{_unsteady(overfit)}"
    first, last = overfit.onset.interval or (begins, begins)
    onset = f"epoch {begins}" + (f" [{first}, {last}]" if first != last else "")
    if 0 < share < CONFIDENCE:
        onset += f" (in {percent(share)} of resampled seeds)"
    return f"overfits from {onset}: {_cost(overfit)}; {gap}"


def _unsteady(overfit: Overfitting) -> str:
    measure, lost = overfit.measure, overfit.lost
    # Only a share has a margin that needs no score.
    if lost is None or measure.relative or lost.value <= measure.margin:
        return ""
    return f"; training is not steady: the last epoch is {estimate(lost, 1, measure.unit)} below the best one"


def _cost(overfit: Overfitting) -> str:
    measure, lost, gained = overfit.measure, overfit.lost, overfit.gained
    digits = score_digits(measure)
    if lost is None or gained is None:
        return "its cost is not known"
    change = estimate(measure.as_change(gained), digits, measure.unit, sign=True)
    if lost.value <= 0 or (lost.low is not None and lost.low <= 0):
        risen = estimate(overfit.generalization_loss, 0, "%")
        worsen = "drop" if measure.higher_is_better else "rise"
        return (
            f"validation loss ends {risen} above its lowest value, but {measure.name} did not clearly "
            f"{worsen}; early stopping changes the test score by {change}"
        )
    points = estimate(lost, digits, measure.unit)
    cost = (
        f"{points} of validation {measure.name} lost by epoch {overfit.epochs}"
        if measure.higher_is_better
        else f"validation {measure.name} has risen by {points} by epoch {overfit.epochs}"
    )
    if not gained.excludes(0.0):
        recovered = estimate(gained, digits, measure.unit, sign=True)
        return f"{cost}; what early stopping recovers on the test data is not significant ({recovered})"
    if gained.value < 0:
        return f"{cost}; but early stopping changes the test score by {change}"
    return f"{cost}; early stopping recovers {estimate(gained, digits, measure.unit)} on the test data"


def _adversarial_verdict(overfit: Overfitting) -> str:
    gap = estimate(overfit.gap, 1, "points", sign=True)
    details = f"discriminator gap between training and held-out samples after the last epoch {gap}"
    if (copying := overfit.copying) is not None:
        ratio = estimate(overfit.memorization_ratio, 2)
        details += f", memorisation ratio at the best epoch {ratio}: {_COPYING[copying]}"
    opened = overfit.gap is not None and overfit.gap.low is not None and overfit.gap.low > 0
    return f"{'overfits in its discriminator' if opened else 'shows no significant overfitting'}: {details}"


def gap_sentence(gap: GapDifference) -> str:
    """State whether two configurations overfit to the same degree."""
    result, measure = gap.result, gap.measure
    verdicts = {
        "equal": "The gaps of {} and {} are equal",
        "different": "The gaps of {} and {} differ",
        "undecided": "Whether the gaps of {} and {} are equal is undecided",
    }
    verdict = verdicts[result.verdict].format(gap.reference.name, gap.other.name)
    parts = [
        f"difference {estimate(result.difference, score_digits(measure), measure.unit, sign=True)}",
        f"margin {margin_text(result.margin, measure)}",
        seeds(result.difference.n if result.difference else 0),
        seeds_needed(result),
    ]
    return f"{verdict} ({', '.join(filter(None, parts))})."


def overfitting_table(overfittings: Sequence[Overfitting]) -> Table:
    """Return gap, onset, rise of the loss and the effect of early stopping, a row for each configuration."""
    first = overfittings[0]
    unit, digits = (f" ({first.measure.unit})" if first.measure.unit else ""), score_digits(first.measure)
    gap = "final gap (points)" if first.adversarial else f"final gap{unit}"
    effect = f"{first.measure.name} {'lost' if first.measure.higher_is_better else 'added'}"
    rows = [
        {
            "configuration": overfit.configuration.name,
            gap: estimate(overfit.gap, 1 if first.adversarial else digits),
            "onset (epoch)": _onset(overfit.onset),
            "best epoch": NOTHING if overfit.best_epoch is None else f"{overfit.best_epoch:g}",
            "final loss above lowest (%)": estimate(overfit.generalization_loss),
            f"validation {effect} by training too long{unit}": estimate(overfit.lost, digits, sign=True),
            f"test {effect} by training too long{unit}": estimate(overfit.gained, digits, sign=True),
            "memorisation ratio (best epoch)": (
                estimate(overfit.memorization_ratio, 2) if first.adversarial else None
            ),
        }
        for overfit in overfittings
    ]
    return table_of(rows, "Overfitting: mean [95 % interval]")


def _onset(onset: Onset) -> str:
    """Write ``6 [5, 8]``, the epoch at which overfitting begins, or ``none``."""
    if not onset.epoch:
        return NOTHING if onset.epoch is None else "none"
    return f"{onset.epoch} [{onset.interval[0]}, {onset.interval[1]}]" if onset.interval else str(onset.epoch)
