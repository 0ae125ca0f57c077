"""Comparison of the timed calls of steps, by the value of the last call of each block.

A step could stop its work after the first calls, which are compared before anything is timed. So where these
are equal, the last call of each block is compared too. Head does other work if its value differs in two pairs
in which each side repeats its own values up to that call; what a side does not repeat is not judged.
"""

import itertools
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.errors import RequestFailed
from harness.timing.engine.steps.deviations import Array, farthest
from harness.timing.engine.steps.findings import ValueDiffers, WorkComparison
from harness.timing.engine.steps.process import Sample

Values = Mapping[str, Sample]
#: The values that a process returned, by the numbers of their calls.
Returned = Mapping[int, Values]


class TimedCalls:
    """The comparison of timed calls, over all pairs of a reference and others."""

    def __init__(self) -> None:
        self._first: Sequence[Returned] = []

    def compare(self, work: Sequence[WorkComparison], pair: Sequence[Returned]) -> list[WorkComparison]:
        """Return the comparisons ``work`` of the first calls with what the timed calls of a ``pair`` add."""
        if not self._first:
            self._first = pair
            return [*work]
        base, *others = (_repeated(*each) for each in zip(self._first, pair, strict=True))
        return [_compared(*each, base) for each in zip(work, others, strict=True)]


def _repeated(first: Returned, again: Returned) -> Returned:
    """Return the values of a side up to the first call that differs between two of its processes."""
    calls = sorted(first.keys() & again.keys())
    same = itertools.takewhile(lambda call: _are_equal(first[call], again[call]), calls)
    return {call: again[call] for call in same}


def _compared(work: WorkComparison, head: Returned, base: Returned) -> WorkComparison:
    if work.outcome != "same":
        return work
    common = sorted(base.keys() & head.keys())
    for call in common:
        if not _are_equal(base[call], head[call]):
            difference = _difference(call, base[call], head[call])
            return msgspec.structs.replace(work, outcome="differs", difference=difference)
    return msgspec.structs.replace(
        work,
        late_compared=work.late_compared + len(common),
        late_call=max([work.late_call, *common]),
    )


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
