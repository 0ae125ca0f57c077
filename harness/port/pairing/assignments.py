"""Arrays that names, shapes and uses leave open, assigned by the gradients of both sides.

All open arrays get the same value, so that any right assignment gives both sides equal outputs and gradients.
Arrays, or parts of them, whose gradients are equal in one way alone belong together, and get random values.
That tells further arrays apart (colour refinement: Weisfeiler and Leman 1968).
Where several ways remain, each is tried, until all is assigned and outputs and gradients are equal.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.core.models.messages import Description
from harness.core.models.remote_side import RemoteSide
from harness.core.models.traced import Use
from harness.errors import HarnessError
from harness.port.evaluation import output_gap
from harness.port.pairing.matching import Matching, PairedUse
from harness.port.pairing.names import likeness, words
from harness.port.pairing.packed import likened_kind, main_shape
from harness.port.pairing.strays import squeezed
from harness.port.pairing.transfer import transferred
from harness.port.sides import Sides
from harness.port.values import MOST_AXES, difference, is_copy
from harness.tracing.calls import Stored
from harness.tracing.side import Gradients

#: The values of open arrays in turn: of those of several axes, and of vectors.
#: Vectors of 0 allow for biases that are added to others, vectors of 0.3 for stacks of vectors, and -0.3 for
#: units that are 0 where the sum of the inputs is negative.
STARTS = ((0.3, 0.0), (0.3, 0.3), (-0.3, 0.0), (0.0, 0.0))
#: Gradients that differ by less are equal. At one point rounding does not grow as it does over steps.
_EQUAL = 1e-9
#: The time for assignments. The first one ends regardless.
LIMIT_SECONDS = 20.0
#: Kinds of uses that may belong to another use of their shape than the order of use says.
_ORDERED_BY_USE = {"Linear", "Convolution", "Embedding"}
#: Orders of axes between kernels of 2-D convolutions as frameworks store them, whatever their sizes.
_KERNEL_AXES = {(2, 3, 1, 0), (3, 2, 0, 1)}
Masks = dict[str, np.ndarray]


class Fit(NamedTuple):
    """Arrays, or parts of arrays, that belong together."""

    one: Stored
    other: Stored


class Assignment(NamedTuple):
    """The matching with the pairs that were found, and masks of each side's second biases.

    A second bias is added to another bias of its side, and the other side has only their sum.
    """

    matching: Matching
    second_a: Masks
    second_b: Masks


class _State(NamedTuple):
    """Pairs found so far, and masks of what is open on each side."""

    pairs: tuple[Fit, ...]
    open_a: Masks
    open_b: Masks

    def after(self, fits: Iterable[Fit]) -> "_State":
        masks = [{name: mask.copy() for name, mask in side.items()} for side in (self.open_a, self.open_b)]
        for fit in fits:
            for stored, side in zip(fit, masks, strict=True):
                stored.part(side[stored.name])[...] = False
        a, b = ({name: mask for name, mask in side.items() if mask.any()} for side in masks)
        return _State((*self.pairs, *fits), a, b)


def assigned(
    sides: Sides,
    matching: Matching,
    described: tuple[Description, Description],
    values_a: Mapping[str, np.ndarray],
    differentiate: Callable[[RemoteSide], Gradients],
    given: Mapping[str, Sequence[str]],
) -> tuple[Assignment | None, str]:
    """Assign the arrays that ``matching`` leaves open; None unless outputs and gradients prove it.

    ``values_a`` are random values of A's parameters; pairs ``given`` by the user stay. Also return a sentence
    about what was tried in vain. Afterwards both sides have other parameters than before.
    """
    search = _Search(sides, matching, described, values_a, differentiate, given)
    try:
        if search.is_done(matching):
            return None, ""
        found = search.solved(search.start())
        if found is None and (looser := _without_repeated(matching)) is not None:
            search = _Search(sides, looser, described, values_a, differentiate, given)
            found = search.solved(search.start())
    except HarnessError as error:  # a model cannot be differentiated, or not with these values
        return None, f"Arrays could not be assigned by gradients: {str(error).splitlines()[0]}"
    return found, "" if found else search.tried()


def _without_repeated(matching: Matching) -> Matching | None:
    """Return ``matching`` without pairs of uses that occur several times, as their order may be another one.

    None if there are no such pairs. Arrays that do not train keep their pairs.
    """
    kinds = [(likened_kind(pair.a), main_shape(pair.a)) for pair in matching.pairs]
    repeated = [
        pair
        for pair, kind in zip(matching.pairs, kinds, strict=True)
        if kinds.count(kind) > 1 and kind[0] in _ORDERED_BY_USE and _is_sound(pair) and not _is_named(pair)
    ]
    if not repeated:
        return None
    rest = msgspec.structs.replace(matching, pairs=repeated, free=[])
    return msgspec.structs.replace(
        matching,
        pairs=[pair for pair in matching.pairs if pair not in repeated],
        free=[*matching.free, *((each.one, each.other) for each in rest.arrays())],
    )


class _Search:
    def __init__(
        self,
        sides: Sides,
        matching: Matching,
        described: tuple[Description, Description],
        values_a: Mapping[str, np.ndarray],
        differentiate: Callable[[RemoteSide], Gradients],
        given: Mapping[str, Sequence[str]],
    ) -> None:
        self._sides, (self._a, self._b), self._values_a = sides, described, values_a
        self._differentiate = differentiate
        trained = {*self._a.trained}, {*self._b.trained}
        free = [
            (one, other)
            for one, other in matching.free
            if other.name in given.get(one.name, ())
            or not (one.name in trained[0] and other.name in trained[1])
        ]
        self._matching = msgspec.structs.replace(
            matching, pairs=list(filter(_is_sound, matching.pairs)), free=free
        )
        self._second_biases = [_second_biases(pair[side] for pair in self._matching.pairs) for side in (0, 1)]
        self._until = time.monotonic() + LIMIT_SECONDS
        self._trials, self._nearest = 0, self.start()

    def start(self, matching: Matching | None = None) -> _State:
        """Return the state in which all trained arrays are open that ``matching`` does not pair soundly."""
        arrays = [(each.one.name, each.other.name) for each in (matching or self._matching).arrays()]
        masks = [
            {
                name: np.ones(side.parameters[name].shape, bool)
                for name in side.parameters
                if name in side.trained
                and name not in second
                and name not in {pair[place] for pair in arrays}
            }
            for place, (side, second) in enumerate(zip((self._a, self._b), self._second_biases, strict=True))
        ]
        return _State((), *masks)

    def is_done(self, matching: Matching) -> bool:
        """Check that ``matching`` pairs all arrays, with equal gradients if some pairs are by shape."""
        if len(self._matching.pairs) < len(matching.pairs) or any(self.start(matching)[1:]):
            return False
        state = self.start()
        if not state.open_a and not state.open_b and _without_repeated(matching) is None:
            return True
        done = _State(tuple(Fit(*pair) for pair in matching.free if pair not in self._matching.free), {}, {})
        return self._proved(done) is not None

    def solved(self, state: _State) -> Assignment | None:
        """Extend ``state`` by what gradients decide, then by each way that they leave."""
        choices: list[Fit] = []
        while state.open_a and state.open_b:
            for start in STARTS:
                fits = self._fits(state, *self._gradients(state, start))
                decided = [
                    fit for fit in fits if not any(_share(fit, other) for other in fits if other is not fit)
                ]
                choices = choices or fits
                if decided:
                    state, choices = state.after(decided), []
                    break
            else:
                break
        if not choices:
            self._trials += 1
            self._nearest = min(self._nearest, state, key=lambda each: len(each.open_a) + len(each.open_b))
        if not (state.open_a and state.open_b):
            return self._proved(state)
        for fits in _ways(choices, self._likelihood):
            if (found := self.solved(state.after(fits))) is not None:
                return found
            if time.monotonic() > self._until:
                break
        return None

    def tried(self) -> str:
        """Describe the search in a sentence: its trials, and what the nearest of them left open."""
        rest = [
            f"{', '.join(masks)} of {side}"
            for side, masks in (("A", self._nearest.open_a), ("B", self._nearest.open_b))
            if masks
        ]
        ended = f" within {LIMIT_SECONDS:.0f} s" if time.monotonic() > self._until else ""
        left = f"leaves {' and '.join(rest)} open" if rest else "has other outputs or gradients"
        return (
            f"Tried{ended}: {self._trials} assignment{'s' * (self._trials > 1)} of arrays, parts, stacks and "
            f"sums by equal gradients; the nearest {left}."
        )

    def _complete(self, state: _State) -> Matching:
        """Return the matching with the pairs of ``state``; all other arrays that train are second biases."""
        unmatched = [
            [name for name in names if name not in side.trained or name in second]
            for names, side, second in zip(
                (self._matching.unmatched_a, self._matching.unmatched_b),
                (self._a, self._b),
                self._second_biases,
                strict=True,
            )
        ]
        return msgspec.structs.replace(
            self._matching,
            free=[*self._matching.free, *state.pairs],
            unmatched_a=unmatched[0],
            unmatched_b=unmatched[1],
        )

    def _gradients(self, state: _State, start: tuple[float, float]) -> tuple[Gradients, Gradients]:
        """Differentiate both sides, with the value ``start`` in what is open."""

        def filled(values: Mapping[str, np.ndarray], masks: Masks) -> dict[str, np.ndarray]:
            return {
                name: np.where(mask, start[mask.ndim < 2], values[name])  # noqa: PLR2004  a vector
                for name, mask in masks.items()
            }

        values_a = {**self._a.parameters, **self._values_a}
        values_b, _ = transferred(self._complete(state), values_a, self._b.parameters)
        self._sides.a.load({**self._values_a, **filled(values_a, state.open_a)})
        self._sides.b.load({**values_b, **filled({**self._b.parameters, **values_b}, state.open_b)})
        return self._sides.both(self._differentiate)

    def _fits(self, state: _State, of_a: Gradients, of_b: Gradients) -> list[Fit]:
        """List the open arrays and parts of both sides with equal gradients."""
        least = _EQUAL * _largest(of_a)
        candidates = _candidates(state, of_a, of_b, least)
        return [fit for fit, one, other in candidates if difference(one, other) <= _EQUAL]

    def _likelihood(self, fit: Fit) -> tuple[bool, tuple[bool, int]]:
        """Rate a fit by the values that the arrays are made with, then by their names."""
        one, other = fit
        own = one.canonical(self._a.parameters[one.name])
        array = other.canonical(self._b.parameters[other.name])
        return bool(np.ptp(own)) and is_copy(own, array), likeness(one.name, other.name)

    def _proved(self, state: _State) -> Assignment | None:
        """Return the assignment if outputs and gradients are equal, and what is left are second biases."""
        a, b = self._gradients(state, (0.0, 0.0))
        matching = self._complete(state)
        gaps = [output_gap(np.asarray(a.output), np.asarray(b.output))]
        scale = _largest(a) or 1.0
        for each in matching.arrays():
            if each.one.name in a.parameters and each.other.name in b.parameters:
                one = each.one.canonical(a.parameters[each.one.name])
                other = each.other.canonical(b.parameters[each.other.name])
                gaps.append(float(np.abs(one.ravel() - other.ravel()).max(initial=0.0)) / scale)
        # A sum has equal gradients wherever the second bias is, others may have them at one point.
        if not all(gap <= _EQUAL for gap in gaps) or not self._are_second(state, a, b):
            return None
        elsewhere = self._gradients(state, STARTS[1]) if state.open_a or state.open_b else (a, b)
        if not self._are_second(state, *elsewhere):
            return None
        return Assignment(matching, state.open_a, state.open_b)

    def _are_second(self, state: _State, of_a: Gradients, of_b: Gradients) -> bool:
        """Check that all that is open are second biases."""
        sides = (state.open_a, of_a.parameters), (state.open_b, of_b.parameters)
        return all(
            _is_second(name, mask, gradients, masks)
            for masks, gradients in sides
            for name, mask in masks.items()
        )


def zeroed(values: Mapping[str, np.ndarray], masks: Masks) -> dict[str, np.ndarray]:
    """Return the arrays that have masks, with zeros where these are True."""
    return {name: np.where(mask, 0.0, values[name]) for name, mask in masks.items()}


def _second_biases(uses: Iterable[Use]) -> set[str]:
    """Name the second biases of recurrent layers, which :func:`transferred` adds to the first ones."""
    return {
        stored.name
        for use in uses
        for role, stored in use.parameters.items()
        if role.startswith("recurrent_bias")
    }


def _is_named(pair: PairedUse) -> bool:
    """Check that the arrays of both uses have the same names."""
    one, other = ({words(stored.name) for stored in use.parameters.values()} for use in pair)
    return one == other


def _is_sound(pair: PairedUse) -> bool:
    """Check that both uses have the same roles, each of one size."""
    sizes = [{role: math.prod(shape) for role, shape in use.shapes.items()} for use in pair]
    return all(sizes[0][role] == sizes[1][role] for role in sizes[0].keys() & sizes[1].keys())


def _is_second(name: str, mask: np.ndarray, gradients: Mapping[str, np.ndarray], masks: Masks) -> bool:
    """Check that the gradient of an array, where the mask is True, is that of an assigned one."""
    own = gradients[name][mask]
    return bool(np.abs(own).max() > 0.0) and any(
        array.shape == mask.shape
        and not (other in masks and (masks[other] & mask).any())
        and difference(array[mask], own) <= _EQUAL
        for other, array in gradients.items()
        if other != name
    )


def _largest(gradients: Gradients) -> float:
    return max((float(np.abs(each).max(initial=0.0)) for each in gradients.parameters.values()), default=0.0)


def _same_norm(one: np.ndarray, other: np.ndarray) -> bool:
    return math.isclose(float(np.linalg.norm(one)), float(np.linalg.norm(other)), rel_tol=1e-7)


def _candidates(
    state: _State, of_a: Gradients, of_b: Gradients, least: float
) -> Iterator[tuple[Fit, np.ndarray, np.ndarray]]:
    """Yield the ways in which open arrays may be others or parts of them, and the gradients in the same form.

    Gradients of at most ``least`` are left out.
    """
    for (a, open_a), (b, open_b) in itertools.product(state.open_a.items(), state.open_b.items()):
        one, other = (a, of_a.parameters[a], open_a), (b, of_b.parameters[b], open_b)
        if one[1].size >= other[1].size:
            yield from _ways_between(one, other, least)
        else:
            for (large, small), of_large, of_small in _ways_between(other, one, least):
                yield Fit(small, large), of_small, of_large


def _ways_between(
    large: tuple[str, np.ndarray, np.ndarray],
    small: tuple[str, np.ndarray, np.ndarray],
    least: float,
) -> Iterator[tuple[Fit, np.ndarray, np.ndarray]]:
    """Yield the ways in which a small array is a large one or its part, each with gradient and mask."""
    (name, array, is_open), (small_name, small_array, small_is_open) = large, small
    if not small_is_open.all() or np.abs(small_array).max(initial=0.0) <= least:
        return
    for part in _parts(name, array, small_array.size):
        own = part.part(array)
        if part.part(is_open).all() and _same_norm(own, small_array):
            for one, other in _layouts(own.shape, small_array.shape):
                fit = Fit(_laid_out(part, one), _laid_out(Stored(small_name), other))
                yield fit, fit.one.canonical(array), fit.other.canonical(small_array)


def _parts(name: str, array: np.ndarray, size: int) -> Iterator[Stored]:
    """Yield the parts of ``array`` along one axis that have ``size`` elements."""
    if array.size == size:
        yield Stored(name)
        return
    for axis, length in enumerate(array.shape):
        width, rest = divmod(size * length, array.size)
        if rest or not width:
            continue
        for start in range(0, length - width + 1, math.gcd(width, length)):
            yield Stored(name, axis=axis, start=start, stop=start + width)


class _Layout(NamedTuple):
    """The shape of a part without axes of length 1, the order of its axes, and the shape after that."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    final: tuple[int, ...]


def _layouts(one: Sequence[int], other: Sequence[int]) -> Iterator[tuple[_Layout, _Layout]]:
    """Yield the ways in which two shapes become one: axes in another order, and joined."""
    one, other = squeezed(one), squeezed(other)
    if len(one) < len(other):
        yield from ((own, another) for another, own in _layouts(other, one))
        return
    if len(one) > MOST_AXES:
        return
    # Matrices may be transposed. In other arrays, axes of one size keep their order: a table of positions
    # with its height and width exchanged is another table.
    is_ordered = len(one) == len(other) > 2  # noqa: PLR2004  more axes than a matrix
    for axes in itertools.permutations(range(len(one))):
        if (is_ordered and axes not in _KERNEL_AXES) and any(
            one[first] == one[second] and first > second for first, second in itertools.combinations(axes, 2)
        ):
            continue
        if _joins([one[axis] for axis in axes], other):
            yield _Layout(one, axes, other), _Layout(other, tuple(range(len(other))), other)


def _joins(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Check that neighbouring axes of ``shape`` can be joined to those of ``wanted``."""
    rest = list(shape)
    for size in wanted:
        made = 1
        while made < size and rest:
            made *= rest.pop(0)
        if made != size:
            return False
    return not rest


def _laid_out(stored: Stored, layout: _Layout) -> Stored:
    """Return a part with a layout; what changes nothing is left out."""
    is_plain = layout.axes == tuple(range(len(layout.axes)))
    return msgspec.structs.replace(
        stored,
        shape=layout.shape,
        axes=None if is_plain else layout.axes,
        final_shape=layout.final
        if layout.final != tuple(layout.shape[axis] for axis in layout.axes)
        else None,
    )


def _share(fit: Fit, other: Fit) -> bool:
    """Check that two fits cannot both be right: they share elements of a side."""
    return any(_overlap(one, two) for one, two in zip(fit, other, strict=True))


def _overlap(one: Stored, other: Stored) -> bool:
    if one.name != other.name:
        return False
    if one.axis is None or one.axis != other.axis:
        return True
    return one.start < other.stop and other.start < one.stop


def _ways(fits: Sequence[Fit], likelihood: Callable[[Fit], Any]) -> list[list[Fit]]:
    """Return sets of fits to try: as many as go together, then each fit of the array that has the fewest.

    Fits of one ``likelihood`` stay in the order of the models, so that one of two biases is used whole.
    """
    if not fits:
        return []
    ranked = sorted(fits, key=likelihood, reverse=True)
    together: list[Fit] = []
    for fit in ranked:
        if not any(_share(fit, other) for other in together):
            together.append(fit)
    rivals = [[other for other in ranked if other is fit or _share(fit, other)] for fit in ranked]
    return [together, *([fit] for fit in min(rivals, key=len))]
