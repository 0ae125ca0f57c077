"""Overfitting, read from curves: when the gap opens, what it costs, and what stopping early recovers.

The criteria GL and PQ are those of Prechelt, "Early stopping - but when?" (1998), section 2, with the
validation loss as the error.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.analysis.comparability import ConfigurationRuns, Section
from harness.analysis.comparison import curves_of, scores
from harness.stats.equivalence import Equivalence, equivalence
from harness.stats.estimate import Estimate
from harness.stats.intervals import CONFIDENCE, Array, mean_interval, resampled_means, student_quantile
from harness.training.measures import Measure

#: What a discriminator says of pictures, of which an adversarial task's gap is made.
_CALLED_REAL = Measure("real", "called real", "points", 100.0, higher_is_better=True, margin=1.0)
#: Standard errors to either side that 95 % of the luck of a split stays within.
_LUCK_ERRORS = 1.96
#: Prechelt's strip, in epochs.
STRIP = 5
#: The generalisation loss, in per cent, from which validation loss counts as risen.
ONSET_THRESHOLD = 5.0


def generalization_loss(validation: Array) -> Array:
    """GL in per cent ``(…, epochs)``: how far the validation loss is above its lowest value so far."""
    lowest = np.minimum.accumulate(validation, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = 100.0 * (validation / lowest - 1.0)
    return np.nan_to_num(loss, nan=0.0, posinf=0.0)


def progress_quotient(train: Array, validation: Array, strip: int = STRIP) -> Array:
    """PQ ``(…, epochs)``: GL by the progress ``1000 (mean / lowest - 1)`` of the training loss in a strip.

    NaN before the first whole strip and where training stands still.
    """
    quotient = np.full(validation.shape, np.nan)
    if validation.shape[-1] < strip:
        return quotient
    windows = np.lib.stride_tricks.sliding_window_view(train, strip, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        progress = 1000.0 * (windows.mean(axis=-1) / windows.min(axis=-1) - 1.0)
        value = generalization_loss(validation)[..., strip - 1 :] / progress
    quotient[..., strip - 1 :] = np.where(np.isfinite(value), value, np.nan)
    return quotient


def onset(train: Array, validation: Array, threshold: float = ONSET_THRESHOLD) -> npt.NDArray[np.int64]:
    """The epoch ``(…)``, counted from 1, at which overfitting begins; 0: it does not.

    It is the first epoch from which on, to the end, the validation loss stays ``threshold`` per cent
    above its lowest value while the training loss stays below what it was at that lowest value. A
    spike that passes, and a divergence of both losses, are therefore no overfitting.
    """
    best = np.nanargmin(validation, axis=-1)[..., None]
    risen = generalization_loss(validation) >= threshold
    learning = train < np.take_along_axis(train, best, axis=-1)
    later = np.arange(validation.shape[-1]) > best
    to_the_end = np.flip(np.logical_and.accumulate(np.flip(risen & learning & later, -1), axis=-1), -1)
    first: npt.NDArray[np.int64] = np.where(to_the_end.any(axis=-1), to_the_end.argmax(axis=-1) + 1, 0)
    return first


class Band(NamedTuple):
    """A mean curve ``(epochs,)`` and the 95 % interval of each epoch's mean; None for a single seed."""

    mean: Array
    low: Array | None
    high: Array | None


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What the curves of one side say, over its seeds.

    ``gap`` is the training less the validation accuracy in points after the last epoch; of other tasks
    the validation less the training loss; of an adversarial task what the discriminator says of
    training less what it says of held-out pictures, mean probabilities in points. ``onset`` is of
    the mean curves, 0 for none, ``onset_range`` its 95 % interval over the resampled seeds that overfit,
    and ``onset_share`` the share of these. ``lost`` is how much worse the validation
    score is after the last epoch than at the best one, ``gained`` how much better the test score is
    with the weights of the best epoch; both in the measure's unit, above 0 where stopping helps.
    """

    section: Section
    side: ConfigurationRuns
    measure: Measure
    epochs: int
    bands: dict[str, Band]
    gap: Estimate | None
    generalization_loss: Estimate | None
    progress_quotient: float | None
    onset: int | None
    onset_range: tuple[int, int] | None
    onset_share: float | None
    best_epoch: float | None
    lost: Estimate | None
    gained: Estimate | None
    memorization_ratio: Estimate | None


def overfitting(section: Section, side: ConfigurationRuns) -> Overfitting | None:
    """Read one side's curves; None where the runs scored no epoch."""
    measure = section.measure
    gaps = gap_curves(side, measure)
    if gaps is None:
        return None
    train, validation = curves_of(side, "train_loss"), curves_of(side, "validation_loss")
    adversarial = "train_real" in side.runs[0].curves
    risen = quotient = begins = None
    between = share = None
    if not adversarial and train is not None and validation is not None:
        resampled = resampled_means(np.stack([train, validation], axis=1))  # (resamples, 2, epochs)
        begins, between, share = _onset(train, validation, resampled)
        if begins is not None:
            risen = mean_interval(generalization_loss(validation)[:, -1])
            last = float(progress_quotient(train.mean(axis=0), validation.mean(axis=0))[-1])
            quotient = last if np.isfinite(last) else None
    best = [run.record.best_epoch for run in side.runs if run.record.best_epoch]
    return Overfitting(
        section=section,
        side=side,
        measure=measure,
        epochs=gaps.shape[1],
        bands=_bands(side, measure, gaps),
        gap=mean_interval(gaps[:, -1]),
        generalization_loss=risen,
        progress_quotient=quotient,
        onset=begins,
        onset_range=between,
        onset_share=share,
        best_epoch=float(np.median(best)) if best else None,
        lost=_lost(side, measure),
        gained=_gained(side, measure),
        memorization_ratio=_memorization_ratio(side),
    )


def gap_measure(side: ConfigurationRuns, measure: Measure) -> Measure:
    """What the side's gap is a difference of: the measure itself but for an adversarial task."""
    return _CALLED_REAL if "train_real" in side.runs[0].curves else measure


def gap_curves(side: ConfigurationRuns, measure: Measure) -> Array | None:
    """The generalisation gap of every seed ``(seeds, epochs)``; see :class:`Overfitting`."""
    measure = gap_measure(side, measure)
    train, held_out = curves_of(side, f"train_{measure.key}"), curves_of(side, f"validation_{measure.key}")
    if train is None or held_out is None:
        return None
    sign = 1.0 if measure.higher_is_better else -1.0
    return sign * measure.factor * (train - held_out)


def _onset(
    train: Array, validation: Array, resampled: Array
) -> tuple[int | None, tuple[int, int] | None, float | None]:
    """The onset of the mean curves, its interval, and the share of resampled seeds that have one."""
    if np.isnan(validation.mean(axis=0)).any():
        return None, None, None
    begins = int(onset(train.mean(axis=0), validation.mean(axis=0)))
    if len(train) == 1:
        return begins, None, None
    onsets = onset(resampled[:, 0], resampled[:, 1])
    found = onsets[onsets > 0]
    if not len(found):
        return begins, None, 0.0
    low, high = np.percentile(found, [2.5, 97.5], method="nearest")
    return begins, (int(low), int(high)), len(found) / len(onsets)


def _memorization_ratio(side: ConfigurationRuns) -> Estimate | None:
    """Its interval has the luck of which pictures were held out in it, which is the same for all seeds.

    None of records without that error: their ratio, of distances, did not see copies of few among many.
    """
    names = ("memorization_ratio", "memorization_ratio_error")
    told = [tuple(run.score(name, best=True) for name in names) for run in side.runs]
    known = [(ratio, error) for ratio, error in told if ratio is not None and error is not None]
    made = mean_interval([ratio for ratio, _ in known])
    if made is None or made.low is None or made.high is None:
        return made
    luck = _LUCK_ERRORS * float(np.mean([error for _, error in known]))
    return Estimate(made.value, min(made.low, made.value - luck), max(made.high, made.value + luck), made.n)


def _lost(side: ConfigurationRuns, measure: Measure) -> Estimate | None:
    curves = curves_of(side, f"validation_{measure.key}")
    if curves is None:
        return None
    at = [min(run.record.best_epoch or curves.shape[1], curves.shape[1]) - 1 for run in side.runs]
    best = curves[np.arange(len(curves)), at]
    sign = 1.0 if measure.higher_is_better else -1.0
    return mean_interval(sign * measure.factor * (best - curves[:, -1]))


def _gained(side: ConfigurationRuns, measure: Measure) -> Estimate | None:
    last, best = scores(side, measure), scores(side, measure, best=True)
    sign = 1.0 if measure.higher_is_better else -1.0
    return mean_interval([sign * (best[seed] - last[seed]) for seed in sorted(last.keys() & best.keys())])


def _bands(side: ConfigurationRuns, measure: Measure, gaps: Array) -> dict[str, Band]:
    """Bands of the gap and of what it comes from, each in its unit."""
    found = {"gap": gaps}
    scale = {"loss": 1.0, "real": 100.0, measure.key: measure.factor}
    for key, factor in scale.items():
        for split in ("train", "validation"):
            curves = curves_of(side, f"{split}_{key}")
            if curves is not None:
                found[f"{split} {key}"] = curves * factor
    return {name: _band(curves) for name, curves in found.items()}


def _band(curves: Array) -> Band:
    mean, n = curves.mean(axis=0), len(curves)
    if n == 1:
        return Band(mean, None, None)
    half = student_quantile((1 + CONFIDENCE) / 2, n - 1) * curves.std(axis=0, ddof=1) / n**0.5
    return Band(mean, mean - half, mean + half)


class GapDifference(NamedTuple):
    """The final gap of one side against that of another, on paired seeds, in the unit of ``measure``."""

    one: ConfigurationRuns
    other: ConfigurationRuns
    measure: Measure
    result: Equivalence


def gap_differences(section: Section, margin: float | None = None) -> list[GapDifference]:
    """Does the gap differ between the sides? The first against each other, where the work is certified.

    ``margin`` is in the unit of the section's measure, and has no say where the gap is in another.
    """
    measure = section.measure
    gaps = {side.name: gap_curves(side, measure) for side in section.sides}
    first, *others = section.sides
    if not section.setting.certified or gaps[first.name] is None:
        return []
    found = []
    for other in others:
        ours, theirs = gaps[first.name], gaps[other.name]
        if ours is None or theirs is None:
            continue
        of = gap_measure(other, measure)
        level = float(np.mean(np.abs(theirs[:, -1]))) if of.relative else 1.0
        result = equivalence(
            dict(zip(first.seeds, ours[:, -1].tolist(), strict=True)),
            dict(zip(other.seeds, theirs[:, -1].tolist(), strict=True)),
            margin if margin is not None and of is measure else of.margin * level,
        )
        found.append(GapDifference(first, other, of, result))
    return found
