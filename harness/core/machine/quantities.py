"""What is measured of a process at its end: one table, from which records, tables and exports follow.

To add a quantity, add an entry to :data:`QUANTITIES` and measure it in :mod:`harness.core.worker.requests`.
"""

import statistics
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

#: Values by the names of quantities, in the base units of those names. What was not measured is missing.
Measured = dict[str, Annotated[float, Meta(gt=0)]]


class Quantity(NamedTuple):
    """A measured quantity.

    ``name`` contains the base unit and is the name of columns; ``metric`` is the name in trackers. Tables
    show the value divided by ``divisor``, in ``unit``.
    """

    name: str
    metric: str
    title: str
    unit: str
    divisor: float
    better: Literal["lower", "higher"]

    @property
    def heading(self) -> str:
        """``peak memory (MiB)``."""
        return f"{self.title} ({self.unit})"

    def text(self, measured: Mapping[str, float]) -> str:
        """The value as in tables; a dash where it was not measured."""
        value = measured.get(self.name)
        return "–" if value is None else f"{value / self.divisor:,.0f}"


QUANTITIES = (
    # Of the worker process, including the framework and the data set.
    Quantity("peak_memory_bytes", "memory/peak_bytes", "peak memory", "MiB", 2**20, "lower"),
    Quantity(
        "device_peak_memory_bytes",
        "memory/device_peak_bytes",
        "peak memory of the device",
        "MiB",
        2**20,
        "lower",
    ),
)


def shown(every: Iterable[Mapping[str, float]]) -> list[Quantity]:
    """The quantities that at least one of several processes has, in the order of the table."""
    names = {name for measured in every for name in measured}
    return [quantity for quantity in QUANTITIES if quantity.name in names]


def by_name(measured: Mapping[str, float]) -> dict[str, float | None]:
    """The value of each quantity; None where it was not measured."""
    return {quantity.name: measured.get(quantity.name) for quantity in QUANTITIES}


def medians(every: Iterable[Mapping[str, float]]) -> Measured:
    """The median over processes of each quantity that was measured."""
    processes = list(every)
    return {
        quantity.name: statistics.median(values)
        for quantity in QUANTITIES
        if (values := [measured[quantity.name] for measured in processes if quantity.name in measured])
    }
