"""Readings of functions that libraries of arrays have alike, and of axes, indices and sums in their terms.

A reading records a :class:`~harness.tracing.recorder.Running` call, perhaps as several, and returns its
result; it returns NotImplemented where the arguments make it another function.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored

Reading = Callable[[Any], Any]
_Key = TypeVar("_Key")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def entering(table: dict[_Key, Any]) -> Callable[..., Callable[[_Function], _Function]]:
    """Return a decorator that enters a function into ``table`` under each of its arguments."""

    def under(*keys: _Key) -> Callable[[_Function], _Function]:
        def enter(function: _Function) -> _Function:
            table.update(dict.fromkeys(keys, function))
            return function

        return enter

    return under


@contextlib.contextmanager
def replaced(attributes: Iterable[tuple[Any, str, Any]]) -> Iterator[None]:
    """Replace attributes of modules and classes for a while; ``attributes`` are owners, names and values."""
    attributes = list(attributes)
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in attributes]
    try:
        for owner, name, value in attributes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def from_end(axis: int, rank: int) -> int:
    """Count an axis from the end."""
    return axis if axis < 0 else axis - rank


def all_from_end(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Count axes from the end, in order; None stands for all axes."""
    if axes is None:
        return tuple(range(-rank, 0))
    return tuple(sorted(from_end(int(axis), rank) for axis in np.atleast_1d(axes)))


def sliced(parts: Iterable[str]) -> kinds.Slice:
    """Return an index of ``parts``, one for each axis from the first."""
    return kinds.Slice(index=f"[{', '.join(parts) or ':'}]")


def span(cut: slice, length: int) -> str:
    """Describe the range ``cut`` of an axis as a part of an index, without the ends of the axis."""
    start = "" if cut.start in {None, 0} else str(cut.start)
    stop = "" if cut.stop is None or cut.stop >= length else str(cut.stop)
    return f"{start}:{stop}" + ("" if cut.step in {None, 1} else f":{cut.step}")


def reversal(axes: Iterable[int], rank: int) -> kinds.Slice:
    """Return an index that reverses the order of these axes."""
    reversed_ = {axis % rank for axis in axes}
    return sliced("::-1" if axis in reversed_ else ":" for axis in range(rank))


def split(
    recorder: Any, function: str, x: Any, axis: int, lengths: Iterable[int], run: Callable[[Any], Any]
) -> list[Any]:
    """Record a call for each part of an axis, which is not counted from the end; ``run`` gives all parts."""
    made, start = [], 0
    for place, length in enumerate(lengths):
        stop = start + length
        part = span(slice(start, stop), x.shape[axis])
        does = sliced(part if each == axis else ":" for each in range(len(x.shape)))

        def cut(x: Any, place: int = place) -> Any:
            return run(x)[place]

        layout = Stored("", axis=axis, start=start, stop=stop)
        record = functools.partial(recorder.call, function, does, [x], cut)
        made.append(recorder.defer(x, cut, layout, record))
        start = stop
    return made


def index_of(key: Any) -> kinds.Slice | None:
    """Convert an index of Python; None if arrays are part of it."""
    parts = []
    for part in key if isinstance(key, tuple) else (key,):
        if part is Ellipsis:
            parts.append("...")
        elif isinstance(part, slice):
            step = "" if part.step in {None, 1} else f":{part.step}"
            start, stop = ("" if each is None else str(each) for each in (part.start, part.stop))
            parts.append(f"{start}:{stop}{step}")
        elif part is None or isinstance(part, int | np.integer):
            parts.append("None" if part is None else str(int(part)))
        else:
            return None
    return sliced(parts)


def causal_offset(seen: np.ndarray) -> int | None:
    """Return the offset of a causal mask ``(..., queries, keys)``, True at seen keys; else None."""
    planes = seen.reshape(-1, *seen.shape[-2:])
    offset = int(planes[0, 0].sum()) - 1
    queries, keys = seen.shape[-2:]
    return offset if (planes == np.tri(queries, keys, offset, dtype=bool)).all() else None


def activation(function: str, slope: str = "") -> Reading:
    """Read an elementwise function of the first argument, perhaps with an argument as its slope."""

    def read(called: Any) -> Any:
        number = float(called[slope]) if slope else None
        return called.record(kinds.Activation(function=function, slope=number))

    return read


def arithmetic(function: str) -> Reading:
    """Read a function of the first two arguments, one of which may be a number."""

    def read(called: Any) -> Any:
        names = list(called.arguments)[:2]
        operands = [called.recorder.operand(called[name]) for name in names]

        def run(*new: Any) -> Any:
            return called.run(**dict(zip(names, new, strict=True)))

        return called.recorder.arithmetic(called.function, function, operands, run)

    return read


def gelu(called: Any) -> Any:
    """Read a GELU, exact or approximate by the argument ``approximate``."""
    return activation("gelu_tanh" if called["approximate"] else "gelu")(called)


def softmax(*, logarithm: bool) -> Reading:
    """Read a softmax, or its logarithm, over one axis."""

    def read(called: Any) -> Any:
        axis = called["axis"]
        if not isinstance(axis, int | np.integer) or called.get("where") is not None:
            return NotImplemented
        does = kinds.Softmax(axis=from_end(int(axis), len(called.x.shape)), logarithm=logarithm)
        return called.record(does)

    return read


def reduction(function: str) -> Reading:
    """Read a reduction over the axes that ``axis`` gives."""

    def read(called: Any) -> Any:
        if any(called.get(name) is not None for name in ("where", "initial", "out")):
            return NotImplemented
        correction = called.get("correction")
        does = kinds.Reduction(
            function=function,
            axes=all_from_end(called["axis"], len(called.x.shape)),
            keep=bool(called["keepdims"]),
            correction=float(called.get("ddof", 0) if correction is None else correction),
        )
        return called.record(does)

    return read


def padded(called: Any) -> Any:
    """Read a padding by ``pad_width``, ``mode`` and ``constant_values``."""
    value, widths = called.get("constant_values"), called["pad_width"]
    if isinstance(widths, dict) or np.ndim(value) > 0 or called["mode"] not in _BORDERS:
        return NotImplemented
    pairs = np.broadcast_to(np.asarray(widths), (len(called.x.shape), 2)).tolist()
    padding = tuple((low, high) for low, high in pairs)
    return called.record(kinds.Padded(padding=padding, mode=called["mode"], value=float(value or 0.0)))


_BORDERS = {"constant", "reflect", "edge", "symmetric", "wrap"}
#: The names of activations, softmax and reductions in ``jax.nn`` and ``keras.ops``, with their readings.
ACTIVATIONS: dict[str, Reading] = {
    **{
        name: activation(name)
        for name in ("relu", "relu6", "selu", "silu", "sigmoid", "softplus", "hard_sigmoid")
    },
    "hard_silu": activation("hard_swish"),
    "leaky_relu": activation("leaky_relu", "negative_slope"),
    "elu": activation("elu", "alpha"),
    "celu": activation("celu", "alpha"),
    "gelu": gelu,
    "softmax": softmax(logarithm=False),
    "log_softmax": softmax(logarithm=True),
}
REDUCTIONS: dict[str, Reading] = {
    "mean": reduction("mean"),
    "sum": reduction("sum"),
    **dict.fromkeys(("max", "amax"), reduction("max")),
    **dict.fromkeys(("min", "amin"), reduction("min")),
    "var": reduction("variance"),
    "std": reduction("deviation"),
}


# Windows over the spatial axes.


def each_of(value: Any, count: int) -> tuple[int, ...]:
    """Return a number for each spatial axis, from one or several numbers; None stands for one."""
    if value is None:
        return (1,) * count
    values = tuple(int(each) for each in np.atleast_1d(value))
    return values * count if len(values) == 1 else values


def spatial(shape: Sequence[int], *, first: bool) -> tuple[int, ...]:
    """Return the spatial lengths of an array with batch and channels, which may come first."""
    return tuple(shape[2:] if first else shape[1:-1])


def dilated(sizes: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Count the positions that a window with dilation covers."""
    return tuple((size - 1) * step + 1 for size, step in zip(sizes, dilation, strict=True))


def window_padding(
    padding: str, lengths: Sequence[int], windows: Sequence[int], strides: Sequence[int]
) -> kinds.Padding:
    """Return the padding (low, high) of each spatial axis; ``same`` depends on the length and the stride.

    ``windows`` are the lengths that windows cover with their dilation.
    """
    pairs = []
    for length, window, stride in zip(lengths, windows, strides, strict=True):
        total = max((-(-length // stride) - 1) * stride + window - length, 0)
        same = total // 2, total - total // 2
        pairs.append({"causal": (window - 1, 0), "valid": (0, 0)}.get(padding, same))
    return tuple(pairs)


# Sums over products of two operands, as ``einsum`` writes them.


class Product(NamedTuple):
    """The letters of both operands and of the result; those of axes that all have, and that are summed."""

    left: str
    right: str
    result: str
    batch: str
    summed: str


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def product(equation: str, shapes: Sequence[Sequence[int]]) -> Product | None:
    """Read an equation such as ``ij,jk->ik``; None unless it is a product of two operands.

    None also if an axis of one operand alone is summed. Axes of an ellipsis have capital letters, the last Z.
    """
    terms, _, result = equation.replace(" ", "").partition("->")
    parts = terms.split(",")
    if "->" not in equation or len(parts) != 2 or len(shapes) != 2:  # noqa: PLR2004
        return None
    hidden = [len(shape) - len(part.replace("...", "")) for part, shape in zip(parts, shapes, strict=True)]
    if any(count and (count < 0 or "..." not in part) for part, count in zip(parts, hidden, strict=True)):
        return None
    left, right, result = (
        part.replace("...", _LETTERS[len(_LETTERS) - count :])
        for part, count in zip((*parts, result), (*hidden, max(hidden)), strict=True)
    )
    sizes = dict(zip(left, shapes[0], strict=True))
    fits = all(sizes.get(letter, size) == size for letter, size in zip(right, shapes[1], strict=True))
    once = all(len(set(part)) == len(part) for part in (left, right, result))
    if not fits or not once or not set(left) ^ set(right) <= set(result):
        return None
    both = [letter for letter in left if letter in right]
    batch = "".join(letter for letter in result if letter in both)
    return Product(left, right, result, batch, "".join(letter for letter in both if letter not in result))


class Library(NamedTuple):
    """What a library of arrays has for transposition, reshaping, and the product over the last two axes."""

    transpose: Callable[[Any, tuple[int, ...]], Any]
    reshape: Callable[[Any, tuple[int, ...]], Any]
    matmul: Callable[[Any, Any], Any]


def contracted(
    letters: Product, operands: Sequence[Any], library: Library, is_kernel: Callable[..., bool]
) -> Any:
    """Compute a sum over products by transpositions, one product of matrices, and a reshape.

    A parameter goes to the right, as the kernel of a linear layer.
    """
    (left, right), of_left, of_right = operands, letters.left, letters.right
    if is_kernel(left) and not is_kernel(right):
        left, right, of_left, of_right = right, left, of_right, of_left
    sizes = dict(zip(of_left, left.shape, strict=True)) | dict(zip(of_right, right.shape, strict=True))
    batch, summed = [*letters.batch], letters.summed
    rows = [letter for letter in of_left if letter not in of_right]
    columns = "".join(letter for letter in of_right if letter not in of_left)

    def arranged(x: Any, own: str, merged: Sequence[str]) -> Any:
        """Arrange ``x`` by axes of these letters, some of them merged."""
        order = tuple(own.index(letter) for letter in "".join(merged))
        shape = tuple(math.prod(sizes[letter] for letter in each) for each in merged)
        x = x if order == tuple(range(len(order))) else library.transpose(x, order)
        return x if tuple(x.shape) == shape else library.reshape(x, shape)

    # Without a batch of its own, the right one is multiplied with all that the left one has.
    of_rows = rows if rows and not batch else ["".join(rows)]
    made = library.matmul(
        arranged(left, of_left, [*batch, *of_rows, summed]),
        arranged(right, of_right, [*batch, summed, columns]),
    )
    apart = "".join([*batch, *rows, columns])
    made = (
        library.reshape(made, tuple(sizes[letter] for letter in apart))
        if len(made.shape) != len(apart)
        else made
    )
    return arranged(made, apart, letters.result)


def attention_scale(scale: float | None, depth: int) -> float:
    """Return the factor of the scores, by default the inverse root of the depth."""
    return 1 / math.sqrt(depth) if scale is None else float(scale)
