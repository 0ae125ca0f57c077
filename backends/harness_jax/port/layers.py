"""The layers of flax, of nnx and of linen alike: semantics, and parameters by role.

Each translation takes a :class:`Layer`, which reads settings and arrays of either kind of module, and returns
the result of the call, or :data:`~harness_jax.port.recorder.ENTER` for a form that it does not know.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_jax.port import convolutions, products
from harness_jax.port.recorder import ENTER, Recorder


class Layer(NamedTuple):
    """A call of a layer in progress.

    ``arguments`` are those of the call by name, ``array`` reads an array of the layer by its name in flax
    (None if there is none), and ``run`` evaluates the layer with other arguments.
    """

    recorder: Recorder
    module: Any
    path: str
    function: str
    arguments: dict[str, Any]
    array: Callable[[str], Any]
    run: Callable[..., Any]

    def call(
        self,
        does: kinds.AnySemantics,
        inputs: Mapping[str, Any],
        parameters: Mapping[str, Stored | None],
        also: Sequence[Any] = (),
    ) -> Any:
        """Record the call; ``inputs`` are arguments, ``also`` values that cannot be given anew."""
        names = list(inputs)
        return self.recorder.call(
            does,
            self.function,
            lambda *new: self.run(**dict(zip(names, new, strict=False))),
            [*inputs.values(), *also],
            path=self.path,
            parameters={role: stored for role, stored in parameters.items() if stored is not None},
        )

    def stored(self, name: str, **part: Any) -> Stored | None:
        """Where an array of the layer is stored."""
        array = self.array(name)
        return None if array is None else self.recorder.stored(array, **part)

    def has_only_parameters(self, *names: str) -> bool:
        """Whether all arrays of these names are parameters of the model themselves."""
        arrays = [self.array(name) for name in names]
        return all(array is None or self.recorder.stored(array) is not None for array in arrays)

    def setting(self, *names: str, default: Any = None) -> Any:
        """The first of these settings that the call gives, else the module."""
        for name in names:
            for value in (self.arguments.get(name), getattr(self.module, name, None)):
                if value is not None:
                    return value
        return default

    @property
    def x(self) -> Any:
        """The first argument."""
        return next(iter(self.arguments.values()))

    @property
    def x_name(self) -> str:
        """The name of the first argument."""
        return next(iter(self.arguments))


def linear(layer: Layer) -> Any:
    """``Linear`` and ``Dense``."""
    if not layer.has_only_parameters("kernel", "bias"):
        return ENTER
    parameters = {"kernel": layer.stored("kernel"), "bias": layer.stored("bias")}
    return layer.call(kinds.Linear(), {layer.x_name: layer.x}, parameters)


def linear_general(layer: Layer) -> Any:
    """``LinearGeneral`` and ``DenseGeneral``, without batch axes of the kernel."""
    module, x, kernel = layer.module, layer.x, layer.array("kernel")
    batch = getattr(module, "batch_axis", None) or getattr(module, "batch_dims", ())
    if batch or not layer.has_only_parameters("kernel", "bias"):
        return ENTER
    axes = tuple(axis % x.ndim for axis in np.atleast_1d(module.axis).tolist())
    return products.linear(
        layer.recorder,
        x,
        kernel,
        axes,
        tuple(range(len(axes))),
        bias=layer.array("bias"),
        path=layer.path,
        function=layer.function,
    )


def convolution(layer: Layer) -> Any:
    """``Conv`` with zeros around, one batch axis, and no mask."""
    module, x = layer.module, layer.x
    sizes = convolutions.many(module.kernel_size, np.size(module.kernel_size))
    count = len(sizes)
    dilation, strides = (
        convolutions.many(setting, count) for setting in (module.kernel_dilation, module.strides)
    )
    windows = convolutions.dilated(sizes, dilation)
    padding = convolutions.pairs(module.padding, x.shape[1:-1], windows, strides)
    plain = (
        max(convolutions.many(module.input_dilation, count)) == 1
        and x.ndim == count + 2
        and module.mask is None
    )
    if not plain or padding is None or not layer.has_only_parameters("kernel", "bias"):
        return ENTER
    does = kinds.Convolution(
        strides=strides, padding=padding, dilation=dilation, groups=module.feature_group_count
    )
    parameters = {"kernel": layer.stored("kernel"), "bias": layer.stored("bias")}
    return layer.call(does, {layer.x_name: x}, parameters)


def transposed_convolution(layer: Layer) -> Any:
    """``ConvTranspose``, which flips its kernel only with ``transpose_kernel``."""
    module, x = layer.module, layer.x
    sizes = convolutions.many(module.kernel_size, np.size(module.kernel_size))
    count = len(sizes)
    dilation, strides = (
        convolutions.many(setting, count) for setting in (module.kernel_dilation, module.strides)
    )
    windows = convolutions.dilated(sizes, dilation)
    plain = x.ndim == count + 2 and module.mask is None and layer.has_only_parameters("kernel", "bias")
    around = _around(module.padding, windows, strides)
    if not plain or around is None:
        return ENTER
    does = kinds.Convolution(
        strides=strides,
        padding=convolutions.transposed_padding(windows, around),
        dilation=dilation,
        transposed=True,
    )
    flips = (
        {"axes": (*range(count), count + 1, count)}
        if module.transpose_kernel
        else {"flipped": tuple(range(count))}
    )
    parameters = {"kernel": layer.stored("kernel", **flips), "bias": layer.stored("bias")}
    return layer.call(does, {layer.x_name: x}, parameters)


def _around(padding: Any, windows: Any, strides: Any) -> convolutions.Pairs | None:
    """What ``lax.conv_transpose`` puts around its dilated input."""
    if isinstance(padding, str):
        if padding not in {"SAME", "VALID"}:
            return None
        from jax._src.lax.convolution import _conv_transpose_padding

        each = [
            _conv_transpose_padding(size, step, padding) for size, step in zip(windows, strides, strict=True)
        ]
        return tuple((int(low), int(high)) for low, high in each)
    return convolutions.pairs(padding, (), windows, strides)


def batch_normalization(layer: Layer) -> Any:
    """``BatchNorm`` over its last axis."""
    module, x = layer.module, layer.x
    running = layer.setting("use_running_average")
    names = ("scale", "bias", "mean", "var")
    if running is None or layer.arguments.get("mask") is not None or not layer.has_only_parameters(*names):
        return ENTER
    is_last = module.axis in {-1, x.ndim - 1}
    if not is_last and module.axis != 1:
        return ENTER
    does = kinds.BatchNormalization(
        epsilon=float(module.epsilon),
        momentum=round(1.0 - float(module.momentum), 12),
        unbiased_running_variance=False,
        training=not running,
        channels_first=not is_last,
    )
    roles = ("scale", "shift", "running_mean", "running_variance")
    parameters = {role: layer.stored(name) for role, name in zip(roles, names, strict=True)}
    return layer.call(does, {layer.x_name: x}, parameters)


def layer_normalization(layer: Layer, *, centered: bool = True) -> Any:
    """``LayerNorm`` and ``RMSNorm``."""
    module, x = layer.module, layer.x
    axes = _axes(module.reduction_axes, x.ndim)
    same = axes == _axes(module.feature_axes, x.ndim)
    if not same or layer.arguments.get("mask") is not None or not layer.has_only_parameters("scale", "bias"):
        return ENTER
    does = kinds.LayerNormalization(epsilon=float(module.epsilon), axes=axes, centered=centered)
    parameters = {"scale": layer.stored("scale"), "shift": layer.stored("bias")}
    return layer.call(does, {layer.x_name: x}, parameters)


def root_mean_square_normalization(layer: Layer) -> Any:
    """``RMSNorm``."""
    return layer_normalization(layer, centered=False)


def _axes(axes: Any, dimensions: int) -> tuple[int, ...]:
    return tuple(sorted(axis - dimensions if axis >= 0 else axis for axis in np.atleast_1d(axes).tolist()))


def group_normalization(layer: Layer) -> Any:
    """``GroupNorm`` over all axes but the first."""
    module, x = layer.module, layer.x
    groups = module.num_groups if module.num_groups is not None else x.shape[-1] // module.group_size
    if module.reduction_axes is not None or layer.arguments.get("mask") is not None:
        return ENTER
    if not layer.has_only_parameters("scale", "bias"):
        return ENTER
    does = kinds.GroupNormalization(groups=int(groups), epsilon=float(module.epsilon))
    parameters = {"scale": layer.stored("scale"), "shift": layer.stored("bias")}
    return layer.call(does, {layer.x_name: x}, parameters)


def embedding(layer: Layer) -> Any:
    """``Embed``."""
    if not layer.has_only_parameters("embedding"):
        return ENTER
    return layer.call(kinds.Embedding(), {layer.x_name: layer.x}, {"table": layer.stored("embedding")})


def attend(layer: Layer) -> Any:
    """``Embed.attend``: a linear layer with the transposed table."""
    if not layer.has_only_parameters("embedding"):
        return ENTER
    return layer.call(
        kinds.Linear(), {layer.x_name: layer.x}, {"kernel": layer.stored("embedding", axes=(1, 0))}
    )


def dropout(layer: Layer) -> Any:
    """``Dropout``, left out; says whether flax would have drawn zeros."""
    rate = float(layer.module.rate)
    active = rate > 0.0 and not layer.setting("deterministic", default=True)
    together = math.prod(layer.x.shape[axis] for axis in layer.module.broadcast_dims)
    does = kinds.Dropout(rate=rate, active=active, together=together)
    return layer.recorder.call(
        does, layer.function, lambda new: jnp.array(new, copy=True), [layer.x], path=layer.path
    )
