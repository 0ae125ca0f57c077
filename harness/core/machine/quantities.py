"""Quantities measured of a process at its end: one table, from which all else follows.

Records, tables, frames and exports show every entry, workers measure it by its ``read``, and gates judge it
by its ``gated``. A quantity may be 0.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from harness.core.machine.memory import peak_memory_bytes

#: Values by the names of quantities, in the base units of those names. Unmeasured quantities are missing.
Measured = dict[str, Annotated[float, Meta(ge=0)]]


class Gated(NamedTuple):
    """How gates judge a quantity whose lower values are better.

    Several quantities may share a ``metric``: of two processes the last one is compared that both have above
    0, else the first one.
    """

    metric: str
    """The name of the metric in gates."""
    key: str
    """The key of the limit in suites."""
    limit: float
    """The growth that is allowed by default, as a share."""
    floor: float = 0.0
    """Added to both values before they are divided: differences of this size do not matter. Without a floor
    any growth from 0 is beyond every limit."""


class Quantity(NamedTuple):
    """A measured quantity.

    ``name`` ends with the base unit and is the name of columns; ``metric`` is the name in exports. Tables
    show the value divided by ``divisor``, in ``unit``.
    """

    name: str
    metric: str
    title: str
    unit: str
    divisor: float
    better: Literal["lower", "higher"]
    read: Callable[[Any], float | None]
    """``read(program)`` measures the process that trained a program; None: it cannot be measured."""
    form: str = ",.0f"
    """The format of the number in tables."""
    gated: Gated | None = None

    @property
    def heading(self) -> str:
        """``peak memory (MiB)``."""
        return f"{self.title} ({self.unit})"

    @property
    def base_unit(self) -> str:
        """``bytes``."""
        return self.name.rpartition("_")[2]

    def text(self, measured: Mapping[str, float]) -> str:
        """Return the value as in tables; a dash where it was not measured."""
        value = measured.get(self.name)
        return "–" if value is None else f"{value / self.divisor:{self.form}}"


_MEMORY = Gated("memory", "max_memory_growth", 0.1)
QUANTITIES: tuple[Quantity, ...] = (
    Quantity(
        "peak_memory_bytes",
        "memory/peak_bytes",
        "peak memory",
        "MiB",
        2**20,
        "lower",
        lambda _program: peak_memory_bytes(),  # framework and data set included
        gated=_MEMORY,
    ),
    Quantity(
        "device_peak_memory_bytes",
        "memory/device_peak_bytes",
        "peak memory of the device",
        "MiB",
        2**20,
        "lower",
        lambda program: program.device_peak_memory_bytes(),
        gated=_MEMORY,
    ),
)


def shown(every: Iterable[Mapping[str, float]]) -> list[Quantity]:
    """Return the quantities that at least one of several processes has, in the order of the table."""
    names = {name for measured in every for name in measured}
    return [quantity for quantity in QUANTITIES if quantity.name in names]


def by_name(measured: Mapping[str, float]) -> dict[str, float | None]:
    """Return the value of each quantity; None where it was not measured."""
    return {quantity.name: measured.get(quantity.name) for quantity in QUANTITIES}


def medians(every: Iterable[Mapping[str, float]]) -> Measured:
    """Return the median over processes of each quantity that was measured."""
    processes = list(every)
    return {
        quantity.name: statistics.median(values)
        for quantity in QUANTITIES
        if (values := [measured[quantity.name] for measured in processes if quantity.name in measured])
    }


def gated() -> list[tuple[Quantity, Gated]]:
    """Return the quantities that gates judge, and how."""
    found = [(quantity, quantity.gated) for quantity in QUANTITIES if quantity.gated is not None]
    if wrong := [quantity.name for quantity, _ in found if quantity.better == "higher"]:
        raise ValueError(f"gates judge growth, and higher values of {', '.join(wrong)} are better")
    return found


def growth_limits() -> dict[str, float | None]:
    """Return the usual limit of each gated quantity by its key in suites."""
    return {how.key: how.limit for _, how in gated()}
