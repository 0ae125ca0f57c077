"""Operators and functions of PyTorch and JAX in a model's own code, read as those of ``keras.ops``."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from harness.tracing import semantics as kinds
from harness.tracing.functions import all_from_end, index_of
from harness.tracing.recorder import Running
from harness_keras.port.readings import FUNCTIONS
from harness_keras.port.recorder import Recorder, active, is_array

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

        def run(**changed: Any) -> Any:
            return original(**{**arguments, **changed})

        return FUNCTIONS[name](Running(self.recorder, self.shown, arguments, run))


def read(called: Foreign) -> Any:
    """Record a call and return its result; NotImplemented if the function is not known."""
    name = called.name
    if name in _UNARY:
        return called.as_keras(_UNARY[name], {"x": called.x}, called.of_first)
    if name in _BINARY or name.removeprefix("r") in _BINARY:
        return _binary(called)
    reading = _OTHERS.get(name)
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
    def original(xs: Any, axis: int) -> Any:  # the engine has other names for the arguments
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
    does = index_of(called.args[1]) or kinds.Opaque(function=called.shown)
    return called.recorder.call(called.shown, does, [called.x], called.of_first)


_OTHERS = {"getitem": _item} | dict.fromkeys(_ALONG, _along) | dict.fromkeys(_JOINS, _join)
_OTHERS |= dict.fromkeys(_SAME, _same)


# What watches them: a mode of torch, and hooks in JAX.

#: Functions of torch that compute no value of a model.
_NOTHING = frozenset(
    {"get", "set", "size", "dim", "numel", "is_floating_point", "numpy", "cpu", "item", "repr"}
)


def watching_torch() -> contextlib.AbstractContextManager[Any]:
    """Report every function of tensors to the recorder; one that is not known is one opaque call."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Watching(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            kwargs = kwargs or {}
            recorder = active()
            name = getattr(func, "__name__", "").strip("_")
            if recorder is None or name in _NOTHING or not args or not recorder.knows_any((args, kwargs)):
                return func(*args, **kwargs)
            if any(getattr(each, "is_meta", False) for each in args):
                return func(*args, **kwargs)
            result = read(Foreign(recorder, f"torch.{name}", name, func, args, kwargs))
            if result is not NotImplemented:
                return result
            with recorder.quiet():
                result = func(*args, **kwargs)
            if isinstance(result, torch.Tensor) and not recorder.knows(result):
                tensors = [each for each in args if isinstance(each, torch.Tensor)]
                recorder.call(
                    f"torch.{name}", kinds.Opaque(function=f"torch.{name}"), tensors, lambda *_: result
                )
            return result

    return Watching()


_METHODS = ("reshape", "transpose", "mean", "sum", "astype", "swapaxes", "flatten", "ravel", "squeeze")
_OPERATORS = ("add", "sub", "mul", "truediv", "pow", "matmul")


@contextlib.contextmanager
def watching_jax() -> Iterator[None]:
    """Report operators, methods and functions of arrays to the recorder."""
    import jax
    import jax.numpy as jnp

    array = type(jnp.zeros(()))
    dunders = [f"__{side}{name}__" for name in _OPERATORS for side in ("", "r")]
    places: list[tuple[Any, str]] = [
        (array, name) for name in (*dunders, "__neg__", "__getitem__", *_METHODS)
    ]
    places += [
        (module, name)
        for module in (jnp, jax.nn, jax.lax)
        for name in NAMES
        if callable(vars(module).get(name))
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name, original in before:
        setattr(owner, name, _hooked(original, name))
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)


def _hooked(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    import jax

    plain = name.strip("_")

    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = active()
        given = jax.tree.leaves((args, kwargs))
        if recorder is None or not args or any(isinstance(each, jax.core.Tracer) for each in given):
            return original(*args, **kwargs)
        if not recorder.knows_any((args, kwargs)):
            return original(*args, **kwargs)
        result = read(Foreign(recorder, f"jax.{plain}", plain, original, args, kwargs))
        return original(*args, **kwargs) if result is NotImplemented else result

    return functools.update_wrapper(call, original, updated=())
