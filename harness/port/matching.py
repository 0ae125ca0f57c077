"""Which parameter of one side is which of the other: by order of use, kind of call and shape."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace

_SAME, _KIND_ONLY, _GAP = 4.0, -1.0, -1.5
_PROJECTIONS = ("query", "key", "value", "output")


class Use(NamedTuple):
    """Parameters that are used together: a call with parameters, or one projection of attention.

    ``place`` is that of the call in its trace. ``shapes`` are those of the canonical arrays by role.
    """

    place: int
    kind: str
    path: str
    parameters: dict[str, Stored]
    shapes: dict[str, tuple[int, ...]]


class PairedUse(NamedTuple):
    """A use of each side."""

    a: Use
    b: Use


class Operation(NamedTuple):
    """What makes B's array of A's: another order of the elements (None leaves it), and an offset."""

    text: str
    order: np.ndarray | None
    offset: float = 0.0

    def applied(self, array: np.ndarray) -> np.ndarray:
        """B's array."""
        return self.moved(array) + self.offset if self.offset else self.moved(array)

    def moved(self, array: np.ndarray) -> np.ndarray:
        """B's gradient, or another difference of arrays."""
        return array if self.order is None else array.ravel()[self.order].reshape(array.shape)


_AS_IT_IS = Operation("nothing", None)


class Matching(msgspec.Struct):
    """Pairs of uses, and the parameters of each side that have no counterpart.

    ``free`` are pairs of arrays of which at least one enters a model's own arithmetic. ``operations`` are
    what makes some of B's arrays of A's.
    """

    pairs: list[PairedUse]
    free: list[tuple[Stored, Stored]]
    unmatched_a: list[str]
    unmatched_b: list[str]
    operations: dict[Stored, Operation] = {}

    def operation(self, stored: Stored) -> Operation:
        """What makes this array of B of A's."""
        return self.operations.get(stored, _AS_IT_IS)


def uses(trace: Trace) -> list[Use]:
    """The first use of each parameter, ordered by the depth of its call, then by use."""
    depths = _depths(trace)
    found: list[Use] = []
    seen: set[tuple[str, ...]] = set()
    for place, call in enumerate(trace.calls):
        if not call.parameters:
            continue
        names = tuple(sorted({repr(stored) for stored in call.parameters.values()}))
        if names not in seen:
            seen.add(names)
            found += _uses_of(place, call, trace)
    return sorted(found, key=lambda use: depths[use.place])


def _uses_of(place: int, call: Call, trace: Trace) -> list[Use]:
    arrays = stored_arrays(trace)
    kind = type(call.does).__name__

    def use(kind: str, parameters: dict[str, Stored]) -> Use:
        shapes = {role: stored.canonical(arrays[stored.name]).shape for role, stored in parameters.items()}
        return Use(place, kind, call.path, parameters, shapes)

    if not isinstance(call.does, kinds.MultiHeadAttention):
        return [use(kind, call.parameters)]
    projections = []
    for name in _PROJECTIONS:
        parts = {
            role: call.parameters[f"{name}_{role}"]
            for role in ("kernel", "bias")
            if f"{name}_{role}" in call.parameters
        }
        if parts:
            projections.append(use("Linear", parts))
    return projections


def stored_arrays(trace: Trace) -> dict[str, np.ndarray]:
    """The parameters in a trace by name."""
    return {value.name: value.array for value in trace.values if value.source == "parameter"}


def _depths(trace: Trace) -> list[int]:
    """For each call the longest chain of calls with parameters that leads to it."""
    of_value = [0] * len(trace.values)
    depths = []
    for call in trace.calls:
        before = max((of_value[place] for place in call.inputs), default=0)
        depths.append(before)
        after = before + (1 if call.parameters else 0)
        for place in call.outputs:
            of_value[place] = after
    return depths


def match(
    trace_a: Trace, trace_b: Trace, given: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Matching:
    """Pair the uses of parameters; ``given`` are names of A with those of B that belong to them."""
    uses_a, uses_b = uses(trace_a), uses(trace_b)
    fixed = _given_pairs(uses_a, uses_b, given)
    pairs = fixed + _aligned(
        [use for use in uses_a if use not in [pair.a for pair in fixed]],
        [use for use in uses_b if use not in [pair.b for pair in fixed]],
    )
    pairs += _left_over(
        [use for use in uses_a if use not in [pair.a for pair in pairs]],
        [use for use in uses_b if use not in [pair.b for pair in pairs]],
    )
    strays_a = _strays(trace_a, uses_a, [pair.a for pair in pairs])
    strays_b = _strays(trace_b, uses_b, [pair.b for pair in pairs])
    free = _free_pairs(strays_a, strays_b, given)
    known_a = {stored.name for pair in pairs for stored in pair.a.parameters.values()}
    known_b = {stored.name for pair in pairs for stored in pair.b.parameters.values()}
    known_a |= {stored.name for stored, _ in free}
    known_b |= {stored.name for _, stored in free}
    return Matching(
        sorted(pairs, key=lambda pair: pair.b.place),
        free,
        [name for name in stored_arrays(trace_a) if name not in known_a],
        [name for name in stored_arrays(trace_b) if name not in known_b],
    )


def _given_pairs(
    uses_a: Sequence[Use], uses_b: Sequence[Use], given: Mapping[str, Sequence[str]]
) -> list[PairedUse]:
    pairs: list[PairedUse] = []
    for a in uses_a:
        wanted = {other for stored in a.parameters.values() for other in given.get(stored.name, ())}
        for b in uses_b:
            names = {stored.name for stored in b.parameters.values()}
            if wanted & names and b not in [pair.b for pair in pairs]:
                pairs.append(PairedUse(a, b))
                break
    return pairs


def _likeness(a: Use, b: Use) -> float:
    if main_shape(a) == main_shape(b) and _kind(a) == _kind(b):
        return _SAME
    return _KIND_ONLY if _kind(a) == _kind(b) else 2 * _GAP - 1


def _kind(use: Use) -> str:
    """A convolution of size 1 is linear."""
    kernel = use.shapes.get("kernel", ())
    pointwise = use.kind == "Convolution" and all(size == 1 for size in kernel[:-2])
    return "Linear" if pointwise else use.kind


def main_shape(use: Use) -> tuple[tuple[int, ...], ...]:
    """The shapes that decide whether two uses fit: of all roles but biases."""
    shapes = [
        tuple(size for size in shape if size != 1)
        for role, shape in sorted(use.shapes.items())
        if "bias" not in role and role not in {"scale", "shift"}
    ]
    return tuple(shapes)


def _aligned(uses_a: Sequence[Use], uses_b: Sequence[Use]) -> list[PairedUse]:
    """The best alignment of two sequences (Needleman and Wunsch 1970)."""
    rows, columns = len(uses_a), len(uses_b)
    score = np.zeros((rows + 1, columns + 1))
    score[:, 0] = _GAP * np.arange(rows + 1)
    score[0, :] = _GAP * np.arange(columns + 1)
    for row in range(rows):
        for column in range(columns):
            both = score[row, column] + _likeness(uses_a[row], uses_b[column])
            gap = max(score[row, column + 1], score[row + 1, column]) + _GAP
            score[row + 1, column + 1] = max(both, gap)
    pairs = []
    row, column = rows, columns
    while row and column:
        both = score[row - 1, column - 1] + _likeness(uses_a[row - 1], uses_b[column - 1])
        if score[row, column] == both:
            row, column = row - 1, column - 1
            pairs.append(PairedUse(uses_a[row], uses_b[column]))
        elif score[row, column] == score[row - 1, column] + _GAP:
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


def _left_over(uses_a: Sequence[Use], uses_b: Sequence[Use]) -> list[PairedUse]:
    """Pairs of what stands at another place but is alike."""
    pairs, rest = [], list(uses_b)
    for a in uses_a:
        for b in rest:
            if _likeness(a, b) == _SAME:
                pairs.append(PairedUse(a, b))
                rest.remove(b)
                break
    return pairs


Stray = tuple[Stored, tuple[int, ...]]


def _free_pairs(
    strays_a: Sequence[Stray], strays_b: Sequence[Stray], given: Mapping[str, Sequence[str]]
) -> list[tuple[Stored, Stored]]:
    """Arrays that belong to no paired use, in their order, each with the next one of its shape.

    A matrix also fits one of the transposed shape.
    """
    rest = list(strays_b)
    pairs = []
    for stored, shape in strays_a:
        for other, other_shape in rest:
            if other.name not in given.get(stored.name, (other.name,)):
                continue
            turned = len(shape) == 2 and shape == other_shape[::-1] and other.axes is None  # noqa: PLR2004
            if shape == other_shape or turned:
                fitting = other if shape == other_shape else msgspec.structs.replace(other, axes=(1, 0))
                pairs.append((stored, fitting))
                rest.remove((other, other_shape))
                break
    return pairs


def _strays(trace: Trace, uses: Sequence[Use], paired: Sequence[Use]) -> list[Stray]:
    """The arrays of uses that have no partner, and parameters in a model's own arithmetic, in their order."""
    known = {stored.name for use in paired for stored in use.parameters.values()}
    by_call: dict[int, list[Stray]] = {}
    for use in uses:
        if use not in paired:
            arrays = [(stored, _squeezed(use.shapes[role])) for role, stored in use.parameters.items()]
            by_call.setdefault(use.place, []).extend(arrays)
            known |= {stored.name for stored in use.parameters.values()}
    for place, call in enumerate(trace.calls):
        for value in (trace.values[each] for each in call.inputs):
            if value.source == "parameter" and value.name not in known:
                known.add(value.name)
                stray = (Stored(value.name), _squeezed(value.array.shape))
                by_call.setdefault(place, []).append(stray)
    return [stray for place in sorted(by_call) for stray in by_call[place]]


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
