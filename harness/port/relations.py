"""How one array is made of another one: an operation on its elements, a mask, a table of sines.

Parameters that were copied with an error, tables of both sides, and values that differ are described by it.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from harness.port.call_mistakes import text
from harness.port.values import ROUNDING, difference, orders


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


# Whether one array is another one after an operation.

#: Values that were copied are equal up to a rounding to float32.
_COPIED = 1e-6
#: Arrays of fewer different numbers are equal after an operation by chance.
_LEAST_NUMBERS = 4
_MOST_AXES = 5


def operation_between(
    one: np.ndarray, other: np.ndarray, spatial: int = 0, *, repeats: bool = False
) -> Operation | None:
    """The operation that makes the other array of one; None if they are equal, or none does.

    ``spatial`` is the number of leading axes that are spatial. Arrays in which most numbers are equal may
    seem to be another one by chance, and have no operation unless they may have ``repeats``.
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


def is_copy(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether both are equal up to a rounding to float32."""
    return difference(one, other) <= _COPIED


def _has_same_numbers(one: np.ndarray, other: np.ndarray, *, repeats: bool) -> bool:
    """Whether both may hold the same numbers in another order, and enough of them are different."""
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
_TRANSPOSED, _RESHAPED = TURNED = "a transposition", "a reshape in the place of a transposition"


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


def relation(one: np.ndarray, other: np.ndarray) -> str:
    """What makes the other array of one, in words; empty if nothing known does."""
    if one.shape == other.shape and is_copy(one, other):
        return ""
    operation = operation_between(one, other, repeats=True)
    if operation is not None:
        return operation.text
    if one.shape != other.shape or not np.isfinite(one).all() or not np.isfinite(other).all():
        return ""
    norm = float(np.vdot(one, one))
    factor = float(np.vdot(one, other)) / norm if norm else 0.0
    if factor and difference(factor * one, other) <= ROUNDING:
        return f"a multiplication by {factor:.6g}"
    return next(_shifts(one, other), "")


_MOST_SHIFT = 4


def _shifts(one: np.ndarray, other: np.ndarray) -> Iterator[str]:
    """Along which axis, and by how much, the other array begins later or earlier."""
    for axis, length in enumerate(one.shape):
        for shift in range(1, min(_MOST_SHIFT, length - 2) + 1):
            late, early = np.arange(shift, length), np.arange(length - shift)
            for sign, (first, second) in ((1, (late, early)), (-1, (early, late))):
                if np.ptp(one) and is_copy(one.take(first, axis), other.take(second, axis)):
                    yield f"an offset of {sign * shift:+d} along axis {axis}"


# Tables: constants that both sides compute with.

#: Scores to which so little is added do not count.
_BLOCKING = -1e4
_LEAST_ROWS = 4
_SHOWN_FREQUENCIES = 3


def fitting(array: np.ndarray, like: np.ndarray) -> Iterator[np.ndarray]:
    """A table of the other side in the form of one's own: its axes moved, repeated, or another mask."""
    if like.dtype == bool and array.dtype != bool:
        array = array > _BLOCKING
    elif array.dtype == bool and like.dtype != bool:
        array = np.where(array, 0.0, -math.inf)
    orders_of_axes = list(orders(array.shape, like.shape))
    if orders_of_axes:
        yield from (array.transpose(order) for order in orders_of_axes)
    elif array.size == like.size:
        yield array.reshape(like.shape)
    else:
        flat = array.reshape([size for size in array.shape if size != 1])
        for each in dict.fromkeys((array.shape, flat.shape)):
            try:
                yield np.broadcast_to(array.reshape(each), like.shape)
            except ValueError:
                continue


def described(own: np.ndarray, other: np.ndarray) -> tuple[str, str, str]:
    """The kind of cause of two tables that differ, and what each is."""
    masks = [mask_text(each) for each in (own, other)]
    if all(masks):
        return "mask", masks[0], masks[1]
    own, other = own.astype(np.float64), other.astype(np.float64)
    shape = "×".join(map(str, own.shape))
    waves = [_frequencies(each) for each in (own, other)]
    made = relation(other, own)
    if made:
        return "table", f"table {shape}, equal after {made}", f"table {shape}"
    if all(waves) and waves[0] != waves[1]:
        return "table", f"table {shape}, {waves[0]}", f"table {shape}, {waves[1]}"
    place = tuple(int(each) for each in np.argwhere(own != other)[0])
    count = int(np.count_nonzero(own != other))
    more = f" and {count - 1} more" if count > 1 else ""
    first, second = (f"table {shape}, {float(each[place]):.6g} at {place}{more}" for each in (own, other))
    return "table", first, second


def mask_text(table: np.ndarray) -> str:
    """Which keys a query sees by a mask (..., queries, keys); empty if the table is no mask."""
    if table.ndim < 2:  # noqa: PLR2004
        return ""
    if table.dtype != bool and not (np.isin(table, (0.0,)) | (table <= _BLOCKING)).all():
        return ""
    seen = table if table.dtype == bool else table > _BLOCKING
    first = seen.reshape(-1, *seen.shape[-2:])[0]
    if not (seen == first).all() or not first.any():
        return f"{int(seen.sum())} of {seen.size} seen"
    if first.all():
        return "none"
    queries, keys = np.nonzero(first)
    low, high = int((keys - queries).min()), int((keys - queries).max())
    far = np.arange(first.shape[1]) - np.arange(first.shape[0])[:, None]
    if not np.array_equal(first, (far >= low) & (far <= high)):
        return f"{int(first.sum())} of {first.size} seen"
    last = "its own" if high == 0 else f"{high:+d}"
    return f"keys up to {last}" if low == 1 - first.shape[0] else f"keys from {low:+d} to {last}"


def _frequencies(table: np.ndarray) -> str:
    """Of a table (positions, ...) of sines and cosines; empty if it is none."""
    table = table.reshape([size for size in table.shape if size != 1])
    if table.ndim != 2 or len(table) < _LEAST_ROWS or table.dtype.kind != "f" or not np.isfinite(table).all():  # noqa: PLR2004
        return ""
    between, around = table[1:-1], table[2:] + table[:-2]  # sin(x + f) + sin(x - f) = 2 cos(f) sin(x)
    norms = (between**2).sum(0)
    if not norms.all():
        return ""
    cosines = (between * around).sum(0) / norms / 2
    if difference(2 * cosines * between, around) > 1e-9 or np.abs(cosines).max() > 1 + 1e-9:  # noqa: PLR2004
        return ""
    found = sorted({float(f"{each:.3g}") for each in np.arccos(np.clip(cosines, -1, 1))}, reverse=True)
    shown = found if len(found) <= _SHOWN_FREQUENCIES + 1 else [*found[:_SHOWN_FREQUENCIES], found[-1]]
    texts = [text(each) for each in shown]
    return f"frequencies {', '.join(texts[:-1])}, {'… ' if len(found) > len(shown) else ''}{texts[-1]}"
