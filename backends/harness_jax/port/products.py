"""Products of matrices and convolutions: with a parameter they are layers, else products of two values.

A general contraction is taken apart into transpositions, one product over the last two axes, and a reshape.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import Product, dilated
from harness_jax.port.recorder import Recorder

_NAME = "jax.lax.dot_general"


def contracted(recorder: Recorder, left: Any, right: Any, *, dimension_numbers: Any, **_: Any) -> Any:
    """Record and evaluate a contraction of two values."""
    (left_over, right_over), (left_batch, right_batch) = dimension_numbers
    if not left_batch and recorder.stored(left) is None and _kernel(recorder, right, right_over) is not None:
        return linear(recorder, left, right, left_over, right_over)
    left_free = _others(left, left_over, left_batch)
    right_free = _others(right, right_over, right_batch)
    shared, columns = _size(left, left_over), _size(right, right_free)
    # Without a batch of its own, the right one is multiplied with all that the left one has.
    rows = [_size(left, left_free)] if left_batch else [left.shape[axis] for axis in left_free]
    batch = [left.shape[axis] for axis in left_batch]
    transposed = _identity((*right_batch, *right_free, *right_over))
    first = _arranged(left, (*left_batch, *left_free, *left_over), (*batch, *rows, shared))
    if transposed:
        second = _arranged(right, (*right_batch, *right_free, *right_over), (*batch, columns, shared))
    else:
        second = _arranged(right, (*right_batch, *right_over, *right_free), (*batch, shared, columns))
    result = recorder.call(
        _NAME,
        kinds.MatrixProduct(transposed=transposed),
        [first, second],
        lambda a, b: jnp.matmul(a, jnp.swapaxes(b, -1, -2) if transposed else b),
    )
    shape = (*batch, *(left.shape[axis] for axis in left_free), *(right.shape[axis] for axis in right_free))
    return result if result.shape == shape else lax.reshape(result, shape)


def linear(
    recorder: Recorder,
    x: Any,
    kernel: Any,
    axes: Any,
    kernel_axes: Any,
    *,
    bias: Any = None,
    path: str | None = None,
    function: str = _NAME,
) -> Any:
    """Record and evaluate a contraction of a value with a parameter, without axes that both keep."""
    free, kernel_free = _others(x, axes, ()), _others(kernel, kernel_axes, ())
    flat = _arranged(x, (*free, *axes), (*(x.shape[axis] for axis in free), _size(x, axes)))
    order = (*kernel_axes, *kernel_free)
    matrix_shape = (_size(kernel, kernel_axes), _size(kernel, kernel_free))
    parameters = {"kernel": _kernel(recorder, kernel, kernel_axes)}
    if bias is not None:
        parameters["bias"] = recorder.stored(bias, final_shape=(bias.size,) if bias.ndim > 1 else None)

    def run(new: Any) -> Any:
        result = new @ jnp.transpose(kernel, order).reshape(matrix_shape)
        return result if bias is None else result + bias.reshape(-1)

    there = {role: stored for role, stored in parameters.items() if stored}
    result = recorder.call(function, kinds.Linear(), [flat], run, there, path)
    shape = (*flat.shape[:-1], *(kernel.shape[axis] for axis in kernel_free))
    return result if result.shape == shape else lax.reshape(result, shape)


def _kernel(recorder: Recorder, kernel: Any, over: Any) -> Stored | None:
    """A parameter as the kernel (inputs, outputs) of a linear layer."""
    free = _others(kernel, over)
    order, shape = (*over, *free), (_size(kernel, over), _size(kernel, free))
    return recorder.stored(
        kernel,
        axes=None if _identity(order) else order,
        final_shape=None if shape == tuple(kernel.shape[axis] for axis in order) else shape,
    )


def _others(x: Any, *taken: Any) -> tuple[int, ...]:
    used = {axis for axes in taken for axis in axes}
    return tuple(axis for axis in range(x.ndim) if axis not in used)


def _size(x: Any, axes: Any) -> int:
    return int(np.prod([x.shape[axis] for axis in axes]))


def _identity(order: Any) -> bool:
    return tuple(order) == tuple(range(len(order)))


def _arranged(x: Any, order: Any, shape: tuple[int, ...]) -> Any:
    """Transpose and reshape, where there is something to do; both are recorded."""
    if not _identity(order):
        x = lax.transpose(x, tuple(order))
    return x if x.shape == shape else lax.reshape(x, shape)


def contract(recorder: Recorder, operands: Sequence[Any], letters: Product) -> Any:
    """A sum over products of two values; a parameter goes to the right, as the kernel of a linear layer."""
    first, second = operands
    left, right = letters.left, letters.right
    if recorder.stored(first) is not None and recorder.stored(second) is None:
        first, second, left, right = second, first, right, left
    groups = (letters.summed, letters.batch)
    numbers = tuple(tuple(_places(group, part) for part in (left, right)) for group in groups)
    made = contracted(recorder, first, second, dimension_numbers=numbers)
    free = [letter for letter in (*left, *right) if (letter in left) != (letter in right)]
    order = _places(letters.result, "".join([*letters.batch, *free]))
    return made if _identity(order) else lax.transpose(made, order)


def _places(letters: str, part: str) -> tuple[int, ...]:
    return tuple(part.index(letter) for letter in letters)


# Convolutions: paddings as pairs, layouts, and the transposed ones of flax in the canonical form.

Pairs = tuple[tuple[int, int], ...]


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
    stored = recorder.stored(
        kernel, axes=(*sizes, into, out), flipped=tuple(range(spatial)) if transposed else ()
    )
    name = "jax.lax.conv_general_dilated"
    if stored is None:
        return recorder.call(name, does, [x, kernel], run)
    return recorder.call(name, does, [x], lambda new: run(new, kernel), {"kernel": stored})
