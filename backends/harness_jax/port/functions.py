"""The functions of jax.nn, jax.numpy and flax that have a meaning of their own.

Each translation takes the recorder, the function's name, its arguments by name and what evaluates it with
others, and returns the result, or :data:`~harness_jax.port.recorder.ENTER`. What is not here is entered, down
to primitives.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from harness.tracing import semantics as kinds
from harness_jax.port import convolutions
from harness_jax.port.attention import attention
from harness_jax.port.einsum import contract, contraction
from harness_jax.port.primitives import arithmetic
from harness_jax.port.recorder import ENTER, Recorder

Arguments = dict[str, Any]
Translation = Callable[[Recorder, str, Arguments, Callable[..., Any]], Any]


def _activation(function: str, slope: str | None = None) -> Translation:
    def translate(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
        first = next(iter(arguments))
        number = None if slope is None else float(arguments[slope])
        does = kinds.Activation(function=function, slope=number)
        return recorder.call(does, name, lambda new: run(**{first: new}), [arguments[first]])

    return translate


def _gelu(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    function = "gelu_tanh" if arguments["approximate"] else "gelu"
    return _activation(function)(recorder, name, arguments, run)


def _softmax(
    recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any], *, logarithm: bool
) -> Any:
    x, axis = arguments["x"], arguments["axis"]
    if np.ndim(axis) > 0 or axis is None or arguments.get("where") is not None:
        return ENTER
    does = kinds.Softmax(axis=axis if axis < 0 else axis - x.ndim, logarithm=logarithm)
    return recorder.call(does, name, lambda new: run(x=new), [x])


def _plain_softmax(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    return _softmax(recorder, name, arguments, run, logarithm=False)


def _log_softmax(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    return _softmax(recorder, name, arguments, run, logarithm=True)


def _reduction(function: str) -> Translation:
    def translate(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
        x, axis = arguments["a"], arguments["axis"]
        if any(arguments.get(each) is not None for each in ("where", "initial", "out")):
            return ENTER
        axes = tuple(range(x.ndim)) if axis is None else np.atleast_1d(axis).tolist()
        correction = arguments.get("correction")
        does = kinds.Reduction(
            function=function,
            axes=tuple(sorted(each - x.ndim if each >= 0 else each for each in axes)),
            keep=bool(arguments["keepdims"]),
            correction=float(arguments.get("ddof", 0) if correction is None else correction),
        )
        return recorder.call(does, name, lambda new: run(a=new), [x])

    return translate


def _pooling(function: str) -> Translation:
    def translate(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
        x, size = arguments["inputs"], tuple(arguments["window_shape"])
        strides = tuple(arguments["strides"] or (1,) * len(size))
        padding = convolutions.pairs(arguments["padding"], x.shape[1:-1], size, strides)
        if x.ndim != len(size) + 2 or padding is None:
            return ENTER
        does = kinds.Pooling(
            function="max" if function == "max" else "mean",
            size=size,
            strides=strides,
            padding=padding,
            counts_padding=bool(arguments.get("count_include_pad", False)),
        )
        return recorder.call(does, name, lambda new: run(inputs=new), [x])

    return translate


def _arithmetic(function: str) -> Translation:
    def translate(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
        names = list(arguments)[:2]
        operands = [arguments[each] for each in names]
        return arithmetic(
            recorder, function, name, operands, lambda *new: run(**dict(zip(names, new, strict=True)))
        )

    return translate


def getitem(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    """``x[index]`` with numbers, slices and new axes; rows of a table by integers are an embedding."""
    x, index = arguments["arr"], arguments["idx"]
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) == 1 and recorder.name(x) is not None and _is_integers(index):
        return _rows(recorder, name, x, index, lambda new: run(idx=new))
    if not all(
        part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice)) for part in parts
    ):
        return ENTER
    text = ", ".join(_part(part) for part in parts)
    return recorder.call(kinds.Slice(index=f"[{text}]"), name, lambda new: run(arr=new), [x])


def _einsum(recorder: Recorder, _: str, arguments: Arguments, __: Callable[..., Any]) -> Any:
    """The products of two values, in the order in which they are written; other sums are entered."""
    text, operands = arguments["subscripts"], arguments["operands"]
    found = contraction(text, [np.shape(each) for each in operands]) if isinstance(text, str) else None
    if found is None or not all(isinstance(each, jax.Array) for each in operands):
        return ENTER
    return contract(recorder, operands, found)


def _is_integers(index: Any) -> bool:
    return hasattr(index, "dtype") and index.ndim > 0 and jnp.issubdtype(index.dtype, jnp.integer)


def _rows(recorder: Recorder, name: str, table: Any, index: Any, run: Callable[..., Any]) -> Any:
    stored = recorder.stored(table)
    if stored is None or not recorder.knows(index):
        return ENTER
    return recorder.call(kinds.Embedding(), name, run, [index], parameters={"table": stored})


def _take(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    index = arguments["indices"]
    if arguments["axis"] != 0 or not _is_integers(index):
        return ENTER
    return _rows(recorder, name, arguments["a"], index, lambda new: run(indices=new))


def _part(part: Any) -> str:
    if part is None or part is Ellipsis:
        return "None" if part is None else "..."
    if isinstance(part, slice):
        text = f"{'' if part.start is None else part.start}:{'' if part.stop is None else part.stop}"
        return text if part.step in {None, 1} else f"{text}:{part.step}"
    return str(int(part))


def _pad(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    x, mode, widths = arguments["array"], arguments["mode"], arguments["pad_width"]
    value = arguments.get("constant_values", 0.0)
    if mode not in {"constant", "reflect", "edge"} or np.ndim(value) > 0 or isinstance(widths, dict):
        return ENTER
    pairs = np.broadcast_to(np.asarray(widths), (x.ndim, 2)).tolist()
    does = kinds.Padded(
        padding=tuple((low, high) for low, high in pairs), mode=mode, value=float(value or 0.0)
    )
    return recorder.call(does, name, lambda new: run(array=new), [x])


_RESIZINGS: dict[str, Literal["nearest", "bilinear", "bicubic"]] = {
    "nearest": "nearest",
    **dict.fromkeys(("linear", "bilinear", "triangle"), "bilinear"),
    **dict.fromkeys(("cubic", "bicubic"), "bicubic"),
}


def _resize(recorder: Recorder, name: str, arguments: Arguments, run: Callable[..., Any]) -> Any:
    """``jax.image.resize`` of channels-last pictures."""
    x, shape = arguments["image"], tuple(arguments["shape"])
    method = _RESIZINGS.get(str(getattr(arguments["method"], "name", arguments["method"])).lower())
    spatial = shape[1:-1]
    shrinks = any(new < old for new, old in zip(spatial, x.shape[1:-1], strict=True))
    keeps = (shape[0], shape[-1]) == (x.shape[0], x.shape[-1])
    if method is None or not keeps:
        return ENTER
    does = kinds.Resize(
        size=spatial,
        method=method,
        coefficient=-0.5 if method == "bicubic" else None,
        antialias=bool(arguments["antialias"]) and shrinks and method != "nearest",
        inside=method == "bicubic",
    )
    return recorder.call(does, name, lambda new: run(image=new), [x])


_NN: dict[str, Translation] = {
    "relu": _activation("relu"),
    "relu6": _activation("relu6"),
    "leaky_relu": _activation("leaky_relu", "negative_slope"),
    "elu": _activation("elu", "alpha"),
    "selu": _activation("selu"),
    "celu": _activation("celu", "alpha"),
    "silu": _activation("silu"),
    "sigmoid": _activation("sigmoid"),
    "softplus": _activation("softplus"),
    "hard_sigmoid": _activation("hard_sigmoid"),
    "hard_silu": _activation("hard_swish"),
    "mish": _activation("mish"),
    "identity": _activation("identity"),
    "gelu": _gelu,
    "softmax": _plain_softmax,
    "log_softmax": _log_softmax,
    "dot_product_attention": attention,
}

_NUMPY: dict[str, Translation] = {
    "mean": _reduction("mean"),
    "sum": _reduction("sum"),
    "max": _reduction("max"),
    "min": _reduction("min"),
    "amax": _reduction("max"),
    "amin": _reduction("min"),
    "var": _reduction("variance"),
    "std": _reduction("deviation"),
    "divide": _arithmetic("divide"),
    "true_divide": _arithmetic("divide"),
    "power": _arithmetic("power"),
    "float_power": _arithmetic("power"),
    "take": _take,
    "pad": _pad,
    "einsum": _einsum,
}

_FLAX: dict[str, Translation] = {
    "max_pool": _pooling("max"),
    "avg_pool": _pooling("mean"),
    "dot_product_attention": attention,
}

#: Binary functions of jax.numpy, which the operators of arrays call.
UFUNCS = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "maximum": "maximum",
    "minimum": "minimum",
}


def known_functions() -> list[tuple[Any, dict[str, Translation]]]:
    """The modules and the functions in them that are known."""
    known: list[tuple[Any, dict[str, Translation]]] = [
        (jax.nn, _NN),
        (jnp, _NUMPY),
        (jax.image, {"resize": _resize}),
    ]
    try:
        from flax import linen, nnx
    except ImportError:  # flax is not installed
        return known
    return [*known, (nnx, _FLAX), (linen, _FLAX)]
