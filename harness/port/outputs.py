"""Outputs of two traces, compared."""

import numpy as np

from harness.port.findings import Compared
from harness.port.values import difference, difference_in_any_order, in_shape_of
from harness.tracing.calls import Trace

_EXACT = 1e-13
#: One rounding of a number in float64, and a little more.
_ONE_ROUNDING = 1e-15


def compared(what: str, worst: float, tolerance: float, where: str = "") -> Compared:
    """A part of the comparison; a difference of shapes has no number."""
    return Compared(what, worst if np.isfinite(worst) else None, tolerance, where)


def worst_output(trace_a: Trace, trace_b: Trace) -> tuple[float, str]:
    """The worst difference of outputs, by key where both have names, else by position."""
    by_name = {trace_b.values[place].name: place for place in trace_b.outputs}
    worst, where = 0.0, ""
    for number, place in enumerate(trace_a.outputs):
        value = trace_a.values[place]
        if value.name and value.name in by_name:
            other = by_name[value.name]
        elif number < len(trace_b.outputs):
            other = trace_b.outputs[number]
        else:
            return np.inf, value.name
        gap = output_gap(value.array, trace_b.values[other].array)
        if gap > worst:
            worst, where = gap, value.name
    return worst, where


def output_gap(one: np.ndarray, other: np.ndarray) -> float:
    """The difference of two outputs, up to the order of their axes."""
    gap = difference_in_any_order(other, one, _EXACT)
    if gap <= _EXACT:
        return gap
    fitting = in_shape_of(other, one)
    return np.inf if fitting is None else difference(fitting, one)


def rounded(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The array with another rounding of each number."""
    return array * (1 + _ONE_ROUNDING * rng.standard_normal(array.shape))
