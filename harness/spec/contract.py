"""The version of the contract, and what a backend that follows the first one does not know."""

from collections.abc import Iterator

from harness.layers import (
    GRU,
    LSTM,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    PlacedLayer,
    Reshape,
)
from harness.spec.schedules import ConstantRate
from harness.spec.task import Adversarial, BinaryClassification, Classification, Task

#: The second version has trees of layers, state, tokens, targets for each position, schedules and clipping.
CONTRACT = 2

_FIRST_LAYERS = (Conv2D, ConvTranspose2D, MaxPool2D, Flatten, Reshape, Dense, Dropout, GRU, LSTM)
_FIRST_ACTIVATIONS = (None, "relu", "leaky_relu", "tanh", "sigmoid")


def beyond_first_contract(task: Task) -> str | None:
    """The first part of the task that version 1 of the contract has not, in words; None if there is none."""
    return next(_newer(task), None)


def _newer(task: Task) -> Iterator[str]:
    for name, network in task.networks.items():
        for place in network.placed():
            if newer := _newer_layer(place):
                yield f"{newer} (layer {name}/{place.name})"
    if isinstance(task.objective, BinaryClassification):
        yield "binary classification"
    if isinstance(task.objective, Classification) and task.objective.label_smoothing:
        yield "label smoothing"
    if not isinstance(task.objective, Adversarial) and len(task.networks["model"].output_shape()) > 1:
        yield "classes for each position"
    if task.schedule != ConstantRate():
        yield "a schedule of learning rates"
    if task.clip_norm:
        yield "clipped gradients"


def _newer_layer(place: PlacedLayer) -> str | None:
    layer = place.layer
    if not isinstance(layer, _FIRST_LAYERS):
        return type(layer).__name__
    activation = getattr(layer, "activation", None)
    if activation not in _FIRST_ACTIVATIONS:
        return f"the activation {activation}"
    if isinstance(layer, Dense) and len(place.input_shape) > 1:
        return "Dense on more than one axis"
    if isinstance(layer, Conv2D | Dense) and not layer.bias:
        return f"{type(layer).__name__} without bias"
    if isinstance(layer, Conv2D) and isinstance(layer.padding, int):
        return "padding given as a number"
    return None
