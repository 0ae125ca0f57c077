"""The walk from input to output: every call whose input is right and whose output is not, and why.

After a cause is found the walk goes on with A's array in the place of B's, so that one fault hides no other.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from harness.errors import HarnessError
from harness.port import diagnosis
from harness.port.diagnosis import Place
from harness.port.findings import Cause, Mode
from harness.port.folding import fold_borders
from harness.port.matching import Matching
from harness.port.merging import merged
from harness.port.trace_pair import TracePair, are_comparable
from harness.port.values import ValueIndex
from harness.tracing.calls import Trace
from harness.tracing.side import Override

#: Faults that one walk corrects; a model has fewer, or nothing in it is right.
_MOST_FAULTS = 60


class Traced(Protocol):
    """What the walk needs of B."""

    def trace(
        self, inputs: Sequence[np.ndarray], *, training: bool, overrides: Sequence[Override] = ()
    ) -> Trace:
        """Evaluate."""
        ...


def walk(
    b: Traced,
    trace_a: Trace,
    inputs: Sequence[np.ndarray],
    matching: Matching,
    *,
    training: bool,
    trace_b: Trace | None = None,
) -> list[Cause]:
    """All causes of differences between A's evaluation and B's of the same inputs.

    ``trace_b`` is B's evaluation, if there is one already.
    """
    mode: Mode = "training" if training else "evaluation"
    trace_a = fold_borders(trace_a).trace
    index = ValueIndex(trace_a)
    folded_b = None if trace_b is None else fold_borders(trace_b)
    found: list[Cause] = []
    overrides: list[Override] = []
    visited: set[tuple[str, int]] = set()
    for _ in range(_MOST_FAULTS):
        try:
            if folded_b is None or overrides:
                folded_b = fold_borders(b.trace(inputs, training=training, overrides=overrides))
        except HarnessError:  # A's array does not fit what follows, as where a stride moved
            if folded_b is None:
                raise
            found += _by_semantics(trace_a, folded_b.trace, matching, visited, mode)
            break
        fault = TracePair(trace_a, index, folded_b, matching).first_fault(visited)
        if fault is None:
            break
        for cause in fault.causes:
            cause.mode = mode
            found.append(cause)
        overrides += fault.corrections
    return merged(found)


def _by_semantics(
    trace_a: Trace, trace_b: Trace, matching: Matching, visited: set[tuple[str, int]], mode: Mode
) -> list[Cause]:
    """Faults of the calls that the walk did not reach, each on A's inputs alone."""
    found: list[Cause] = []
    for pair in matching.pairs:
        if ("output", pair.b.place) in visited or not are_comparable(pair, trace_a, trace_b):
            continue
        a, b = Place(trace_a, trace_a.calls[pair.a.place]), Place(trace_b, trace_b.calls[pair.b.place])
        for cause in diagnosis.of_semantics(a, b):
            cause.mode = mode
            found.append(cause)
    return found
