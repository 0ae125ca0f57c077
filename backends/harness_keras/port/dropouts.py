"""Layers that draw at random, which a side leaves out and records."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from harness.tracing import semantics as kinds
from harness_keras.port.readings import Running, reads

Tensor = Any
_NAMES = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
#: Layers whose randomness is not that of ``keras.random.dropout``. A random crop is a crop at any time.
NOISE = (
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    *(name for name in dir(keras.layers) if name.startswith("Random") and name != "RandomCrop"),
)


def layers_named(names: tuple[str, ...]) -> list[Any]:
    """The classes of these names that this Keras has."""
    return [getattr(keras.layers, name) for name in names if hasattr(keras.layers, name)]


def together_of(shape: Sequence[int], noise_shape: Any) -> int:
    """How many elements have one number of a noise of this shape, in which None is a whole axis."""
    if noise_shape is None:
        return 1
    pairs = zip(shape, tuple(noise_shape), strict=True)
    return math.prod(length for length, noise in pairs if noise is not None and int(noise) == 1)


@reads(*layers_named(_NAMES + NOISE))
def random_layer(running: Running) -> Tensor:
    """The input itself."""
    layer = running.layer
    rate = getattr(layer, "stddev", getattr(layer, "rate", 1.0))
    rate = float(rate) if isinstance(rate, int | float) else 1.0
    shape, noise = tuple(running.x.shape), getattr(layer, "noise_shape", None)
    if hasattr(layer, "_get_noise_shape"):  # a spatial dropout
        noise = layer._get_noise_shape(running.x)  # noqa: SLF001
    together = together_of(shape, noise)
    does = kinds.Dropout(rate=rate, active=running.training and rate > 0, together=together)
    return running.part(does, [running.x], lambda x: x)
