"""Equality of arrays of two frameworks: the same numbers, up to the order of axes."""

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.tracing.calls import InputShape, Loss, Trace, Value
from harness.tracing.side import Batch

#: Numbers are equal up to rounding: this much of the largest one, unless rounding is known to grow more.
ROUNDING = 1e-10
#: Norms that differ by less may belong to the same numbers.
_NORM_TOLERANCE = 1e-6
_MOST_AXES = 5
#: Numbers that are compared at a time, which fit a processor's cache.
_PART = 1 << 16


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference relative to the largest number; infinite for other shapes or NaN."""
    if one.shape != other.shape:
        return math.inf
    if not one.size:
        return 0.0
    worst, scale = 0.0, 0.0
    finite = False
    for part, other_part in zip(_parts(one), _parts(other), strict=True):
        gap, largest = _gap(part, other_part), _largest_finite(other_part)
        if math.isnan(gap):
            return math.inf
        worst = max(worst, gap)
        if largest is not None:
            finite, scale = True, max(scale, largest)
    scale = scale if finite else 1.0
    return worst / scale if scale else worst


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array in parts along its first axis, which need little memory each."""
    if array.size <= _PART:
        yield array
        return
    rows = max(1, _PART * len(array) // array.size)
    yield from (array[start : start + rows] for start in range(0, len(array), rows))


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference; equal infinities have none."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(one.astype(np.float64) - other)
        worst = float(gaps.max())
        return worst if math.isfinite(worst) else float(np.where(one == other, 0.0, gaps).max())


def _largest_finite(array: np.ndarray) -> float | None:
    """The largest magnitude of all finite numbers; None if there are none."""
    largest = float(np.abs(array).max())
    if math.isfinite(largest):
        return largest
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else None


def orders(source: Sequence[int], wanted: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Orders of the axes that give the wanted shape: as they are, channels moved, then all others.

    The batch axis stays first.
    """
    count = len(source)
    if sorted(source) != sorted(wanted) or count > _MOST_AXES:
        return
    plain = tuple(range(count))
    first = [plain]
    if count > 2:  # noqa: PLR2004
        first += [(0, *plain[2:], 1), (0, count - 1, *plain[1:-1])]
    seen = set()
    others = ((0, *rest) for rest in itertools.permutations(plain[1:])) if count else iter(())
    for order in itertools.chain(first, others):
        if order not in seen and tuple(source[axis] for axis in order) == tuple(wanted):
            seen.add(order)
            yield order


def in_shape_of(array: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """The array with its axes in the order that comes nearest to ``wanted``; None if none has its shape."""
    fitting = [array.transpose(order) for order in orders(array.shape, wanted.shape)]
    if not fitting:
        return (
            array.reshape(wanted.shape) if array.size == wanted.size and array.ndim != wanted.ndim else None
        )
    return min(fitting, key=lambda each: difference(each, wanted)) if len(fitting) > 1 else fitting[0]


class ValueIndex:
    """Finds the value of a trace that has the numbers of an array."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        places = [place for place, value in enumerate(trace.values) if value.array.size > 1]
        norms = [(_norm(trace.values[place].array), place) for place in places]
        self._norms = sorted(norms)
        self._of_parameters: dict[str, list[int]] = {}

    def find(self, array: np.ndarray) -> int | None:
        """The first value with these numbers, or None."""
        found = self.find_all(array)
        return found[0] if found else None

    def places_of(self, value: Value) -> list[int]:
        """All values with the numbers of another side's value; a parameter's are looked for once."""
        if value.source != "parameter":
            return self.find_all(value.array)
        if value.name not in self._of_parameters:
            self._of_parameters[value.name] = self.find_all(value.array)
        return self._of_parameters[value.name]

    def find_all(self, array: np.ndarray) -> list[int]:
        """All values with these numbers, in their order."""
        norm = _norm(array)
        if not math.isfinite(norm):
            return []
        low = bisect.bisect_left(self._norms, (norm * (1 - _NORM_TOLERANCE), -1))
        found = []
        for other, place in self._norms[low:]:
            if other > norm * (1 + _NORM_TOLERANCE):
                break
            if are_equal(self._trace.values[place].array, array):
                found.append(place)
        return sorted(found)


def are_equal(one: np.ndarray, other: np.ndarray, tolerance: float = ROUNDING) -> bool:
    """Whether both are the same numbers, up to the order of axes and axes of length 1."""
    return difference_in_any_order(one, other, tolerance) <= tolerance


def are_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether both are the same numbers in the same order, or with the channels first on one side."""
    one, other = _squeezed(one), _squeezed(other)
    moved = [one] if one.ndim < 3 else [one, np.moveaxis(one, 1, -1), np.moveaxis(one, -1, 1)]  # noqa: PLR2004
    return any(difference(each, other) <= ROUNDING for each in moved)


def difference_in_any_order(one: np.ndarray, other: np.ndarray, enough: float) -> float:
    """The difference in the first order of axes in which it is small ``enough``, else the least of all."""
    if one.size != other.size:
        return math.inf
    if one.shape != other.shape:
        one, other = _squeezed(one), _squeezed(other)
    least = math.inf
    for order in orders(one.shape, other.shape):
        least = min(least, difference(one.transpose(order), other))
        if least <= enough:
            break
    return least


def _squeezed(array: np.ndarray) -> np.ndarray:
    """Without axes of length 1, except the batch axis."""
    return array.reshape(array.shape[:1] + tuple(size for size in array.shape[1:] if size != 1))


def _norm(array: np.ndarray) -> float:
    if array.dtype == bool or array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        return math.nan
    with np.errstate(all="ignore"):
        finite = array if np.isfinite(array).all() else np.where(np.isfinite(array), array, 0.0)
        return float(np.sqrt(np.vdot(finite, finite)))


# The calls between values that both sides have and one that only one of them has.


class Segment(NamedTuple):
    """Calls in their order, as places in the trace, and the common values that enter them."""

    calls: list[int]
    enters: list[int]


def producers(trace: Trace) -> dict[int, int]:
    """The call that made each value."""
    return {value: place for place, call in enumerate(trace.calls) for value in call.outputs}


def segment_before(trace: Trace, value: int, is_common: Callable[[int], bool]) -> Segment:
    """The calls that lead to a value from values that are common; none where the value itself is."""
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


def paired_outputs(trace_a: Trace, trace_b: Trace) -> list[tuple[int, int]]:
    """The outputs of both sides: by key where both have the same keys, else by value, or else by position."""
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


# Inputs, targets and parameters with which two sides are compared.

_SEED, _FIRST_SEED = 0, 10
#: Parameters are moved by so much of their spread, so that none is zero or one, and what ignores one is seen.
_MOVED_SHARE = 0.1
_LEAST_SPREAD = 0.5


def inputs(shapes: Sequence[InputShape], batch: int, seed: int = _SEED) -> list[np.ndarray]:
    """An array for each input: standard normal numbers, or integers below the maximum."""
    rng = np.random.default_rng([seed, batch])
    return [shape.sample(rng, batch) for shape in shapes]


def targets(output: np.ndarray, loss: Loss, seed: int = _SEED) -> np.ndarray:
    """Targets for an output (batch, ..., classes): classes, or numbers of its shape."""
    rng = np.random.default_rng([seed, 1, len(output)])
    if loss == "mse":
        return rng.standard_normal(output.shape)
    classes = rng.integers(0, output.shape[-1], output.shape[:-1])
    # The first and the last class, which a loss may leave out.
    classes.flat[:2] = (0, output.shape[-1] - 1)[: classes.size]
    return classes


def batches(
    shapes: Sequence[InputShape], batch: int, steps: int, output: np.ndarray, loss: Loss
) -> list[Batch]:
    """Inputs and targets of each training step, for outputs like this one."""
    return [
        (inputs(shapes, batch, _FIRST_SEED + step), targets(output[:batch], loss, _FIRST_SEED + step))
        for step in range(steps)
    ]


def moved(
    parameters: Mapping[str, np.ndarray], trained: Sequence[str], trace: Trace
) -> dict[str, np.ndarray]:
    """Values for all trained parameters and running statistics, near the given ones.

    Other stored arrays, such as tables of positions, stay.
    """
    roles = {
        stored.name: role
        for call in trace.calls
        for role, stored in call.parameters.items()
        if role in {"running_mean", "running_variance"}
    }
    rng = np.random.default_rng([_SEED, 2])
    values = {}
    for name, array in parameters.items():
        noise = rng.standard_normal(array.shape)
        if roles.get(name) == "running_variance":
            values[name] = 0.5 + rng.random(array.shape)
        elif name in roles or name in trained:
            spread = float(array.std()) if array.size > 1 else 0.0
            values[name] = array + _MOVED_SHARE * (spread or _LEAST_SPREAD) * noise
    return values
