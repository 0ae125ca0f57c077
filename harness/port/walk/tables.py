"""Tables: constant arrays that both sides compute with, such as masks and sines."""

import math
from collections.abc import Iterator

import numpy as np

from harness.port.values import orders

#: A mask that adds this or less blocks a score.
_BLOCKING = -1e4


def fitting(array: np.ndarray, like: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``array`` in the form of ``like``: its axes moved, or as the other kind of mask."""
    if like.dtype == bool and array.dtype != bool:
        array = array > _BLOCKING
    elif array.dtype == bool and like.dtype != bool:
        array = np.where(array, 0.0, -math.inf)
    orders_of_axes = list(orders(array.shape, like.shape))
    if orders_of_axes:
        yield from (array.transpose(order) for order in orders_of_axes)
    elif array.size == like.size:
        yield array.reshape(like.shape)


def described(own: np.ndarray, other: np.ndarray) -> tuple[str, str, str]:
    """Return the kind of cause of two tables that differ, and a description of each."""
    masks = [mask_text(each) for each in (own, other)]
    if all(masks):
        return "mask", masks[0], masks[1]
    own, other = own.astype(np.float64), other.astype(np.float64)
    shape = "×".join(map(str, own.shape))
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
