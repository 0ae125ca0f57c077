"""Mistakes of ports: each as other semantics or other parameters of the same call."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.port.calls import SLOPES, compute, index_of
from harness.port.cause_kinds import field_text, text
from harness.tracing import semantics as kinds

#: Functions of two values whose order counts.
_ORDERED = frozenset({"subtract", "divide", "power"})
_MOST_PARTS, _MOST_AXES = 4, 6
#: Batch, positions, heads, and the depth of each.
_HEADS_AXES = 4
#: Numbers that ports confuse.
_CONSTANTS = (0.0, 1.0, -1.0, 0.5, 2.0, 1 / 6, 0.2, 1e-3, 1e-5, 1e-6, 1e-8, 1e-12, -math.inf)
_EPSILONS = (0.0, 1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12)
_SLOPES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 1.0)
_GELUS = ("gelu", "gelu_tanh")
_FUNCTIONS = (
    "identity",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    *_GELUS,
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

    ``order`` is the other order of the inputs. ``moved`` makes the output where no semantics describe it.
    """

    kind: str
    own: str
    other: str
    does: kinds.Semantics
    parameters: Arrays
    order: tuple[int, ...] = ()
    moved: Callable[[np.ndarray], np.ndarray] | None = None

    def output(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the first output for ``inputs``, in the order of the original call.

        Raises:
            NoReference: the call has no formula, or does not fit the arrays.
        """
        if self.moved is not None:
            return self.moved(inputs[0])
        given = [inputs[place] for place in self.order] if self.order else inputs
        return compute(self.does, given, self.parameters)[0]


def alternatives(
    does: kinds.Semantics, parameters: Arrays, inputs: list[np.ndarray]
) -> Iterator[Alternative]:
    """Yield each mistake that can be made in a call, the likeliest first."""
    for kind, field, values in _FIELDS.get(type(does), ()):
        own = getattr(does, field)
        for value in values(does, parameters, inputs) if callable(values) else values:
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
    """Yield the inputs in other orders, where the order counts."""
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
    """Yield a reshape after a transposition, and a reshape to other parts, plain or transposed back."""
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
    """List the other orders of ``count`` axes; the batch stays first."""
    if count > _MOST_AXES:
        return []
    return [(0, *rest) for rest in itertools.permutations(range(1, count))][1:]


def _groups(does: kinds.GroupNormalization, _parameters: Arrays, inputs: list[np.ndarray]) -> list[object]:
    channels = inputs[0].shape[1 if does.channels_first else -1]
    return [count for count in range(1, channels + 1) if channels % count == 0]


def _slopes(does: kinds.Activation, *_: object) -> Sequence[object]:
    if does.function == "hard_sigmoid":
        return 0.2, 1 / 6
    return () if does.slope is None else _SLOPES


def _gelus(does: kinds.Activation, *_: object) -> Sequence[object]:
    return _GELUS if does.function in _GELUS else ()


def _transpositions(does: kinds.Transposition, *_: object) -> list[object]:
    return [*itertools.permutations(does.axes)] if len(does.axes) < _MOST_AXES else []


def _constants(does: kinds.Arithmetic, *_: object) -> list[object]:
    if (own := does.constant) is None:
        return []
    near = [-own, own + 1, own - 1, own**2, *([1 / own] if own else []), *([own**0.5] if own > 0 else [])]
    return [*near, *_CONSTANTS]


def _indices(does: kinds.Slice, _parameters: Arrays, inputs: list[np.ndarray]) -> list[object]:
    """List other slices of the same size: of the same axis, reversed or in steps, or of another axis."""
    index, shape = does.index, inputs[0].shape
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
    """Yield other parts of an axis: another position, or as many elements elsewhere or in steps."""
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


def _axes(_does: kinds.Semantics, _parameters: Arrays, inputs: list[np.ndarray]) -> list[object]:
    """List the sets of axes without the batch, counted from the end."""
    count = inputs[0].ndim
    axes = range(-count + 1, 0)
    return [chosen for size in range(1, count) for chosen in itertools.combinations(axes, size)]


def _scales(does: kinds.Attention, _parameters: Arrays, inputs: list[np.ndarray]) -> list[object]:
    depth = inputs[0].shape[-1]
    heads = inputs[0].shape[does.heads_axis] if inputs[0].ndim > 3 else 1  # noqa: PLR2004
    width = depth * heads
    return [1.0, depth**-0.5, 1.0 / depth, width**-0.5, float(depth) ** 0.5, depth**-0.25]


def _paddings(padding: kinds.Padding, size: tuple[int, ...]) -> list[object]:
    """List paddings of the same, another or no width, with the excess before or after."""
    totals = {sum(pair) for pair in padding} | {0} | {taps - 1 for taps in size}
    pairs = {(low, total - low) for total in totals for low in {0, total // 2, -(-total // 2), total}}
    if len(padding) == 1:
        return [(pair,) for pair in sorted(pairs)]
    alike: list[object] = [tuple([pair] * len(padding)) for pair in sorted(pairs)]
    return [tuple((high, low) for low, high in padding), *alike]


_Changed = tuple[str, str, str, Arrays]


def _parameters(does: kinds.Semantics, parameters: Arrays) -> Iterator[_Changed]:
    """Yield other parameters: some left out, exchanged, flipped or transposed."""
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


#: The values of a field to try, or a function that returns them for a call, its parameters and its inputs.
_Values = Sequence[object] | Callable[[Any, Arrays, list[np.ndarray]], Sequence[object]]
_EITHER = (True, False)
#: The mistakes in each kind of call: the kind of cause, the field, and the values to try.
_FIELDS: dict[type[kinds.Semantics], Sequence[tuple[str, str, _Values]]] = {
    kinds.BatchNormalization: [("epsilon", "epsilon", _EPSILONS), ("statistics", "training", _EITHER)],
    kinds.GroupNormalization: [("epsilon", "epsilon", _EPSILONS), ("groups", "groups", _groups)],
    kinds.LayerNormalization: [
        ("epsilon", "epsilon", _EPSILONS),
        ("normalisation axis", "axes", _axes),
        ("normalisation axis", "centered", _EITHER),
    ],
    kinds.Attention: [
        ("attention scale", "scale", _scales),
        ("mask", "causal_offset", (None, 0, -1, 1)),
        ("softmax axis", "softmax_axis", (-1, -2)),
    ],
    kinds.Activation: [
        ("slope", "slope", _slopes),
        ("GELU", "function", _gelus),
        ("activation", "function", _FUNCTIONS),
    ],
    kinds.Softmax: [
        ("softmax axis", "axis", lambda _does, _parameters, inputs: range(-1, -inputs[0].ndim - 1, -1)),
        ("activation", "logarithm", _EITHER),
    ],
    kinds.Reduction: [
        ("pooling", "function", ("mean", "max", "sum")),
        ("reduction axis", "axes", _axes),
        ("variance", "correction", (0.0, 1.0)),
    ],
    kinds.Pooling: [
        ("counted padding", "counts_padding", _EITHER),
        ("pooling", "function", ("max", "mean")),
        ("padding", "padding", lambda does, _parameters, _inputs: _paddings(does.padding, does.size)),
    ],
    kinds.Convolution: [
        (
            "padding",
            "padding",
            lambda does, parameters, _inputs: _paddings(does.padding, parameters["kernel"].shape[:-2]),
        ),
        (
            "dilation",
            "dilation",
            lambda _does, parameters, _inputs: [(d,) * (parameters["kernel"].ndim - 2) for d in (1, 2, 3)],
        ),
    ],
    kinds.Slice: [("part", "index", _indices)],
    kinds.Transposition: [("axes", "axes", _transpositions)],
    kinds.Concatenation: [
        ("axis", "axis", lambda _does, _parameters, inputs: range(-inputs[0].ndim, 0)),
    ],
    kinds.MatrixProduct: [("axes", "transposed", _EITHER)],
    kinds.Arithmetic: [
        ("arithmetic", "function", ("add", "subtract", "multiply", "divide")),
        ("constant", "constant", _constants),
        ("arithmetic", "constant_first", lambda does, *_: () if does.constant is None else _EITHER),
    ],
    kinds.Padded: [
        ("border", "value", lambda does, *_: (0.0, -math.inf) if does.mode == "constant" else ()),
        ("border", "mode", ("constant", "reflect", "edge", "symmetric", "wrap")),
        ("padding", "padding", lambda does, *_: [tuple((high, low) for low, high in does.padding)]),
    ],
    kinds.Resize: [
        ("resizing", "align_corners", _EITHER),
        ("resizing", "half_pixel", _EITHER),
        ("resizing", "antialias", _EITHER),
        ("resizing", "method", ("nearest", "bilinear", "bicubic")),
    ],
    kinds.Recurrent: [
        ("reset gate", "reset_after", lambda does, *_: _EITHER if does.cell == "gru" else ()),
        ("direction", "reverse", _EITHER),
        ("batch for time", "batch_first", _EITHER),
        ("activation", "activation", ("tanh", "relu", "sigmoid")),
        ("activation", "recurrent_activation", ("sigmoid", "hard_sigmoid", "tanh")),
    ],
}
