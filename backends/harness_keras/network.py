"""From a network to Keras layers, and from their variables to canonical parameters; for all engines.

Where an engine has pictures channels first, so has every layer here; kernels keep their layout, and
``Flatten`` and ``Reshape`` the canonical order, in either format.
"""

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.layers import (
    GRU,
    LSTM,
    Activation,
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

#: Height, width and channels: what a shape has where it stands for a picture.
PICTURE_AXES = 3
#: The harness loads weights before the first step; random ones, which JAX compiles for each shape, took
#: half of the time that it needed to build a network and make its first step.
_INITIALIZER = "zeros"


def _spread(number: int) -> int:
    """A seed of 31 bits, far from those of neighbouring numbers.

    Keras on PyTorch adds a layer's count of draws to its seed, so that with neighbouring seeds one would
    draw at a step what the other draws at the next.
    """
    return int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:4], "little") >> 1


@dataclass(frozen=True)
class Maker:
    """Makes the layers of one network in the way of this engine, mode and task."""

    engine: ModuleType
    penalty: Penalty
    seed: int
    #: Recurrent layers on cuDNN cannot be compiled by XLA; where XLA is what was asked for they give way.
    xla: bool

    def layers(self, network: Network) -> Iterator[keras.layers.Layer]:
        """The Keras layers of a network, input first; those with parameters bear the canonical names."""
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
                # With channels in front Keras would turn the axes of a sequence around too.
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

    def _of_product(self, name: str, activation: Activation | None) -> dict[str, Any]:
        return {
            "name": name,
            "activation": self._activation(activation),
            "kernel_initializer": _INITIALIZER,
            "kernel_regularizer": self._regularizer(),
        }

    def _activation(self, activation: Activation | None) -> Any:
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
        # JAX's cuDNN takes float64 for float32 and knows no bfloat16 (jax.experimental.rnn, 0.10).
        float32 = keras.config.dtype_policy().name == "float32"
        cudnn = not self.xla and (float32 or keras.backend.backend() != "jax")
        # Keras's defaults for the rest are the contract's, and what its fast paths ask for.
        settings: dict[str, Any] = {
            "name": f"{name}_forward" if layer.bidirectional else name,
            "return_sequences": layer.return_sequences,
            "kernel_initializer": _INITIALIZER,
            "kernel_regularizer": self._regularizer(),
            "recurrent_initializer": _INITIALIZER,
            "recurrent_regularizer": self._regularizer(),
            "use_cudnn": "auto" if cudnn else False,
        }
        if isinstance(layer, GRU):
            made = keras.layers.GRU(layer.units, **settings)
        else:
            made = keras.layers.LSTM(layer.units, unit_forget_bias=False, **settings)
        if layer.bidirectional:
            with _tensorflow_left_out():
                made = keras.layers.Bidirectional(made, name=name)
        # ``Bidirectional`` makes copies by name of function, and with the default ``use_cudnn``, by
        # which a GPU rules XLA out.
        for one in _directions(layer, made):
            one.use_cudnn = settings["use_cudnn"]
            one.cell.activation = self.engine.tanh
            one.supports_jit = one.supports_jit or self.xla
        return made


@contextlib.contextmanager
def _tensorflow_left_out() -> Iterator[None]:
    """On other engines than TensorFlow, imports of it fail inside.

    ``Bidirectional`` copies its layer through Keras's serialization, which asks whether TensorFlow is
    there and imports it wherever it is installed: seconds and hundreds of megabytes that such a
    process would be charged for.
    """
    if keras.backend.backend() == "tensorflow" or "tensorflow" in sys.modules:
        yield
        return
    # None is how Python is told that there is no such module.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["tensorflow"]


def _directions(layer: GRU | LSTM, made: keras.layers.Layer) -> tuple[keras.layers.Layer, ...]:
    """The Keras layers of ``layer.directions``."""
    return (made.forward_layer, made.backward_layer) if layer.bidirectional else (made,)


@keras.saving.register_keras_serializable("harness")
class KernelPenalty(keras.regularizers.Regularizer):
    """Keras's L1L2, which on TensorFlow would round the factors to float32 in a float64 model."""

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
        """What it takes to make another one, as ``Bidirectional`` does."""
        return {"l1": self._l1, "l2": self._l2}


def channels_first(shape: Shape) -> bool:
    """Whether this engine has the channels of a picture of this canonical shape in front."""
    return len(shape) == PICTURE_AXES and keras.config.image_data_format() == "channels_first"


def keras_shape(shape: Shape) -> Shape:
    """A canonical shape as this engine has it."""
    return (shape[-1], *shape[:-1]) if channels_first(shape) else shape


# --- Parameters ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    """A Keras variable, the canonical parameters that it holds, and the way between them.

    A variable of several parameters holds one a row. ``convert`` is its own inverse.
    """

    names: tuple[str, ...]
    variable: Any
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray


def slots(model: keras.Sequential, network: Network) -> Iterator[Slot]:
    """Where the parameters of a network are, by their names in the network (``conv2d_1/kernel``)."""
    for place in network.placed():
        layer = model.get_layer(place.name)
        match place.layer:
            case GRU() | LSTM() as recurrent:
                for way, one in zip(recurrent.directions, _directions(recurrent, layer), strict=True):
                    yield from _recurrent_slots(f"{place.name}/{way}", recurrent, one.cell)
            case ConvTranspose2D():
                yield Slot((f"{place.name}/kernel",), layer.kernel, _swap_in_and_out)
                yield Slot((f"{place.name}/bias",), layer.bias)
            case _:
                for name in place.layer.parameters(place.input_shape):
                    yield Slot((f"{place.name}/{name}",), getattr(layer, name))


def _recurrent_slots(name: str, layer: GRU | LSTM, cell: keras.layers.Layer) -> Iterator[Slot]:
    gru = isinstance(layer, GRU)
    convert = _swap_reset_and_update if gru else np.asarray
    yield Slot((f"{name}/kernel",), cell.kernel, convert)
    yield Slot((f"{name}/recurrent_kernel",), cell.recurrent_kernel, convert)
    biases = ("bias", "recurrent_bias") if gru else ("bias",)
    yield Slot(tuple(f"{name}/{bias}" for bias in biases), cell.bias, convert)


def _swap_in_and_out(kernel: np.ndarray) -> np.ndarray:
    """Keras has the kernel of a transposed convolution as ``(height, width, out, in)``."""
    return kernel.swapaxes(2, 3)


def _swap_reset_and_update(array: np.ndarray) -> np.ndarray:
    """Keras's gates ``(..., 3 * units)`` are update, reset, candidate."""
    gates = array.reshape(*array.shape[:-1], 3, -1)
    return gates[..., [1, 0, 2], :].reshape(array.shape)
