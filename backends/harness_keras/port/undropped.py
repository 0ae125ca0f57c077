"""Evaluations without random zeros, whatever a model asks for."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from keras.src import backend

from harness.tracing import semantics as kinds
from harness_keras.port.dropouts import NOISE, layers_named, together_of
from harness_keras.port.recorder import active

Tensor = Any


@contextlib.contextmanager
def without_dropout() -> Iterator[None]:
    """Dropout and noise give back what they get."""
    layers = layers_named(NOISE)
    before = backend.random.dropout, [layer.call for layer in layers]
    backend.random.dropout = _dropout
    for layer in layers:
        layer.call = _identity(layer.call)
    try:
        yield
    finally:
        backend.random.dropout = before[0]
        for layer, call in zip(layers, before[1], strict=True):
            layer.call = call


def _dropout(inputs: Tensor, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    del seed
    recorder = active()
    if recorder is None or not recorder.is_known(inputs):
        return inputs
    together = together_of(inputs.shape, noise_shape)
    does = kinds.Dropout(rate=float(rate), active=rate > 0, together=together)
    return recorder.call("keras.random.dropout", does, [inputs], lambda x: x)


def _identity(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(self: Any, inputs: Tensor, training: bool = False) -> Tensor:  # noqa: ARG001
        return inputs

    call.__doc__ = original.__doc__
    return call
