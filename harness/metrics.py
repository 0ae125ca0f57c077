"""Scores computed with NumPy from a program's outputs, the same code for every framework."""

import numpy as np
import numpy.typing as npt

from harness.record import Scores


def classification_scores(logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64]) -> Scores:
    """Scores of logits ``(n, classes)`` against targets ``(n,)``, summed in float64."""
    values = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = values - values.max(axis=1, keepdims=True)
        picked = np.take_along_axis(shifted, targets[:, None], axis=1)[:, 0]
        loss = float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - picked))
    # argmax takes a NaN for the largest; a row that holds one is no answer.
    right = (values.argmax(axis=1) == targets) & ~np.isnan(values).any(axis=1)
    accuracy = float(np.mean(right))
    return Scores(loss if np.isfinite(loss) else None, accuracy)
