"""The ledger of different defaults of frameworks, and what the tasks pin so that all do the same work."""

from pathlib import Path
from typing import NamedTuple

import msgspec
import msgspec.toml

from harness.core.stats.estimate import Estimate

_HERE = Path(__file__).parent


class Entry(NamedTuple):
    """One semantic difference: what each framework does by default, and what the tasks pin."""

    topic: str
    torch: str
    keras: str
    jax: str
    pinned: str


#: The entries of ``ledger.toml``, in its order.
LEDGER = tuple(
    Entry(topic, **entry)
    for topic, entry in msgspec.toml.decode(
        (_HERE / "ledger.toml").read_bytes(), type=dict[str, dict[str, str]]
    ).items()
)

#: Written by ``tests/benchmarks/ledger_costs.py``.
COSTS_FILE = _HERE / "ledger_costs.json"


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The effect of one default in place of the pin, paired by seed.

    ``pinned`` is the mean score with the pin; ``difference`` is the mean score with the default minus that.
    """

    topic: str
    default: str
    task: str
    score: str
    pinned: float
    difference: Estimate


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All measured costs, the day of the measurement and the version of JAX."""

    made: str
    jax: str
    costs: list[Cost]


def measured_costs() -> Costs:
    """Return the measured costs of the defaults that are numbers."""
    return msgspec.json.decode(COSTS_FILE.read_bytes(), type=Costs)
