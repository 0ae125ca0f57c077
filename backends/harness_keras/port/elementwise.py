"""Layers that work on each element and whose function is not one of ``keras.ops``."""

from typing import Any

import keras
from keras import ops

from harness.tracing import semantics as kinds
from harness_keras.port.readings import Running, Unreadable, reads

Tensor = Any


@reads(keras.layers.Activation)
def activation(running: Running) -> Tensor:
    """The function itself, except mish, which Keras puts together of others."""
    if running.layer.activation is not keras.activations.mish:
        raise Unreadable
    return running.whole(kinds.Activation(function="mish"))


@reads(keras.layers.Rescaling)
def rescaling(running: Running) -> Tensor:
    """A product and a sum with numbers."""
    layer = running.layer
    if not isinstance(layer.scale, int | float) or not isinstance(layer.offset, int | float):
        raise Unreadable
    scaled = ops.multiply(running.x, float(layer.scale))
    return ops.add(scaled, float(layer.offset)) if layer.offset else scaled


@reads(keras.layers.Identity)
def identity(running: Running) -> Tensor:
    """The input itself."""
    return running.whole(kinds.Activation(function="identity"))
