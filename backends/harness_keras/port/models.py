"""A user's model: how it is called, its variables by name, and the layouts of its inputs and outputs."""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from harness.tracing.calls import InputShape

Tensor = Any


def called(model: Any, given: Any, *, training: bool) -> Any:
    """Call a model or layer; a layer with a signature of its own need not take ``training``.

    The tensors of a list are passed one by one if ``call`` has an argument for each, as ``call(self, x, y)``.
    """
    takes_training = isinstance(model, keras.Model) or getattr(model, "_call_has_training_arg", False)
    arguments = given if isinstance(given, list) and _takes_each(model, len(given)) else [given]
    return model(*arguments, training=training) if takes_training else model(*arguments)


def _takes_each(model: Any, count: int) -> bool:
    """Check that a layer with a ``call`` of its own takes ``count`` tensors, one argument each."""
    if getattr(model, "_inputs_struct", None) is not None:  # a functional model takes what it declares
        return False
    positional = [
        parameter
        for parameter in inspect.signature(model.call).parameters.values()
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        and parameter.name != "training"
    ]
    needed = sum(parameter.default is parameter.empty for parameter in positional)
    return count > 1 and needed > 1 and len(positional) >= count


def named_variables(model: Any) -> dict[str, keras.Variable]:
    """Return the model's variables by their paths, made unique by a number where they are not."""
    named: dict[str, keras.Variable] = {}
    for variable in model.weights:
        name, number = variable.path, 1
        while name in named:
            number += 1
            name = f"{variable.path}#{number}"
        named[name] = variable
    return named


# Inputs and outputs between the layout of a comparison, channels last, and the model's own.

#: Batch, channels and at least one spatial axis.
_PICTURE_RANK = 4


class Layout(NamedTuple):
    """Of each input: its shape, whether the model has its channels first, and its name; and of the outputs.

    ``structure`` is what the model takes: one tensor, or a list or dictionary of them.
    """

    shapes: tuple[InputShape, ...]
    first: tuple[bool, ...]
    names: tuple[str, ...]
    structure: Any
    outputs_first: bool

    def zeros(self) -> list[Tensor]:
        """Make a batch of two for each input."""
        arrays = [
            np.zeros((2, *shape.shape), np.int32 if shape.integer else np.float64) for shape in self.shapes
        ]
        return self.tensors(arrays)

    def tensors(self, arrays: Sequence[np.ndarray]) -> list[Tensor]:
        """Convert channels-last arrays to the model's inputs."""
        made = []
        for array, shape, first in zip(arrays, self.shapes, self.first, strict=True):
            moved = np.moveaxis(array, -1, 1) if first else array
            dtype = "int32" if shape.integer else "float64"
            made.append(ops.convert_to_tensor(np.ascontiguousarray(moved), dtype=dtype))
        return made

    def structured(self, tensors: Sequence[Tensor]) -> Any:
        """Arrange tensors as the model's argument."""
        return tree.pack_sequence_as(self.structure, list(tensors))

    def inputs_to_channels_last(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Put the channels of the float inputs' gradients last, as in the inputs."""
        firsts = [first for first, shape in zip(self.first, self.shapes, strict=True) if not shape.integer]
        return [np.moveaxis(a, 1, -1) if first else a for a, first in zip(arrays, firsts, strict=True)]

    def output_to_channels_last(self, tensor: Tensor) -> Tensor:
        """Put the channels of an output last if it is a picture or volume."""
        if self.outputs_first and len(tensor.shape) >= _PICTURE_RANK:
            return ops.moveaxis(tensor, 1, -1)
        return tensor


def layout_of(model: Any, shapes: Sequence[InputShape]) -> Layout:
    """Return the layout of a model, by its declared inputs if it has them, else by Keras's configuration."""
    declared = getattr(model, "inputs", None) or []
    configured = keras.config.image_data_format() == "channels_first"
    first = []
    for place, shape in enumerate(shapes):
        own = tuple(declared[place].shape)[1:] if place < len(declared) else None
        first.append(_channels_first(shape.shape, own, configured=configured))
    structure = getattr(model, "_inputs_struct", None) if declared else None
    if structure is None:
        structure = list(range(len(shapes))) if len(shapes) > 1 else 0
    names = tuple(tensor.name for tensor in declared) or tuple(str(i) for i in range(len(shapes)))
    return Layout(tuple(shapes), tuple(first), names, structure, any(first))


def _channels_first(shape: tuple[int, ...], own: tuple[int | None, ...] | None, *, configured: bool) -> bool:
    if len(shape) + 1 < _PICTURE_RANK and own is None:
        return False
    if own is None or len(own) != len(shape) or _fits(shape, own):
        return own is None and configured
    return _fits((shape[-1], *shape[:-1]), own)


def _fits(shape: tuple[int, ...], own: tuple[int | None, ...]) -> bool:
    return all(given is None or given == length for length, given in zip(shape, own, strict=True))
