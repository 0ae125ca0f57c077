"""Calls of a model: what each computed, from which values and parameters, with its results."""

from typing import Any, Literal

import msgspec
import numpy as np

from harness.tracing import semantics as kinds

Role = str


class Stored(msgspec.Struct, frozen=True):
    """A part of a stored parameter, and how it becomes the canonical array of a role.

    The part is taken from ``axis`` between ``start`` and ``stop``, reshaped to ``shape`` (None leaves it),
    and its axes are put into the order ``axes`` (None leaves it). In this order: slice, reshape, transpose,
    then ``final_shape``.
    """

    name: str
    axis: int | None = None
    start: int = 0
    stop: int = 0
    shape: tuple[int, ...] | None = None
    axes: tuple[int, ...] | None = None
    final_shape: tuple[int, ...] | None = None

    def canonical(self, stored: np.ndarray) -> np.ndarray:
        """The canonical array of what is stored."""
        part = self._part(stored)
        if self.shape is not None:
            part = part.reshape(self.shape)
        if self.axes is not None:
            part = part.transpose(self.axes)
        return part if self.final_shape is None else part.reshape(self.final_shape)

    def store(self, canonical: np.ndarray, stored: np.ndarray) -> None:
        """Write a canonical array into its part of what is stored (inverse of :meth:`canonical`)."""
        part = self._part(stored)
        middle = part.shape if self.shape is None else self.shape
        if self.axes is None:
            part[...] = canonical.reshape(part.shape)
            return
        shuffled = canonical.reshape([middle[axis] for axis in self.axes])
        part[...] = shuffled.transpose(np.argsort(self.axes)).reshape(part.shape)

    def _part(self, stored: np.ndarray) -> np.ndarray:
        if self.axis is None:
            return stored
        place = [slice(None)] * stored.ndim
        place[self.axis] = slice(self.start, self.stop)
        return stored[tuple(place)]


class Value(msgspec.Struct):
    """An array of a trace. ``name`` is that of a parameter, or of a model's input or output."""

    source: Literal["input", "parameter", "constant", "call"]
    array: Any
    name: str = ""


class Call(msgspec.Struct, kw_only=True):
    """One call. ``inputs`` and ``outputs`` are places in :attr:`Trace.values`.

    ``path`` is the layer's own name in the model (``layer1.0.conv1``), empty in the model's own code;
    ``function`` is what the framework calls it (``torch.nn.functional.conv2d``).
    """

    path: str
    function: str
    does: kinds.Semantics
    inputs: list[int]
    outputs: list[int]
    parameters: dict[Role, Stored] = {}


class Trace(msgspec.Struct):
    """All calls of one evaluation of a model, in their order.

    ``inputs`` and ``outputs`` are places in ``values``; outputs have names where the model returns a
    dictionary. ``state_after`` are the parameters that the evaluation changed, such as running statistics.
    """

    values: list[Value]
    calls: list[Call]
    inputs: list[int]
    outputs: list[int]
    state_after: dict[str, Any] = {}
