"""How a framework stores an array that has a canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # what describes networks needs no NumPy
    import numpy as np


class Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a stored parameter, and how it becomes the canonical array of a role.

    The part is taken from ``axis`` between ``start`` and ``stop``, or where there is only a ``stop`` from the
    elements in row-major order. It is reshaped to ``shape`` (None leaves it),
    and its axes are put into the order ``axes`` (None leaves it). In this order: slice, reshape, transpose,
    then ``final_shape``; at last the axes ``flipped`` are reversed.
    """

    name: str
    axis: int | None = None
    start: int = 0
    stop: int = 0
    shape: tuple[int, ...] | None = None
    axes: tuple[int, ...] | None = None
    final_shape: tuple[int, ...] | None = None
    flipped: tuple[int, ...] = ()

    def canonical(self, stored: np.ndarray) -> np.ndarray:
        """The canonical array of what is stored."""
        part = self.part(stored)
        if self.shape is not None:
            part = part.reshape(self.shape)
        if self.axes is not None:
            part = part.transpose(self.axes)
        if self.final_shape is not None:
            part = part.reshape(self.final_shape)
        return part[self._reversal(part)] if self.flipped else part

    def store(self, canonical: np.ndarray, stored: np.ndarray) -> None:
        """Write a canonical array into its part of what is stored (inverse of :meth:`canonical`)."""
        part = self.part(stored)
        part[...] = self.in_stored_form(canonical, part.shape)

    def in_stored_form(self, canonical: np.ndarray, part: tuple[int, ...]) -> np.ndarray:
        """A canonical array as the part of this shape."""
        if self.flipped:
            canonical = canonical[self._reversal(canonical)]
        if self.axes is None:
            return canonical.reshape(part)
        middle = part if self.shape is None else self.shape
        shuffled = canonical.reshape([middle[axis] for axis in self.axes])
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return shuffled.transpose(back).reshape(part)

    def part(self, stored: np.ndarray) -> np.ndarray:
        """The part of what is stored, a view."""
        if self.axis is None:
            return stored.reshape(-1)[self.start : self.stop] if self.stop else stored
        place = [slice(None)] * stored.ndim
        place[self.axis] = slice(self.start, self.stop)
        return stored[tuple(place)]

    def _reversal(self, array: np.ndarray) -> tuple[slice, ...]:
        flipped = {axis % array.ndim for axis in self.flipped}
        return tuple(slice(None, None, -1 if axis in flipped else 1) for axis in range(array.ndim))
