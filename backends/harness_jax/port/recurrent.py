"""Recurrent layers of flax: a cell in a loop over time."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_jax.models.interception import python_function
from harness_jax.port.layers import Layer
from harness_jax.port.recorder import ENTER

_SEQUENCES = 3
_ACTIVATIONS = ("tanh", "sigmoid", "relu", "hard_sigmoid", "silu", "gelu", "elu", "softplus", "hard_tanh")


class _Cell(NamedTuple):
    """Where a kind of cell has its arrays: a path for each role, with ``{}`` where the gate's name goes.

    ``kernel`` is that of the input, ``recurrent`` that of the state; ``packed`` ones hold all gates.
    """

    cell: str
    gates: str
    packed: bool
    kernel: str
    recurrent: str
    bias: str
    recurrent_bias: str = ""


#: Gates in the order in which they are packed; of linen, whose parts are named otherwise, under ``linen.``.
_CELLS = {
    "GRUCell": _Cell("gru", "rzn", True, "dense_i.kernel", "dense_h.kernel", "dense_i.bias", "dense_h.bias"),
    "LSTMCell": _Cell("lstm", "ifgo", False, "i{}.kernel", "h{}.kernel", "h{}.bias"),
    "OptimizedLSTMCell": _Cell("lstm", "ifgo", True, "dense_i.kernel", "dense_h.kernel", "dense_h.bias"),
    "SimpleCell": _Cell("rnn", "h", True, "dense_i.kernel", "dense_h.kernel", "dense_i.bias"),
    "linen.GRUCell": _Cell("gru", "rzn", False, "i{}.kernel", "h{}.kernel", "i{}.bias", "h{}.bias"),
    "linen.LSTMCell": _Cell("lstm", "ifgo", False, "i{}.kernel", "h{}.kernel", "h{}.bias"),
    "linen.OptimizedLSTMCell": _Cell("lstm", "ifgo", False, "i{}.kernel", "h{}.kernel", "h{}.bias"),
    "linen.SimpleCell": _Cell("rnn", "h", False, "i.kernel", "h.kernel", "i.bias"),
}


def recurrent(layer: Layer) -> Any:
    """``RNN`` of a known cell that begins with zeros and sees whole sequences."""
    cell = layer.module.cell
    known = _CELLS.get(_name(type(cell)))
    if known is None or not _is_plain(layer, cell):
        return ENTER
    names = [_activation_name(getattr(cell, name, None)) for name in ("activation_fn", "gate_fn")]
    parameters = _parameters(layer, known)
    if names[0] is None or (known.cell != "rnn" and names[1] is None) or parameters is None:
        return ENTER
    x, batch_first = layer.x, not layer.setting("time_major", default=False)
    reverse = bool(layer.setting("reverse", default=False))
    if reverse and not layer.setting("keep_order", default=False):
        # The outputs stay in reverse order: they are those of the reversed sequence.
        x, reverse = jnp.flip(x, 1 if batch_first else 0), False
    does = kinds.Recurrent(
        cell=known.cell,  # type: ignore[arg-type]
        reverse=reverse,
        activation=names[0],
        recurrent_activation=names[1] or "sigmoid",
        batch_first=batch_first,
    )
    return _called(layer, does, x, parameters)


def _called(layer: Layer, does: kinds.Recurrent, x: Any, parameters: Mapping[str, Stored]) -> Any:
    """Record the steps as the first output, and the last state after it if the layer returns it."""

    def run(new: Any) -> Any:
        again = {layer.x_name: new, "reverse": does.reverse, "keep_order": True, "return_carry": True}
        carry, steps = layer.run(**again)
        return (steps, carry) if layer.setting("return_carry", default=False) else steps

    result = layer.recorder.call(does, layer.function, run, [x], path=layer.path, parameters=parameters)
    return (result[1], result[0]) if isinstance(result, tuple) else result


def _name(cell: type) -> str:
    """The name of the class whose steps a cell makes, which a subclass may inherit."""
    owner = next(base for base in cell.__mro__ if "__call__" in vars(base))
    package = owner.__module__.rpartition(".nn.recurrent")[0] or owner.__module__.rpartition(".recurrent")[0]
    names = {"flax.nnx": owner.__name__, "flax.linen": f"linen.{owner.__name__}"}
    return names.get(package, "")


def _is_plain(layer: Layer, cell: Any) -> bool:
    own_start = getattr(cell, "carry_init", None)
    others = any(layer.arguments.get(name) is not None for name in ("initial_carry", "seq_lengths"))
    zeros = own_start is None or getattr(own_start, "__name__", "") == "zeros"
    return layer.x.ndim == _SEQUENCES and zeros and not others and not getattr(cell, "residual", False)


def _activation_name(function: Callable[..., Any] | None) -> str | None:
    wanted = python_function(function)
    for name in _ACTIVATIONS:
        if wanted is not None and python_function(getattr(jax.nn, name, None)) is wanted:
            return name
    return "tanh" if wanted is python_function(jnp.tanh) else None


def _parameters(layer: Layer, cell: _Cell) -> dict[str, Stored] | None:
    """The roles of all gates; None if one is no parameter of the model itself."""
    found: dict[str, Stored] = {}
    roles = {
        "kernel": cell.kernel,
        "recurrent": cell.recurrent,
        "bias": cell.bias,
        "recurrent_bias": cell.recurrent_bias,
    }
    for place, gate in enumerate(cell.gates):
        for role, path in roles.items():
            array = _array(layer, path, gate)
            if array is None:
                continue
            units = array.shape[-1] // len(cell.gates)
            part = {"axis": array.ndim - 1, "start": place * units, "stop": (place + 1) * units}
            stored = layer.recorder.stored(array, **(part if cell.packed and len(cell.gates) > 1 else {}))
            if stored is None:
                return None
            found[f"{role}_{gate}"] = stored
    return found if f"kernel_{cell.gates[0]}" in found else None


def _array(layer: Layer, path: str, gate: str) -> Any:
    if not path:
        return None
    first = layer.array(f"cell.{path.format(gate)}")
    # nnx writes the gate f with a line, as ``if`` is a word of Python
    return layer.array(f"cell.{path.format(gate + '_')}") if first is None else first
