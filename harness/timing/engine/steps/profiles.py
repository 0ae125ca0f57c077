"""Where the time of a step goes, as data; readers of records import this alone."""

import statistics
from collections.abc import Sequence

import msgspec

#: Operations of each profiler that are kept: those of the most time on any side.
_KEPT = 150


class Operation(msgspec.Struct, frozen=True):
    """An operation or function: how often one call of the step calls it, and the seconds in it.

    ``calls`` and ``seconds`` are medians over repetitions, each in a fresh process; ``repeated`` are their
    seconds in order. ``calls_vary``: the repetitions did not all call it equally often.
    """

    name: str
    calls: float
    seconds: float
    repeated: list[float] = []
    calls_vary: bool = False


class StepProfile(msgspec.Struct, frozen=True):
    """The findings of one profiler. Calls under it take longer than others, ``step_seconds`` each."""

    profiler: str
    """The module of the framework whose profiler it is, or Python."""
    step_seconds: float
    operations: list[Operation]
    """The operations of the most time."""
    repeated: list[float] = []
    """``step_seconds`` of each repetition, in order; ``step_seconds`` is their median."""
    inclusive: bool = False
    """The operations are the user's own functions, each with all that it calls; otherwise their seconds are
    in them alone."""

    @property
    def kind(self) -> tuple[str, bool]:
        """The profiler, and whether it counts what functions call: profiles of one kind are comparable."""
        return self.profiler, self.inclusive


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

    @property
    def is_new(self) -> bool:
        """Whether head alone calls it."""
        return bool(self.head.calls and not self.base.calls)

    @property
    def is_gone(self) -> bool:
        """Whether base alone calls it."""
        return bool(self.base.calls and not self.head.calls)

    @property
    def is_shown(self) -> bool:
        """Whether the repetitions show the change, in the number of calls or in the time.

        Numbers of calls are without noise unless they vary. Times are compared within a repetition: all must
        agree on the sign, and the change must exceed their spread, without the repetition farthest off.
        """
        if self.base.calls != self.head.calls and not (self.base.calls_vary or self.head.calls_vary):
            return True
        count = max(len(self.base.repeated), len(self.head.repeated))
        ours, theirs = (side.repeated or [side.seconds] * count for side in (self.base, self.head))
        more = [head - base for base, head in zip(ours, theirs, strict=True)]
        if not more or min(more) <= 0 <= max(more):
            return bool(not more and self.seconds)
        middle = statistics.median(more)
        near = sorted(more, key=lambda each: abs(each - middle))[: max(1, len(more) - 1)]
        return abs(middle) > max(near) - min(near)


def step_change(base: StepProfile, head: StepProfile) -> float:
    """Return the seconds that a step of head takes more than one of base, compared within repetitions."""
    differences = [after - before for before, after in zip(base.repeated, head.repeated, strict=False)]
    return statistics.median(differences or [head.step_seconds - base.step_seconds])


def changes(base: StepProfile, head: StepProfile) -> list[Change]:
    """Return the operations that the repetitions show to have changed.

    Those that add to the step come first, the most first; then those that take from it.
    """
    ours, theirs = ({each.name: each for each in side.operations} for side in (base, head))
    nothing = Operation("", 0.0, 0.0)
    names = dict.fromkeys([*ours, *theirs])
    every = [Change(name, ours.get(name, nothing), theirs.get(name, nothing)) for name in names]
    return sorted(
        (each for each in every if each.is_shown),
        key=lambda change: (change.seconds < 0, -abs(change.seconds)),
    )


def merged(repetitions: Sequence[Sequence[Sequence[StepProfile]]]) -> list[list[StepProfile]]:
    """Return the profiles of each side over ``repetitions``, which have the profiles of each side.

    The same operations are kept on all sides, so that one that a side lacks was not called there.
    """
    sides = range(len(repetitions[0]))
    found = [
        [{profile.kind: profile for profile in repetition[side]} for repetition in repetitions]
        for side in sides
    ]
    kinds = [kind for kind in found[0][0] if all(kind in each for of_side in found for each in of_side)]
    merged_sides: list[list[StepProfile]] = [[] for _ in sides]
    for kind in kinds:
        of_kind = [_merged([each[kind] for each in of_side]) for of_side in found]
        most: dict[str, float] = {}
        for profile in of_kind:
            for each in profile.operations:
                most[each.name] = max(most.get(each.name, 0.0), each.seconds)
        kept = {*sorted(most, key=lambda name: -most[name])[:_KEPT]}
        for side, profile in zip(merged_sides, of_kind, strict=True):
            operations = [each for each in profile.operations if each.name in kept]
            side.append(msgspec.structs.replace(profile, operations=operations))
    return merged_sides


def _merged(profiles: Sequence[StepProfile]) -> StepProfile:
    by_name = [{each.name: each for each in profile.operations} for profile in profiles]
    nothing, operations = Operation("", 0.0, 0.0), []
    for name in dict.fromkeys(name for each in by_name for name in each):
        every = [each.get(name, nothing) for each in by_name]
        calls, seconds = [each.calls for each in every], [each.seconds for each in every]
        operations.append(
            Operation(
                name,
                statistics.median(calls),
                statistics.median(seconds),
                seconds,
                calls_vary=len({*calls}) > 1,
            )
        )
    steps = [profile.step_seconds for profile in profiles]
    return msgspec.structs.replace(
        profiles[0],
        step_seconds=statistics.median(steps),
        repeated=steps,
        operations=sorted(operations, key=lambda each: -each.seconds),
    )
