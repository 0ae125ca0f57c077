"""Calls of a model: what each computed, from which values and parameters, with its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from harness.tracing import semantics as kinds

if TYPE_CHECKING:
    import numpy as np


# How a framework stores an array that has a canonical form.


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
        """Return the canonical array of the array ``stored``."""
        return self.of_part(self.part(stored))

    def of_part(self, part: np.ndarray) -> np.ndarray:
        """Return the canonical array of the part alone (see :meth:`part`)."""
        if self.shape is not None:
            part = part.reshape(self.shape)
        if self.axes is not None:
            part = part.transpose(self.axes)
        if self.final_shape is not None:
            part = part.reshape(self.final_shape)
        return part[self._reversal(part)] if self.flipped else part

    def store(self, canonical: np.ndarray, stored: np.ndarray) -> None:
        """Write a canonical array into its part of the array ``stored`` (inverse of :meth:`canonical`)."""
        part = self.part(stored)
        part[...] = self.in_stored_form(canonical, part.shape)

    def in_stored_form(self, canonical: np.ndarray, part: tuple[int, ...]) -> np.ndarray:
        """Arrange a canonical array in the shape of ``part``."""
        if self.flipped:
            canonical = canonical[self._reversal(canonical)]
        if self.axes is None:
            return canonical.reshape(part)
        middle = part if self.shape is None else self.shape
        shuffled = canonical.reshape([middle[axis] for axis in self.axes])
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return shuffled.transpose(back).reshape(part)

    def then(self, layout: Stored) -> Stored | None:
        """Return the part that ``layout``, without a name, makes of this part; None if it is no such part."""
        replace, made = msgspec.structs.replace, self
        if self.flipped:
            return None
        if layout.axis is not None:
            axis = layout.axis if self.axes is None else self.axes[layout.axis]
            is_whole = self.axis is None and not self.stop
            if self.shape is not None or self.final_shape is not None or not (is_whole or self.axis == axis):
                return None
            start, stop = (self.start + each for each in (layout.start, layout.stop))
            made = replace(made, axis=axis, start=start, stop=stop)
        if layout.shape is not None:
            made = _reshaped(made, layout.shape)
        if layout.axes is not None:
            before = made.axes or range(len(layout.axes))
            after = tuple(before[axis] for axis in layout.axes)
            if made.final_shape is not None:
                return None
            made = replace(made, axes=None if after == tuple(range(len(after))) else after)
        if layout.final_shape is not None:
            made = _reshaped(made, layout.final_shape)
        return replace(made, flipped=layout.flipped)

    def part(self, stored: np.ndarray) -> np.ndarray:
        """Return this part of the array ``stored``, as a view."""
        if self.axis is None:
            return stored.reshape(-1)[self.start : self.stop] if self.stop else stored
        place = [slice(None)] * stored.ndim
        place[self.axis] = slice(self.start, self.stop)
        return stored[tuple(place)]

    def _reversal(self, array: np.ndarray) -> tuple[slice, ...]:
        flipped = {axis % array.ndim for axis in self.flipped}
        return tuple(slice(None, None, -1 if axis in flipped else 1) for axis in range(array.ndim))


def _reshaped(stored: Stored, shape: tuple[int, ...]) -> Stored:
    if stored.axes is None and stored.final_shape is None:
        return msgspec.structs.replace(stored, shape=shape)
    return msgspec.structs.replace(stored, final_shape=shape)


__all__ = ["Call", "Role", "Stored", "Trace", "Value"]

Role = str


class Value(msgspec.Struct):
    """An array of a trace. ``name`` is that of a parameter, or of a model's input or output."""

    source: Literal["input", "parameter", "constant", "call"]
    array: Any
    name: str = ""


class Call(msgspec.Struct, kw_only=True):
    """One call. ``inputs`` and ``outputs`` are places in :attr:`Trace.values`.

    ``path`` is the layer's own name in the model (``layer1.0.conv1``), empty in the model's own code;
    ``function`` is what the framework calls it (``torch.nn.functional.conv2d``). ``line`` is where the
    user's code made it (``model.py:41``), empty where none of it was running.
    """

    path: str
    function: str
    does: kinds.AnySemantics
    inputs: list[int]
    outputs: list[int]
    parameters: dict[Role, Stored] = {}
    line: str = ""


class Trace(msgspec.Struct, tag=True):
    """All calls of one evaluation of a model, in their order.

    ``inputs`` and ``outputs`` are places in ``values``; outputs have names where the model returns a
    dictionary. ``state_after`` are the parameters that the evaluation changed, such as running statistics.
    """

    values: list[Value]
    calls: list[Call]
    inputs: list[int]
    outputs: list[int]
    state_after: dict[str, Any] = {}

    def stored(self) -> dict[str, np.ndarray]:
        return {value.name: value.array for value in self.values if value.source == "parameter"}

    def parameters_of(self, call: Call) -> dict[Role, np.ndarray]:
        stored = self.stored()
        return {role: each.canonical(stored[each.name]) for role, each in call.parameters.items()}


# What goes into a model, and what it is trained for.

Loss = Literal["cross-entropy", "mse"]


class InputShape(msgspec.Struct, frozen=True):
    """An input without its batch axis, channels last. Integers are from 0 to ``maximum`` exclusive."""

    shape: tuple[int, ...]
    integer: bool = False
    maximum: int = 0

    def sample(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Draw standard normal numbers ``(batch, *shape)``, or integers below the maximum."""
        size = batch, *self.shape
        return rng.integers(0, max(1, self.maximum), size) if self.integer else rng.standard_normal(size)
