"""Evaluations of both sides, and the difference of their outputs that rounding alone may make."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.models.reading import random_inputs
from harness.core.models.remote_side import RemoteSide
from harness.port.record import Compared
from harness.port.sides import Sides
from harness.port.values import are_equal, difference, difference_in_any_order, in_shape_of
from harness.tracing.calls import InputShape, Trace

_EXACT = 1e-13
#: One rounding of a number in float64, and a little more.
_ONE_ROUNDING = 1e-15
#: The difference that rounding alone may make, unless it is known to grow.
TOLERANCE = 1e-11
#: Evaluations and training steps may differ by this many times the change by one rounding of all parameters.
ROUNDINGS = 100.0


def compared(what: str, worst: float, tolerance: float, where: str = "") -> Compared:
    """Make a part of the comparison; a difference of shapes, which is infinite, becomes None."""
    return Compared(what, worst if np.isfinite(worst) else None, tolerance, where)


def paired_outputs(trace_a: Trace, trace_b: Trace) -> list[tuple[int, int]]:
    """Pair the outputs of both sides: by key if the keys are the same, else by value, else by position."""
    names_a, names_b = ([trace.values[place].name for place in trace.outputs] for trace in (trace_a, trace_b))
    if sorted(names_a) != sorted(names_b) or len(set(names_b)) < len(names_b):
        by_value = [
            (one, other)
            for one in trace_a.outputs
            for other in trace_b.outputs
            if are_equal(trace_a.values[one].array, trace_b.values[other].array)
        ]
        if len(by_value) == len({*trace_a.outputs}) == len({other for _, other in by_value}):
            return by_value
        return list(zip(trace_a.outputs, trace_b.outputs, strict=False))
    by_name = dict(zip(names_b, trace_b.outputs, strict=True))
    return [(place, by_name[name]) for name, place in zip(names_a, trace_a.outputs, strict=True)]


def worst_output(trace_a: Trace, trace_b: Trace) -> tuple[float, str]:
    """Return the worst difference of paired outputs, and the name of that output."""
    pairs = paired_outputs(trace_a, trace_b)
    if len(pairs) < len(trace_a.outputs):
        return np.inf, trace_a.values[trace_a.outputs[len(pairs)]].name
    worst, where = 0.0, ""
    for place_a, place_b in pairs:
        value = trace_a.values[place_a]
        gap = output_gap(value.array, trace_b.values[place_b].array)
        if gap > worst:
            worst, where = gap, value.name
    return worst, where


def is_finite(trace: Trace) -> bool:
    """Check that all outputs are finite."""
    return all(np.isfinite(trace.values[place].array).all() for place in trace.outputs)


def output_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Measure the difference of two outputs, up to the order of their axes."""
    gap = difference_in_any_order(other, one, _EXACT)
    if gap <= _EXACT:
        return gap
    fitting = in_shape_of(other, one)
    return np.inf if fitting is None else difference(fitting, one)


def rounded(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Perturb each number of ``array`` by about one rounding."""
    return np.asarray(array * (1 + _ONE_ROUNDING * rng.standard_normal(array.shape)))


class Evaluated(NamedTuple):
    """An evaluation of both sides on the same inputs; the traces have no calls unless ``traced``."""

    inputs: list[np.ndarray]
    training: bool
    traced: bool
    factor: float
    a: Trace
    b: Trace

    @property
    def what(self) -> str:
        """The mode, the batch size, and the factor of the inputs, as text."""
        large = f", inputs × {self.factor:g}" if self.factor != 1.0 else ""
        return f"{'training' if self.training else 'evaluation'}, batch of {len(self.inputs[0])}{large}"

    @property
    def is_finite(self) -> bool:
        """Whether all outputs are finite."""
        return is_finite(self.a) and is_finite(self.b)

    def has_outputs_of(self, other: "Evaluated") -> bool:
        """Check that the outputs of each side are those of ``other``, as where a mode changes nothing."""
        return worst_output(self.a, other.a)[0] == worst_output(self.b, other.b)[0] == 0.0


def evaluated(
    sides: Sides,
    shapes: Sequence[InputShape],
    size: int,
    *,
    training: bool,
    traced: bool,
    factor: float = 1.0,
) -> Evaluated:
    """Evaluate both sides on a batch of ``size``; inputs other than integers are multiplied by ``factor``."""
    drawn = random_inputs(shapes, size)
    inputs = [each if each.dtype.kind == "i" else factor * each for each in drawn]

    def evaluate(side: RemoteSide) -> Trace:
        if traced:
            return side.trace(inputs, training=training)
        return side.outputs(inputs, training=training)

    return Evaluated(inputs, training, traced, factor, *sides.both(evaluate))


def compared_cases(
    a: RemoteSide, cases: Sequence[Evaluated], values: Mapping[str, np.ndarray]
) -> list[Compared]:
    """Compare the outputs of both sides in each case. ``values`` are A's parameters."""
    worst = [worst_output(case.a, case.b) for case in cases]
    differing = [case for case, (gap, _) in zip(cases, worst, strict=True) if gap > TOLERANCE]
    roundings = _roundings(a, differing, values) if differing else {}
    # Without bound, rounding excuses nothing: an infinite tolerance would accept any difference.
    allowed = {what: ROUNDINGS * change for what, change in roundings.items() if math.isfinite(change)}
    return [
        compared(case.what, gap, max(TOLERANCE, allowed.get(case.what, 0.0)), where)
        for case, (gap, where) in zip(cases, worst, strict=True)
    ]


def _roundings(
    a: RemoteSide, cases: Sequence[Evaluated], values: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Measure the change of A's outputs in ``cases`` after a perturbation of its parameters."""
    rng = np.random.default_rng(3)
    a.load({name: rounded(array, rng) for name, array in values.items()})
    again = [a.outputs(case.inputs, training=case.training) for case in cases]
    a.load(values)
    return {case.what: worst_output(case.a, other)[0] for case, other in zip(cases, again, strict=True)}
