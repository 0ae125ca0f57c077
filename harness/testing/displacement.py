"""Whether timed steps moved the weights to where recomputed steps move them.

Late in a training, losses are not enough. Once the loss hardly falls, skipping an update changes the next
losses by less than rounding does earlier in the training. The weights still move.
"""

import math
from collections.abc import Collection, Mapping

import numpy as np

from harness.spec.backend import Precision

Weights = Mapping[str, np.ndarray]
#: The share of the way by which the ends of equal steps may be apart. Programs of the built-in backends end
#: at equal weights, those that leave out every second update about half of the way from there.
MOST_APART = 0.25
#: The way must be so many times what rounding moves the weights by, or nothing can be said.
_ROUNDINGS = 30.0
#: The relative size of rounding.
EPSILON: dict[Precision, float] = {
    "float64": float(np.finfo(np.float64).eps),
    "float32": float(np.finfo(np.float32).eps),
    "bfloat16": 2.0**-8,
}


def share_apart(
    before: Weights,
    reported: Weights,
    recomputed: Weights,
    steps: int,
    precision: Precision,
    state: Collection[str] = (),
) -> float | None:
    """How far apart two ends of the same ``steps`` are, as a share of the recomputed way; None if it is tiny.

    Lengths are Euclidean, over all parameters together: single ones whose gradient is nothing but rounding go
    anywhere under Adam. The arrays named in ``state``, such as running statistics, are measured by
    themselves, and the larger share counts: their way is often longer, and hides updates that are left out.
    """
    shares = []
    for own in (False, True):
        names = [name for name in recomputed if (name in state) is own]
        start, end, other = ({name: ws[name] for name in names} for ws in (before, reported, recomputed))
        shares.append(_share(start, end, other, steps, precision) if names else None)
    return max((share for share in shares if share is not None), default=None)


def _share(
    before: Weights, reported: Weights, recomputed: Weights, steps: int, precision: Precision
) -> float | None:
    way = _distance(before, recomputed)
    rounding = EPSILON[precision] * math.sqrt(steps) * _distance(recomputed)
    return _distance(reported, recomputed) / way if way > _ROUNDINGS * rounding else None


def _distance(weights: Weights, others: Weights | None = None) -> float:
    """The Euclidean length of all weights, or of their differences from others."""
    squares = (
        np.square(array.astype(np.float64) - (0.0 if others is None else others[name])).sum()
        for name, array in weights.items()
    )
    return math.sqrt(sum(map(float, squares)))
