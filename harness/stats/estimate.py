"""A value with its confidence interval: the one form that every estimate of the harness has."""

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """A value of ``n`` observations and its interval ``low`` to ``high`` (95 % unless stated).

    ``low`` and ``high`` are None where no interval can be made, as from a single observation.
    """

    value: float
    low: float | None
    high: float | None
    n: int

    def scaled(self, factor: float) -> "Estimate":
        """The same in another unit; ``factor`` is above 0."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Estimate(self.value * factor, low, high, self.n)

    def negated(self) -> "Estimate":
        """The same the other way round."""
        # From 0, for there is a -0.0 that would be told with its sign.
        low, high = (None if end is None else 0.0 - end for end in (self.high, self.low))
        return Estimate(0.0 - self.value, low, high, self.n)

    def inverse(self) -> "Estimate":
        """One over a ratio and its interval."""
        low, high = (None if end is None else 1 / end for end in (self.high, self.low))
        return Estimate(1 / self.value, low, high, self.n)

    def around(self, value: float) -> bool:
        """Whether the interval is there and holds ``value``."""
        return self.low is not None and not self.excludes(value)

    def excludes(self, value: float) -> bool:
        """Whether the interval is there and lies on one side of ``value``."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high
