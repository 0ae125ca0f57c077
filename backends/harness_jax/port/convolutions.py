"""Convolutions: paddings as pairs, layouts, and the transposed ones of flax in the canonical form."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax import lax

from harness.tracing import semantics as kinds
from harness_jax.port.recorder import ENTER, Recorder

Pairs = tuple[tuple[int, int], ...]


def many(setting: Any, count: int) -> tuple[int, ...]:
    """A setting for each spatial axis; None stands for one."""
    if setting is None:
        return (1,) * count
    return (int(setting),) * count if np.ndim(setting) == 0 else tuple(int(part) for part in setting)


def pairs(
    padding: Any, positions: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> Pairs | None:
    """The padding as (low, high) of each axis; None if it is of another kind than zeros.

    ``sizes`` are those of windows with their dilation.
    """
    if isinstance(padding, str):
        if padding.upper() not in {"SAME", "SAME_LOWER", "VALID"}:
            return None
        padding = lax.padtype_to_pads(positions, sizes, strides, padding)
    elif isinstance(padding, int):
        padding = [padding] * len(sizes)
    return tuple(
        (int(each), int(each)) if np.ndim(each) == 0 else (int(each[0]), int(each[1])) for each in padding
    )


def dilated(sizes: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """How many positions a window with dilation covers."""
    return tuple((size - 1) * step + 1 for size, step in zip(sizes, dilation, strict=True))


def transposed_padding(sizes: Sequence[int], padding: Pairs) -> Pairs:
    """What a transposed convolution cuts off, where ``padding`` is put around its dilated input.

    ``sizes`` are those of windows with their dilation.
    """
    return tuple((size - 1 - low, size - 1 - high) for size, (low, high) in zip(sizes, padding, strict=True))


def convolution(
    recorder: Recorder, x: Any, kernel: Any, params: dict[str, Any], run: Callable[..., Any]
) -> Any:
    """Record and evaluate ``lax.conv_general_dilated``."""
    numbers, spatial = params["dimension_numbers"], x.ndim - 2
    last = (0, x.ndim - 1, *range(1, x.ndim - 1))
    first = tuple(range(x.ndim))
    layout = tuple(numbers.lhs_spec)
    stretched, strides = tuple(params["lhs_dilation"]), tuple(params["window_strides"])
    transposed = max(stretched) > 1
    if layout not in {last, first} or tuple(numbers.out_spec) != layout or params["batch_group_count"] != 1:
        return ENTER
    if transposed and (max(strides) > 1 or params["feature_group_count"] != 1):
        return ENTER
    out, into, *sizes = numbers.rhs_spec
    dilation = tuple(params["rhs_dilation"])
    windows = dilated([kernel.shape[axis] for axis in sizes], dilation)
    padding: Pairs = tuple((int(low), int(high)) for low, high in params["padding"])
    does = kinds.Convolution(
        strides=stretched if transposed else strides,
        padding=transposed_padding(windows, padding) if transposed else padding,
        dilation=dilation,
        groups=params["feature_group_count"],
        transposed=transposed,
        channels_first=layout == first and spatial > 0,
    )
    stored = recorder.stored(
        kernel, axes=(*sizes, into, out), flipped=tuple(range(spatial)) if transposed else ()
    )
    name = "jax.lax.conv_general_dilated"
    if stored is None:
        return recorder.call(does, name, run, [x, kernel])
    return recorder.call(does, name, lambda new: run(new, kernel), [x], parameters={"kernel": stored})
