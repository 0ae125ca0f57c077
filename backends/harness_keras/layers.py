"""From a layer of a network to Keras layers, for all engines.

If an engine puts the channels of pictures first, every layer here does. Kernels keep their layout, and
``Flatten`` and ``Reshape`` the canonical order, in either format.
"""

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import msgspec
from keras import ops

from harness import layers as kinds
from harness.layers import PlacedLayer
from harness.spec import Penalty
from harness_keras import attention, normalization
from harness_keras.layout import channels_axis, channels_first
from harness_keras.objectives import KernelPenalty

Tensor = Any

#: The harness loads weights before the first step. Random initial ones, which JAX compiles for each shape,
#: took half of the time to build a network and make its first step.
_INITIALIZER = "zeros"
_ACTIVATIONS_OF_ENGINE = ("leaky_relu", "tanh", "sigmoid", "gelu", "gelu_tanh")


def spread(number: int) -> int:
    """Return a seed of 31 bits, far from the seeds of adjacent numbers.

    Keras on PyTorch adds a layer's number of draws to its seed. With adjacent seeds a layer would draw the
    same numbers at a step as another layer at the next step.
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
        """Yield the Keras layers that in order make up a layer of the network.

        The Keras layer that holds the parameters has the path of ``place`` as its name.
        """
        name = keras_name(place.name)
        match place.layer:
            case kinds.Conv1D() | kinds.Conv2D() as layer:
                yield from self._convolution(layer, place)
            case kinds.ConvTranspose2D(filters, kernel_size, strides, activation):
                yield keras.layers.Conv2DTranspose(
                    filters, kernel_size, strides, "same", **self._of_product(name, activation)
                )
            case kinds.Dense(units, activation, bias):
                made = self.engine.Dense(units, use_bias=bias, **self._of_product(name, activation))
                yield from _on_last_axis(made, place)
            case kinds.BatchNorm() | kinds.LayerNorm() | kinds.GroupNorm():
                yield from _normalization(place, name)
            case kinds.Embedding() | kinds.PositionEmbedding() as layer:
                yield _embedding(layer, name)
            case kinds.Activation(function):
                yield keras.layers.Activation(self._activation(function), name=name)
            case kinds.Dropout(rate):
                yield keras.layers.Dropout(rate, seed=spread(seed), name=name)
            case kinds.SelfAttention() as layer:
                width = place.input_shape[-1]
                yield attention.SelfAttention(
                    layer, width, self.engine, self._weights(), spread(seed), name=name
                )
            case kinds.GRU() | kinds.LSTM() as layer:
                weights = self._weights() | self._weights("recurrent")
                yield _recurrent(layer, name, weights, self.engine.tanh, xla=self.xla)
            case _:
                yield from _sampling(place, name)

    def _convolution(
        self, layer: kinds.Conv1D | kinds.Conv2D, place: PlacedLayer
    ) -> Iterator[keras.layers.Layer]:
        name = keras_name(place.name)
        pictures = isinstance(layer, kinds.Conv2D)
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

    def _of_product(self, name: str, activation: kinds.ActivationName | None) -> dict[str, Any]:
        return {"name": name, "activation": self._activation(activation), **self._weights()}

    def _weights(self, kind: str = "kernel") -> dict[str, Any]:
        """Return the initializer and the regularizer of a kernel."""
        l1, l2 = self.penalty.l1, self.penalty.l2
        return {
            f"{kind}_initializer": _INITIALIZER,
            f"{kind}_regularizer": KernelPenalty(l1, l2) if l1 or l2 else None,
        }

    def _activation(self, activation: kinds.ActivationName | None) -> Any:
        if activation in _ACTIVATIONS_OF_ENGINE:
            return getattr(self.engine, activation)
        return activation


def keras_name(path: str) -> str:
    """Return the name of a layer in its Keras model, where a slash is not allowed."""
    return path.replace("/", "_")


def _data_format(pictures: bool) -> dict[str, str]:
    """Return the data format of a layer; sequences keep their features last on every engine."""
    return {} if pictures else {"data_format": "channels_last"}


def _embedding(layer: kinds.Embedding | kinds.PositionEmbedding, name: str) -> keras.layers.Layer:
    if isinstance(layer, kinds.PositionEmbedding):
        return attention.PositionEmbedding(layer.context, name=name)
    return attention.Embedding(layer.vocabulary, layer.width, _INITIALIZER, name=name)


def _normalization(place: PlacedLayer, name: str) -> Iterator[keras.layers.Layer]:
    match place.layer:
        case kinds.BatchNorm(epsilon, update_rate):
            axis = channels_axis(place.input_shape)
            yield normalization.BatchNormalization(axis, 1.0 - update_rate, epsilon, name=name)
        case kinds.GroupNorm(groups, epsilon):
            yield normalization.GroupNormalization(
                groups, channels_axis(place.input_shape), epsilon, name=name
            )
        case kinds.LayerNorm(epsilon):
            yield from _on_last_axis(normalization.LayerNormalization(epsilon=epsilon, name=name), place)


def _on_last_axis(made: keras.layers.Layer, place: PlacedLayer) -> Iterator[keras.layers.Layer]:
    """Yield a layer for the last axis, between permutations if the channels are on another axis."""
    if not channels_first(place.input_shape):
        yield made
        return
    yield keras.layers.Permute((2, 3, 1), name=f"{made.name}_channels_last")
    yield made
    yield keras.layers.Permute((3, 1, 2), name=f"{made.name}_channels_first")


# Pictures and sequences made smaller, larger or flat.


class GlobalAverage(keras.layers.Layer):
    """Mean over all axes but the batch and ``axis``, of pictures or sequences.

    Keras's own layers use ``ops.mean``, which goes through float32 in a float64 model.
    """

    def __init__(self, axis: int, **options: Any) -> None:
        super().__init__(**options)
        self._axis = axis

    def call(self, inputs: Tensor) -> Tensor:
        """Average ``(batch, ..., channels)``, or with the channels at ``axis``, to ``(batch, channels)``."""
        shape = inputs.shape
        positions = [axis for axis in range(1, len(shape)) if axis != self._axis % len(shape)]
        if self.compute_dtype != "float64":
            return ops.mean(inputs, positions)
        mean, _ = ops.moments(inputs, positions)
        return mean


def _sampling(place: PlacedLayer, name: str) -> Iterator[keras.layers.Layer]:
    """Yield the Keras layers that in order make up a layer without weights."""
    match place.layer:
        case kinds.MaxPool2D(pool_size):
            yield keras.layers.MaxPooling2D(pool_size, name=name)
        case kinds.AveragePool2D(pool_size):
            yield keras.layers.AveragePooling2D(pool_size, name=name)
        case kinds.GlobalAveragePool():
            yield GlobalAverage(channels_axis(place.input_shape), name=name)
        case kinds.UpSample2D(factor):
            yield keras.layers.UpSampling2D(factor, name=name)
        case kinds.Flatten():
            # With channels first Keras would also reorder the axes of a sequence.
            channels = "channels_first" if channels_first(place.input_shape) else "channels_last"
            yield keras.layers.Flatten(channels, name=name)
        case kinds.Reshape(shape):
            yield keras.layers.Reshape(shape, name=name)
            if channels_first(shape):
                yield keras.layers.Permute((3, 1, 2), name=f"{name}_channels_first")


# GRU and LSTM as Keras layers.


def _recurrent(
    layer: kinds.GRU | kinds.LSTM, name: str, weights: dict[str, Any], tanh: Any, *, xla: bool
) -> keras.layers.Layer:
    """Return the recurrent layer; ``weights`` are the initializers and regularizers of its two kernels.

    With ``xla`` no layer of cuDNN is used, because XLA cannot compile it.
    """
    # JAX's cuDNN computes float64 in float32 and lacks bfloat16 (jax.experimental.rnn, 0.10).
    float32 = keras.config.dtype_policy().name == "float32"
    cudnn = not xla and (float32 or keras.backend.backend() != "jax")
    # Keras's other defaults are the contract's, and what its fast paths require.
    arguments: dict[str, Any] = {
        "name": f"{name}_forward" if layer.bidirectional else name,
        "return_sequences": layer.return_sequences,
        "use_cudnn": "auto" if cudnn else False,
        **weights,
    }
    if isinstance(layer, kinds.GRU):
        made = keras.layers.GRU(layer.units, **arguments)
    else:
        made = keras.layers.LSTM(layer.units, unit_forget_bias=False, **arguments)
    if layer.bidirectional:
        with _without_tensorflow():
            made = keras.layers.Bidirectional(made, name=name)
    # ``Bidirectional`` copies activations by name, and resets ``use_cudnn``, which excludes XLA on a GPU.
    for direction in directions(layer, made):
        direction.use_cudnn = arguments["use_cudnn"]
        direction.cell.activation = tanh
        direction.supports_jit = direction.supports_jit or xla
    return made


def directions(layer: kinds.GRU | kinds.LSTM, made: keras.layers.Layer) -> tuple[keras.layers.Layer, ...]:
    """Return the Keras layers of ``layer.directions``."""
    return (made.forward_layer, made.backward_layer) if layer.bidirectional else (made,)


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Make imports of TensorFlow fail in this context, on other engines.

    ``Bidirectional`` copies its layer through Keras's serialization, which imports TensorFlow wherever it is
    installed. That costs seconds and hundreds of megabytes, which would be measured.
    """
    if keras.backend.backend() == "tensorflow" or "tensorflow" in sys.modules:
        yield
        return
    # None makes Python raise ImportError for this module.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["tensorflow"]
