"""Intervals of levels and of paired differences that stay within the values that a quantity can take.

A mean is judged on the scale of the logit where both ends are known, of the logarithm where the lower one is,
and as it is without ends. Standard errors there are those of the mean times the slope (delta method; for
shares it is the logit interval of Brown, Cai and DasGupta 2001); the ends are transformed back.
"""

import math
from typing import NamedTuple

import numpy as np

from harness.core.stats.estimate import Estimate
from harness.core.stats.intervals import CONFIDENCE, Array, mean_interval

#: Nearer to an end, squares of the slope are infinite.
_NEAREST = 1e-100


class Scale(NamedTuple):
    """The values that a quantity can take, from ``lower`` to ``upper``; None: without an end."""

    lower: float | None = None
    upper: float | None = None

    def holds(self, mean: float) -> bool:
        """Check that ``mean`` lies inside, where the scale has a finite slope."""
        below = math.inf if self.lower is None else mean - self.lower
        above = math.inf if self.upper is None else self.upper - mean
        return min(below, above) > _NEAREST

    def slope(self, mean: float) -> float:
        """Return the slope of the transformed scale at a mean inside."""
        if self.lower is None:
            return 1.0
        if self.upper is None:
            return 1.0 / (mean - self.lower)
        return (self.upper - self.lower) / ((mean - self.lower) * (self.upper - mean))

    def moved(self, mean: float, distance: float) -> float:
        """Return the value at a ``distance`` on the transformed scale from a mean inside."""
        if self.lower is None:
            return mean + distance
        factor = math.exp(min(distance, _LARGEST_POWER))
        if self.upper is None:
            return self.lower + (mean - self.lower) * factor
        odds = (mean - self.lower) / (self.upper - mean)
        return self.upper - (self.upper - self.lower) / (1 + odds * factor)

    def distance(self, first: float, second: float) -> float:
        """Return the distance of two means inside on the transformed scale, the first minus the second."""
        if self.lower is None:
            return first - second
        ratio = (first - self.lower) / (second - self.lower)
        if self.upper is not None:
            ratio *= (self.upper - second) / (self.upper - first)
        return math.log(ratio)

    def clipped(self, value: float) -> float:
        """Return the nearest possible value."""
        low, high = (self.lower, self.upper)
        value = value if low is None else max(value, low)
        return value if high is None else min(value, high)

    def level(self, values: Array, confidence: float = CONFIDENCE) -> Estimate | None:
        """Average finite values; from three on with an interval of possible values. None without values."""
        plain = mean_interval(values, confidence)
        if plain is None or plain.low is None or not self.holds(plain.value):
            return plain
        half = (plain.value - plain.low) * self.slope(plain.value)
        low, high = (self.moved(plain.value, distance) for distance in (-half, half))
        return Estimate(plain.value, min(low, plain.value), max(high, plain.value), plain.n)


#: A larger power of e is infinite; the other end is then all that the interval shows.
_LARGEST_POWER = 700.0


class Linearised(NamedTuple):
    """Differences of paired values on a transformed scale, to first order.

    ``differences`` ``(seeds,)`` have the distance of the two means as their mean. ``slopes`` are those at the
    means of both sides, by which further errors of either side count.
    """

    scale: Scale
    ours: float
    theirs: float
    differences: Array
    slopes: tuple[float, float]

    def taken_back(self, distance: Estimate | None) -> Estimate | None:
        """Return the difference of the means whose distance on the scale is estimated."""
        if distance is None:
            return None
        value = self.ours - self.theirs
        ends = [None if end is None else self._change(end) for end in (distance.low, distance.high)]
        low, high = ends
        if low is None or high is None:
            return Estimate(value, None, None, distance.n)
        return Estimate(value, min(low, value), max(high, value), distance.n)

    def _change(self, distance: float) -> float:
        if self._is_plain:
            return self.scale.clipped(self.theirs + distance) - self.theirs
        return self.scale.moved(self.theirs, distance) - self.theirs

    @property
    def _is_plain(self) -> bool:
        return not (self.scale.holds(self.ours) and self.scale.holds(self.theirs))


def linearised(ours: Array, theirs: Array, scale: Scale) -> Linearised:
    """Compare finite paired values ``(seeds,)``, at least one.

    Where a mean is at an end of the scale, the differences are plain ones.
    """
    first, second = float(ours.mean()), float(theirs.mean())
    if not (scale.holds(first) and scale.holds(second)):
        return Linearised(scale, first, second, ours - theirs, (1.0, 1.0))
    slopes = scale.slope(first), scale.slope(second)
    differences = slopes[0] * (ours - first) - slopes[1] * (theirs - second)
    return Linearised(scale, first, second, differences + scale.distance(first, second), slopes)


def finite_pairs(ours: dict[int, float], theirs: dict[int, float]) -> tuple[Array, Array]:
    """Return the values of the seeds that both have with finite ones, ascending."""
    seeds = [
        seed
        for seed in sorted(ours.keys() & theirs.keys())
        if math.isfinite(ours[seed]) and math.isfinite(theirs[seed])
    ]
    return np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])
