"""A model of the user's own as a native layer: names of its arrays, and where its code holds them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from harness.layers import Native, NativeArray, NativeModel
from harness.port.flops import flops
from harness.port.matching import uses
from harness.port.own_model import OwnModel
from harness.tracing.calls import Stored
from harness.tracing.side import InputShape


def native_layer(model: OwnModel, shape: InputShape) -> Native:
    """The layer of one model: arrays are named by path and role where a known call uses them."""
    plugin, parameters = model.built.plugin, model.described.parameters
    arrays: dict[str, NativeArray] = {}

    def add(name: str, stored: Stored) -> None:
        if not any(same_place(stored, array.stored[plugin]) for array in arrays.values()):
            name = free_name(name, arrays)
            arrays[name] = native_array(name, stored.canonical(parameters[stored.name]), {plugin: stored})

    for use in uses(model.evaluated):
        for role, stored in use.parameters.items():
            add(f"{use.path.replace('.', '/') or use.kind}/{role}", stored)
    used = {array.stored[plugin].name for array in arrays.values()}
    for name, parameter in parameters.items():
        if name not in used and parameter.dtype.kind == "f":
            add(name.replace(".", "/"), Stored(name))
    return layer_of([model], shape, arrays)


def layer_of(models: Sequence[OwnModel], shape: InputShape, arrays: Mapping[str, NativeArray]) -> Native:
    """The layer of models that hold these arrays; what is trained is what the first one trains."""
    first = models[0]
    output = first.evaluated.values[first.evaluated.outputs[0]].array
    trained = set(first.described.trained)
    learned = {name for name, array in arrays.items() if array.stored[first.built.plugin].name in trained}
    return Native(
        models=tuple(
            NativeModel(each.built.plugin, each.spec.target, each.spec.arguments) for each in models
        ),
        trained=tuple(array for name, array in arrays.items() if name in learned),
        held=tuple(array for name, array in arrays.items() if name not in learned),
        outputs=output.shape[1:],
        vocabulary=shape.maximum if shape.integer else None,
        flops=flops(first.evaluated) or None,
        dropout="active" if any(model.drops for model in models) else "none",
    )


def same_place(one: Stored, other: Stored) -> bool:
    """Whether both are the same numbers, as those of an embedding and of an output layer that share them."""
    return one.name == other.name and (one.axis, one.start, one.stop) == (other.axis, other.start, other.stop)


def free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number if it is taken."""
    names = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)


def native_array(
    name: str, canonical: np.ndarray, stored: dict[str, Stored], *, shared: bool = True
) -> NativeArray:
    """The array with initial values like these."""
    return NativeArray(name, canonical.shape, _initial(canonical), stored, shared)


def _initial(array: np.ndarray) -> float | Literal["zeros", "ones"]:
    """The standard deviation, or the constant."""
    spread = float(array.std())
    if spread == 0.0 and array.size:
        first = float(array.flat[0])
        if first in {0.0, 1.0}:
            return "ones" if first else "zeros"
        return abs(first)
    return spread
