"""Mistakes of ports: each as other semantics or other parameters of the same call."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from harness.port.calls import SLOPES, compute
from harness.port.cause_kinds import field_text, text
from harness.tracing import semantics as kinds

#: Functions of two values whose order counts.
_ORDERED = frozenset({"subtract", "divide", "power"})
_MOST_PARTS, _MOST_AXES = 4, 6
#: Batch, positions, heads, and the depth of each.
_HEADS_AXES = 4
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
        """Return the first output for ``inputs``, in the order of the original call."""
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


def _gelus(does: kinds.Activation, *_: object) -> Sequence[object]:
    return _GELUS if does.function in _GELUS else ()


def _transpositions(does: kinds.Transposition, *_: object) -> list[object]:
    return [*itertools.permutations(does.axes)] if len(does.axes) < _MOST_AXES else []


def _scales(does: kinds.Attention, _parameters: Arrays, inputs: list[np.ndarray]) -> list[object]:
    depth = inputs[0].shape[-1]
    heads = inputs[0].shape[does.heads_axis] if inputs[0].ndim > 3 else 1  # noqa: PLR2004
    width = depth * heads
    return [1.0, depth**-0.5, 1.0 / depth, width**-0.5, float(depth) ** 0.5, depth**-0.25]


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
#: The mistakes in each kind of call that the other side need not show in a call of the same kind: the kind of
#: cause, the field, and the values to try.
_FIELDS: dict[type[kinds.Semantics], Sequence[tuple[str, str, _Values]]] = {
    kinds.Attention: [
        ("attention scale", "scale", _scales),
        ("mask", "causal_offset", (None, 0, -1, 1)),
        ("softmax axis", "softmax_axis", (-1, -2)),
    ],
    kinds.Activation: [
        ("slope", "slope", lambda does, *_: (0.2, 1 / 6) if does.function == "hard_sigmoid" else ()),
        ("GELU", "function", _gelus),
        ("activation", "function", _FUNCTIONS),
    ],
    kinds.Softmax: [
        ("softmax axis", "axis", lambda _does, _parameters, inputs: range(-1, -inputs[0].ndim - 1, -1)),
    ],
    kinds.Transposition: [("axes", "axes", _transpositions)],
    kinds.Arithmetic: [
        ("arithmetic", "function", ("add", "subtract", "multiply", "divide")),
        ("constant", "constant", lambda does, *_: () if does.constant is None else (0.0, 1.0)),
    ],
    kinds.Padded: [
        ("border", "value", lambda does, *_: (0.0, -math.inf) if does.mode == "constant" else ()),
    ],
    kinds.Recurrent: [
        ("batch for time", "batch_first", (True, False)),
        ("activation", "activation", ("tanh", "relu", "sigmoid")),
        ("activation", "recurrent_activation", ("sigmoid", "hard_sigmoid", "tanh")),
    ],
}
