"""Tables: constant arrays that both sides compute with, such as masks and sines."""

import math
from collections.abc import Iterator

import numpy as np

from harness.port.cause_kinds import text
from harness.port.pairing.relations import relation
from harness.port.values import difference, orders

#: A mask that adds this or less blocks a score.
_BLOCKING = -1e4
_LEAST_ROWS = 4
_SHOWN_FREQUENCIES = 3


def fitting(array: np.ndarray, like: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``array`` in the form of ``like``: its axes moved, repeated, or as the other kind of mask."""
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
    """Return the kind of cause of two tables that differ, and a description of each."""
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
    """Describe the keys that a query sees by a mask (..., queries, keys); empty if ``table`` is no mask."""
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
    """Describe the frequencies of a table (positions, ...) of sines and cosines; empty for other tables."""
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
