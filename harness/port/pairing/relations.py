"""Operations that turn one array into another: a permutation of its elements, or an offset."""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from harness.port.values import MOST_AXES, difference


class Operation(NamedTuple):
    """An operation that turns A's array into B's: an order of the elements (None keeps it) and an offset."""

    text: str
    order: np.ndarray | None
    offset: float = 0.0

    def applied(self, array: np.ndarray) -> np.ndarray:
        """Apply the operation to A's ``array``."""
        return self.moved(array) + self.offset if self.offset else self.moved(array)

    def moved(self, array: np.ndarray) -> np.ndarray:
        """Reorder a gradient or another difference of arrays, in which the offset cancels."""
        return array if self.order is None else array.ravel()[self.order].reshape(array.shape)


#: Values that were copied are equal up to a rounding to float32.
_COPIED = 1e-6
#: Arrays of fewer different numbers may be equal after an operation by chance.
_LEAST_NUMBERS = 4


def operation_between(
    one: np.ndarray, other: np.ndarray, spatial: int = 0, *, repeats: bool = False
) -> Operation | None:
    """Find the operation that turns ``one`` into ``other``; None if they are equal, or there is none.

    ``spatial`` is the number of leading axes that are spatial. Arrays with many equal numbers may match by
    chance, and have no operation unless they may have ``repeats``.
    """
    if one.size != other.size or not np.isfinite(one).all() or not np.isfinite(other).all():
        return None
    if one.shape != other.shape or is_copy(one, other):
        return None
    if (offset := float(np.mean(other - one))) and is_copy(one + offset, other):
        return Operation(f"an offset of {offset:+.6g}", None, offset)
    if not _has_same_numbers(one, other, repeats=repeats):
        return None
    places = np.arange(one.size).reshape(one.shape)
    for words, moved in itertools.chain(
        _mirrored(places, spatial), _permuted(places, one, other), _turned(places)
    ):
        order = moved.ravel()
        if is_copy(one.ravel()[order].reshape(one.shape), other):
            return Operation(words, order)
    return None


def axis_order(one: np.ndarray, other: np.ndarray, tolerance: float) -> Operation | None:
    """Find the order of elements along one axis that turns ``one`` into ``other``; None if there is none."""
    places = np.arange(one.size).reshape(one.shape)
    for words, moved in _permuted(places, one, other) if one.shape == other.shape else ():
        if difference(one.ravel()[moved.ravel()].reshape(one.shape), other) <= tolerance:
            return Operation(words, moved.ravel())
    return None


def is_copy(one: np.ndarray, other: np.ndarray) -> bool:
    """Check that both arrays are equal up to a rounding to float32."""
    return difference(one, other) <= _COPIED


def _has_same_numbers(one: np.ndarray, other: np.ndarray, *, repeats: bool) -> bool:
    """Check that both may hold the same numbers in another order, with enough different numbers."""
    scale = float(np.abs(one).max(initial=0.0))
    if not math.isclose(float(np.sum(one * one)), float(np.sum(other * other)), rel_tol=_COPIED):
        return False
    first, second = np.sort(one, axis=None), np.sort(other, axis=None)
    distinct = 1 + int(np.count_nonzero(np.diff(first) > _COPIED * scale))
    enough = _LEAST_NUMBERS if repeats else max(_LEAST_NUMBERS, one.size // 2)
    return distinct >= enough and is_copy(first, second)


def _mirrored(places: np.ndarray, spatial: int) -> Iterator[tuple[str, np.ndarray]]:
    for count in range(spatial, 0, -1):
        for axes in itertools.combinations(range(spatial), count):
            text = f"mirroring along axis {', '.join(map(str, axes))}"
            yield "a rotation by 180°" if count == spatial == 2 else text, np.flip(places, axes)  # noqa: PLR2004


def _permuted(places: np.ndarray, one: np.ndarray, other: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield, for each axis, the order of its elements that follows from the numbers themselves."""
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
    """Name a permutation in words."""
    count = len(order)
    plain = np.arange(count)
    if np.array_equal(order, plain[::-1]):
        return "a reversal"
    if np.array_equal(order, np.roll(plain, count // 2)):
        return "an exchange of the halves"
    for groups in (each for each in range(2, count) if count % each == 0):
        if np.array_equal(order, plain.reshape(groups, -1).T.ravel()):
            return f"a transposition of {groups} × {count // groups} parts"
    return "a permutation"


#: Operations that seem to relate numbers of one generator which are drawn in another shape.
_TRANSPOSED, _RESHAPED = TURNED = "a transposition", "a reshape in the place of a transposition"


def _turned(places: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if not 1 < places.ndim <= MOST_AXES:
        return
    for axes in itertools.permutations(range(places.ndim)):
        turned = places.transpose(axes)
        if turned.shape == places.shape:
            yield f"{_TRANSPOSED} to its axes {axes}", turned
            continue
        text = f"{_RESHAPED} to its axes {axes}"
        yield text, turned
        yield text, places.reshape(turned.shape).transpose(np.argsort(axes))


def relation(one: np.ndarray, other: np.ndarray) -> str:
    """Name the operation that turns ``one`` into ``other``; empty if none is known."""
    operation = operation_between(one, other, repeats=True)
    return "" if operation is None else operation.text
