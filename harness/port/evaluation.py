"""Evaluations of both sides, with the difference that rounding alone may make."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.port import samples
from harness.port.findings import Compared
from harness.port.outputs import compared, rounded, worst_output
from harness.port.remote_side import RemoteSide
from harness.port.sides import Sides
from harness.tracing.calls import Trace
from harness.tracing.side import InputShape

#: The difference that rounding alone may make where it is not known to grow.
TOLERANCE = 1e-11
#: How much more than one rounding of all parameters a whole evaluation may change.
_ROUNDINGS = 100.0


class Evaluated(NamedTuple):
    """What both sides make of the same inputs; their traces have no calls unless it is ``traced``."""

    inputs: list[np.ndarray]
    training: bool
    traced: bool
    a: Trace
    b: Trace

    @property
    def what(self) -> str:
        """The mode and the size of the batch."""
        return f"{'training' if self.training else 'evaluation'}, batch of {len(self.inputs[0])}"


def evaluated(
    sides: Sides, shapes: Sequence[InputShape], size: int, *, training: bool, traced: bool
) -> Evaluated:
    """Evaluate both sides on a batch of this size."""
    inputs = samples.inputs(shapes, size)

    def evaluate(side: RemoteSide) -> Trace:
        if traced:
            return side.trace(inputs, training=training)
        return side.outputs(inputs, training=training)

    return Evaluated(inputs, training, traced, *sides.both(evaluate))


def compared_cases(
    a: RemoteSide, cases: Sequence[Evaluated], values: Mapping[str, np.ndarray]
) -> list[Compared]:
    """The outputs of both sides in each case. ``values`` are A's parameters."""
    worst = [worst_output(case.a, case.b) for case in cases]
    differing = [case for case, (gap, _) in zip(cases, worst, strict=True) if gap > TOLERANCE]
    roundings = _roundings(a, differing, values) if differing else {}
    return [
        compared(case.what, gap, max(TOLERANCE, _ROUNDINGS * roundings.get(case.what, 0.0)), where)
        for case, (gap, where) in zip(cases, worst, strict=True)
    ]


def _roundings(
    a: RemoteSide, cases: Sequence[Evaluated], values: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """How much A's outputs change if its parameters are rounded otherwise."""
    rng = np.random.default_rng(3)
    a.load({name: rounded(array, rng) for name, array in values.items()})
    again = [a.outputs(case.inputs, training=case.training) for case in cases]
    a.load(values)
    return {case.what: worst_output(case.a, other)[0] for case, other in zip(cases, again, strict=True)}
