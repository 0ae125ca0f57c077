"""Parameters that were copied with an error, seen in the values that both sides were made with.

A kernel may have been copied upside down, with two axes exchanged, or with its halves the other way round.
The comparison gives B the values of A, and would not see that.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from harness.port.diagnosis import Place, cause_between
from harness.port.findings import Cause
from harness.port.matching import Matching, Operation, PairedUse, stored_arrays
from harness.port.updates import add_second_biases
from harness.port.values import are_equal, difference
from harness.reference.calls import NoReference, compute
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace

# Whether one array is another one after an operation.

#: Values that were copied are equal up to a rounding to float32.
_COPIED = 1e-6
#: Outputs of models with copied values agree up to what such roundings grow to.
_AGREE = 1e-4
#: Arrays of fewer different numbers are equal after an operation by chance.
_LEAST_NUMBERS = 4
_MOST_AXES = 5


def operation_between(one: np.ndarray, other: np.ndarray, spatial: int = 0) -> Operation | None:
    """The operation that makes the other array of one; None if they are equal, or none does.

    ``spatial`` is the number of leading axes that are spatial.
    """
    if one.size != other.size or not np.isfinite(one).all() or not np.isfinite(other).all():
        return None
    if one.shape != other.shape or _is_copy(one, other):
        return None
    if (offset := float(np.mean(other - one))) and _is_copy(one + offset, other):
        return Operation(f"an offset of {offset:+.6g}", None, offset)
    if not _has_same_numbers(one, other):
        return None
    places = np.arange(one.size).reshape(one.shape)
    for text, moved in itertools.chain(
        _mirrored(places, spatial), _permuted(places, one, other), _turned(places)
    ):
        order = moved.ravel()
        if _is_copy(one.ravel()[order].reshape(one.shape), other):
            return Operation(text, order)
    return None


def _is_copy(one: np.ndarray, other: np.ndarray) -> bool:
    return difference(one, other) <= _COPIED


def _has_same_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether both may hold the same numbers in another order, and enough of them are different."""
    scale = float(np.abs(one).max(initial=0.0))
    if not math.isclose(float(np.sum(one * one)), float(np.sum(other * other)), rel_tol=_COPIED):
        return False
    first, second = np.sort(one, axis=None), np.sort(other, axis=None)
    distinct = 1 + int(np.count_nonzero(np.diff(first) > _COPIED * scale))
    return distinct >= max(_LEAST_NUMBERS, one.size // 2) and _is_copy(first, second)


def _mirrored(places: np.ndarray, spatial: int) -> Iterator[tuple[str, np.ndarray]]:
    for count in range(spatial, 0, -1):
        for axes in itertools.combinations(range(spatial), count):
            text = f"mirroring along axis {', '.join(map(str, axes))}"
            yield "a rotation by 180°" if count == spatial == 2 else text, np.flip(places, axes)  # noqa: PLR2004


def _permuted(places: np.ndarray, one: np.ndarray, other: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The order of the elements of each axis that the numbers themselves give."""
    weights = np.random.default_rng(0).standard_normal(one.shape)
    for axis, count in enumerate(one.shape):
        rest = tuple(each for each in range(one.ndim) if each != axis)
        # The same weights for each element of the axis, so that equal elements have equal sums.
        shared = weights.take([0], axis=axis)
        ranked, other_ranked = (np.argsort((array * shared).sum(axis=rest)) for array in (one, other))
        order = np.empty(count, int)
        order[other_ranked] = ranked
        yield f"{_name_of(order)} of axis {axis}", places.take(order, axis=axis)


def _name_of(order: np.ndarray) -> str:
    """A permutation in words."""
    count = len(order)
    plain = np.arange(count)
    if np.array_equal(order, plain[::-1]):
        return "a reversal"
    if np.array_equal(order, np.roll(plain, count // 2)):
        return "an exchange of the halves"
    for groups in (each for each in range(2, count) if count % each == 0):
        if np.array_equal(order, plain.reshape(groups, -1).T.ravel()):
            return f"a transposition of {groups} × {count // groups} parts"
    for groups in (each for each in range(1, count // 2) if count % (2 * each) == 0):
        for shape in ((groups, 2, -1), (groups, -1, 2)):
            if np.array_equal(order, plain.reshape(shape).swapaxes(1, 2).ravel()):
                return f"an exchange of adjacent pairs and pairs half apart, in {groups} parts,"
    return "a permutation"


#: Operations that numbers of one generator, drawn in another shape, would seem to have gone through.
_TRANSPOSED, _RESHAPED = _TURNED = "a transposition", "a reshape in the place of a transposition"


def _turned(places: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if not 1 < places.ndim <= _MOST_AXES:
        return
    for axes in itertools.permutations(range(places.ndim)):
        turned = places.transpose(axes)
        if turned.shape == places.shape:
            yield f"{_TRANSPOSED} to its axes {axes}", turned
            continue
        text = f"{_RESHAPED} to its axes {axes}"
        yield text, turned
        yield text, places.reshape(turned.shape).transpose(np.argsort(axes))


# Which parameters were copied so, and whether that is a fault.


class _Copied(NamedTuple):
    """A parameter of both sides as they were made, in the canonical form."""

    pair: PairedUse
    role: str
    own: np.ndarray
    other: np.ndarray

    @property
    def names(self) -> tuple[str, str]:
        """Of A and of B."""
        return self.pair.a.parameters[self.role].name, self.pair.b.parameters[self.role].name


def copied(
    trace_a: Trace, trace_b: Trace, matching: Matching, worst: float, *, may_share_seeds: bool = False
) -> list[Cause]:
    """The parameters of B that are those of A after an operation, with what that does to the outputs.

    Both traces are of the models as they were made, and their outputs differ by ``worst``. Where what
    follows is equal nevertheless, B's own code reverses the operation: it is harmless, and is put into
    ``matching``. If both sides ``may_share_seeds``, equal numbers in another shape or place are no copies.
    """
    made = _AsMade(trace_a, trace_b, matching, worst, may_share_seeds)
    return made.after_operations() + ([] if may_share_seeds else made.in_other_places())


class _AsMade:
    """Both sides with the values that they were made with."""

    def __init__(
        self, trace_a: Trace, trace_b: Trace, matching: Matching, worst: float, may_share_seeds: bool
    ) -> None:
        self._a, self._b, self._matching = trace_a, trace_b, matching
        self._may_share_seeds = may_share_seeds
        constant = all(np.ptp(trace_a.values[place].array) == 0.0 for place in trace_a.outputs)
        self._agree = worst <= _AGREE and not constant
        stored_a, stored_b = stored_arrays(trace_a), stored_arrays(trace_b)
        self._parameters = []
        for pair in matching.pairs:
            of_a = {role: each.canonical(stored_a[each.name]) for role, each in pair.a.parameters.items()}
            of_b = {role: each.canonical(stored_b[each.name]) for role, each in pair.b.parameters.items()}
            add_second_biases(of_a, pair.b.parameters)
            add_second_biases(of_b, pair.a.parameters)
            self._parameters += [
                _Copied(pair, role, of_a[role], of_b[role]) for role in sorted(of_a.keys() & of_b.keys())
            ]

    def after_operations(self) -> list[Cause]:
        """Parameters that are equal after an operation."""
        found = []
        for each in self._parameters:
            operation = self._operation(each)
            if operation is None:
                continue
            text = f"{each.names[1]}, equal after {operation.text}"
            if self._is_right(each.pair):
                self._matching.operations[each.pair.b.parameters[each.role]] = operation
                found.append(self._cause(each, text, None, None))
            elif self._may_share_seeds and operation.text.startswith(_TURNED):
                continue
            elif (change := self._change(each)) > _AGREE:
                rest = difference(operation.applied(each.own), each.other)
                found.append(self._cause(each, text, change, rest))
        return found

    def in_other_places(self) -> list[Cause]:
        """Parameters of B that have the values of another one of A."""
        found = []
        for each in self._parameters:
            if _is_copy(each.own, each.other) or not _is_telling(each.other):
                continue
            source = next((one for one in self._parameters if _is_copy(one.own, each.other)), None)
            if source is None or self._is_right(each.pair) or (change := self._change(each)) <= _AGREE:
                continue
            text = f"{each.names[1]}, equal to {source.pair.a.path} {source.role}"
            found.append(self._cause(each, text, change, difference(source.own, each.other)))
        return found

    def _operation(self, each: _Copied) -> Operation | None:
        if each.own.size <= 1:
            return None
        convolution = isinstance(self._a.calls[each.pair.a.place].does, kinds.Convolution)
        spatial = max(each.own.ndim - 2, 0) if convolution else 0
        operation = operation_between(each.own, each.other, spatial)
        if operation is None or operation.order is not None or np.ptp(each.own):
            return operation
        # Constants differ by an offset where they are initial values; they were copied if the kernel was.
        kernel = next(
            (one for one in self._parameters if one.pair is each.pair and one.role.startswith("kernel")), None
        )
        was_copied = kernel is not None and np.ptp(kernel.own) and _is_copy(kernel.own, kernel.other)
        return operation if was_copied else None

    def _is_right(self, pair: PairedUse) -> bool:
        """Whether the outputs are equal, or something that B makes of this call is what A has there."""
        if self._agree:
            return True
        made = set(self._b.calls[pair.b.place].outputs)
        for call in self._b.calls[pair.b.place + 1 :]:
            if not made.isdisjoint(call.inputs):
                made |= {*call.outputs}
        places = [(self._a.outputs, self._b.outputs)]
        places += [
            (self._a.calls[each.a.place].inputs, self._b.calls[each.b.place].inputs)
            for each in self._matching.pairs
        ]
        return any(
            b in made and self._agrees(a, b)
            for of_a, of_b in places
            for a, b in zip(of_a, of_b, strict=False)
        )

    def _agrees(self, a: int, b: int) -> bool:
        one, other = self._a.values[a].array, self._b.values[b].array
        return bool(np.ptp(one)) and are_equal(one, other, _AGREE)

    def _change(self, each: _Copied) -> float:
        """How much A's call changes with B's values in the place of A's; without a formula, the values."""
        call = self._a.calls[each.pair.a.place]
        place = Place(self._a, call)
        changed = dict(place.parameters)
        for role, stored in call.parameters.items():
            if stored == each.pair.a.parameters[each.role]:
                changed[role] = each.other
        try:
            return difference(compute(call.does, place.inputs, changed)[0], place.output)
        except NoReference:
            return difference(each.other, each.own)

    def _cause(self, each: _Copied, text: str, before: float | None, after: float | None) -> Cause:
        """The finding; it is harmless without numbers."""
        a = Place(self._a, self._a.calls[each.pair.a.place])
        b = Place(self._b, self._b.calls[each.pair.b.place])
        harmless = before is None
        cause = cause_between("copied values", a, b, each.names[0], text, before, after, harmless=harmless)
        cause.path_a, cause.path_b = (f"{path} {each.role}" for path in (cause.path_a, cause.path_b))
        return cause


def _is_telling(array: np.ndarray) -> bool:
    """Whether no other array is likely to hold the same numbers by chance."""
    return np.unique(array).size >= max(_LEAST_NUMBERS, array.size // 2)
