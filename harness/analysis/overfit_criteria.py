"""Criteria of overfitting on loss curves: generalisation loss, progress quotient, onset.

GL and PQ are those of Prechelt, "Early stopping - but when?" (1998), section 2, with the validation loss as
the error.
"""

import numpy as np
import numpy.typing as npt

from harness.stats.intervals import Array

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
    """PQ ``(…, epochs)``: GL divided by the progress ``1000 (mean / min - 1)`` of training loss in a strip.

    NaN before the first whole strip and where training makes no progress.
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
    """The epoch ``(…)``, counted from 1, at which overfitting begins; 0 where it does not.

    It is the first epoch after which the validation loss stays ``threshold`` per cent above its lowest value
    and the training loss stays below its value at that lowest point, both to the end. A temporary spike
    and a divergence of both losses are therefore no overfitting.
    """
    best = np.nanargmin(validation, axis=-1)[..., None]
    risen = generalization_loss(validation) >= threshold
    learning = train < np.take_along_axis(train, best, axis=-1)
    later = np.arange(validation.shape[-1]) > best
    to_the_end = np.flip(np.logical_and.accumulate(np.flip(risen & learning & later, -1), axis=-1), -1)
    first: npt.NDArray[np.int64] = np.where(to_the_end.any(axis=-1), to_the_end.argmax(axis=-1) + 1, 0)
    return first
