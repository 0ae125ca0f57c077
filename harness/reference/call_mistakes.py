"""What else a call may be: each mistake of ports as other semantics or parameters of the same call."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.reference.calls import SLOPES, compute, index_of
from harness.tracing import semantics as kinds

#: Functions of two values whose order counts.
_ORDERED = frozenset({"subtract", "divide", "power"})
_MOST_PARTS, _MOST_AXES = 4, 6
#: Batch, positions, heads, and the depth of each.
_HEADS_AXES = 4
#: Numbers that ports put in each other's place.
_CONSTANTS = (0.0, 1.0, -1.0, 0.5, 2.0, 1 / 6, 0.2, 1e-3, 1e-5, 1e-6, 1e-8, 1e-12, -math.inf)
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
    """A kind of cause, both sides' values as text, and the call as the other side would have it.

    ``order`` are the places of the inputs in their other order. ``moved`` makes the output where no semantics
    do.
    """

    kind: str
    own: str
    other: str
    does: kinds.Semantics
    parameters: Arrays
    order: tuple[int, ...] = ()
    moved: Callable[[np.ndarray], np.ndarray] | None = None

    def output(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """The first output for the inputs of the call as it is.

        Raises:
            NoReference: there is no formula for it, or it does not fit the arrays.
        """
        if self.moved is not None:
            return self.moved(inputs[0])
        given = [inputs[place] for place in self.order] if self.order else inputs
        return compute(self.does, given, self.parameters)[0]


def alternatives(
    does: kinds.Semantics, parameters: Arrays, inputs: list[np.ndarray]
) -> Iterator[Alternative]:
    """Each mistake that can be made in a call, the likeliest first."""
    for kind, field, values in _fields(does, parameters, inputs):
        own = getattr(does, field)
        for value in values:
            if value != own:
                other = msgspec.structs.replace(does, **{field: value})
                held = SLOPES.get(getattr(does, "function", "")) if field == "slope" and own is None else own
                yield Alternative(kind, field_text(field, held), field_text(field, value), other, parameters)
    for kind, own_text, other_text, changed in _parameters(does, parameters):
        yield Alternative(kind, own_text, other_text, does, changed)
    yield from _orders(does, parameters, inputs)
    if isinstance(does, kinds.Reshape):
        yield from _rearrangements(does, inputs[0])


def _orders(does: kinds.Semantics, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[Alternative]:
    """The inputs in another order, where that is not the same function."""
    ordered = isinstance(does, kinds.Concatenation | kinds.MatrixProduct) or (
        isinstance(does, kinds.Arithmetic) and does.function in _ORDERED
    )
    if not ordered or not 1 < len(inputs) <= _MOST_PARTS:
        return
    plain = tuple(range(len(inputs)))
    for order in itertools.permutations(plain):
        if order != plain:
            own, other = (f"parts {', '.join(str(place + 1) for place in each)}" for each in (plain, order))
            yield Alternative("order of parts", own, other, does, parameters, order)


def _rearrangements(does: kinds.Reshape, x: np.ndarray) -> Iterator[Alternative]:
    """A reshape after a transposition, or one to other parts, as they are or transposed to the same shape."""
    shape = (len(x), *does.shape)
    for place in range(1, len(shape) - 1):
        other_shape = (*shape[1:place], shape[place + 1], shape[place], *shape[place + 2 :])
        if other_shape != does.shape:
            texts = text(does.shape), text(other_shape)
            yield Alternative("heads", *texts, msgspec.structs.replace(does, shape=other_shape), {})
    for axes in _permutations(x.ndim):
        kind = "flatten order" if len(shape) == 2 else "axes"  # noqa: PLR2004

        def before(x: np.ndarray, axes: tuple[int, ...] = axes) -> np.ndarray:
            return x.transpose(axes).reshape(shape)

        own, other = (f"reshape of axes {each}" for each in (tuple(range(x.ndim)), axes))
        yield Alternative(kind, own, other, does, {}, moved=before)
    for axes in _permutations(len(shape)):
        parts = tuple(shape[axis] for axis in axes)

        def after(x: np.ndarray, axes: tuple[int, ...] = axes, parts: tuple[int, ...] = parts) -> np.ndarray:
            return x.reshape(parts).transpose(np.argsort(axes))

        own, other = f"split into {shape[1:]}", f"split into {parts[1:]} and transposed"
        kind = "heads" if len(shape) == _HEADS_AXES else "split"
        yield Alternative(kind, own, other, does, {}, moved=after)


def _permutations(count: int) -> list[tuple[int, ...]]:
    """Other orders of all axes but the batch."""
    if count > _MOST_AXES:
        return []
    return [(0, *rest) for rest in itertools.permutations(range(1, count))][1:]


def text(value: object) -> str:
    """A field's value for people: ``0.001``, ``(1, 1)``, ``none``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def field_text(field: str, value: object) -> str:
    """The value of a field of a call for people; of a causal mask the last key that is seen."""
    if field != "causal_offset" or not isinstance(value, int):
        return text(value)
    return f"keys up to {f'{value:+d}' if value else 'its own'}"


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


@_fields.register
def _(does: kinds.Attention, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "attention scale", "scale", _scales(does, inputs)
    yield "mask", "causal_offset", [None, 0, -1, 1]
    yield "softmax axis", "softmax_axis", [-1, -2]


@_fields.register
def _(does: kinds.Activation, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    hard = does.function == "hard_sigmoid"
    yield "slope", "slope", [0.2, 1 / 6] if hard else [*_SLOPES] if does.slope is not None else []
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
def _(does: kinds.Slice, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "part", "index", _indices(does.index, inputs[0].shape)


@_fields.register
def _(does: kinds.Transposition, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "axes", "axes", [*itertools.permutations(does.axes)] if len(does.axes) < _MOST_AXES else []


@_fields.register
def _(does: kinds.Concatenation, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "axis", "axis", [*range(-inputs[0].ndim, 0)]


@_fields.register
def _(does: kinds.MatrixProduct, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "axes", "transposed", [True, False]


@_fields.register
def _(does: kinds.Arithmetic, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "arithmetic", "function", ["add", "subtract", "multiply", "divide"]
    if (own := does.constant) is not None:
        near = [-own, own + 1, own - 1, own**2, *([1 / own] if own else []), *([own**0.5] if own > 0 else [])]
        yield "constant", "constant", [*near, *_CONSTANTS]
        yield "arithmetic", "constant_first", [True, False]


@_fields.register
def _(does: kinds.Padded, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "border", "value", [0.0, -math.inf] if does.mode == "constant" else []
    yield "border", "mode", ["constant", "reflect", "edge", "symmetric", "wrap"]
    yield "padding", "padding", [tuple((high, low) for low, high in does.padding)]


@_fields.register
def _(does: kinds.Resize, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "resizing", "align_corners", [True, False]
    yield "resizing", "half_pixel", [True, False]
    yield "resizing", "antialias", [True, False]
    yield "resizing", "method", ["nearest", "bilinear", "bicubic"]


@_fields.register
def _(does: kinds.Recurrent, parameters: Arrays, inputs: list[np.ndarray]) -> Iterator[_Field]:
    yield "reset gate", "reset_after", [True, False] if does.cell == "gru" else []
    yield "direction", "reverse", [True, False]
    yield "batch for time", "batch_first", [True, False]
    yield "activation", "activation", ["tanh", "relu", "sigmoid"]
    yield "activation", "recurrent_activation", ["sigmoid", "hard_sigmoid", "tanh"]


def _indices(index: str, shape: tuple[int, ...]) -> list[object]:
    """Other parts of the same size: of the same axis, reversed, in steps, or the same of another axis."""
    parts = [part.strip() for part in index.strip("[]").split(",")]
    if "..." in parts or "None" in parts or len(parts) > len(shape):
        return []
    parts += [":"] * (len(shape) - len(parts))
    changes: list[Mapping[int, str]] = []
    for axis, part in enumerate(parts):
        if part == ":":
            continue
        changes += [{axis: each} for each in _parts(part, shape[axis])]
        of_whole = ":" in part and len(np.arange(shape[axis])[index_of(f"[{part}]")]) == shape[axis]
        others = (place for place, size in enumerate(shape) if place and place != axis)
        changes += [{axis: ":", place: part} for place in others if of_whole or shape[place] == shape[axis]]
    return [f"[{', '.join(change.get(axis, part) for axis, part in enumerate(parts))}]" for change in changes]


def _parts(part: str, length: int) -> Iterator[str]:
    """Other parts of an axis: another position, or as many elements elsewhere or in steps."""
    if ":" not in part:
        yield from (str(index) for index in (0, -1, int(part) + 1, int(part) - 1))
        return
    chosen = np.arange(length)[index_of(f"[{part}]")]
    count = len(chosen)
    if count in {0, length}:
        yield ":"
        return
    starts = {*range(0, length - count + 1, count), length - count, int(chosen[0]) - 1, int(chosen[0]) + 1}
    yield from (f"{start}:{start + count}" for start in sorted(starts) if 0 <= start <= length - count)
    if length % count == 0:
        yield from (f"{start}::{length // count}" for start in range(length // count))


def _axes(count: int) -> list[object]:
    """Sets of axes without the batch, from the end."""
    axes = range(-count + 1, 0)
    return [chosen for size in range(1, count) for chosen in itertools.combinations(axes, size)]


def _scales(does: kinds.Attention, inputs: list[np.ndarray]) -> list[object]:
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
    for role in ("bias", "scale", "shift"):
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
