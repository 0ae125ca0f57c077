"""Plain NumPy in float64 for what a call does: the arbiter between two frameworks."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from harness.tracing import semantics as kinds
from harness.tracing.semantics import Semantics

# Which function computes a kind of call.

Arrays = Sequence[np.ndarray]
Parameters = Mapping[str, np.ndarray]


class NoReference(Exception):
    """There is no formula for such a call, or it does not fit these arrays."""


@functools.singledispatch
def formula(does: Semantics, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    """The outputs of a call; each kind registers its function."""
    raise NoReference(type(does).__name__)


def compute(does: Semantics, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> list[np.ndarray]:
    """The outputs of a call with these inputs and canonical parameters, in float64.

    Raises:
        NoReference: there is no formula for it, or it does not fit the arrays.
    """
    try:
        with np.errstate(all="ignore"):
            return formula(does, inputs, parameters)
    except (ValueError, IndexError, KeyError, TypeError, MemoryError) as error:
        raise NoReference(str(error)) from error


# Activations, arithmetic and reductions.

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


# Normalisations over the batch, over features and over groups of channels.


def scaled(x: np.ndarray, parameters: Parameters) -> np.ndarray:
    """``x * scale + shift``, as far as there are such parameters."""
    x = x * parameters["scale"] if "scale" in parameters else x
    return x + parameters["shift"] if "shift" in parameters else x


def channels_last(x: np.ndarray, *, first: bool) -> np.ndarray:
    """The array with its channels on the last axis."""
    return np.moveaxis(x, 1, -1) if first and x.ndim > 2 else x  # noqa: PLR2004


def as_before(x: np.ndarray, *, first: bool) -> np.ndarray:
    """The inverse of :func:`channels_last`."""
    return np.moveaxis(x, -1, 1) if first and x.ndim > 2 else x  # noqa: PLR2004


@formula.register
def _(does: kinds.BatchNormalization, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    if does.training:
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
    else:
        mean, variance = parameters["running_mean"], parameters["running_variance"]
    normal = (x - mean) / np.sqrt(variance + does.epsilon)
    return [as_before(scaled(normal, parameters), first=does.channels_first)]


def running_statistics(
    does: kinds.BatchNormalization, x: np.ndarray, parameters: Parameters
) -> dict[str, np.ndarray]:
    """The running mean and variance after a training step on ``x``."""
    x = channels_last(x, first=does.channels_first)
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    variance = x.var(axes)
    if does.unbiased_running_variance:
        variance = variance * count / max(1, count - 1)
    share = does.momentum
    return {
        "running_mean": (1 - share) * parameters["running_mean"] + share * x.mean(axes),
        "running_variance": (1 - share) * parameters["running_variance"] + share * variance,
    }


@formula.register
def _(does: kinds.LayerNormalization, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x, axes = inputs[0], does.axes
    centred = x - x.mean(axes, keepdims=True) if does.centered else x
    normal = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + does.epsilon)
    shaped = {
        role: array.reshape([x.shape[axis] if axis - x.ndim in axes else 1 for axis in range(x.ndim)])
        for role, array in parameters.items()
    }
    return [scaled(normal, shaped)]


@formula.register
def _(does: kinds.GroupNormalization, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    grouped = x.reshape(len(x), -1, does.groups, x.shape[-1] // does.groups)
    mean = grouped.mean((1, 3), keepdims=True)
    variance = grouped.var((1, 3), keepdims=True)
    normal = ((grouped - mean) / np.sqrt(variance + does.epsilon)).reshape(x.shape)
    return [as_before(scaled(normal, parameters), first=does.channels_first)]


# Recurrent layers and attention.


def attention(
    does: kinds.Attention | kinds.MultiHeadAttention,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Attention of arrays (..., heads, length, depth)."""
    scores = does.scale * (query @ np.swapaxes(key, -1, -2))
    if does.causal_offset is not None:
        seen = np.tril(np.ones(scores.shape[-2:], bool), does.causal_offset)
        scores = np.where(seen, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return np.asarray(special.softmax(scores, axis=does.softmax_axis) @ value)


@formula.register
def _(does: kinds.Attention, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    query, key, value = (np.swapaxes(x, 1, 2) if does.heads_axis == 2 else x for x in inputs[:3])  # noqa: PLR2004
    mask = inputs[3] if does.masked else None
    out = attention(does, query, key, value, mask)
    return [np.swapaxes(out, 1, 2) if does.heads_axis == 2 else out]  # noqa: PLR2004


@formula.register
def _(does: kinds.MultiHeadAttention, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    query, key, value = (inputs[0],) * 3 if len(inputs) == 1 else inputs[:3]
    if does.masked:
        raise NoReference("attention with a mask of its own")

    def heads(x: np.ndarray, name: str) -> np.ndarray:
        x = x @ parameters[f"{name}_kernel"]
        x = x + parameters[f"{name}_bias"] if f"{name}_bias" in parameters else x
        return np.moveaxis(x.reshape(*x.shape[:-1], does.heads, -1), -2, -3)

    out = attention(does, heads(query, "query"), heads(key, "key"), heads(value, "value"))
    out = np.moveaxis(out, -3, -2)
    out = out.reshape(*out.shape[:-2], -1) @ parameters["output_kernel"]
    return [out + parameters["output_bias"] if "output_bias" in parameters else out]


@formula.register
def _(does: kinds.Recurrent, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = inputs[0] if does.batch_first else np.swapaxes(inputs[0], 0, 1)
    steps = x[:, ::-1] if does.reverse else x
    gates = kinds.GATES[does.cell]
    units = parameters[f"recurrent_{gates[0]}"].shape[0]
    hidden = cell = np.zeros((len(x), units))
    outputs = []
    for place in range(steps.shape[1]):
        hidden, cell = _step(does, steps[:, place], hidden, cell, parameters)
        outputs.append(hidden)
    if does.returns == "last":
        return [hidden]
    out = np.stack(outputs[::-1] if does.reverse else outputs, axis=1)
    return [out if does.batch_first else np.swapaxes(out, 0, 1)]


def _step(
    does: kinds.Recurrent, x: np.ndarray, hidden: np.ndarray, cell: np.ndarray, parameters: Parameters
) -> tuple[np.ndarray, np.ndarray]:
    zero = np.zeros(hidden.shape[-1])

    def from_input(gate: str) -> np.ndarray:
        return x @ parameters[f"kernel_{gate}"] + parameters.get(f"bias_{gate}", zero)

    def from_state(gate: str, state: np.ndarray) -> np.ndarray:
        return state @ parameters[f"recurrent_{gate}"] + parameters.get(f"recurrent_bias_{gate}", zero)

    def gate(name: str) -> np.ndarray:
        return activation(does.recurrent_activation, from_input(name) + from_state(name, hidden))

    if does.cell == "rnn":
        hidden = activation(does.activation, from_input("h") + from_state("h", hidden))
        return hidden, cell
    if does.cell == "gru":
        update, reset = gate("z"), gate("r")
        state = reset * from_state("n", hidden) if does.reset_after else from_state("n", reset * hidden)
        new = activation(does.activation, from_input("n") + state)
        return update * hidden + (1 - update) * new, cell
    new = activation(does.activation, from_input("g") + from_state("g", hidden))
    cell = gate("f") * cell + gate("i") * new
    return gate("o") * activation(does.activation, cell), cell


# What changes shapes alone, and products of matrices.


@formula.register
def _(does: kinds.Linear, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    product = inputs[0] @ parameters["kernel"]
    return [product + parameters["bias"] if "bias" in parameters else product]


@formula.register
def _(does: kinds.MatrixProduct, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    second = np.swapaxes(inputs[1], -1, -2) if does.transposed else inputs[1]
    return [inputs[0] @ second]


@formula.register
def _(does: kinds.Reshape, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [inputs[0].reshape(len(inputs[0]), *does.shape)]


@formula.register
def _(does: kinds.Transposition, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [inputs[0].transpose(does.axes)]


@formula.register
def _(does: kinds.Concatenation, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [np.concatenate(inputs, axis=does.axis)]


@formula.register
def _(does: kinds.Padded, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    values = {"constant_values": does.value} if does.mode == "constant" else {}
    return [np.pad(inputs[0], does.padding, does.mode, **values)]  # type: ignore[call-overload]


@formula.register
def _(does: kinds.Embedding, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [parameters["table"][inputs[0]]]


@formula.register
def _(does: kinds.Opaque, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    raise NoReference(does.function)


# Convolutions, pooling and resizing over spatial axes, with channels on the last axis inside.


def windows(
    x: np.ndarray, size: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> np.ndarray:
    """Windows of (batch, *positions, channels): (batch, *windows, channels, *size), a view."""
    spatial = tuple(range(1, x.ndim - 1))
    reach = tuple((s - 1) * d + 1 for s, d in zip(size, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=spatial)
    place: list[slice] = [slice(None), *(slice(None, None, s) for s in strides), slice(None)]
    return view[(*place, *(slice(None, None, d) for d in dilation))]


def padded(x: np.ndarray, padding: kinds.Padding, value: float = 0.0) -> np.ndarray:
    """The spatial axes with a border; a negative one cuts off."""
    border = [(0, 0), *((max(0, low), max(0, high)) for low, high in padding), (0, 0)]
    x = np.pad(x, border, constant_values=value)
    cut = [slice(max(0, -low), x.shape[axis] - max(0, -high)) for axis, (low, high) in enumerate(padding, 1)]
    return x[(slice(None), *cut)]


@formula.register
def _(does: kinds.Convolution, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    kernel = parameters["kernel"]
    if kernel.ndim != x.ndim:
        raise NoReference("the kernel does not fit the input")
    out = _transposed(does, x, kernel) if does.transposed else _forward(does, x, kernel)
    if "bias" in parameters:
        out = out + parameters["bias"]
    return [as_before(out, first=does.channels_first)]


def _forward(does: kinds.Convolution, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    size, groups = kernel.shape[:-2], does.groups
    view = windows(padded(x, does.padding), size, does.strides, does.dilation)
    spatial = len(size)
    inputs = np.split(view, groups, axis=1 + spatial)
    kernels = np.split(kernel, groups, axis=-1)
    over = [1 + spatial, *range(2 + spatial, 2 + 2 * spatial)]
    parts = [
        np.tensordot(part, each, (over, [spatial, *range(spatial)]))
        for part, each in zip(inputs, kernels, strict=True)
    ]
    return np.concatenate(parts, axis=-1)


def _transposed(does: kinds.Convolution, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    size, spatial = kernel.shape[:-2], kernel.ndim - 2
    length = [
        (positions - 1) * stride + (taps - 1) * dilation + 1
        for positions, stride, taps, dilation in zip(
            x.shape[1:-1], does.strides, size, does.dilation, strict=True
        )
    ]
    room = [max(whole, whole - high) for whole, (_, high) in zip(length, does.padding, strict=True)]
    inputs = np.split(x, does.groups, axis=-1)
    kernels = np.split(kernel, does.groups, axis=-2)
    outs = []
    for part, each in zip(inputs, kernels, strict=True):
        out = np.zeros((len(x), *room, each.shape[-1]))
        for tap in itertools.product(*map(range, size)):
            place = tuple(
                slice(t * dilation, t * dilation + (positions - 1) * stride + 1, stride)
                for t, dilation, positions, stride in zip(
                    tap, does.dilation, x.shape[1:-1], does.strides, strict=True
                )
            )
            out[(slice(None), *place)] += part @ each[tap]
        outs.append(out)
    whole = np.concatenate(outs, axis=-1)
    cut = tuple(slice(low, length[axis] - high) for axis, (low, high) in enumerate(does.padding[:spatial]))
    return whole[(slice(None), *cut)]


@formula.register
def _(does: kinds.Pooling, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    dilation = does.dilation or (1,) * len(does.size)
    inner = tuple(range(-len(does.size), 0))
    if does.function == "max":
        view = windows(padded(x, does.padding, -math.inf), does.size, does.strides, dilation)
        out = view.max(inner)
    else:
        total = windows(padded(x, does.padding), does.size, does.strides, dilation).sum(inner)
        ones = padded(np.ones_like(x[:1, ..., :1]), does.padding, 1.0 if does.counts_padding else 0.0)
        out = total / windows(ones, does.size, does.strides, dilation).sum(inner)
    return [as_before(out, first=does.channels_first)]


@formula.register
def _(does: kinds.AdaptivePooling, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    x = channels_last(inputs[0], first=does.channels_first)
    for axis, size in enumerate(does.size, 1):
        length = x.shape[axis]
        parts = [
            np.take(x, range(place * length // size, -(-(place + 1) * length // size)), axis)
            for place in range(size)
        ]
        function = np.max if does.function == "max" else np.mean
        x = np.stack([function(part, axis=axis) for part in parts], axis=axis)
    return [as_before(x, first=does.channels_first)]


@formula.register
def _(does: kinds.Resize, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    if does.method == "bicubic":
        raise NoReference("bicubic resizing")
    x = channels_last(inputs[0], first=does.channels_first)
    for axis, size in enumerate(does.size, 1):
        x = _resized(x, axis, size, does)
    return [as_before(x, first=does.channels_first)]


def _resized(x: np.ndarray, axis: int, size: int, does: kinds.Resize) -> np.ndarray:
    length = x.shape[axis]
    if does.align_corners:
        places = np.arange(size) * ((length - 1) / max(1, size - 1))
    else:
        places = np.arange(size) * (length / size)
        if does.half_pixel:
            places += 0.5 * length / size - 0.5
    if does.method == "nearest":
        nearest = np.floor(np.arange(size) * (length / size)) if not does.half_pixel else np.round(places)
        return np.asarray(np.take(x, np.clip(nearest, 0, length - 1).astype(int), axis))
    places = np.clip(places, 0, length - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, length - 1)
    share = (places - low).reshape([-1 if each == axis else 1 for each in range(x.ndim)])
    return np.asarray(np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share)
