"""Calls of the user's own models in plain NumPy: the formula of each kind of call, in float64.

These formulas decide between two frameworks. They use the functions of :mod:`harness.core.reference`; the
vocabulary of calls is :mod:`harness.tracing.semantics`.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.core.reference.activations import ACTIVATIONS, logistic
from harness.core.reference.attention import attention_shares, softmax
from harness.core.reference.convolutions import convolve, convolve_transposed, pool
from harness.core.reference.normalisation import normalised
from harness.core.reference.normalisation import running_statistics as statistics_after
from harness.core.reference.recurrent import LOGISTIC, TANH, Bend, Cell
from harness.layers import GRU, LSTM
from harness.tracing import semantics as kinds
from harness.tracing.semantics import Semantics

Arrays = Sequence[np.ndarray]
Parameters = Mapping[str, np.ndarray]


class NoReference(Exception):
    """A call has no formula, or the formula does not fit the arrays."""


def compute(does: Semantics, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> list[np.ndarray]:
    """Compute the outputs of the call ``does`` of ``inputs`` with canonical ``parameters``, in float64."""
    if type(does) not in _FORMULAS:
        raise NoReference(type(does).__name__)
    try:
        with np.errstate(all="ignore"):
            return [_FORMULAS[type(does)](does, inputs, parameters)]
    except (ValueError, IndexError, KeyError, TypeError, MemoryError) as error:
        raise NoReference(str(error)) from error


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def activation(function: str, x: np.ndarray, slope: float | None = None) -> np.ndarray:
    """Apply an elementwise function by its name; formulas follow the frameworks' documentation."""
    if function in SLOPES:
        slope = SLOPES[function] if slope is None else slope
        if function == "hard_sigmoid":
            return np.clip(x * slope + 0.5, 0, 1)
        below = slope * _BELOW_ZERO[function](np.minimum(x, 0), slope)
        return np.asarray(np.where(x > 0, x, below))
    if function in ACTIVATIONS:
        return ACTIVATIONS[function](x)[0]
    if function not in _ELEMENTWISE:
        raise NoReference(function)
    return np.asarray(_ELEMENTWISE[function](x))


#: The default slope, or alpha.
SLOPES = {"leaky_relu": 0.01, "elu": 1.0, "celu": 1.0, "hard_sigmoid": 1 / 6}
#: Functions below zero, without the factor of the slope.
_BELOW_ZERO: dict[str, Any] = {
    "leaky_relu": lambda x, _slope: x,
    "elu": lambda x, _slope: np.expm1(x),
    "celu": lambda x, slope: np.expm1(x / slope),
}
#: Functions that no layer of the contract has.
_ELEMENTWISE: dict[str, Any] = {
    "identity": lambda x: x,
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "quick_gelu": lambda x: x * logistic(1.702 * x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "abs": np.abs,
    "negative": np.negative,
    "sin": np.sin,
    "cos": np.cos,
}


def _softmax(does: kinds.Softmax, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    from scipy import special  # takes half a second, and commands that only parse options import this file

    function = special.log_softmax if does.logarithm else softmax
    return function(inputs[0], axis=does.axis)


_BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def _combined(does: kinds.Arithmetic, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    if does.function not in _BINARY:
        raise NoReference(does.function)
    operation = _BINARY[does.function]
    if does.constant is None:
        total = inputs[0]
        for other in inputs[1:]:
            total = operation(total, other)
        return total
    pair = (does.constant, inputs[0]) if does.constant_first else (inputs[0], does.constant)
    return operation(*pair)


_REDUCTIONS: dict[str, Any] = {
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "variance": np.var,
    "deviation": np.std,
}


def _reduced(does: kinds.Reduction, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    if does.function not in _REDUCTIONS:
        raise NoReference(does.function)
    correction = {"ddof": does.correction} if does.function in {"variance", "deviation"} else {}
    return np.asarray(_REDUCTIONS[does.function](inputs[0], axis=does.axes, keepdims=does.keep, **correction))


def scaled(x: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Compute ``x * scale + shift``; a missing parameter is left out."""
    x = x * parameters["scale"] if "scale" in parameters else x
    return x + parameters["shift"] if "shift" in parameters else x


def channels_last(x: np.ndarray, *, first: bool) -> np.ndarray:
    """Move the channels of ``x``, if ``first``, to the last axis."""
    return np.moveaxis(x, 1, -1) if first and x.ndim > 2 else x  # noqa: PLR2004


def as_before(x: np.ndarray, *, first: bool) -> np.ndarray:
    """Undo :func:`channels_last`."""
    return np.moveaxis(x, -1, 1) if first and x.ndim > 2 else x  # noqa: PLR2004


def _batch_normalised(does: kinds.BatchNormalization, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = channels_last(inputs[0], first=does.channels_first)
    if does.training:
        normal = normalised(x, tuple(range(x.ndim - 1)), does.epsilon)[0]
    else:
        mean, variance = parameters["running_mean"], parameters["running_variance"]
        normal = (x - mean) / np.sqrt(variance + does.epsilon)
    return as_before(scaled(normal, parameters), first=does.channels_first)


def running_statistics(
    does: kinds.BatchNormalization, x: np.ndarray, parameters: Parameters
) -> dict[str, np.ndarray]:
    """Compute the running mean and variance after a training step on ``x``."""
    roles = ("running_mean", "running_variance")
    before = (parameters[roles[0]], parameters[roles[1]])
    x = channels_last(x, first=does.channels_first)
    after = statistics_after(x, before, does.momentum, unbiased=does.unbiased_running_variance)
    return dict(zip(roles, after, strict=True))


def _layer_normalised(does: kinds.LayerNormalization, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x, axes = inputs[0], does.axes
    if does.centered:
        normal = normalised(x, axes, does.epsilon)[0]
    else:
        normal = x / np.sqrt((x**2).mean(axes, keepdims=True) + does.epsilon)
    shaped = {
        role: array.reshape([x.shape[axis] if axis - x.ndim in axes else 1 for axis in range(x.ndim)])
        for role, array in parameters.items()
    }
    return scaled(normal, shaped)


def _group_normalised(does: kinds.GroupNormalization, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = channels_last(inputs[0], first=does.channels_first)
    grouped = x.reshape(len(x), -1, does.groups, x.shape[-1] // does.groups)
    normal = normalised(grouped, (1, 3), does.epsilon)[0].reshape(x.shape)
    return as_before(scaled(normal, parameters), first=does.channels_first)


def _attended(does: kinds.Attention, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    query, key, value = (np.swapaxes(x, 1, 2) if does.heads_axis == 2 else x for x in inputs[:3])  # noqa: PLR2004
    mask = inputs[3] if does.masked else None
    shares = attention_shares(query, key, does.scale, does.causal_offset, mask, does.softmax_axis)
    out = np.asarray(shares @ value)
    return np.swapaxes(out, 1, 2) if does.heads_axis == 2 else out  # noqa: PLR2004


def _recurred(does: kinds.Recurrent, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = inputs[0] if does.batch_first else np.swapaxes(inputs[0], 0, 1)
    seen = None
    if does.masked:
        seen = inputs[-1] if does.batch_first else np.swapaxes(inputs[-1], 0, 1)
    run = _run_plain if does.cell == "rnn" else _run_gated
    outputs = run(does, x, parameters, seen)
    if does.returns == "last":
        return outputs[:, 0 if does.reverse else -1]
    return outputs if does.batch_first else np.swapaxes(outputs, 0, 1)


_CELLS: dict[str, type[GRU | LSTM]] = {"gru": GRU, "lstm": LSTM}
#: The contract's names of gates.
_GATES = {
    "z": "update",
    "r": "reset",
    "n": "candidate",
    "i": "input",
    "f": "forget",
    "g": "candidate",
    "o": "output",
}
_BENDS = {"tanh": TANH, "sigmoid": LOGISTIC}


def _run_gated(
    does: kinds.Recurrent, x: np.ndarray, parameters: Parameters, seen: np.ndarray | None
) -> np.ndarray:
    """Compute the outputs (batch, steps, units) of a GRU or LSTM."""
    layer = _CELLS[does.cell]
    letters = {_GATES[letter]: letter for letter in kinds.GATES[does.cell]}
    zero = np.zeros(parameters[f"recurrent_{kinds.GATES[does.cell][0]}"].shape[0])

    def packed(role: str) -> np.ndarray:
        names = [f"{role}_{letters[gate]}" for gate in layer.gates]
        arrays = [parameters.get(name, zero) if "bias" in role else parameters[name] for name in names]
        return np.concatenate(arrays, axis=-1)

    own = {"kernel": packed("kernel"), "recurrent_kernel": packed("recurrent"), "bias": packed("bias")}
    recurrent_bias = packed("recurrent_bias")
    if layer is GRU:
        own["recurrent_bias"] = recurrent_bias
    else:
        own["bias"] = own["bias"] + recurrent_bias
    cell = Cell(
        "",
        layer,
        own,
        _bend(does.activation),
        _bend(does.recurrent_activation),
        reset_after=does.reset_after,
    )
    return cell.run(x, reverse=does.reverse, seen=seen)[0]


def _bend(function: str) -> Bend:
    def backward(_gradient: np.ndarray, _y: np.ndarray) -> np.ndarray:
        raise NoReference(f"the gradient of {function} in a cell")

    return _BENDS.get(function) or Bend(functools.partial(activation, function), backward)


def _run_plain(
    does: kinds.Recurrent, x: np.ndarray, parameters: Parameters, seen: np.ndarray | None
) -> np.ndarray:
    """Compute the outputs (batch, steps, units) of a cell without gates."""
    state = np.zeros((len(x), parameters["recurrent_h"].shape[0]))
    bias = parameters.get("bias_h", 0.0) + parameters.get("recurrent_bias_h", 0.0)
    outputs = np.zeros((*x.shape[:2], state.shape[-1]))
    for step in range(x.shape[1])[:: -1 if does.reverse else 1]:
        after = activation(
            does.activation, x[:, step] @ parameters["kernel_h"] + state @ parameters["recurrent_h"] + bias
        )
        state = after if seen is None else np.where(seen[:, step, None], after, state)
        outputs[:, step] = state
    return outputs


def _linear(does: kinds.Linear, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    product = inputs[0] @ parameters["kernel"]
    return product + parameters["bias"] if "bias" in parameters else product


def _multiplied(does: kinds.MatrixProduct, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    return np.asarray(inputs[0] @ (np.swapaxes(inputs[1], -1, -2) if does.transposed else inputs[1]))


def index_of(text: str) -> tuple[Any, ...]:
    """Parse an index such as ``[:, 1:-1, ..., None, 2]``."""
    constants = {"...": ..., "None": None}
    parts = (part.strip() for part in text.strip("[]").split(","))
    return tuple(
        constants[part]
        if part in constants
        else slice(*(int(each) if each.strip() else None for each in part.split(":")))
        if ":" in part
        else int(part)
        for part in parts
    )


def _bordered(does: kinds.Padded, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    values = {"constant_values": does.value} if does.mode == "constant" else {}
    return np.asarray(np.pad(inputs[0], does.padding, does.mode, **values))  # type: ignore[call-overload]


def _convolved(does: kinds.Convolution, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = channels_last(inputs[0], first=does.channels_first)
    kernel = parameters["kernel"]
    if kernel.ndim != x.ndim:
        raise NoReference("the kernel does not fit the input")
    product = convolve_transposed if does.transposed else convolve
    out = product(x, kernel, does.strides, does.padding, does.dilation, does.groups)[0]
    if "bias" in parameters:
        out = out + parameters["bias"]
    return as_before(out, first=does.channels_first)


def _pooled(does: kinds.Pooling, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = channels_last(inputs[0], first=does.channels_first)
    sizes, dilation = does.size, does.dilation or None
    counts = does.counts_padding
    out = pool(x, does.function, sizes, does.strides, does.padding, dilation, counts_padding=counts)[0]
    return as_before(out, first=does.channels_first)


def _adaptively_pooled(does: kinds.AdaptivePooling, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = channels_last(inputs[0], first=does.channels_first)
    for axis, size in enumerate(does.size, 1):
        length = x.shape[axis]
        parts = [
            np.take(x, range(place * length // size, -(-(place + 1) * length // size)), axis)
            for place in range(size)
        ]
        function = np.max if does.function == "max" else np.mean
        x = np.stack([function(part, axis=axis) for part in parts], axis=axis)
    return as_before(x, first=does.channels_first)


def _resized(does: kinds.Resize, inputs: Arrays, parameters: Parameters) -> np.ndarray:
    x = channels_last(inputs[0], first=does.channels_first)
    for axis, size in enumerate(does.size, 1):
        x = np.moveaxis(np.tensordot(_resizing(x.shape[axis], size, does), x, (1, axis)), 0, axis)
    return as_before(x, first=does.channels_first)


def _resizing(length: int, size: int, does: kinds.Resize) -> np.ndarray:
    """Compute the share (size, length) of each position in each new position."""
    if does.align_corners:
        places = np.arange(size) * ((length - 1) / max(1, size - 1))
    else:
        places = np.arange(size) * (length / size)
        if does.half_pixel:
            places += 0.5 * length / size - 0.5
    if does.method == "nearest":
        nearest = np.floor(np.arange(size) * (length / size)) if not does.half_pixel else np.round(places)
        return np.asarray(np.eye(length)[np.clip(nearest, 0, length - 1).astype(int)])
    wider = max(1.0, length / size) if does.antialias else 1.0
    # Positions on both sides that the kernel may reach.
    reach = math.ceil(2 * wider) + 1
    near = np.floor(places).astype(int)[:, None] + np.arange(-reach, reach + 2)  # (size, taps)
    weights = _kernel((places[:, None] - near) / wider, does)
    if does.inside or does.antialias:
        weights = np.where((near >= 0) & (near < length), weights, 0.0)
        weights /= weights.sum(1, keepdims=True)
    shares = np.zeros((size, length))
    np.add.at(shares, (np.arange(size)[:, None], np.clip(near, 0, length - 1)), weights)
    return shares


def _kernel(distance: np.ndarray, does: kinds.Resize) -> np.ndarray:
    x = np.abs(distance)
    if does.method == "bilinear":
        return np.asarray(np.maximum(1 - x, 0))
    a = -0.5 if does.coefficient is None else does.coefficient
    inner, outer = ((a + 2) * x - (a + 3)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))  # noqa: PLR2004  the reach of a cubic


#: The formula of each kind of call, from its inputs and parameters.
_FORMULAS: dict[type[Semantics], Callable[[Any, Arrays, Parameters], np.ndarray]] = {
    kinds.Activation: lambda does, inputs, _: activation(does.function, inputs[0], does.slope),
    kinds.Softmax: _softmax,
    kinds.Dropout: lambda _does, inputs, _: inputs[0],
    kinds.Arithmetic: _combined,
    kinds.Reduction: _reduced,
    kinds.BatchNormalization: _batch_normalised,
    kinds.LayerNormalization: _layer_normalised,
    kinds.GroupNormalization: _group_normalised,
    kinds.Attention: _attended,
    kinds.Recurrent: _recurred,
    kinds.Linear: _linear,
    kinds.MatrixProduct: _multiplied,
    kinds.Contraction: lambda does, inputs, _: np.einsum(does.equation, *inputs, optimize=True),
    kinds.Reshape: lambda does, inputs, _: inputs[0].reshape(len(inputs[0]), *does.shape),
    kinds.Transposition: lambda does, inputs, _: inputs[0].transpose(does.axes),
    kinds.Concatenation: lambda does, inputs, _: np.concatenate(inputs, axis=does.axis),
    kinds.Slice: lambda does, inputs, _: inputs[0][index_of(does.index)],
    kinds.Gather: lambda does, inputs, _: np.take(inputs[0], inputs[1], does.axis),
    kinds.Selection: lambda _does, inputs, _: np.where(*inputs),
    kinds.Padded: _bordered,
    kinds.Embedding: lambda _does, inputs, parameters: parameters["table"][inputs[0]],
    kinds.Convolution: _convolved,
    kinds.Pooling: _pooled,
    kinds.AdaptivePooling: _adaptively_pooled,
    kinds.Resize: _resized,
}
