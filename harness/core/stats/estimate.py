"""A value with its confidence interval: the form of every estimate in the harness."""

import math

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """A value from ``n`` observations and its interval from ``low`` to ``high`` (95 % unless stated).

    ``low`` and ``high`` are None where there are too few observations for an interval.
    """

    value: float
    low: float | None
    high: float | None
    n: int

    def scaled(self, factor: float) -> "Estimate":
        """Convert to another unit; ``factor`` is above 0."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Estimate(self.value * factor, low, high, self.n)

    def negated(self) -> "Estimate":
        """Negate the value and its interval."""
        # Subtracted from 0.0, because negating 0.0 gives -0.0, which is printed with its sign.
        low, high = (None if end is None else 0.0 - end for end in (self.high, self.low))
        return Estimate(0.0 - self.value, low, high, self.n)

    def inverse(self) -> "Estimate":
        """Invert a ratio and its interval."""
        low, high = (None if end is None else 1 / end for end in (self.high, self.low))
        return Estimate(1 / self.value, low, high, self.n)

    def exp(self) -> "Estimate":
        """Return the ratio whose natural logarithm this estimate is."""
        low, high = (None if end is None else math.exp(end) for end in (self.low, self.high))
        return Estimate(math.exp(self.value), low, high, self.n)

    def around(self, value: float) -> bool:
        """Check that there is an interval and that it contains ``value``."""
        return self.low is not None and not self.excludes(value)

    def excludes(self, value: float) -> bool:
        """Check that there is an interval and that ``value`` is outside it."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high
