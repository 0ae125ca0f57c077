"""The metrics of gates: the times of a step and of the first one, and every quantity that is gated.

Those of quantities follow from the entries of :data:`harness.core.machine.quantities.QUANTITIES`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from harness.core.machine.quantities import Gated, Quantity, gated
from harness.timing.engine.findings import steady_step_seconds
from harness.timing.engine.record import PairRecord

#: The name of a metric, as in records and options.
MetricName = str
#: ``value(pair, index, other)`` is that of one process of a pair, to be compared with another; None: it has
#: none.
_Value = Callable[[PairRecord, int, int], float | None]

#: Added to both first steps before they are divided, because milliseconds of a first step do not matter.
_FIRST_STEP_FLOOR_SECONDS = 0.1
#: Stands for the ratio of a value to 0, which has none.
UNBOUNDED = 1e6


class Metric(NamedTuple):
    """A value of the processes of a pair. Lower values are better."""

    name: MetricName
    key: str
    """The key of its largest growth in suites."""
    value: _Value
    base_unit: str
    unit: str
    scale: float
    """Tables show the value times ``scale``, in ``unit``."""
    is_time: bool = False
    floor: float = 0.0
    """Added to both values before they are divided."""

    def log_ratio(self, pair: PairRecord, index: int, base: int) -> float | None:
        """Return the log ratio of a process to base, above 0 for growth; None: a process has no value.

        Two zeros are equal. The ratio of another value to 0, which is undefined, counts as
        :data:`UNBOUNDED`, beyond every limit.
        """
        value, reference = self.value(pair, index, base), self.value(pair, base, index)
        if value is None or reference is None:
            return None
        if value == reference:
            return 0.0
        value, reference = value + self.floor, reference + self.floor
        if not (value and reference):
            return math.copysign(math.log(UNBOUNDED), value - reference)
        return math.log(value / reference)


def _of_quantities(quantities: tuple[Quantity, ...], how: Gated) -> Metric:
    def value(pair: PairRecord, index: int, other: int) -> float | None:
        own, others = (pair.processes[side].measured for side in (index, other))
        both = [quantity.name for quantity in quantities if quantity.name in own and quantity.name in others]
        used = [name for name in both if own[name] and others[name]]
        return own[used[-1] if used else both[0]] if both else None

    first = quantities[0]
    return Metric(how.metric, how.key, value, first.base_unit, first.unit, 1 / first.divisor, floor=how.floor)


_TIMES = (
    Metric(
        "step",
        "max_slowdown",
        lambda pair, index, _other: steady_step_seconds(pair, index),
        "seconds",
        "ms",
        1e3,
        is_time=True,
    ),
    Metric(
        "first step",
        "max_first_step_slowdown",
        lambda pair, index, _other: pair.processes[index].first_step_seconds,
        "seconds",
        "ms",
        1e3,
        is_time=True,
        floor=_FIRST_STEP_FLOOR_SECONDS,
    ),
)


def metrics() -> dict[MetricName, Metric]:
    """Return the metrics by their names, in the order in which every report lists them."""
    quantities: dict[Gated, list[Quantity]] = {}
    for quantity, how in gated():
        quantities.setdefault(how, []).append(quantity)
    every = [*_TIMES, *(_of_quantities(tuple(group), how) for how, group in quantities.items())]
    return {metric.name: metric for metric in every}
