"""Deviations of the values of one process of a step from those of another, array by array."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.timing.engine.steps.findings import ValueDiffers
from harness.timing.engine.steps.process import Imported, Made

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
#: At each place, the largest deviation of each array that is explained.
Limits = Sequence[Mapping[str, float]]


class Observed(NamedTuple):
    """The values that one process returned: of each call, and its state after them."""

    made: Made
    calls: Sequence[Arrays]
    state: Arrays
    imported: Imported = Imported([], [])


class Deviations:
    """The deviations of ``head`` from ``base``, of each array at each place: a call, or the state after them.

    An array has limits of its own: one that is noise, such as a weight on which nothing depends, must not
    hide the others.
    """

    def __init__(self, base: Observed, head: Observed, calls: int, *, states: bool) -> None:
        """Compare the first ``calls``, and with ``states`` the states after them."""
        self.calls, self._states = calls, states
        made = min(len(base.calls), len(head.calls))
        #: For each place the names of its arrays, and the differences of those that differ. None: not
        #: compared, because a slow process makes fewer calls, and has another state then.
        self._found: list[dict[str, ValueDiffers] | None] = []
        self._names: list[set[str]] = []
        for place in range(calls + states):
            is_state = place == calls
            here = made >= calls if is_state else place < made
            ours, theirs = (_at(each, place, calls) if here else {} for each in (base, head))
            call = min(place + 1, calls)
            self._found.append(differences(ours, theirs, call, is_state=is_state) if here else None)
            self._names.append({*ours, *theirs})

    def like(self, base: Observed, head: Observed) -> "Deviations":
        """Return the deviations of two other processes at the same places."""
        return Deviations(base, head, self.calls, states=self._states)

    @property
    def first(self) -> ValueDiffers | None:
        """The largest difference at the first place that has one."""
        return next((_largest(each.values()) for each in self._found if each), None)

    @property
    def incomparable(self) -> ValueDiffers | None:
        """The first difference without a size."""
        every = (each for found in self._found for each in (found or {}).values())
        return next((each for each in every if each.deviation is None), None)

    @property
    def largest(self) -> float | None:
        """The largest deviation; None where one has no size."""
        return None if self.incomparable else max(each or 0.0 for each in self.stated())

    @property
    def finest(self) -> float:
        """The smallest deviation of a call that is not 0, which is one of the last digits; 0 without any."""
        found = [each for one in self._found[: self.calls] for each in (one or {}).values()]
        return min((each.deviation for each in found if each.deviation is not None), default=0.0)

    def stated(self, limits: Limits | None = None) -> list[float | None]:
        """Return the deviation to state at each place: see :meth:`_farthest`."""
        found = [self._farthest(place, limits) for place in range(len(self._found))]
        return [0.0 if each is None else each.deviation for each in found]

    def envelope(self, limits: Limits) -> list[float]:
        """Return the limit at each place: that of the array whose deviation is stated, or else the lowest."""
        found = [self._farthest(place, limits) for place in range(len(self._found))]
        return [
            min(each.values(), default=np.inf) if far is None else each.get(far.name, np.inf)
            for far, each in zip(found, limits, strict=True)
        ]

    def _farthest(self, place: int, limits: Limits | None) -> ValueDiffers | None:
        """Return the largest difference at a place; if arrays are above their limits, of these alone."""
        found = self._found[place] or {}
        above = {} if limits is None else _above(found, limits[place])
        return _largest((above or found).values())

    def limits(self, others: "Sequence[Deviations]", floor: float, factor: float) -> Limits:
        """Return the limits that these deviations and ``others`` explain: ``factor`` times as much.

        What an array has reached counts for its later calls. One number may agree by chance: at least
        what the median of all arrays reached is explained.
        """
        limits: list[dict[str, float]] = []
        grown: dict[str, float] = {}
        typical = 0.0
        for place, names in enumerate(self._names):
            if place == self.calls:
                grown = {}  # a state has names of its own
            for name in names:
                observed = [each._observed(place, name) for each in (self, *others)]  # noqa: SLF001
                grown[name] = max(grown.get(name, 0.0), *observed)
            reached = sorted(grown[name] for name in names)
            typical = max([typical, *reached[(len(reached) - 1) // 2 :][:1]])
            limits.append({name: max(floor, factor * max(typical, grown[name])) for name in names})
        return limits

    def quiet(self, most: float, base: Observed, other: "Deviations") -> list[set[str]]:
        """Return the arrays at each place that have not deviated by more than ``most``.

        Only arrays that are float64 in ``base``, and only places that ``other`` compares too.
        """
        quiet: list[set[str]] = []
        loud: set[str] = set()
        for place, names in enumerate(self._names):
            arrays = _at(base, place, self.calls)
            loud = set() if place == self.calls else loud
            loud |= {
                name for name in names if self._observed(place, name) > most or is_single(arrays.get(name))
            }
            quiet.append(set() if other._found[place] is None else names - loud)  # noqa: SLF001
        return quiet

    def _observed(self, place: int, name: str) -> float:
        """Return the deviation of an array; infinite where it has no size or was not compared."""
        found = self._found[place]
        if found is None:
            return np.inf
        deviation = found[name].deviation if name in found else 0.0
        return np.inf if deviation is None else deviation

    def leaves(self, limits: Limits) -> bool:
        """Check for a deviation above its limit."""
        return self.worst(limits) is not None

    def worst(self, limits: Limits) -> ValueDiffers | None:
        """Return the largest of the differences that are above their limits."""
        above = (_above(found or {}, each) for found, each in zip(self._found, limits, strict=True))
        return _largest([each for found in above for each in found.values()])


def _at(observed: Observed, place: int, calls: int) -> Arrays:
    if place == calls:
        return observed.state
    return observed.calls[place] if place < len(observed.calls) else {}


def _above(found: Mapping[str, ValueDiffers], limits: Mapping[str, float]) -> dict[str, ValueDiffers]:
    return {
        name: each
        for name, each in found.items()
        if each.deviation is None or each.deviation > limits.get(name, np.inf)
    }


def farthest(base: Arrays, head: Arrays, call: int) -> ValueDiffers | None:
    """Return the largest of the :func:`differences` of a call; None where there is none."""
    return _largest(differences(base, head, call).values())


def _largest(found: Iterable[ValueDiffers]) -> ValueDiffers | None:
    """Return the first difference without a size, or else the largest; None where there is none."""
    return max(found, key=lambda each: np.inf if each.deviation is None else each.deviation, default=None)


def differences(base: Arrays, head: Arrays, call: int, *, is_state: bool = False) -> dict[str, ValueDiffers]:
    """Return the differences of the arrays of ``base`` and ``head`` by name; none where numbers are equal.

    Arrays are compared whole, by the largest difference of two numbers relative to the largest number.
    """
    found = {}
    for name in [*base, *(each for each in head if each not in base)]:
        ours, theirs = base.get(name), head.get(name)
        numbers = (None, None) if ours is None or theirs is None else _numbers_apart(ours, theirs)
        if numbers is not None:
            one, other, *size = numbers
            found[name] = ValueDiffers(
                call=call,
                is_state=is_state,
                name=name,
                base=one,
                head=other,
                deviation=size[0] if size else None,
                is_lacking=ours is None or theirs is None,
            )
    return found


def _numbers_apart(
    base: Array, head: Array
) -> tuple[float | None, float | None] | tuple[float, float, float] | None:
    """Return the two numbers farthest apart and their relative distance; None where nothing differs.

    Without a distance where shapes differ, or one of two numbers is not finite in another way.
    """
    if base.shape != head.shape or (base.dtype.kind == "c") != (head.dtype.kind == "c"):
        return None, None
    if base.dtype == head.dtype and base.tobytes() == head.tobytes():
        return None
    if base.dtype.kind in "iu" and head.dtype.kind in "iu":
        return _integers_apart(base, head)
    kind = np.complex128 if base.dtype.kind == "c" else np.float64
    ours, theirs = (parts(np.asarray(each, kind)) for each in (base, head))
    finite = np.isfinite(ours) & np.isfinite(theirs)
    strange = ~finite & (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
    if strange.any():
        place = int(np.argmax(strange))
        return tuple(float(each[place]) if np.isfinite(each[place]) else None for each in (ours, theirs))  # type: ignore[return-value]
    distances = np.abs(np.where(finite, ours, 0.0) - np.where(finite, theirs, 0.0))
    place = int(np.argmax(distances)) if distances.size else 0
    if not distances.size or distances[place] == 0:
        return None
    scale = max(float(np.max(np.abs(np.where(finite, each, 0.0)))) for each in (ours, theirs))
    return float(ours[place]), float(theirs[place]), float(distances[place] / scale)


def _integers_apart(base: Array, head: Array) -> tuple[float, float, float] | None:
    """Return the two integers farthest apart and their relative distance; those of 64 bits exceed float64."""
    pairs = [(int(one), int(other)) for one, other in zip(base.flat, head.flat, strict=True) if one != other]
    if not pairs:
        return None
    one, other = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
    scale = max(int(np.max(np.abs(each.astype(object)))) for each in (base, head))
    return float(one), float(other), abs(one - other) / scale


def is_single(array: Array | None) -> bool:
    """Check that an array is of floating point with less than 64 bits."""
    if array is None or array.dtype.kind not in "fc":
        return False
    return array.dtype.itemsize < (16 if array.dtype.kind == "c" else 8)


def parts(array: Array) -> Array:
    """Return all numbers in one row, of complex ones real and imaginary parts."""
    flat = np.ravel(array)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def first_number(array: Array) -> float | None:
    """Return the first number of an array; None where there is none or it is not finite."""
    first = parts(array)[:1].astype(np.float64)
    return float(first[0]) if first.size and np.isfinite(first[0]) else None
