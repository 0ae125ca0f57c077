"""Deviations and tolerances: a NaN, with which every comparison is false, is never within one."""

import math
from collections.abc import Iterable


def largest(deviations: Iterable[float]) -> float:
    """Return the largest of ``deviations``, or 0 if there are none; NaN if one is NaN.

    ``max`` keeps a NaN only where it comes first.
    """
    known = [float(deviation) for deviation in deviations]
    return math.nan if any(map(math.isnan, known)) else max(known, default=0.0)


def exceeds(deviation: float, tolerance: float) -> bool:
    """Check that ``deviation`` is not within ``tolerance``; a NaN, of either, is not."""
    return not deviation <= tolerance
