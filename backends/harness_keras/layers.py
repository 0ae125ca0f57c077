"""From a layer of a network to Keras layers, for all engines.

If an engine puts the channels of pictures first, every layer here does. Kernels keep their layout, and
``Flatten`` and ``Reshape`` the canonical order, in either format.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import msgspec
from keras import ops

from harness.layers import (
    GRU,
    LSTM,
    Activation,
    ActivationName,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    PlacedLayer,
    PositionEmbedding,
    SelfAttention,
)
from harness.spec import Penalty
from harness_keras import attention, normalization
from harness_keras.layout import channels_axis, channels_first
from harness_keras.recurrent import recurrent
from harness_keras.sampling import sampling

#: The harness loads weights before the first step. Random initial ones, which JAX compiles for each shape,
#: took half of the time to build a network and make its first step.
_INITIALIZER = "zeros"
_ACTIVATIONS_OF_ENGINE = ("leaky_relu", "tanh", "sigmoid", "gelu", "gelu_tanh")


def _spread(number: int) -> int:
    """A seed of 31 bits, far from the seeds of adjacent numbers.

    Keras on PyTorch adds a layer's number of draws to its seed. With adjacent seeds one layer would draw at a
    step what another draws at the next.
    """
    return int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:4], "little") >> 1


@dataclass(frozen=True)
class Maker:
    """Creates the layers of a network for an engine, mode and task."""

    engine: ModuleType
    penalty: Penalty
    #: Whether XLA is requested. It cannot compile recurrent layers of cuDNN, which are then not used.
    xla: bool

    def layers(self, place: PlacedLayer, seed: int) -> Iterator[keras.layers.Layer]:
        """The Keras layers that in order make up one of the network.

        The one that holds the parameters has the path of ``place`` as its name.
        """
        name = keras_name(place.name)
        match place.layer:
            case Conv1D() | Conv2D() as layer:
                yield from self._convolution(layer, place)
            case ConvTranspose2D(filters, kernel_size, strides, activation):
                yield keras.layers.Conv2DTranspose(
                    filters, kernel_size, strides, "same", **self._of_product(name, activation)
                )
            case Dense(units, activation, bias):
                made = self.engine.Dense(units, use_bias=bias, **self._of_product(name, activation))
                yield from _on_last_axis(made, place)
            case BatchNorm() | LayerNorm():
                yield from _normalization(place, name)
            case Embedding() | PositionEmbedding() as layer:
                yield _embedding(layer, name)
            case Activation(function):
                yield keras.layers.Activation(self._activation(function), name=name)
            case Dropout(rate):
                yield keras.layers.Dropout(rate, seed=_spread(seed), name=name)
            case SelfAttention() as layer:
                width = place.input_shape[-1]
                yield attention.SelfAttention(
                    layer, width, self.engine, self._weights(), _spread(seed), name=name
                )
            case GRU() | LSTM() as layer:
                weights = self._weights() | self._weights("recurrent")
                yield recurrent(layer, name, weights, self.engine.tanh, xla=self.xla)
            case _:
                yield from sampling(place, name)

    def native(self, place: PlacedLayer, seed: int) -> Any:
        """The layer of a model of the user's own."""
        # Other networks do not import what such models share with ``harness port``.
        from harness_keras.native import NativeLayer

        return NativeLayer(place, self.penalty, _spread(seed), xla=self.xla, name=keras_name(place.name))

    def _convolution(self, layer: Conv1D | Conv2D, place: PlacedLayer) -> Iterator[keras.layers.Layer]:
        name = keras_name(place.name)
        pictures = isinstance(layer, Conv2D)
        padding = layer.padding
        if isinstance(padding, int):
            # Keras pads by names only. Where "same" adds as many zeros it does so within the convolution.
            by_name = msgspec.structs.replace(layer, padding="same")
            same = all(by_name.same_padding(axis) == (padding, padding) for axis in place.input_shape[:-1])
            if padding and not same:
                zeros = keras.layers.ZeroPadding2D if pictures else keras.layers.ZeroPadding1D
                yield zeros(padding, name=f"{name}_padding", **_data_format(pictures))
            padding = "same" if padding and same else "valid"
        kind = keras.layers.Conv2D if pictures else keras.layers.Conv1D
        yield kind(
            layer.filters,
            layer.kernel_size,
            layer.strides,
            padding,
            use_bias=layer.bias,
            **_data_format(pictures),
            **self._of_product(name, layer.activation),
        )

    def _of_product(self, name: str, activation: ActivationName | None) -> dict[str, Any]:
        return {"name": name, "activation": self._activation(activation), **self._weights()}

    def _weights(self, kind: str = "kernel") -> dict[str, Any]:
        """The initializer and the regularizer of a kernel."""
        l1, l2 = self.penalty.l1, self.penalty.l2
        return {
            f"{kind}_initializer": _INITIALIZER,
            f"{kind}_regularizer": KernelPenalty(l1, l2) if l1 or l2 else None,
        }

    def _activation(self, activation: ActivationName | None) -> Any:
        if activation in _ACTIVATIONS_OF_ENGINE:
            return getattr(self.engine, activation)
        return activation


def keras_name(path: str) -> str:
    """The name of a layer in its Keras model, where a slash is not allowed."""
    return path.replace("/", "_")


def _data_format(pictures: bool) -> dict[str, str]:
    """Sequences keep their features last, whatever the engine does with pictures."""
    return {} if pictures else {"data_format": "channels_last"}


def _embedding(layer: Embedding | PositionEmbedding, name: str) -> keras.layers.Layer:
    if isinstance(layer, PositionEmbedding):
        return attention.PositionEmbedding(layer.context, name=name)
    return attention.Embedding(layer.vocabulary, layer.width, _INITIALIZER, name=name)


def _normalization(place: PlacedLayer, name: str) -> Iterator[keras.layers.Layer]:
    match place.layer:
        case BatchNorm(epsilon, update_rate):
            axis = channels_axis(place.input_shape)
            yield normalization.BatchNormalization(axis, 1.0 - update_rate, epsilon, name=name)
        case LayerNorm(epsilon):
            yield from _on_last_axis(normalization.LayerNormalization(epsilon=epsilon, name=name), place)


def _on_last_axis(made: keras.layers.Layer, place: PlacedLayer) -> Iterator[keras.layers.Layer]:
    """A layer that works on the last axis, between permutations where that is not the channels'."""
    if not channels_first(place.input_shape):
        yield made
        return
    yield keras.layers.Permute((2, 3, 1), name=f"{made.name}_channels_last")
    yield made
    yield keras.layers.Permute((3, 1, 2), name=f"{made.name}_channels_first")


@keras.saving.register_keras_serializable("harness")
class KernelPenalty(keras.regularizers.Regularizer):
    """Like Keras's L1L2, which on TensorFlow rounds the factors to float32 even in a float64 model."""

    def __init__(self, l1: float, l2: float) -> None:
        self._l1, self._l2 = l1, l2

    def __call__(self, kernel: Any) -> Any:
        total = 0.0
        if self._l1:
            total += self._l1 * ops.sum(ops.absolute(kernel))
        if self._l2:
            total += self._l2 * ops.sum(ops.square(kernel))
        return total

    def get_config(self) -> dict[str, float]:
        """The arguments for a copy, which ``Bidirectional`` makes."""
        return {"l1": self._l1, "l2": self._l2}
