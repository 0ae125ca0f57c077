"""Comparison of later calls of steps: of those that were timed, and of which no step knows that they count.

A step could do the work in the first calls, which are compared before anything is timed, and skip it later.
So both sides of a pair get the same new seed, and after each block this process draws calls of it, whose
values both return. The last call of each block is always compared, and one that is drawn among those whose
values were kept. Equal digests are equal work. Others are judged as the first calls are: where these were
equal bit by bit, base is repeated up to that call, and head computes something else only if base agrees with
itself there, in two pairs; where these differed as rounding does, base is repeated with other rounding, whose
distance from base is the limit, as far as it says anything.

A step that skips a share ``p`` of its calls, whose values do not depend on earlier ones, escapes ``n`` blocks
with probability ``(1 - p) ** n``; a gate compares at least thirty. What cannot be found: values that do not
depend on the work; values known beforehand, where they do not depend on the seed that the harness sets, or
the step computes them while it is made or in calls before the blocks; of values that take more than 1 MiB in
a block, and of buffers that are written again, all but the last calls of a block, if a step finds out the
length of blocks; and a step that reads the memory of the other side's process.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec
import numpy as np

from harness.errors import HarnessError, RequestFailed
from harness.timing.engine.steps.deviations import Array, farthest
from harness.timing.engine.steps.draws import PairValues, Values
from harness.timing.engine.steps.findings import Outcome, ValueDiffers, WorkComparison
from harness.timing.engine.steps.observation import Process, replay
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import Sample
from harness.timing.engine.steps.work import rounding_limits

#: Outcomes of first calls after which nothing is compared.
_NOT_COMPARED: frozenset[Outcome] = frozenset(
    {"differs", "not finite", "not deterministic", "not returned", "not asked"}
)
#: Pairs in which head must compute something else, if there are as many.
_PROOFS = 2
#: Repetitions of base end after this time.
_REPLAY_SECONDS = 30.0
#: Where rounding explains more than this, relative to the values, nothing is judged.
_CHAOS = 0.1
#: Calls up to the one in doubt at which base is compared with itself.
_CHECKED_CALLS = 16


class LateCalls:
    """The comparison of later calls, over all pairs of a reference and others."""

    def __init__(self, workloads: Sequence[OwnStep]) -> None:
        """``workloads`` begin with the reference; there are none where tasks are compared."""
        self._workloads = list(workloads)
        self._limits: list[int | None] = [None] * len(workloads)
        self._proofs: list[list[ValueDiffers]] = [[] for _ in workloads]
        self._is_rounding_known = [False] * len(workloads)

    def compare(self, work: Sequence[WorkComparison], pair: PairValues) -> list[WorkComparison]:
        """Return the comparisons ``work`` of the first calls with what the drawn calls of a pair add."""
        return [self._compared(index, comparison, pair) for index, comparison in enumerate(work)]

    def _compared(self, index: int, work: WorkComparison, pair: PairValues) -> WorkComparison:
        if work.outcome in _NOT_COMPARED or self._is_rounding_known[index]:
            return work
        base, head = pair.values[0], pair.values[index + 1]
        common = self._within_limit(index, sorted(base.keys() & head.keys()))
        unequal = [call for call in common if not _are_equal(base[call], head[call])]
        compared = common
        if unequal and work.outcome == "same":
            self._judge_equal(index, pair, common, unequal[0])
        elif unequal:
            compared = self._judge_rounding(index, work, pair, common)
        compared = self._within_limit(index, compared)
        work = msgspec.structs.replace(
            work,
            late_compared=work.late_compared + len(compared),
            late_call=max([*self._within_limit(index, [work.late_call]), *compared], default=0),
            late_made=max(work.late_made, min(pair.calls[0], pair.calls[index + 1])),
        )
        proofs = self._proofs[index]
        if len(proofs) < _PROOFS:
            return work
        return msgspec.structs.replace(work, outcome="differs", difference=proofs[0])

    def _judge_equal(self, index: int, pair: PairValues, common: list[int], doubtful: int) -> None:
        """Find out whether base agrees with itself at the first call where head does not."""
        base, head = pair.values[0], pair.values[index + 1]
        before = [call for call in common if call < doubtful]
        checked = [*before[:: max(1, len(before) // _CHECKED_CALLS)], doubtful]
        (again,) = self._replayed([Process(self._workloads[0])], pair, checked)
        differing = [call for call in checked if call not in again or not _are_equal(base[call], again[call])]
        if differing:  # base is not deterministic from there on, or takes too long
            self._limits[index] = differing[0] - 1
        else:
            self._proofs[index].append(_difference(doubtful, base[doubtful], head[doubtful]))

    def _judge_rounding(
        self, index: int, work: WorkComparison, pair: PairValues, common: list[int]
    ) -> list[int]:
        """Find out how far rounding leads base from itself, and whether head is farther; return the calls."""
        base, head = pair.values[0], pair.values[index + 1]
        checked = sorted({*common[:: max(1, len(common) // _CHECKED_CALLS)], common[-1]})
        reference = self._workloads[0]
        processes = [Process(reference, other_rounding=True), Process(reference)]
        rounded, again = self._replayed(processes, pair, checked)
        reached = [call for call in checked if call in rounded and call in again]
        observed = [
            list(accumulate((_deviation(base[call], each[call]) for call in reached), max))
            for each in (rounded, again)
        ]
        arrays = [_arrays(base[call]) for call in checked]
        limits = rounding_limits(observed, arrays, work.tolerance)
        judged = [call for call, limit in zip(reached, limits, strict=True) if limit <= _CHAOS]
        beyond = [
            call
            for call, limit in zip(judged, limits, strict=False)
            if _deviation(base[call], head[call]) > limit
        ]
        if beyond:
            self._proofs[index].append(_difference(beyond[0], base[beyond[0]], head[beyond[0]]))
        else:
            self._is_rounding_known[index] = True
        return judged

    def _within_limit(self, index: int, calls: Sequence[int]) -> list[int]:
        limit = self._limits[index]
        return [call for call in calls if limit is None or call <= limit]

    def _replayed(
        self, processes: Sequence[Process], pair: PairValues, calls: Sequence[int]
    ) -> list[Mapping[int, Values]]:
        try:
            return replay(processes, pair.seed, pair.steps[0], calls, pair.start, _REPLAY_SECONDS)
        except HarnessError:  # as for lack of memory: it is no fault of the other side
            return [{} for _ in processes]


def _are_equal(base: Values, head: Values) -> bool:
    if base == head:
        return True
    if base.keys() != head.keys():
        return False
    return all(
        ours == theirs
        or (
            ours.dtype != theirs.dtype
            and ours.shape == theirs.shape
            and farthest({name: _array(ours)}, {name: _array(theirs)}, 1) is None
        )
        for (name, ours), theirs in zip(base.items(), (head[name] for name in base), strict=True)
    )


def _deviation(base: Values, head: Values) -> float:
    if _are_equal(base, head):
        return 0.0
    found = _difference(1, base, head)
    if found.deviation is not None:
        return found.deviation
    return 0.0 if found.is_unseen else float("inf")


def _difference(call: int, base: Values, head: Values) -> ValueDiffers:
    """Return the difference of the numbers that were sent, else one that has no numbers."""
    other_shape = next((name for name in base if name in head and base[name].shape != head[name].shape), None)
    if base.keys() != head.keys() or other_shape is not None:
        name = other_shape or min(base.keys() ^ head.keys(), default="")
        return ValueDiffers(call=call, is_state=False, name=name, base=None, head=None, deviation=None)
    found = farthest(_arrays(base), _arrays(head), call)
    if found is not None:
        return found
    name = next((each for each in base if base[each] != head[each]), "")
    return ValueDiffers(
        call=call, is_state=False, name=name, base=None, head=None, deviation=None, is_unseen=True
    )


def _arrays(values: Values) -> dict[str, Array]:
    return {name: _array(sample) for name, sample in values.items()}


def _array(sample: Sample) -> Array:
    try:
        return np.frombuffer(bytes.fromhex(sample.numbers), sample.dtype)
    except (TypeError, ValueError) as error:
        raise RequestFailed(f"the process of the step sent values that are none: {error}", "") from error
