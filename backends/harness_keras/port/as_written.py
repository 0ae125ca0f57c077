"""A Keras model as its code is, in float32 where that names no other type."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from harness.tracing.calls import Trace
from harness.tracing.side import AsWritten, InputShape
from harness_keras.port import hooks
from harness_keras.port.own_models import called, named_variables
from harness_keras.port.recorder import Recorder
from harness_keras.port.shapes import layout_of
from harness_keras.port.side import named_outputs, recorded
from harness_keras.port.undropped import without_dropout


def as_written(model: Any, shapes: Sequence[InputShape]) -> AsWritten:
    """The model, which is built with these shapes if it is not yet."""
    layout, floating = layout_of(model, shapes), keras.config.floatx()

    def evaluate(tensors: Sequence[Any]) -> Any:
        with without_dropout():
            return called(model, layout.structured(tensors), training=False)

    evaluate(layout.zeros(floating))
    variables = named_variables(model)

    def load(parameters: Mapping[str, np.ndarray]) -> None:
        for name, array in parameters.items():
            variables[name].assign(array)

    def outputs(inputs: Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        for name, output in named_outputs(evaluate(layout.tensors(inputs, floating))):
            is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(output.dtype))
            numbers = ops.convert_to_numpy(ops.cast(output, "float32") if is_float else output)
            yield name, numbers.astype(np.float64) if is_float else numbers

    def record(inputs: Sequence[np.ndarray]) -> Trace:
        hooks.install()
        recorder = Recorder(variables, set())
        return recorded(model, layout, layout.tensors(inputs, floating), recorder, training=False)

    return AsWritten(load, outputs, record)
