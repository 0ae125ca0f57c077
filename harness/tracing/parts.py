"""Parts of stored parameters: what slices, reshapes and transpositions make of one, as a ``Stored``.

Each function returns None where the result is no such part.
"""

from collections.abc import Sequence

import msgspec

from harness.tracing.calls import Stored


def sliced(stored: Stored, axis: int, start: int, stop: int) -> Stored | None:
    """The part from ``start`` to ``stop`` along an axis."""
    if stored.shape is not None or stored.final_shape is not None:
        return None
    own = axis if stored.axes is None else stored.axes[axis]
    if stored.axis is None:
        return msgspec.structs.replace(stored, axis=own, start=start, stop=stop)
    if stored.axis != own:
        return None
    return msgspec.structs.replace(stored, start=stored.start + start, stop=stored.start + stop)


def reshaped(stored: Stored, shape: Sequence[int]) -> Stored:
    """The same elements in another shape."""
    if stored.axes is None and stored.final_shape is None:
        return msgspec.structs.replace(stored, shape=tuple(shape))
    return msgspec.structs.replace(stored, final_shape=tuple(shape))


def transposed(stored: Stored, axes: Sequence[int]) -> Stored | None:
    """The same elements with the axes in another order."""
    if stored.final_shape is not None:
        return None
    before = stored.axes or range(len(axes))
    after = tuple(before[axis] for axis in axes)
    return msgspec.structs.replace(stored, axes=None if after == tuple(range(len(after))) else after)


def composed(stored: Stored, layout: Stored) -> Stored | None:
    """What a layout, a ``Stored`` without a name, makes of a part."""
    result: Stored | None = stored
    if layout.axis is not None:
        result = sliced(stored, layout.axis, layout.start, layout.stop)
    if result is not None and layout.shape is not None:
        result = reshaped(result, layout.shape)
    if result is not None and layout.axes is not None:
        result = transposed(result, layout.axes)
    if result is not None and layout.final_shape is not None:
        result = reshaped(result, layout.final_shape)
    return result
