"""Activations, arithmetic and reductions."""

import math
from typing import Any

import numpy as np
from scipy import special

from harness.port.reference.dispatch import Arrays, NoReference, Parameters, formula
from harness.tracing import semantics as kinds

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def activation(function: str, x: np.ndarray, slope: float | None = None) -> np.ndarray:
    """An elementwise function by name; formulas are those of the frameworks' documentation."""
    if function in {"leaky_relu", "elu", "celu"} and slope is None:
        slope = 0.01 if function == "leaky_relu" else 1.0
    table: dict[str, Any] = {
        "identity": lambda: x,
        "relu": lambda: np.maximum(x, 0),
        "relu6": lambda: np.clip(x, 0, 6),
        "leaky_relu": lambda: np.where(x > 0, x, slope * x),
        "elu": lambda: np.where(x > 0, x, slope * np.expm1(np.minimum(x, 0))),
        "celu": lambda: np.where(x > 0, x, slope * np.expm1(np.minimum(x, 0) / slope)),
        "selu": lambda: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        "gelu": lambda: 0.5 * x * (1 + special.erf(x / math.sqrt(2))),
        "gelu_tanh": lambda: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "quick_gelu": lambda: x * special.expit(1.702 * x),
        "silu": lambda: x * special.expit(x),
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: special.expit(x),
        "softplus": lambda: np.logaddexp(x, 0),
        "softsign": lambda: x / (1 + np.abs(x)),
        "hard_sigmoid": lambda: np.clip(x / 6 + 0.5, 0, 1),
        "hard_swish": lambda: x * np.clip(x / 6 + 0.5, 0, 1),
        "mish": lambda: x * np.tanh(np.logaddexp(x, 0)),
        "exp": lambda: np.exp(x),
        "log": lambda: np.log(x),
        "sqrt": lambda: np.sqrt(x),
        "rsqrt": lambda: 1 / np.sqrt(x),
        "square": lambda: x * x,
        "abs": lambda: np.abs(x),
        "negative": lambda: -x,
        "sin": lambda: np.sin(x),
        "cos": lambda: np.cos(x),
    }
    if function not in table:
        raise NoReference(function)
    return np.asarray(table[function]())


@formula.register
def _(does: kinds.Activation, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [activation(does.function, inputs[0], does.slope)]


@formula.register
def _(does: kinds.Softmax, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    function = special.log_softmax if does.logarithm else special.softmax
    return [function(inputs[0], axis=does.axis)]


@formula.register
def _(does: kinds.Dropout, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [inputs[0]]


_BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


@formula.register
def _(does: kinds.Arithmetic, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    if does.function not in _BINARY:
        raise NoReference(does.function)
    operation = _BINARY[does.function]
    if does.constant is None:
        total = inputs[0]
        for other in inputs[1:]:
            total = operation(total, other)
        return [total]
    pair = (does.constant, inputs[0]) if does.constant_first else (inputs[0], does.constant)
    return [operation(*pair)]


@formula.register
def _(does: kinds.Reduction, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x, axes, keep = inputs[0], does.axes, does.keep
    if does.function in {"variance", "deviation"}:
        function = np.var if does.function == "variance" else np.std
        return [function(x, axis=axes, keepdims=keep, ddof=does.correction)]
    functions: dict[str, Any] = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}
    if does.function not in functions:
        raise NoReference(does.function)
    return [functions[does.function](x, axis=axes, keepdims=keep)]
