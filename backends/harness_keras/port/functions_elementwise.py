"""Functions of ``keras.ops`` on each element, sums over axes, and what changes no value."""

import dataclasses
import math
from typing import Any

import numpy as np
from keras.src import backend

from harness.tracing import semantics as kinds
from harness_keras.port.called import FUNCTIONS, Called, Reading, reads
from harness_keras.port.dropouts import together_of
from harness_keras.port.geometry import all_from_end, from_end
from harness_keras.port.recorder import Recorder, is_array

Tensor = Any


_ACTIVATIONS = {
    "nn.relu": "relu", "nn.relu6": "relu6", "nn.sigmoid": "sigmoid", "nn.tanh": "tanh", "numpy.tanh": "tanh",
    "nn.softplus": "softplus", "nn.silu": "silu", "nn.selu": "selu", "nn.hard_sigmoid": "hard_sigmoid",
    "nn.hard_silu": "hard_swish", "numpy.exp": "exp", "numpy.log": "log", "numpy.sqrt": "sqrt",
    "math.rsqrt": "rsqrt", "numpy.square": "square", "numpy.abs": "abs", "numpy.absolute": "abs",
    "numpy.negative": "negative", "nn.softsign": "softsign", "numpy.sin": "sin", "numpy.cos": "cos",
}  # fmt: skip


def _activation(function: str) -> Reading:
    return lambda called: called.record(kinds.Activation(function=function))


FUNCTIONS.update({name: _activation(function) for name, function in _ACTIVATIONS.items()})


@reads("nn.leaky_relu")
def _leaky_relu(called: Called) -> Tensor:
    return called.record(kinds.Activation(function="leaky_relu", slope=float(called["negative_slope"])))


@reads("nn.elu", "nn.celu")
def _elu(called: Called) -> Tensor:
    function = called.function.split(".")[-1]
    return called.record(kinds.Activation(function=function, slope=float(called["alpha"])))


@reads("nn.gelu")
def _gelu(called: Called) -> Tensor:
    return called.record(kinds.Activation(function="gelu_tanh" if called["approximate"] else "gelu"))


@reads("nn.softmax", "nn.log_softmax")
def _softmax(called: Called) -> Tensor:
    axis = called["axis"]
    if not isinstance(axis, int):
        return NotImplemented
    logarithm = called.function.endswith("log_softmax")
    return called.record(kinds.Softmax(axis=from_end(axis, len(called.x.shape)), logarithm=logarithm))


_ARITHMETIC = {
    "numpy.add": "add", "numpy.subtract": "subtract", "numpy.multiply": "multiply", "numpy.divide": "divide",
    "numpy.true_divide": "divide", "numpy.power": "power",
    "numpy.maximum": "maximum", "numpy.minimum": "minimum",
}  # fmt: skip


def arithmetic(recorder: Recorder, first: Any, second: Any) -> tuple[float | None, bool, tuple[bool, bool]]:
    """The number among two arguments, whether it is the first, and which of them are values."""
    numbers = [_number(recorder, first), _number(recorder, second)]
    if numbers[1] is not None and numbers[0] is None:
        return numbers[1], False, (True, False)
    if numbers[0] is not None and numbers[1] is None:
        return numbers[0], True, (False, True)
    return None, False, (True, True)


def _number(recorder: Recorder, value: Any) -> float | None:
    if is_array(value):
        if recorder.is_known(value) or math.prod(value.shape) != 1 or len(value.shape):
            return None
        return float(value)
    if isinstance(value, int | float | np.number):
        return float(value)
    return float(value) if isinstance(value, np.ndarray) and value.ndim == 0 else None


def _binary(function: str) -> Reading:
    def reading(called: Called) -> Tensor:
        names = list(called.arguments)[:2]
        constant, first, are_values = arithmetic(called.recorder, *(called[name] for name in names))
        does = kinds.Arithmetic(function=function, constant=constant, constant_first=first)
        used = [name for name, is_value in zip(names, are_values, strict=True) if is_value]
        changed = {}
        for name in used:
            if not is_array(called[name]):  # an array of NumPy's
                changed[name] = as_tensor(called[name])
        return dataclasses.replace(called, arguments={**called.arguments, **changed}).record(does, *used)

    return reading


def as_tensor(array: Any) -> Tensor:
    """An array as a tensor of the engine, not recorded."""
    return backend.convert_to_tensor(array)


FUNCTIONS.update({name: _binary(function) for name, function in _ARITHMETIC.items()})


@reads(
    "numpy.mean", "numpy.sum", "numpy.max", "numpy.min", "numpy.amax", "numpy.amin", "numpy.var", "numpy.std"
)
def _reduction(called: Called) -> Tensor:
    if called.arguments.get("initial") is not None:
        return NotImplemented
    function = called.function.split(".")[-1]
    function = {"var": "variance", "std": "deviation", "amax": "max", "amin": "min"}.get(function, function)
    axes = all_from_end(called["axis"], len(called.x.shape))
    return called.record(kinds.Reduction(function=function, axes=axes, keep=bool(called["keepdims"])))


@reads("random.dropout")
def _dropout(called: Called) -> Tensor:
    rate = float(called["rate"])
    together = together_of(called.x.shape, called.arguments.get("noise_shape"))
    does = kinds.Dropout(rate=rate, active=rate > 0, together=together)
    return called.recorder.call(called.function, does, [called.x], lambda x: x)


@reads("core.cast", "core.convert_to_tensor", "core.stop_gradient", "numpy.copy", "numpy.array")
def _same(called: Called) -> Tensor:
    with called.recorder.quiet():
        result = called.again()
    if is_array(called.x):
        called.recorder.alias(result, called.x)
    return result


@reads("numpy.clip")
def _clip(called: Called) -> Tensor:
    low, high = called["x_min"], called["x_max"]
    if low == 0 and high == 6:  # noqa: PLR2004
        return called.record(kinds.Activation(function="relu6"))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return NotImplemented
    limited = called.recorder.call(
        called.function,
        kinds.Arithmetic(function="maximum", constant=float(low)),
        [called.x],
        lambda x: called.again(x=x, x_max=math.inf),
    )
    return called.recorder.call(
        called.function,
        kinds.Arithmetic(function="minimum", constant=float(high)),
        [limited],
        lambda x: called.again(x=x),
    )
