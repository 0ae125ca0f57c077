"""Overfitting of one configuration: when the gap opens, what it costs, and what early stopping recovers."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core.stats.equivalence import Equivalence, equivalence
from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import (
    FEWEST_FOR_INTERVAL,
    Array,
    bounded_ends,
    half_width,
    mean_interval,
    resampled_means,
)
from harness.core.stats.scales import Scale, finite_pairs, linearised
from harness.core.training.measures import Measure
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.population import paired_scores
from harness.learning.runs.rows import ConfigurationRuns

# GL is that of Prechelt, "Early stopping - but when?" (1998), section 2, with the validation loss as
# the error.

#: The generalisation loss, in per cent, from which validation loss counts as risen.
ONSET_THRESHOLD = 5.0


def generalization_loss(validation: Array) -> Array:
    """Compute GL in per cent ``(…, epochs)``: the rise of the validation loss above its lowest value."""
    lowest = np.minimum.accumulate(validation, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = 100.0 * (validation / lowest - 1.0)
    return np.nan_to_num(loss, nan=0.0, posinf=0.0)


def onset(train: Array, validation: Array) -> npt.NDArray[np.int64]:
    """Return the epoch ``(…)``, counted from 1, at which overfitting begins; 0 where it does not.

    It is the first epoch after which the validation loss stays ``ONSET_THRESHOLD`` per cent above its lowest
    value and the training loss stays below its value at that lowest point, both to the end. A temporary spike
    and a divergence of both losses therefore do not count.
    """
    best = np.nanargmin(validation, axis=-1)[..., None]
    risen = generalization_loss(validation) >= ONSET_THRESHOLD
    learning = train < np.take_along_axis(train, best, axis=-1)
    later = np.arange(validation.shape[-1]) > best
    to_the_end = np.flip(np.logical_and.accumulate(np.flip(risen & learning & later, -1), axis=-1), -1)
    first: npt.NDArray[np.int64] = np.where(to_the_end.any(axis=-1), to_the_end.argmax(axis=-1) + 1, 0)
    return first


#: The probability of being real that a discriminator assigns, in points; its difference is the gap of a GAN.
_CALLED_REAL = Measure("real", "called real", "points", 100.0, higher_is_better=True, margin=1.0)
#: Standard errors on either side of a 95 % interval.
_SPLIT_ERRORS = 1.96


#: Memorisation ratios below this are those of generators that copy.
_COPIES_BELOW = 0.9
#: The ratio where a quarter of the samples is copied.
_QUARTER_COPIED = 0.75
#: Of a single seed nothing can be said; ``no sign`` is less than a quarter of the samples.
Copying = Literal["one seed", "copies", "undecided", "no sign"]


class Band(NamedTuple):
    """A mean curve ``(epochs,)`` and each epoch's 95 % interval; None for fewer than three seeds.

    ``seeds`` are the curves themselves ``(seeds, epochs)``, ``epochs`` the numbers of their epochs.
    """

    mean: Array
    low: Array | None
    high: Array | None
    seeds: Array
    epochs: list[int]


class Onset(NamedTuple):
    """When overfitting begins: the epoch for the mean curves, 0 for never; and over resampled seeds.

    ``epoch`` is None where a loss is not finite. ``interval`` is the 95 % interval over the resamples that
    overfit, ``share`` the share of these; both are None for fewer than three seeds.
    """

    epoch: int | None
    interval: tuple[int, int] | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The overfitting of one configuration, over its seeds.

    ``gap`` is the training accuracy less the validation accuracy in points after the last epoch; of other
    tasks the validation loss less the training loss; of an adversarial task the mean probability of being
    real that the discriminator assigns to training samples less that of held-out ones, in points.
    ``lost`` is how much worse the validation score is after the last epoch than at the best one, ``gained``
    how much better the test score is with the weights of the best epoch; both in the measure's unit, above
    0 where early stopping helps. ``scored_epochs`` are the numbers of those in the bands.
    """

    group: RunGroup
    configuration: ConfigurationRuns
    measure: Measure
    adversarial: bool
    scored_epochs: list[int]
    bands: dict[str, Band]
    gap: Estimate | None
    generalization_loss: Estimate | None
    onset: Onset
    best_epoch: float | None
    lost: Estimate | None
    gained: Estimate | None
    memorization_ratio: Estimate | None

    @property
    def epochs(self) -> int:
        """The number of the last epoch."""
        return self.scored_epochs[-1]

    @property
    def copying(self) -> Copying | None:
        """Whether a generator copies training samples; None where no memorisation ratio is known."""
        return None if self.memorization_ratio is None else copying_of(self.memorization_ratio)


def copying_of(ratio: Estimate) -> Copying:
    """Judge a generator by its memorisation ratio."""
    if ratio.low is None or ratio.high is None:
        return "one seed"
    if ratio.high < _COPIES_BELOW:
        return "copies"
    return "undecided" if ratio.low < _QUARTER_COPIED else "no sign"


def overfitting(group: RunGroup, configuration: ConfigurationRuns) -> Overfitting | None:
    """Analyse the curves of one configuration; None where the runs scored no epoch."""
    measure = group.measure
    gaps, epochs = gap_curves(configuration, measure), configuration.scored_epochs
    if gaps is None or epochs is None:
        return None
    train, validation = configuration.curves("train_loss"), configuration.curves("validation_loss")
    adversarial = is_adversarial(configuration)
    risen = None
    begins = Onset(None)
    if not adversarial and train is not None and validation is not None:
        begins = _onset(train, validation, epochs)
        if begins.epoch is not None:
            risen = Scale(0.0).level(generalization_loss(validation)[:, -1])
    best = [run.record.best_epoch for run in configuration.runs if run.record.best_epoch]
    return Overfitting(
        group=group,
        configuration=configuration,
        measure=measure,
        adversarial=adversarial,
        scored_epochs=epochs,
        bands=_bands(configuration, measure, gaps, epochs),
        gap=mean_interval(gaps[:, -1]),
        generalization_loss=risen,
        onset=begins,
        best_epoch=float(np.median(best)) if best else None,
        lost=_lost(configuration, measure),
        gained=_gained(configuration, measure),
        memorization_ratio=memorization_ratio(configuration, best=True),
    )


def is_adversarial(configuration: ConfigurationRuns) -> bool:
    """Check whether a discriminator was trained."""
    return "train_real" in configuration.runs[0].curves


def gap_measure(configuration: ConfigurationRuns, measure: Measure) -> Measure:
    """Return the measure whose difference the gap is: ``measure`` itself, except for an adversarial task."""
    return _CALLED_REAL if is_adversarial(configuration) else measure


def gap_curves(configuration: ConfigurationRuns, measure: Measure) -> Array | None:
    """Return the generalisation gap of every seed ``(seeds, epochs)``; see :class:`Overfitting`."""
    measure = gap_measure(configuration, measure)
    train = configuration.curves(f"train_{measure.key}")
    held_out = configuration.curves(f"validation_{measure.key}")
    if train is None or held_out is None:
        return None
    return measure.sign * measure.factor * (train - held_out)


def _onset(train: Array, validation: Array, epochs: list[int]) -> Onset:
    if np.isnan(validation.mean(axis=0)).any():
        return Onset(None)
    numbers = [0, *epochs]  # the criterion counts those that were scored
    begins = numbers[int(onset(train.mean(axis=0), validation.mean(axis=0)))]
    if len(train) < FEWEST_FOR_INTERVAL:
        return Onset(begins)
    resampled = resampled_means(np.stack([train, validation], axis=1))  # (resamples, 2, epochs)
    onsets = onset(resampled[:, 0], resampled[:, 1])
    overfit = onsets[onsets > 0]
    if not len(overfit):
        return Onset(begins, None, 0.0)
    low, high = np.percentile(overfit, [2.5, 97.5], method="nearest")
    return Onset(begins, (numbers[int(low)], numbers[int(high)]), len(overfit) / len(onsets))


def memorization_ratio(configuration: ConfigurationRuns, *, best: bool) -> Estimate | None:
    """Return the mean ratio; its interval includes the variance of the split, which all seeds share.

    It is that of the weights after the last epoch, or with ``best`` of the best one.

    None for records without that error: their ratio, of distances, did not detect few copies among many.
    """
    names = ("memorization_ratio", "memorization_ratio_error")
    pairs = [tuple(run.score(name, best=best) for name in names) for run in configuration.runs]
    known = [(ratio, error) for ratio, error in pairs if ratio is not None and error is not None]
    mean = mean_interval([ratio for ratio, _ in known])
    if mean is None or mean.low is None or mean.high is None:
        return mean
    half = _SPLIT_ERRORS * float(np.mean([error for _, error in known]))
    low, high = min(mean.low, mean.value - half), max(mean.high, mean.value + half)
    return Estimate(mean.value, max(low, 0.0), high, mean.n)


def _lost(configuration: ConfigurationRuns, measure: Measure) -> Estimate | None:
    curves = configuration.curves(f"validation_{measure.key}")
    if curves is None:
        return None
    best = measure.factor * curves[np.arange(len(curves)), configuration.best_positions]
    line = linearised(best, measure.factor * curves[:, -1], Scale(0.0, measure.upper))
    return measure.as_change(line.taken_back(mean_interval(line.differences)))


def _gained(configuration: ConfigurationRuns, measure: Measure) -> Estimate | None:
    """Return how much better the test score is at the best epoch than after the last one."""
    scale, records = Scale(0.0, measure.upper), [run.record for run in configuration.runs]
    best, last = finite_pairs(configuration.scores(measure, best=True), configuration.scores(measure))
    if not len(best):
        return None
    paired = paired_scores(records, records, measure, our_best=True, scale=scale)
    return measure.as_change(linearised(best, last, scale).taken_back(paired.wider()))


def _bands(
    configuration: ConfigurationRuns, measure: Measure, gaps: Array, epochs: list[int]
) -> dict[str, Band]:
    """Return bands of the gap and of the curves that it is made of, each in its unit."""
    bands = {"gap": _band(gaps, measure.upper, epochs, signed=True)}
    scale: dict[str, tuple[float, float | None]] = {
        "loss": (1.0, None),
        "generator_loss": (1.0, None),
        "real": (100.0, 100.0),
        measure.key: (measure.factor, measure.upper),
    }
    for key, (factor, upper) in scale.items():
        for split in ("train", "validation"):
            stacked = configuration.curves(f"{split}_{key}")
            if stacked is not None:
                bands[f"{split} {key}"] = _band(stacked * factor, upper, epochs)
    return bands


def _band(curves: Array, upper: float | None, epochs: list[int], *, signed: bool = False) -> Band:
    """Return the band of scores from 0 to ``upper``, if any; ``signed``: of differences of such scores."""
    mean = curves.mean(axis=0)
    if len(curves) < FEWEST_FOR_INTERVAL:
        return Band(mean, None, None, curves, epochs)
    half = half_width(curves)
    if not signed:
        return Band(mean, *bounded_ends(mean, half, upper), curves, epochs)
    largest = np.inf if upper is None else upper
    return Band(mean, np.maximum(mean - half, -largest), np.minimum(mean + half, largest), curves, epochs)


class GapDifference(NamedTuple):
    """The final gap of a reference less that of another configuration, in the unit of ``measure``."""

    reference: ConfigurationRuns
    other: ConfigurationRuns
    measure: Measure
    result: Equivalence


def gap_differences(group: RunGroup, margin: float | None = None) -> list[GapDifference]:
    """Compare the gap of the first configuration by name with that of each other one.

    Gaps show whether backends overfit to the same degree. Settings, which are expected to differ, are not
    compared, nor is uncertified work, nor are configurations without a common seed. ``margin`` is
    in the unit of the group's measure; it is not used where the gap is in another unit.
    """
    measure = group.measure
    gaps = {configuration.name: gap_curves(configuration, measure) for configuration in group.configurations}
    reference, *others = group.configurations
    if group.is_of_settings or not group.comparable or gaps[reference.name] is None:
        return []
    differences = []
    for other in others:
        ours, theirs = gaps[reference.name], gaps[other.name]
        if ours is None or theirs is None:
            continue
        unit = gap_measure(other, measure)
        level = float(np.mean(np.abs(theirs[:, -1])))
        result = equivalence(
            dict(zip(reference.seeds, ours[:, -1].tolist(), strict=True)),
            dict(zip(other.seeds, theirs[:, -1].tolist(), strict=True)),
            margin if margin is not None and unit is measure else unit.margin_at(level),
        )
        if result.difference is not None:
            differences.append(GapDifference(reference, other, unit, result))
    return differences
