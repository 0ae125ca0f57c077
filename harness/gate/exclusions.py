"""Why gates are in no series of a history: one class for each reason, rendered by the report."""

from typing import NamedTuple

from harness.gate.record import Status


class NotEnded(NamedTuple):
    """The gate did not run to its end."""

    gate: str
    status: Status


class AgainstStoredBaseline(NamedTuple):
    """The gate's base did not run beside head, so its ratios include what the machine changed meanwhile."""

    gate: str


class DamagedPairs(NamedTuple):
    """The ratios of the gate's pairs cannot be computed; ``message`` is that of the error."""

    gate: str
    message: str


class NoCommits(NamedTuple):
    """``gates`` of the ``ended`` ones do not record their commits, so that their base is unknown."""

    gates: int
    ended: int


class AloneWithBase(NamedTuple):
    """``gates`` of the ``ended`` ones share their base with no other gate."""

    gates: int
    ended: int


Exclusion = NotEnded | AgainstStoredBaseline | DamagedPairs | NoCommits | AloneWithBase
