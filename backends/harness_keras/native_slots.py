"""The arrays of a user's model in its Keras variables, of which each may hold several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from harness.layers import NativeArray, PlacedLayer
from harness.spec import Task, Unsupported
from harness.tracing.calls import Stored
from harness_keras.port.own_models import named_variables

_FRAMEWORK = "keras"


@dataclass(frozen=True)
class NativeSlot:
    """A variable, and the canonical arrays in it with the part that holds each."""

    names: tuple[str, ...]
    variable: Any
    parts: tuple[Stored, ...]
    shapes: tuple[tuple[int, ...], ...]

    def is_decayed(self, task: Task) -> bool:
        """Whether the task's weight decay shrinks the variable; raises as :meth:`agrees`."""
        return bool(task.weight_decay) and self.agrees("decayed", task.is_decayed)

    def to_keras(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The variable's value with these arrays in it."""
        whole = np.array(keras.ops.convert_to_numpy(self.variable), np.float64)
        for part, array in zip(self.parts, arrays, strict=True):
            part.store(array, whole)
        return whole

    def to_canonical(self, array: np.ndarray) -> list[np.ndarray]:
        """The arrays in a value of the variable."""
        whole = array if array.dtype.itemsize >= np.dtype(np.float32).itemsize else array.astype(np.float32)
        return [
            part.canonical(whole).reshape(shape) for part, shape in zip(self.parts, self.shapes, strict=True)
        ]

    def agrees(self, treatment: str, applies: Callable[[str], bool]) -> bool:
        """Whether a treatment applies to the arrays, by their names.

        Raises:
            Unsupported: it applies to some of them only.
        """
        chosen = {applies(name) for name in self.names}
        if len(chosen) > 1:
            raise Unsupported(f"{self.variable.path} holds several arrays of which only some are {treatment}")
        return chosen == {True}


def native_slots(
    place: PlacedLayer, arrays: Sequence[NativeArray], model: keras.layers.Layer, *, trained: bool
) -> list[NativeSlot]:
    """The slots of these arrays, all of which gradients change, or none.

    Raises:
        Unsupported: the model has not the variables that the arrays say.
    """
    variables = named_variables(model)
    trainable = {id(variable) for variable in model.trainable_variables}
    by_variable: dict[str, list[tuple[NativeArray, Stored]]] = {}
    for array in arrays:
        stored = array.stored.get(_FRAMEWORK)
        if stored is None:
            raise Unsupported(f"the model does not say where keras stores {array.name}")
        if stored.name not in variables:
            raise Unsupported(f"the model has no variable {stored.name}, in which the task has {array.name}")
        if (id(variables[stored.name]) in trainable) is not trained:
            trains = "does not train" if trained else "trains"
            raise Unsupported(
                f"the model {trains} {stored.name}, unlike the task, which has {array.name} in it"
            )
        _check_shape(variables[stored.name], stored, array)
        by_variable.setdefault(stored.name, []).append((array, stored))
    return [_slot(place, variables[name], held) for name, held in by_variable.items()]


def _slot(place: PlacedLayer, variable: Any, held: Sequence[tuple[NativeArray, Stored]]) -> NativeSlot:
    return NativeSlot(
        tuple(f"{place.name}/{array.name}" for array, _ in held),
        variable,
        tuple(stored for _, stored in held),
        tuple(array.shape for array, _ in held),
    )


def _check_shape(variable: Any, stored: Stored, array: NativeArray) -> None:
    shape = tuple(variable.shape)
    try:
        fits = stored.canonical(np.empty(shape, np.int8)).shape == tuple(array.shape)
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise Unsupported(
            f"{stored.name} has shape {shape}, from which {array.name} {array.shape} cannot be taken"
        )
