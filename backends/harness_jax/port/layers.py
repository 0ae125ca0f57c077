"""The layers of flax, of nnx and of linen alike: semantics, and parameters by role.

Each reading takes a :class:`Layer`, which reads settings and arrays of either kind of module, and returns
the result of the call, or NotImplemented for a form that it does not know.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import all_from_end, dilated, each_of
from harness.tracing.recorder import Running
from harness_jax.models.interception import python_function
from harness_jax.port import products


@dataclass(frozen=True, kw_only=True)
class Layer(Running):
    """A layer that is being called; ``array`` gives its array of a name in flax, None if there is none."""

    module: Any
    array: Callable[[str], Any]

    def whole(self, does: kinds.AnySemantics, roles: Mapping[str, str], kernel: Stored | None = None) -> Any:
        """Record the layer as one call of its first argument; ``roles`` are names of its arrays by role.

        ``kernel`` is the kernel's layout. Returns NotImplemented if an array is no parameter of the model
        itself, or if the call has a mask.
        """
        stored = {
            role: self.recorder.part(array, kernel if role == "kernel" else None)
            for role, name in roles.items()
            if (array := self.array(name)) is not None
        }
        if self.get("mask") is not None or None in stored.values():
            return NotImplemented
        return self.record(does, parameters=stored)

    def setting(self, *names: str, default: Any = None) -> Any:
        """Return the first of these settings that the call gives, else the module."""
        for name in names:
            for value in (self.arguments.get(name), getattr(self.module, name, None)):
                if value is not None:
                    return value
        return default


_AFFINE = {"scale": "scale", "shift": "bias"}


def transposed_convolution(layer: Layer) -> Any:
    """Read ``ConvTranspose``, which flips its kernel only with ``transpose_kernel``."""
    module, x = layer.module, layer.x
    sizes = each_of(module.kernel_size, np.size(module.kernel_size))
    count = len(sizes)
    strides, dilation = (each_of(setting, count) for setting in (module.strides, module.kernel_dilation))
    windows = dilated(sizes, dilation)
    around = _around(module.padding, windows, strides)
    if x.ndim != count + 2 or module.mask is not None or around is None:
        return NotImplemented
    does = kinds.Convolution(
        strides=strides,
        padding=products.transposed_padding(windows, around),
        dilation=dilation,
        transposed=True,
    )
    spatial = tuple(range(count))
    exchanged, flipped = Stored("", axes=(*spatial, count + 1, count)), Stored("", flipped=spatial)
    roles = {"kernel": "kernel", "bias": "bias"}
    return layer.whole(does, roles, exchanged if module.transpose_kernel else flipped)


def _around(padding: Any, windows: Any, strides: Any) -> products.Pairs | None:
    """Return the padding that ``lax.conv_transpose`` puts around its dilated input; None if it is unknown."""
    if isinstance(padding, str):
        if padding not in {"SAME", "VALID"}:
            return None
        from jax._src.lax.convolution import _conv_transpose_padding

        each = [
            _conv_transpose_padding(size, step, padding) for size, step in zip(windows, strides, strict=True)
        ]
        return tuple((int(low), int(high)) for low, high in each)
    return products.pairs(padding, (), windows, strides)


def batch_normalization(layer: Layer) -> Any:
    """Read ``BatchNorm`` over its last axis."""
    module, x = layer.module, layer.x
    running = layer.setting("use_running_average")
    is_last = module.axis in {-1, x.ndim - 1}
    if running is None or (not is_last and module.axis != 1):
        return NotImplemented
    does = kinds.BatchNormalization(
        epsilon=float(module.epsilon),
        momentum=round(1.0 - float(module.momentum), 12),
        unbiased_running_variance=False,
        training=not running,
        channels_first=not is_last,
    )
    return layer.whole(does, {**_AFFINE, "running_mean": "mean", "running_variance": "var"})


def layer_normalization(layer: Layer, *, centered: bool = True) -> Any:
    """Read ``LayerNorm`` or, with ``centered`` False, ``RMSNorm``."""
    module, x = layer.module, layer.x
    axes = all_from_end(module.reduction_axes, x.ndim)
    if axes != all_from_end(module.feature_axes, x.ndim):
        return NotImplemented
    does = kinds.LayerNormalization(epsilon=float(module.epsilon), axes=axes, centered=centered)
    return layer.whole(does, _AFFINE)


def group_normalization(layer: Layer) -> Any:
    """Read ``GroupNorm`` over all axes but the first."""
    module, x = layer.module, layer.x
    groups = module.num_groups if module.num_groups is not None else x.shape[-1] // module.group_size
    if module.reduction_axes is not None:
        return NotImplemented
    does = kinds.GroupNormalization(groups=int(groups), epsilon=float(module.epsilon))
    return layer.whole(does, _AFFINE)


def dropout(layer: Layer) -> Any:
    """Leave ``Dropout`` out; record if flax would have drawn zeros."""
    rate = float(layer.module.rate)
    active = rate > 0.0 and not layer.setting("deterministic", default=True)
    does = kinds.Dropout(rate=rate, active=active)
    return layer.part(does, [layer.x], lambda new: jnp.array(new, copy=True))


# Recurrent layers: a cell in a loop over time.

_SEQUENCES = 3
_ACTIVATIONS = ("tanh", "sigmoid", "relu", "hard_sigmoid", "silu", "gelu", "elu", "softplus", "hard_tanh")


#: The cells by the name of their class, with their gates in the order in which they are packed.
_CELLS = {
    "GRUCell": ("gru", "rzn"),
    "LSTMCell": ("lstm", "ifgo"),
    "OptimizedLSTMCell": ("lstm", "ifgo"),
    "SimpleCell": ("rnn", "h"),
}


def recurrent(layer: Layer) -> Any:
    """Read ``RNN`` of a known cell that begins with zeros and sees whole sequences."""
    cell = layer.module.cell
    kind, gates = _CELLS.get(_name(type(cell)), ("", ""))
    if not kind or not _is_plain(layer, cell):
        return NotImplemented
    names = [_activation_name(getattr(cell, name, None)) for name in ("activation_fn", "gate_fn")]
    parameters = _parameters(layer, gates)
    if names[0] is None or (kind != "rnn" and names[1] is None) or parameters is None:
        return NotImplemented
    x, batch_first = layer.x, not layer.setting("time_major", default=False)
    reverse = bool(layer.setting("reverse", default=False))
    if reverse and not layer.setting("keep_order", default=False):
        # The outputs stay in reverse order: they are those of the reversed sequence.
        x, reverse = jnp.flip(x, 1 if batch_first else 0), False
    does = kinds.Recurrent(
        cell=kind,  # type: ignore[arg-type]
        reverse=reverse,
        activation=names[0],
        recurrent_activation=names[1] or "sigmoid",
        batch_first=batch_first,
    )
    return _called(layer, does, x, parameters)


def _called(layer: Layer, does: kinds.Recurrent, x: Any, parameters: Mapping[str, Stored]) -> Any:
    """Record the steps as the first output, and the last state after it if the layer returns it."""

    def run(new: Any) -> Any:
        again = {layer.first: new, "reverse": does.reverse, "keep_order": True, "return_carry": True}
        carry, steps = layer.run(**again)
        return (steps, carry) if layer.setting("return_carry", default=False) else steps

    result = layer.part(does, [x], run, parameters)
    return (result[1], result[0]) if isinstance(result, tuple) else result


def _name(cell: type) -> str:
    """Return the name of the flax class that defines the steps of ``cell``; a subclass may inherit them."""
    owner = next(base for base in cell.__mro__ if "__call__" in vars(base))
    return owner.__name__ if owner.__module__.startswith("flax.") else ""


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


def _parameters(layer: Layer, gates: str) -> dict[str, Stored] | None:
    """Return the roles of all gates; None if an array is no parameter of the model itself."""
    found: dict[str, Stored] = {}
    for place, gate in enumerate(gates):
        arrays = {
            side + name: _array_of_gate(layer, side, gate, name)
            for side in "ih"
            for name in ("kernel", "bias")
        }
        roles = {"kernel": "ikernel", "recurrent": "hkernel", "bias": "ibias", "recurrent_bias": "hbias"}
        if arrays["ibias"] is None:
            roles = {"kernel": "ikernel", "recurrent": "hkernel", "bias": "hbias"}
        for role, name in roles.items():
            array = arrays[name]
            if array is None:
                continue
            units = array.shape[-1] // len(gates)
            columns = Stored("", axis=array.ndim - 1, start=place * units, stop=(place + 1) * units)
            packed = len(gates) > 1 and layer.array(f"cell.dense_{name[0]}.{name[1:]}") is array
            stored = layer.recorder.part(array, columns if packed else None)
            if stored is None:
                return None
            found[f"{role}_{gate}"] = stored
    return found if f"kernel_{gates[0]}" in found else None


def _array_of_gate(layer: Layer, side: str, gate: str, name: str) -> Any:
    """Return an array of the input or state ``side`` (i or h): packed, of one gate, or without gates."""
    # nnx writes the gate f with a line, as ``if`` is a word of Python.
    owners = (f"dense_{side}", f"{side}{gate}", f"{side}{gate}_", side)
    arrays = (layer.array(f"cell.{owner}.{name}") for owner in owners)
    return next((array for array in arrays if array is not None), None)


#: Layers of which functions and primitives say all.
_ENTERED = (
    "Linear", "Dense", "LinearGeneral", "DenseGeneral", "Conv", "_Conv", "Embed", "Embed.attend",
    "MultiHeadAttention", "MultiHeadDotProductAttention", "SelfAttention",
)  # fmt: skip
#: The layers by the name of their class in flax, and of their method where it is not ``__call__``.
LAYERS: dict[str, Callable[[Layer], Any]] = {
    **dict.fromkeys(_ENTERED, lambda _: NotImplemented),
    "ConvTranspose": transposed_convolution,
    "BatchNorm": batch_normalization,
    "LayerNorm": layer_normalization,
    "RMSNorm": functools.partial(layer_normalization, centered=False),
    "GroupNorm": group_normalization,
    "Dropout": dropout,
    "RNN": recurrent,
}
