"""Arrays of uses without a partner, and of a model's own arithmetic, paired by values and shapes."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from harness.core.models.traced import Use
from harness.port.calls import index_of
from harness.port.pairing.names import words
from harness.port.values import MOST_AXES, is_copy
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace, Value

#: The likely orders of axes between the kernels of 2-D convolutions as frameworks store them.
_KERNEL_AXES, _KERNEL_ORDERS = 4, ((0, 1, 3, 2), (2, 3, 1, 0), (3, 2, 0, 1), (2, 3, 0, 1))
Stray = tuple[Stored, tuple[int, ...]]


def free_pairs(
    strays_a: Sequence[Stray],
    strays_b: Sequence[Stray],
    given: Mapping[str, Sequence[str]],
    arrays_a: Mapping[str, np.ndarray],
    arrays_b: Mapping[str, np.ndarray],
) -> list[tuple[Stored, Stored]]:
    """Pair arrays of no paired use: equal values first, then equal names, then equal shapes in order.

    An array also fits an array whose axes have another order.
    """
    rest = list(strays_b)
    pairs: dict[Stray, tuple[Stored, Stored]] = {}

    def fitting(own: Stray, other: Stray, by: Literal["values", "names", "shapes"]) -> Stored | None:
        stored, shape = own
        if other[0].name not in given.get(stored.name, (other[0].name,)):
            return None
        if by == "names" and words(stored.name) != words(other[0].name):
            return None
        one = stored.canonical(arrays_a[stored.name])
        for turned in _turned(other, shape):
            two = turned.canonical(arrays_b[turned.name])
            if by != "values" or (np.ptp(one) and is_copy(one.reshape(shape), two.reshape(shape))):
                return turned
        return None

    for by in ("values", "names", "shapes"):
        for own in strays_a:
            for other in () if own in pairs else tuple(rest):
                if (found := fitting(own, other, by)) is not None:
                    pairs[own] = own[0], found
                    rest.remove(other)
                    break
    return list(pairs.values())


def _turned(stray: Stray, wanted: tuple[int, ...]) -> Iterator[Stored]:
    """Yield ``stray`` with its axes in each order of shape ``wanted``: unchanged, likely orders, then all."""
    stored, shape = stray
    plain = tuple(range(len(shape)))
    if stored != Stored(stored.name):
        shapes = {shape: stored}
        if len(shape) == 2 and stored.axes is None:  # noqa: PLR2004  a matrix
            shapes.setdefault(shape[::-1], msgspec.structs.replace(stored, axes=(1, 0)))
        if wanted in shapes:
            yield shapes[wanted]
        return
    if sorted(shape) != sorted(wanted) or len(shape) > MOST_AXES:
        return
    likely = [plain, (*plain[-1:], *plain[:-1]), (*plain[1:], *plain[:1])]
    if len(shape) == _KERNEL_AXES:
        likely = [plain, *_KERNEL_ORDERS]
    for axes in dict.fromkeys((*likely, *itertools.permutations(plain))):
        if tuple(shape[axis] for axis in axes) == wanted:
            yield stored if axes == plain else msgspec.structs.replace(stored, shape=shape, axes=axes)


def unpaired_arrays(trace: Trace, uses: Sequence[Use], paired: Sequence[Use]) -> list[Stray]:
    """List the arrays of unpaired uses and the parameters of a model's own arithmetic, in order of use."""
    known = {stored.name for use in paired for stored in use.parameters.values()}
    held = trace.stored()
    by_call: dict[int, list[Stray]] = {}
    for use in uses:
        if use not in paired:
            by_call.setdefault(use.place, []).extend(_arrays_of(use, held))
            known |= {stored.name for stored in use.parameters.values()}
    for place, call in enumerate(trace.calls):
        for value in (trace.values[each] for each in call.inputs):
            if value.source == "parameter" and value.name not in known:
                stored = _part_of(call, value)
                stray = stored, squeezed(stored.part(value.array).shape)
                if stored == Stored(value.name):
                    known.add(value.name)
                if not any(stray in each for each in by_call.values()):
                    by_call.setdefault(place, []).append(stray)
    return [stray for place in sorted(by_call) for stray in by_call[place]]


def _part_of(call: Call, value: Value) -> Stored:
    """Return the row of stacked layers that ``call`` takes from a parameter, or else the whole parameter."""
    rows = index_of(call.does.index)[0] if isinstance(call.does, kinds.Slice) else None
    if not isinstance(rows, slice) or value.array.ndim < 2:  # noqa: PLR2004  a stack
        return Stored(value.name)
    start, stop, step = rows.indices(len(value.array))
    is_row = stop - start == 1 < len(value.array) and step == 1
    return Stored(value.name, axis=0, start=start, stop=stop) if is_row else Stored(value.name)


def _arrays_of(use: Use, held: Mapping[str, np.ndarray]) -> list[Stray]:
    """List the arrays of a use; an array that holds several, such as all gates, is listed as it is stored."""
    names = [stored.name for stored in use.parameters.values()]
    strays: dict[str, Stray] = {}
    for role, stored in use.parameters.items():
        if names.count(stored.name) > 1:
            strays[stored.name] = (Stored(stored.name), squeezed(held[stored.name].shape))
        else:
            strays[stored.name] = (stored, squeezed(use.shapes[role]))
    return list(strays.values())


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Return ``shape`` without axes of length 1."""
    return tuple(size for size in shape if size != 1)
