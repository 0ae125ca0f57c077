"""Which parameter of one side is which of the other: by order of use, kind of call and shape.

Where several uses of one shape stand side by side, what was copied decides, then words in their names. Where
neither does, the comparison tries each order.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from harness.port.relations import Operation, is_copy
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored, Trace

_SAME, _KIND_ONLY, _GAP = 4.0, -1.0, -1.5
_MOST_AXES = 5
#: Between kernels of pictures as frameworks store them, the likely orders of axes first.
_KERNEL_AXES, _KERNEL_ORDERS = 4, ((0, 1, 3, 2), (2, 3, 1, 0), (3, 2, 0, 1), (2, 3, 0, 1))


class Use(NamedTuple):
    """Parameters that are used together: a call with parameters, or a part of a packed projection.

    ``place`` is that of the call in its trace, ``depth`` the number of calls with parameters before it.
    ``shapes`` are those of the canonical arrays by role.
    """

    place: int
    depth: int
    kind: str
    path: str
    parameters: dict[str, Stored]
    shapes: dict[str, tuple[int, ...]]


class PairedUse(NamedTuple):
    """A use of each side."""

    a: Use
    b: Use


class PairedArray(NamedTuple):
    """Where both sides store an array, and its role and uses unless it is used in own arithmetic alone."""

    one: Stored
    other: Stored
    role: str = ""
    a: Use | None = None
    b: Use | None = None


_AS_IT_IS = Operation("nothing", None)


class Matching(msgspec.Struct):
    """Pairs of uses, and the parameters of each side that have no counterpart.

    ``free`` are pairs of arrays of which at least one enters a model's own arithmetic. ``operations`` are
    what makes some of B's arrays of A's. ``siblings`` are the places of pairs among which nothing but the
    order of use has chosen.
    """

    pairs: list[PairedUse]
    free: list[tuple[Stored, Stored]]
    unmatched_a: list[str]
    unmatched_b: list[str]
    operations: dict[Stored, Operation] = {}
    siblings: list[tuple[int, ...]] = []

    def arrays(self) -> Iterator["PairedArray"]:
        """All pairs of arrays: those of paired uses by their roles, then those without a use."""
        for a, b in self.pairs:
            yield from (
                PairedArray(stored, b.parameters[role], role, a, b)
                for role, stored in a.parameters.items()
                if role in b.parameters
            )
        yield from (PairedArray(one, other) for one, other in self.free)

    def operation(self, stored: Stored) -> Operation:
        """What makes this array of B of A's."""
        return self.operations.get(stored, _AS_IT_IS)

    def reordered(self, group: Sequence[int], order: Sequence[int]) -> "Matching":
        """With B's uses of these pairs in another order."""
        pairs = list(self.pairs)
        for place, source in zip(group, order, strict=True):
            pairs[place] = PairedUse(self.pairs[place].a, self.pairs[source].b)
        return msgspec.structs.replace(self, pairs=pairs)


def uses(trace: Trace) -> list[Use]:
    """The first use of each parameter, ordered by the depth of its call, then by use."""
    depths, arrays = _depths(trace), trace.stored()
    found: list[Use] = []
    seen: set[tuple[str, ...]] = set()
    for place, call in enumerate(trace.calls):
        if not call.parameters:
            continue
        names = tuple(sorted({repr(stored) for stored in call.parameters.values()}))
        if names not in seen:
            seen.add(names)
            shapes = {role: each.canonical(arrays[each.name]).shape for role, each in call.parameters.items()}
            kind = type(call.does).__name__
            found.append(Use(place, depths[place], kind, call.path, call.parameters, shapes))
    return sorted(found, key=lambda use: use.depth)


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
    uses_a, uses_b = _expanded(uses_a, uses_b, trace_a), _expanded(uses_b, uses_a, trace_b)

    def is_given(a: Use, b: Use) -> bool:
        wanted = {other for stored in a.parameters.values() for other in given.get(stored.name, ())}
        return not wanted.isdisjoint(stored.name for stored in b.parameters.values())

    def rest(pairs: Sequence[PairedUse]) -> tuple[list[Use], list[Use]]:
        paired_a, paired_b = [pair.a for pair in pairs], [pair.b for pair in pairs]
        return [use for use in uses_a if use not in paired_a], [use for use in uses_b if use not in paired_b]

    fixed = _first_fits(uses_a, uses_b, is_given)
    pairs = fixed + _aligned(*rest(fixed))
    # What stands at another place but is alike.
    pairs += _first_fits(*rest(pairs), lambda a, b: _likeness(a, b) == _SAME)
    arrays_a, arrays_b = trace_a.stored(), trace_b.stored()
    pairs, siblings = _among_siblings(pairs, len(fixed), arrays_a, arrays_b)
    strays_a = _strays(trace_a, uses_a, [pair.a for pair in pairs])
    strays_b = _strays(trace_b, uses_b, [pair.b for pair in pairs])
    free = _free_pairs(strays_a, strays_b, given, arrays_a, arrays_b)
    known_a, known_b = (
        {stored.name for pair in pairs for stored in pair[side].parameters.values()}
        | {each[side].name for each in free}
        for side in (0, 1)
    )
    pairs_in_order = sorted(pairs, key=lambda pair: pair.b.place)
    return Matching(
        pairs_in_order,
        free,
        [name for name in arrays_a if name not in known_a],
        [name for name in arrays_b if name not in known_b],
        siblings=[tuple(pairs_in_order.index(pairs[place]) for place in group) for group in siblings],
    )


def _among_siblings(
    pairs: Sequence[PairedUse],
    fixed: int,
    arrays_a: Mapping[str, np.ndarray],
    arrays_b: Mapping[str, np.ndarray],
) -> tuple[list[PairedUse], list[list[int]]]:
    """The pairs, those of one shape and depth by their values or words; and the groups that have neither."""
    groups: dict[tuple[object, ...], list[int]] = {}
    others_a, others_b = ([pair[side].place for pair in pairs] for side in (0, 1))
    for place, (a, b) in enumerate(pairs):
        of_one_call = (others_a.count(a.place), others_b.count(b.place)) != (1, 1)  # roles tell them apart
        if place >= fixed and not of_one_call and a.depth == b.depth and _likeness(a, b) == _SAME:
            groups.setdefault((a.depth, _kind(a), main_shape(a)), []).append(place)
    result, undecided = list(pairs), []
    for group in groups.values():
        uses_a, uses_b = ([pairs[place][side] for place in group] for side in (0, 1))
        marks = [
            [_values(use, arrays) for use in own] for own, arrays in ((uses_a, arrays_a), (uses_b, arrays_b))
        ]
        order = _same_marks(*marks) or _same_marks(_words(uses_a), _words(uses_b))
        if order:
            for place, source in zip(group, order, strict=True):
                result[place] = PairedUse(pairs[place].a, pairs[group[source]].b)
        elif len(group) > 1:
            undecided.append(group)
    return result, undecided


def _same_marks(marks_a: Sequence[object], marks_b: Sequence[object]) -> list[int]:
    """For each mark of A the place of B's that is equal; empty unless all are told apart by them."""
    if len({*marks_a}) < len(marks_a) or sorted(map(str, marks_a)) != sorted(map(str, marks_b)):
        return []
    return [marks_b.index(mark) for mark in marks_a]


def _values(use: Use, arrays: Mapping[str, np.ndarray]) -> object:
    """What copied values have in common: sums of the arrays that are no biases, rounded."""
    roles = sorted(role for role in use.parameters if "bias" not in role)
    held = [use.parameters[role].canonical(arrays[use.parameters[role].name]) for role in roles]
    return tuple(f"{float(np.abs(array).sum()):.5e} {float((array**2).sum()):.5e}" for array in held)


def _words(use_of_group: Sequence[Use]) -> list[object]:
    """The words in the name of each use that not all of them have."""
    names = [
        " ".join((use.path, *(stored.name for stored in use.parameters.values()))) for use in use_of_group
    ]
    words = [{*re.findall(r"[a-z]+", name.lower())} for name in names]
    shared = set.intersection(*words)
    return [tuple(sorted(each - shared)) for each in words]


# Packed projections: a linear layer whose output is split, as query, key and value often are.


def _expanded(own: Sequence[Use], others: Sequence[Use], trace: Trace) -> list[Use]:
    """Uses, those that the other side has in no such shape by their parts."""
    spare = Counter(map(_shape_of, own)) - Counter(map(_shape_of, others))
    result = []
    for use in own:
        pieces = _parts(use, trace) if spare[_shape_of(use)] else []
        spare[_shape_of(use)] -= bool(pieces)
        result += pieces or [use]
    return result


def _shape_of(use: Use) -> tuple[object, ...]:
    return _kind(use), main_shape(use)


def _parts(use: Use, trace: Trace) -> list[Use]:
    """The columns of a linear layer that slices of its output take; none unless these are all of them."""
    call = trace.calls[use.place]
    if not isinstance(call.does, kinds.Linear) or use.shapes.keys() - {"kernel", "bias"}:
        return []
    whole = trace.values[call.outputs[0]].array
    reached, found = {*call.outputs}, dict[tuple[int, int], int]()
    for place in range(use.place + 1, len(trace.calls)):
        follower = trace.calls[place]
        if reached.isdisjoint(follower.inputs):
            continue
        if isinstance(follower.does, kinds.Slice):
            columns = _columns(whole, trace.values[follower.outputs[0]].array)
            if columns is not None:
                found.setdefault(columns, place)
        elif isinstance(follower.does, kinds.Reshape | kinds.Transposition):
            reached.update(follower.outputs)
    if [start for start, _ in sorted(found)] + [whole.shape[-1]] != [0, *(stop for _, stop in sorted(found))]:
        return []
    result = []
    for (start, stop), place in found.items():
        cut = {
            role: stored.then(Stored("", axis=len(use.shapes[role]) - 1, start=start, stop=stop))
            for role, stored in use.parameters.items()
        }
        shapes = {role: (*shape[:-1], stop - start) for role, shape in use.shapes.items()}
        if any(each is None for each in cut.values()):
            return []
        own = {role: each for role, each in cut.items() if each is not None}
        result.append(Use(place, use.depth, use.kind, use.path, own, shapes))
    return result


def _columns(whole: np.ndarray, part: np.ndarray) -> tuple[int, int] | None:
    """From which to which column of a matrix (..., columns) a part has the numbers, in any order."""
    width, rest = divmod(part.size, max(1, whole[..., 0].size))
    numbers = np.sort(part, axis=None)
    for start in range(0, whole.shape[-1] - width + 1, max(1, width)) if not rest else ():
        if np.array_equal(np.sort(whole[..., start : start + width], axis=None), numbers):
            return start, start + width
    return None


def _first_fits(
    uses_a: Sequence[Use], uses_b: Sequence[Use], fits: Callable[[Use, Use], bool]
) -> list[PairedUse]:
    """Each use of A with the first of B that fits and has no other."""
    pairs, rest = [], list(uses_b)
    for a in uses_a:
        b = next((b for b in rest if fits(a, b)), None)
        if b is not None:
            rest.remove(b)
            pairs.append(PairedUse(a, b))
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
        _squeezed(shape)
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


Stray = tuple[Stored, tuple[int, ...]]


def _free_pairs(
    strays_a: Sequence[Stray],
    strays_b: Sequence[Stray],
    given: Mapping[str, Sequence[str]],
    arrays_a: Mapping[str, np.ndarray],
    arrays_b: Mapping[str, np.ndarray],
) -> list[tuple[Stored, Stored]]:
    """Arrays that belong to no paired use: those of equal values, then in their order the next of a shape.

    An array also fits one whose axes have another order.
    """
    rest = list(strays_b)
    pairs: dict[Stray, tuple[Stored, Stored]] = {}

    def fitting(own: Stray, other: Stray, *, by_values: bool) -> Stored | None:
        stored, shape = own
        if other[0].name not in given.get(stored.name, (other[0].name,)):
            return None
        one = stored.canonical(arrays_a[stored.name])
        for turned in _turned(other, shape):
            two = turned.canonical(arrays_b[turned.name])
            if not by_values or (np.ptp(one) and is_copy(one.reshape(shape), two.reshape(shape))):
                return turned
        return None

    for by_values in (True, False):
        for own in strays_a:
            for other in () if own in pairs else tuple(rest):
                if (found := fitting(own, other, by_values=by_values)) is not None:
                    pairs[own] = own[0], found
                    rest.remove(other)
                    break
    return list(pairs.values())


def _turned(stray: Stray, wanted: tuple[int, ...]) -> Iterator[Stored]:
    """An array with its axes in each order that has a shape: as it is, likely ones, then all others."""
    stored, shape = stray
    plain = tuple(range(len(shape)))
    if stored != Stored(stored.name):
        shapes = {shape: stored}
        if len(shape) == 2 and stored.axes is None:  # noqa: PLR2004  a matrix
            shapes.setdefault(shape[::-1], msgspec.structs.replace(stored, axes=(1, 0)))
        if wanted in shapes:
            yield shapes[wanted]
        return
    if sorted(shape) != sorted(wanted) or len(shape) > _MOST_AXES:
        return
    likely = [plain, (*plain[-1:], *plain[:-1]), (*plain[1:], *plain[:1])]
    if len(shape) == _KERNEL_AXES:
        likely = [plain, *_KERNEL_ORDERS]
    for axes in dict.fromkeys((*likely, *itertools.permutations(plain))):
        if tuple(shape[axis] for axis in axes) == wanted:
            yield stored if axes == plain else msgspec.structs.replace(stored, shape=shape, axes=axes)


def _strays(trace: Trace, uses: Sequence[Use], paired: Sequence[Use]) -> list[Stray]:
    """The arrays of uses that have no partner, and parameters in a model's own arithmetic, in their order."""
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
                known.add(value.name)
                stray = (Stored(value.name), _squeezed(value.array.shape))
                by_call.setdefault(place, []).append(stray)
    return [stray for place in sorted(by_call) for stray in by_call[place]]


def _arrays_of(use: Use, held: Mapping[str, np.ndarray]) -> list[Stray]:
    """The arrays of a use; one that holds several of them, as those of all gates, as it is stored."""
    names = [stored.name for stored in use.parameters.values()]
    strays: dict[str, Stray] = {}
    for role, stored in use.parameters.items():
        if names.count(stored.name) > 1:
            strays[stored.name] = (Stored(stored.name), _squeezed(held[stored.name].shape))
        else:
            strays[stored.name] = (stored, _squeezed(use.shapes[role]))
    return list(strays.values())


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
