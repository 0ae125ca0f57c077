"""From a network to Keras layers, for all engines.

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
from keras import ops

from harness.layers import (
    GRU,
    LSTM,
    ActivationName,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    Reshape,
    Shape,
)
from harness.network import Network, PlacedLayer
from harness.spec import Penalty

#: Height, width and channels: the axes of a shape that is a picture.
PICTURE_AXES = 3
#: The harness loads weights before the first step. Random initial ones, which JAX compiles for each shape,
#: took half of the time to build a network and make its first step.
_INITIALIZER = "zeros"


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
    seed: int
    #: Whether XLA is requested. It cannot compile recurrent layers of cuDNN, which are then not used.
    xla: bool

    def layers(self, network: Network) -> Iterator[keras.layers.Layer]:
        """The Keras layers of a network, input first; those with parameters have the canonical names."""
        yield keras.Input(keras_shape(network.input_shape))
        for position, place in enumerate(network.placed()):
            yield from self._layer(place, _spread(self.seed + position))

    def _layer(self, place: PlacedLayer, seed: int) -> Iterator[keras.layers.Layer]:
        name = place.name
        match place.layer:
            case Conv2D() as layer:
                yield keras.layers.Conv2D(
                    layer.filters,
                    layer.kernel_size,
                    layer.strides,
                    layer.padding,
                    **self._of_product(name, layer.activation),
                )
            case ConvTranspose2D(filters, kernel_size, strides, activation):
                yield keras.layers.Conv2DTranspose(
                    filters, kernel_size, strides, "same", **self._of_product(name, activation)
                )
            case Dense(units, activation):
                yield self.engine.Dense(units, **self._of_product(name, activation))
            case MaxPool2D(pool_size):
                yield keras.layers.MaxPooling2D(pool_size, name=name)
            case Flatten():
                # With channels first Keras would also reorder the axes of a sequence.
                channels = "channels_first" if channels_first(place.input_shape) else "channels_last"
                yield keras.layers.Flatten(channels, name=name)
            case Reshape(shape):
                yield keras.layers.Reshape(shape, name=name)
                if channels_first(shape):
                    yield keras.layers.Permute((3, 1, 2), name=f"{name}_channels_first")
            case Dropout(rate):
                yield keras.layers.Dropout(rate, seed=seed, name=name)
            case GRU() | LSTM() as layer:
                yield self._recurrent(name, layer)

    def _of_product(self, name: str, activation: ActivationName | None) -> dict[str, Any]:
        return {
            "name": name,
            "activation": self._activation(activation),
            "kernel_initializer": _INITIALIZER,
            "kernel_regularizer": self._regularizer(),
        }

    def _activation(self, activation: ActivationName | None) -> Any:
        match activation:
            case "leaky_relu":
                return self.engine.leaky_relu
            case "tanh":
                return self.engine.tanh
            case "sigmoid":
                return self.engine.sigmoid
            case _:
                return activation

    def _regularizer(self) -> "KernelPenalty | None":
        l1, l2 = self.penalty.l1, self.penalty.l2
        return KernelPenalty(l1, l2) if l1 or l2 else None

    def _recurrent(self, name: str, layer: GRU | LSTM) -> keras.layers.Layer:
        # JAX's cuDNN computes float64 in float32 and lacks bfloat16 (jax.experimental.rnn, 0.10).
        float32 = keras.config.dtype_policy().name == "float32"
        cudnn = not self.xla and (float32 or keras.backend.backend() != "jax")
        # Keras's other defaults are the contract's, and what its fast paths require.
        arguments: dict[str, Any] = {
            "name": f"{name}_forward" if layer.bidirectional else name,
            "return_sequences": layer.return_sequences,
            "kernel_initializer": _INITIALIZER,
            "kernel_regularizer": self._regularizer(),
            "recurrent_initializer": _INITIALIZER,
            "recurrent_regularizer": self._regularizer(),
            "use_cudnn": "auto" if cudnn else False,
        }
        if isinstance(layer, GRU):
            made = keras.layers.GRU(layer.units, **arguments)
        else:
            made = keras.layers.LSTM(layer.units, unit_forget_bias=False, **arguments)
        if layer.bidirectional:
            with _without_tensorflow():
                made = keras.layers.Bidirectional(made, name=name)
        # ``Bidirectional`` copies activations by name, and resets ``use_cudnn``, which excludes XLA on a GPU.
        for direction in directions(layer, made):
            direction.use_cudnn = arguments["use_cudnn"]
            direction.cell.activation = self.engine.tanh
            direction.supports_jit = direction.supports_jit or self.xla
        return made


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Make imports of TensorFlow fail inside, on other engines.

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


def directions(layer: GRU | LSTM, made: keras.layers.Layer) -> tuple[keras.layers.Layer, ...]:
    """The Keras layers of ``layer.directions``."""
    return (made.forward_layer, made.backward_layer) if layer.bidirectional else (made,)


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


def channels_first(shape: Shape) -> bool:
    """Whether this canonical shape is a picture and the engine puts its channels first."""
    return len(shape) == PICTURE_AXES and keras.config.image_data_format() == "channels_first"


def keras_shape(shape: Shape) -> Shape:
    """A canonical shape in the order of this engine."""
    return (shape[-1], *shape[:-1]) if channels_first(shape) else shape
