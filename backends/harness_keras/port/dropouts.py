"""Layers that draw at random, which a side leaves out and records."""

from typing import Any

import keras

from harness.tracing import semantics as kinds
from harness_keras.port.readings import Running, layer_class, reads

Tensor = Any


@reads(
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianDropout,
    layer_class("AlphaDropout"),
    keras.layers.GaussianNoise,
)
def random_layer(running: Running) -> Tensor:
    """The input itself."""
    layer = running.layer
    rate = float(layer.stddev if hasattr(layer, "stddev") else layer.rate)
    does = kinds.Dropout(rate=rate, active=running.training and rate > 0)
    return running.part(does, [running.x], lambda x: x)
