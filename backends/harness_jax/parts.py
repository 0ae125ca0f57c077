"""The arrays of a user's own model, and the parts of them that hold the canonical arrays of a task."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax
import msgspec
import numpy as np
from jax import numpy as jnp

from harness.layers import NativeArray, Shape
from harness.spec import Unsupported
from harness.tracing.calls import Stored


class Part(NamedTuple):
    """The part of one of a model's arrays that holds a canonical array, of ``shape`` as it is stored."""

    stored: Stored
    shape: Shape
    canonical_shape: Shape

    def to_stored(self, canonical: np.ndarray) -> np.ndarray:
        """The canonical array as the part is stored."""
        return self.stored.in_stored_form(canonical, self.shape)

    def to_canonical(self, part: np.ndarray) -> np.ndarray:
        """The part as canonical array."""
        alone = msgspec.structs.replace(self.stored, axis=None, start=0, stop=0)
        return alone.canonical(part).reshape(self.canonical_shape)


class Whole(NamedTuple):
    """One of a model's arrays, of ``shape``, and the canonical names of its parts in their order."""

    shape: Shape
    axis: int | None
    parts: tuple[str, ...]

    def joined(self, parts: Mapping[str, jax.Array]) -> jax.Array:
        """The array of these parts."""
        if len(self.parts) == 1:
            return parts[self.parts[0]].reshape(self.shape)
        joined = jnp.concatenate([parts[name] for name in self.parts], axis=self.axis or 0)
        return joined.reshape(self.shape)


def part_of(array: NativeArray, stored: Stored, whole: Shape) -> Part:
    """The part of an array of shape ``whole`` that holds a canonical one.

    Raises:
        Unsupported: they do not have the same number of elements.
    """
    length = stored.stop - stored.start
    shape: Shape = (length,) if stored.stop else whole
    if stored.axis is not None:
        shape = (*whole[: stored.axis], length, *whole[stored.axis + 1 :])
    if math.prod(shape) != math.prod(array.shape):
        raise Unsupported(
            f"{stored.name} of the model has shape {whole}, which does not fit {array.name} {array.shape} of "
            "the task: write the task again"
        )
    return Part(stored, shape, array.shape)


def whole_of(name: str, shape: Shape, parts: Iterable[tuple[str, Stored]]) -> Whole:
    """The array of these parts, which must follow each other without gaps.

    Raises:
        Unsupported: they do not.
    """
    ordered = sorted(parts, key=lambda part: part[1].start)
    axis = ordered[0][1].axis
    length = math.prod(shape) if axis is None else shape[axis] if axis < len(shape) else 0
    ends = [stored.stop or length for _, stored in ordered]
    follow = [stored.start for _, stored in ordered] == [0, *ends[:-1]] and ends[-1] == length
    if not follow or any(stored.axis != axis for _, stored in ordered):
        raise Unsupported(f"the task does not divide {name} of the model into parts: write the task again")
    return Whole(shape, axis, tuple(each for each, _ in ordered))
