"""Products of matrices: with a parameter they are linear layers, else products of two values.

A general contraction is taken apart into transpositions, one product over the last two axes, and a reshape.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_jax.port.recorder import Recorder

_NAME = "jax.lax.dot_general"


def product(recorder: Recorder, left: Any, right: Any, *, dimension_numbers: Any, **_: Any) -> Any:
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
        kinds.MatrixProduct(transposed=transposed),
        _NAME,
        lambda a, b: jnp.matmul(a, jnp.swapaxes(b, -1, -2) if transposed else b),
        [first, second],
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
    path: str = "",
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

    result = recorder.call(
        kinds.Linear(),
        function,
        run,
        [flat],
        path=path,
        parameters={k: v for k, v in parameters.items() if v},
    )
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
