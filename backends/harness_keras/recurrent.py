"""GRU and LSTM as Keras layers."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import keras

from harness.layers import GRU, LSTM


def recurrent(
    layer: GRU | LSTM, name: str, weights: dict[str, Any], tanh: Any, *, xla: bool
) -> keras.layers.Layer:
    """The Keras layer; ``weights`` are the initializers and regularizers of its two kernels.

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
        direction.cell.activation = tanh
        direction.supports_jit = direction.supports_jit or xla
    return made


def directions(layer: GRU | LSTM, made: keras.layers.Layer) -> tuple[keras.layers.Layer, ...]:
    """The Keras layers of ``layer.directions``."""
    return (made.forward_layer, made.backward_layer) if layer.bidirectional else (made,)


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
