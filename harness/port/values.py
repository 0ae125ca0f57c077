"""Equality of arrays of two frameworks: the same numbers, up to the order of axes."""

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from harness.tracing.calls import Trace, Value

#: The difference by rounding, relative to the largest number, unless rounding is known to grow more.
ROUNDING = 1e-10
#: Values that were copied are equal up to a rounding to float32.
_COPIED = 1e-6
#: Arrays of the same numbers have norms that differ by less.
_NORM_TOLERANCE = 1e-6
#: Arrays of more axes are compared in the given order alone.
MOST_AXES = 5
#: The count of numbers compared at a time, which fit the cache.
_PART = 1 << 16


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference relative to the largest number; infinite for other shapes or NaN."""
    if one.shape != other.shape:
        return math.inf
    if not one.size:
        return 0.0
    worst, scale = 0.0, 0.0
    finite = False
    for part, other_part in zip(_parts(one), _parts(other), strict=True):
        gap, largest = _gap(part, other_part), largest_finite(other_part)
        if math.isnan(gap):
            return math.inf
        worst = max(worst, gap)
        if largest is not None:
            finite, scale = True, max(scale, largest)
    scale = scale if finite else 1.0
    return worst / scale if scale else worst


def is_copy(one: np.ndarray, other: np.ndarray) -> bool:
    """Check that both arrays are equal up to a rounding to float32."""
    return difference(one, other) <= _COPIED


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``array`` in parts along its first axis, which need little memory."""
    if array.size <= _PART:
        yield array
        return
    rows = max(1, _PART * len(array) // array.size)
    yield from (array[start : start + rows] for start in range(0, len(array), rows))


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference; equal infinities do not differ."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(one.astype(np.result_type(one, np.float64)) - other)
        worst = float(gaps.max())
        return worst if math.isfinite(worst) else float(np.where(one == other, 0.0, gaps).max())


def largest_finite(array: np.ndarray) -> float | None:
    """Return the largest magnitude of all finite numbers; None if there are none."""
    largest = float(np.abs(array).max())
    if math.isfinite(largest):
        return largest
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else None


def orders(source: Sequence[int], wanted: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the orders of axes that turn shape ``source`` into ``wanted``: plain, channels moved, all others.

    The batch axis stays first.
    """
    count = len(source)
    if sorted(source) != sorted(wanted) or count > MOST_AXES:
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
    """Return ``array`` with its axes in the order nearest to ``wanted``; None if no order has its shape."""
    fitting = [array.transpose(order) for order in orders(array.shape, wanted.shape)]
    if not fitting:
        return (
            array.reshape(wanted.shape) if array.size == wanted.size and array.ndim != wanted.ndim else None
        )
    return min(fitting, key=lambda each: difference(each, wanted)) if len(fitting) > 1 else fitting[0]


class ValueIndex:
    """An index of the values of a trace by their numbers."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        places = [place for place, value in enumerate(trace.values) if value.array.size > 1]
        norms = [(_norm(trace.values[place].array), place) for place in places]
        self._norms = sorted(norms)
        self._of_parameters: dict[str, list[int]] = {}

    def find(self, array: np.ndarray) -> int | None:
        """Find the first value with the numbers of ``array``; None if there is none."""
        found = self.find_all(array)
        return found[0] if found else None

    def places_of(self, value: Value) -> list[int]:
        """Find all values with the numbers of the other side's ``value``; parameters are searched once."""
        if value.source != "parameter":
            return self.find_all(value.array)
        if value.name not in self._of_parameters:
            self._of_parameters[value.name] = self.find_all(value.array)
        return self._of_parameters[value.name]

    def find_all(self, array: np.ndarray) -> list[int]:
        """Find all values with the numbers of ``array``, in order."""
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
    """Check that both arrays are equal, up to the order of axes and axes of length 1."""
    return difference_in_any_order(one, other, tolerance) <= tolerance


def are_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Check that both arrays are equal in the same order of axes, or with the channels first on one side."""
    one, other = _squeezed(one), _squeezed(other)
    moved = [one] if one.ndim < 3 else [one, np.moveaxis(one, 1, -1), np.moveaxis(one, -1, 1)]  # noqa: PLR2004
    return any(difference(each, other) <= ROUNDING for each in moved)


def difference_in_any_order(one: np.ndarray, other: np.ndarray, enough: float) -> float:
    """Return the difference in the first order of axes that is small ``enough``, else the least of all."""
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
    """Remove axes of length 1, except the batch axis."""
    return array.reshape(array.shape[:1] + tuple(size for size in array.shape[1:] if size != 1))


def _norm(array: np.ndarray) -> float:
    if array.dtype == bool or array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        return math.nan
    with np.errstate(all="ignore"):
        finite = array if np.isfinite(array).all() else np.where(np.isfinite(array), array, 0.0)
        return float(np.sqrt(np.vdot(finite, finite)))
