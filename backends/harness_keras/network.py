"""From a task to Keras layers, loss and optimizer; the same for all engines."""

from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Network, PlacedLayer, Shape
from harness.spec import Adam, Optimizer, Penalty, RmsProp, Sgd


def layers(engine: ModuleType, network: Network, penalty: Penalty, seed: int) -> list[keras.layers.Layer]:
    """The Keras layers of a network under their canonical names, input first.

    Kernels have the canonical layout in either image data format, and Keras's Flatten gives the
    canonical order in either.
    """
    shape = network.input_shape
    if channels_first(shape):
        shape = (shape[-1], *shape[:-1])
    made = [keras.Input(shape)]
    for position, place in enumerate(network.placed()):
        made.append(_layer(engine, place, penalty, seed + position))
    return made


def _layer(engine: ModuleType, place: PlacedLayer, penalty: Penalty, seed: int) -> keras.layers.Layer:
    name = place.name
    regularizer = _KernelPenalty(penalty) if penalty.l1 or penalty.l2 else None
    match place.layer:
        case Conv2D(filters, kernel_size, activation):
            return keras.layers.Conv2D(
                filters, kernel_size, activation=activation, kernel_regularizer=regularizer, name=name
            )
        case Dense(units, activation):
            return engine.Dense(units, activation=activation, kernel_regularizer=regularizer, name=name)
        case MaxPool2D(pool_size):
            return keras.layers.MaxPooling2D(pool_size, name=name)
        case Flatten():
            return keras.layers.Flatten(name=name)
        case Dropout(rate):
            return keras.layers.Dropout(rate, seed=seed, name=name)


def channels_first(shape: Shape) -> bool:
    """Whether this engine has the channels of inputs of this canonical shape in front."""
    return len(shape) > 1 and keras.config.image_data_format() == "channels_first"


class _KernelPenalty(keras.regularizers.Regularizer):
    """Keras's L1L2, which on TensorFlow would round the factors to float32 in a float64 model."""

    def __init__(self, penalty: Penalty) -> None:
        self._penalty = penalty

    def __call__(self, kernel: Any) -> Any:
        total = 0.0
        if self._penalty.l1:
            total += self._penalty.l1 * ops.sum(ops.absolute(kernel))
        if self._penalty.l2:
            total += self._penalty.l2 * ops.sum(ops.square(kernel))
        return total


def cross_entropies(targets: Any, logits: Any) -> Any:
    """Softmax cross-entropy of ``logits (batch, classes)`` and ``targets (batch,)``: ``(batch,)``.

    The mean over the batch is left to the engine: Keras's losses as classes and its ``ops.mean`` go
    through float32 even where the model is float64.
    """
    logits = ops.cast(logits, keras.config.floatx())
    return keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)


def optimizer(engine: ModuleType, settings: Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer exactly as its docstring in :mod:`harness.spec` pins it."""
    match settings:
        case Sgd(learning_rate, momentum, nesterov):
            # On TensorFlow Keras reads a Python float as float32; NumPy's float keeps all its digits.
            return keras.optimizers.SGD(learning_rate, momentum=np.float64(momentum), nesterov=nesterov)
        case Adam(learning_rate, beta_1, beta_2, epsilon):
            return engine.Adam(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        case RmsProp(learning_rate, rho, epsilon):
            return engine.RmsProp(learning_rate, rho=rho, epsilon=epsilon)
