"""What else a call may be: each mistake of ports as other semantics or parameters of the same call."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from harness.tracing import semantics as kinds

_EPSILONS = (0.0, 1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)
_SLOPES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 1.0)
_FUNCTIONS = (
    "identity",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "quick_gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_swish",
    "mish",
    "exp",
    "abs",
    "square",
)

Arrays = Mapping[str, np.ndarray]


class Alternative(NamedTuple):
    """A kind of cause, both sides' values as text, and the call as the other side would have it."""

    kind: str
    own: str
    other: str
    does: kinds.Semantics
    parameters: Arrays


def alternatives(
    does: kinds.Semantics, parameters: Arrays, inputs: list[np.ndarray]
) -> Iterator[Alternative]:
    """Each mistake that can be made in a call, the likeliest first."""
    for kind, field, values in _fields(does, parameters, inputs):
        own = getattr(does, field)
        for value in values:
            if value != own:
                other = msgspec.structs.replace(does, **{field: value})
                yield Alternative(kind, text(own), text(value), other, parameters)
    for kind, own_text, other_text, changed in _parameters(does, parameters):
        yield Alternative(kind, own_text, other_text, does, changed)


def text(value: object) -> str:
    """A field's value for people: ``0.001``, ``(1, 1)``, ``none``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


_Field = tuple[str, str, list[object]]


@functools.singledispatch
def _fields(does: kinds.Semantics, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    """Kind of cause, field, and values to try; each kind of call registers its own."""
    del does, parameters, inputs
    yield from ()


@_fields.register
def _(does: kinds.BatchNormalization, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "epsilon", "epsilon", [*_EPSILONS]
    yield "statistics", "training", [True, False]


@_fields.register
def _(does: kinds.GroupNormalization, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "epsilon", "epsilon", [*_EPSILONS]
    channels = inputs[0].shape[1 if does.channels_first else -1]
    yield "groups", "groups", [g for g in range(1, channels + 1) if channels % g == 0]


@_fields.register
def _(does: kinds.LayerNormalization, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "epsilon", "epsilon", [*_EPSILONS]
    yield "normalisation axis", "axes", _axes(inputs[0].ndim)
    yield "normalisation axis", "centered", [True, False]


@_fields.register(kinds.Attention)
@_fields.register(kinds.MultiHeadAttention)
def _(
    does: kinds.Attention | kinds.MultiHeadAttention, parameters: Arrays, inputs: list[np.ndarray]
) -> Iterator[_Field]:
    yield "attention scale", "scale", _scales(does, parameters, inputs)
    yield "mask", "causal_offset", [None, 0, -1, 1]
    yield "softmax axis", "softmax_axis", [-1, -2]


@_fields.register
def _(does: kinds.Activation, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "slope", "slope", [*_SLOPES] if does.slope is not None else []
    yield "GELU", "function", ["gelu", "gelu_tanh"] if does.function in {"gelu", "gelu_tanh"} else []
    yield "activation", "function", [*_FUNCTIONS]


@_fields.register
def _(does: kinds.Softmax, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "softmax axis", "axis", [-axis for axis in range(1, inputs[0].ndim + 1)]
    yield "activation", "logarithm", [True, False]


@_fields.register
def _(does: kinds.Reduction, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "pooling", "function", ["mean", "max", "sum"]
    yield "reduction axis", "axes", _axes(inputs[0].ndim)
    yield "variance", "correction", [0.0, 1.0]


@_fields.register
def _(does: kinds.Pooling, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "counted padding", "counts_padding", [True, False]
    yield "pooling", "function", ["max", "mean"]
    yield "padding", "padding", _paddings(does.padding, does.size)


@_fields.register
def _(does: kinds.Convolution, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    size = parameters["kernel"].shape[:-2]
    yield "padding", "padding", _paddings(does.padding, size)
    yield "dilation", "dilation", [tuple([d] * len(size)) for d in (1, 2, 3)]


@_fields.register
def _(does: kinds.Resize, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "resizing", "align_corners", [True, False]
    yield "resizing", "half_pixel", [True, False]
    yield "resizing", "method", ["nearest", "bilinear"]


@_fields.register
def _(does: kinds.Recurrent, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "reset gate", "reset_after", [True, False] if does.cell == "gru" else []
    yield "direction", "reverse", [True, False]
    yield "activation", "activation", ["tanh", "relu", "sigmoid"]
    yield "activation", "recurrent_activation", ["sigmoid", "hard_sigmoid", "tanh"]


def _axes(count: int) -> list[object]:
    """Sets of axes without the batch, from the end."""
    axes = range(-count + 1, 0)
    return [chosen for size in range(1, count) for chosen in itertools.combinations(axes, size)]


def _scales(
    does: kinds.Attention | kinds.MultiHeadAttention, parameters: Arrays, inputs: list[np.ndarray]
) -> list[object]:
    if isinstance(does, kinds.MultiHeadAttention):
        width = parameters["query_kernel"].shape[1]
        depth = width // does.heads
    else:
        depth = inputs[0].shape[-1]
        heads = inputs[0].shape[does.heads_axis] if inputs[0].ndim > 3 else 1  # noqa: PLR2004
        width = depth * heads
    return [1.0, depth**-0.5, 1.0 / depth, width**-0.5, float(depth) ** 0.5, depth**-0.25]


def _paddings(padding: kinds.Padding, size: tuple[int, ...]) -> list[object]:
    """The same, the other or no border, with the excess before or after."""
    totals = {sum(pair) for pair in padding} | {0} | {taps - 1 for taps in size}
    pairs = {(low, total - low) for total in totals for low in {0, total // 2, -(-total // 2), total}}
    if len(padding) == 1:
        return [(pair,) for pair in sorted(pairs)]
    alike: list[object] = [tuple([pair] * len(padding)) for pair in sorted(pairs)]
    return [tuple((high, low) for low, high in padding), *alike]


_Changed = tuple[str, str, str, Arrays]


def _parameters(does: kinds.Semantics, parameters: Arrays) -> Iterator[_Changed]:
    """Other parameters: what is left out, exchanged or turned round."""
    for role in ("bias", "output_bias", "scale", "shift"):
        if role in parameters:
            kind = "missing bias" if "bias" in role else "missing scale"
            rest = {name: array for name, array in parameters.items() if name != role}
            yield kind, role, f"no {role}", rest
    kernel = parameters.get("kernel")
    if kernel is not None:
        spatial = kernel.ndim - 2
        if spatial:
            flipped = np.flip(kernel, tuple(range(spatial)))
            yield "flipped kernel", "kernel", "flipped kernel", {**parameters, "kernel": flipped}
        if spatial == 2 and kernel.shape[0] == kernel.shape[1]:  # noqa: PLR2004
            turned = {**parameters, "kernel": kernel.swapaxes(0, 1)}
            yield "transposed kernel", "kernel", "kernel with height and width exchanged", turned
        if kernel.shape[-1] == kernel.shape[-2]:
            turned = {**parameters, "kernel": kernel.swapaxes(-1, -2)}
            yield "transposed kernel", "kernel", "kernel with inputs and outputs exchanged", turned
    if isinstance(does, kinds.Recurrent):
        yield from _gate_orders(does, parameters)
    if isinstance(does, kinds.MultiHeadAttention):
        yield from _head_orders(does, parameters)


def _gate_orders(does: kinds.Recurrent, parameters: Arrays) -> Iterator[_Changed]:
    gates = kinds.GATES[does.cell]
    for order in itertools.permutations(gates):
        if order == gates:
            continue
        renamed = dict(zip(gates, order, strict=True))
        changed = {role: parameters[_with_gate(role, renamed)] for role in parameters}
        yield "gate order", ", ".join(gates), ", ".join(order), changed


def _with_gate(role: str, renamed: Mapping[str, str]) -> str:
    start, _, gate = role.rpartition("_")
    return f"{start}_{renamed[gate]}"


def _head_orders(does: kinds.MultiHeadAttention, parameters: Arrays) -> Iterator[_Changed]:
    """Heads interleaved: column c of the projections belongs to head c modulo the number of heads."""
    changed = dict(parameters)
    for name in ("query", "key", "value"):
        for role in (f"{name}_kernel", f"{name}_bias"):
            if role in parameters:
                array = parameters[role]
                depth = array.shape[-1] // does.heads
                split = array.reshape(*array.shape[:-1], depth, does.heads)
                changed[role] = split.swapaxes(-1, -2).reshape(array.shape)
    yield "heads", "blocks of columns", "interleaved columns", changed
