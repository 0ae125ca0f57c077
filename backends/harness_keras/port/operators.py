"""Operators and functions of PyTorch and JAX in a model's own code, read as those of ``keras.ops``."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import tree

from harness.tracing import semantics as kinds
from harness_keras.port.called import FUNCTIONS, Called
from harness_keras.port.geometry import all_from_end
from harness_keras.port.recorder import Recorder, is_array

Tensor = Any

_BINARY = {
    "add": "add", "sub": "subtract", "subtract": "subtract", "mul": "multiply", "multiply": "multiply",
    "div": "divide", "truediv": "divide", "divide": "divide", "pow": "power", "power": "power",
    "maximum": "maximum", "minimum": "minimum", "matmul": "matmul",
}  # fmt: skip
_UNARY = {
    "relu": "nn.relu", "relu6": "nn.relu6", "sigmoid": "nn.sigmoid", "tanh": "nn.tanh", "silu": "nn.silu",
    "softplus": "nn.softplus", "exp": "numpy.exp", "log": "numpy.log", "sqrt": "numpy.sqrt",
    "rsqrt": "math.rsqrt", "square": "numpy.square", "abs": "numpy.abs", "neg": "numpy.negative",
    "negative": "numpy.negative", "sin": "numpy.sin", "cos": "numpy.cos",
    **dict.fromkeys(("reshape", "view", "flatten", "unsqueeze", "squeeze", "ravel"), "numpy.reshape"),
    **dict.fromkeys(("expand_dims",), "numpy.reshape"),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "moveaxis", "movedim"), "numpy.transpose"),
}  # fmt: skip
_ALONG = frozenset({"mean", "sum", "softmax", "log_softmax"})
_JOINS = frozenset({"cat", "concat", "concatenate"})
_SAME = frozenset({"to", "float", "double", "contiguous", "detach", "clone", "astype", "asarray", "array"})
#: The names that are read, besides those of reversed operators and of indexing.
NAMES = frozenset({*_BINARY, *_UNARY}) | _ALONG | _JOINS | _SAME


class Foreign(NamedTuple):
    """A function of the engine's own that is being called; ``name`` is without underscores."""

    recorder: Recorder
    shown: str
    name: str
    original: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def x(self) -> Tensor:
        """The first argument."""
        return self.args[0]

    def of_first(self, x: Tensor) -> Any:
        """The function's result for another first argument."""
        return self.original(x, *self.args[1:], **self.kwargs)

    def axis(self, default: Any) -> Any:
        """The axis or axes, in the words of either engine."""
        given = self.args[1] if len(self.args) > 1 else default
        return self.kwargs.get("dim", self.kwargs.get("axis", given))

    def as_keras(self, name: str, arguments: dict[str, Any], original: Callable[..., Any]) -> Any:
        """Record the call as one of Keras's function."""
        return FUNCTIONS[name](Called(self.recorder, self.shown, arguments, original))


def is_of(recorder: Recorder, args: Any, kwargs: Any) -> bool:
    """Whether some argument is a value of the trace."""
    return any(recorder.is_known(each) for each in tree.flatten((args, kwargs)) if is_array(each))


def read(called: Foreign) -> Any:
    """Record a call and return its result; NotImplemented if the function is not known."""
    name = called.name
    if name in _UNARY:
        return called.as_keras(_UNARY[name], {"x": called.x}, called.of_first)
    if name in _BINARY or name.removeprefix("r") in _BINARY:
        return _binary(called)
    other = {"getitem": _item}
    other |= dict.fromkeys(_ALONG, _along) | dict.fromkeys(_JOINS, _join) | dict.fromkeys(_SAME, _same)
    reading = other.get(name)
    return NotImplemented if reading is None else reading(called)


def _binary(called: Foreign) -> Any:
    name, (first, second, *_) = called.name, called.args

    # The engine has other names for the arguments.
    def original(x1: Any, x2: Any) -> Any:
        return called.original(x1, x2) if name in _BINARY else called.original(x2, x1)

    if name in _BINARY:
        return called.as_keras(f"numpy.{_BINARY[name]}", {"x1": first, "x2": second}, original)
    return called.as_keras(f"numpy.{_BINARY[name[1:]]}", {"x1": second, "x2": first}, original)


def _join(called: Foreign) -> Any:
    def original(xs: Any, axis: int) -> Any:
        return called.original(xs, axis)

    return called.as_keras("numpy.concatenate", {"xs": called.x, "axis": called.axis(0)}, original)


def _same(called: Foreign) -> Any:
    result = called.original(*called.args, **called.kwargs)
    if is_array(result) and is_array(called.x):
        called.recorder.alias(result, called.x)
    return result


def _along(called: Foreign) -> Any:
    rank = len(called.x.shape)
    if "softmax" in called.name:
        (axis,) = all_from_end(called.axis(-1), rank)
        does: kinds.AnySemantics = kinds.Softmax(axis=axis, logarithm=called.name == "log_softmax")
    else:
        keep = bool(called.kwargs.get("keepdim", called.kwargs.get("keepdims", False)))
        does = kinds.Reduction(function=called.name, axes=all_from_end(called.axis(None), rank), keep=keep)
    return called.recorder.call(called.shown, does, [called.x], called.of_first)


def _item(called: Foreign) -> Any:
    key = called.args[1]
    index = _index(key if isinstance(key, tuple) else (key,))
    does = kinds.Opaque(function=called.shown) if index is None else kinds.Slice(index=index)
    return called.recorder.call(called.shown, does, [called.x], called.of_first)


def _index(key: tuple[Any, ...]) -> str | None:
    """An index as text; None if arrays are part of it."""
    texts = []
    for part in key:
        if part is Ellipsis:
            texts.append("...")
        elif isinstance(part, slice):
            step = "" if part.step in {None, 1} else f":{part.step}"
            start, stop = ("" if each is None else str(each) for each in (part.start, part.stop))
            texts.append(f"{start}:{stop}{step}")
        elif part is None or isinstance(part, int):
            texts.append(str(part))
        else:
            return None
    return f"[{', '.join(texts)}]"
