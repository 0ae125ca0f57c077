"""Calls between a value that only one side has and the values that both sides have."""

from collections.abc import Callable
from typing import NamedTuple

from harness.tracing.calls import Trace


class Segment(NamedTuple):
    """Places of calls in the trace, in order, and the common values that enter the calls."""

    calls: list[int]
    enters: list[int]


def producers(trace: Trace) -> dict[int, int]:
    """Return the place of the call that made each value."""
    return {value: place for place, call in enumerate(trace.calls) for value in call.outputs}


def segment_before(trace: Trace, value: int, is_common: Callable[[int], bool]) -> Segment:
    """Find the calls that lead to ``value`` from common values; none if ``value`` is common."""
    made_by = producers(trace)
    calls: set[int] = set()
    enters: list[int] = []
    queue = [value]
    seen = {value}
    while queue:
        current = queue.pop()
        if current not in made_by or is_common(current):
            if trace.values[current].source in {"call", "input"}:
                enters.append(current)
            continue
        calls.add(made_by[current])
        for before in trace.calls[made_by[current]].inputs:
            if before not in seen:
                seen.add(before)
                queue.append(before)
    return Segment(sorted(calls), sorted(enters))
