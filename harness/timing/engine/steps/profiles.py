"""Where the time of a step goes, as data; readers of records import this alone."""

import msgspec


class Operation(msgspec.Struct, frozen=True):
    """An operation or function: how often one call of the step calls it, and the seconds in it alone."""

    name: str
    calls: float
    seconds: float


class StepProfile(msgspec.Struct, frozen=True):
    """The findings of one profiler. Calls under it take longer than others, ``step_seconds`` each."""

    profiler: str
    """The module of the framework whose profiler it is, or Python."""
    step_seconds: float
    operations: list[Operation]
    """The operations of the most time."""


class Profiles(msgspec.Struct, frozen=True):
    """The profiles of each side of a comparison, the reference first; or why there are none."""

    sides: list[list[StepProfile]] = []
    fault: str = ""


class Change(msgspec.Struct, frozen=True):
    """One operation in both sides of a comparison."""

    name: str
    base: Operation
    head: Operation

    @property
    def seconds(self) -> float:
        """The time that head spends more than base."""
        return self.head.seconds - self.base.seconds


def changed_most(base: StepProfile, head: StepProfile, count: int) -> list[Change]:
    """Return the operations whose time differs most between base and head, the most first."""
    ours, theirs = ({each.name: each for each in side.operations} for side in (base, head))
    nothing = Operation("", 0.0, 0.0)
    names = dict.fromkeys([*ours, *theirs])
    every = [Change(name, ours.get(name, nothing), theirs.get(name, nothing)) for name in names]
    return sorted(every, key=lambda change: -abs(change.seconds))[:count]
