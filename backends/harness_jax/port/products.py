"""Products of matrices and convolutions: with a parameter they are layers, else products of two values.

A general contraction is taken apart into transpositions, one product over the last two axes, and a reshape.
"""

import functools
import string
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import Library, Product, contracted, dilated
from harness_jax.port.recorder import Recorder

_LETTERS = string.ascii_letters


def contract(recorder: Recorder, operands: Sequence[Any], letters: Product) -> Any:
    """Record and evaluate a sum over products of two values."""
    library = Library(lax.transpose, lax.reshape, functools.partial(_matmul, recorder))
    return contracted(letters, operands, library, lambda each: recorder.part(each) is not None)


def _matmul(recorder: Recorder, left: Any, right: Any) -> Any:
    kernel = recorder.part(right) if right.ndim == 2 else None  # noqa: PLR2004  a matrix
    name = "jax.lax.dot_general"
    if kernel is None:
        return recorder.call(name, kinds.MatrixProduct(), [left, right], jnp.matmul)
    return recorder.call(name, kinds.Linear(), [left], lambda new: new @ right, {"kernel": kernel})


def dot_general(recorder: Recorder, operands: Any, params: dict[str, Any], _: Any) -> Any:
    """Record and evaluate the primitive ``dot_general``; its axes get letters."""
    left, right = operands
    (left_over, right_over), (left_batch, right_batch) = params["dimension_numbers"]
    of_left = _LETTERS[: left.ndim]
    shared = dict(zip((*right_over, *right_batch), (*left_over, *left_batch), strict=True))
    of_right = "".join(
        of_left[shared[axis]] if axis in shared else _LETTERS[left.ndim + axis] for axis in range(right.ndim)
    )
    batch, summed = ("".join(of_left[axis] for axis in axes) for axes in (left_batch, left_over))
    free = [letter for letter in of_left + of_right if (letter in of_left) != (letter in of_right)]
    letters = Product(of_left, of_right, "".join([batch, *free]), batch, summed)
    return contract(recorder, operands, letters)


# Convolutions: paddings as pairs, layouts, and the transposed ones of flax in the canonical form.

Pairs = tuple[tuple[int, int], ...]


def pairs(
    padding: Any, positions: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> Pairs | None:
    """Return the padding as (low, high) of each axis; None if it pads by anything else than zeros.

    ``sizes`` are the sizes of windows with their dilation.
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


def transposed_padding(sizes: Sequence[int], padding: Pairs) -> Pairs:
    """Return the crop of a transposed convolution if ``padding`` is put around its dilated input.

    ``sizes`` are the sizes of windows with their dilation.
    """
    return tuple((size - 1 - low, size - 1 - high) for size, (low, high) in zip(sizes, padding, strict=True))


def convolution(recorder: Recorder, operands: Any, params: dict[str, Any], run: Callable[..., Any]) -> Any:
    """Record and evaluate ``lax.conv_general_dilated``."""
    x, kernel = operands
    numbers, spatial = params["dimension_numbers"], x.ndim - 2
    last = (0, x.ndim - 1, *range(1, x.ndim - 1))
    first = tuple(range(x.ndim))
    layout = tuple(numbers.lhs_spec)
    stretched, strides = tuple(params["lhs_dilation"]), tuple(params["window_strides"])
    transposed = max(stretched) > 1
    if layout not in {last, first} or tuple(numbers.out_spec) != layout or params["batch_group_count"] != 1:
        return NotImplemented
    if transposed and (max(strides) > 1 or params["feature_group_count"] != 1):
        return NotImplemented
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
    flipped = tuple(range(spatial)) if transposed else ()
    stored = recorder.part(kernel, Stored("", axes=(*sizes, into, out), flipped=flipped))
    name = "jax.lax.conv_general_dilated"
    if stored is None:
        return recorder.call(name, does, [x, kernel], run)
    return recorder.call(name, does, [x], lambda new: run(new, kernel), {"kernel": stored})
