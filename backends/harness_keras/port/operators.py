"""Operators and functions of PyTorch and JAX in a model's own code, read as those of ``keras.ops``."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

from harness.tracing import semantics as kinds
from harness.tracing.functions import index_of, replaced
from harness.tracing.recorder import Running
from harness_keras.port.readings import FUNCTIONS
from harness_keras.port.recorder import Recorder, active

Tensor = Any

_BINARY = {
    "add": "add", "sub": "subtract", "subtract": "subtract", "mul": "multiply", "multiply": "multiply",
    "div": "divide", "truediv": "divide", "divide": "divide", "pow": "power", "power": "power",
    "maximum": "maximum", "minimum": "minimum", "matmul": "matmul",
}  # fmt: skip
#: The functions of Keras that functions of the engines are, without those of two values.
_FUNCTIONS = {
    "relu": "nn.relu", "relu6": "nn.relu6", "sigmoid": "nn.sigmoid", "tanh": "nn.tanh", "silu": "nn.silu",
    "softplus": "nn.softplus", "exp": "numpy.exp", "log": "numpy.log", "sqrt": "numpy.sqrt",
    "rsqrt": "math.rsqrt", "square": "numpy.square", "abs": "numpy.abs", "neg": "numpy.negative",
    "negative": "numpy.negative", "sin": "numpy.sin", "cos": "numpy.cos", "mean": "numpy.mean",
    "sum": "numpy.sum", "softmax": "nn.softmax", "log_softmax": "nn.log_softmax",
    **dict.fromkeys(("reshape", "view", "flatten", "unsqueeze", "squeeze", "ravel"), "numpy.reshape"),
    **dict.fromkeys(("expand_dims",), "numpy.reshape"),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "moveaxis", "movedim"), "numpy.transpose"),
    **dict.fromkeys(("cat", "concat", "concatenate"), "numpy.concatenate"),
    **dict.fromkeys(("to", "float", "double", "contiguous", "detach", "clone"), "core.cast"),
    **dict.fromkeys(("astype", "asarray", "array"), "core.cast"),
}  # fmt: skip
#: The axis where a call names none; others have all.
_AXES = {"nn.softmax": -1, "nn.log_softmax": -1, "numpy.concatenate": 0}
#: The names that are read, besides those of reversed operators and of indexing.
NAMES = frozenset({*_BINARY, *_FUNCTIONS})


def read(
    recorder: Recorder,
    shown: str,
    name: str,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Record a call of a function of the engine's own, whose ``name`` is without underscores.

    Returns its result, or NotImplemented if the function is not known.
    """

    def of_first(x: Tensor) -> Any:
        return original(x, *args[1:], **kwargs)

    plain = name if name in _BINARY else name.removeprefix("r")
    if plain in _BINARY and len(args) == 2 and not kwargs:  # noqa: PLR2004
        # Of a reversed operator the first argument is the second operand.
        names = ("x1", "x2") if plain == name else ("x2", "x1")
        operands = dict(sorted(zip(names, args, strict=True)))

        def run(**changed: Any) -> Any:
            given = operands | changed
            return original(*(given[each] for each in names))

        return FUNCTIONS[f"numpy.{_BINARY[plain]}"](Running(recorder, shown, operands, run))
    if name == "getitem":
        does = index_of(args[1]) or kinds.Opaque(function=shown)
        return recorder.call(shown, does, args[:1], of_first)
    if name not in _FUNCTIONS:
        return NotImplemented
    function = _FUNCTIONS[name]
    axis = args[1] if len(args) > 1 else _AXES.get(function)
    arguments = {
        "x": args[0],
        "axis": kwargs.get("dim", kwargs.get("axis", axis)),
        "keepdims": kwargs.get("keepdim", kwargs.get("keepdims", False)),
    }
    called = Running(recorder, shown, arguments, lambda x=args[0]: of_first(x))
    return FUNCTIONS[function](called)


# What watches them: a mode of torch, and hooks in JAX.

#: Functions of torch that compute no value of a model.
_NOTHING = frozenset(
    {"get", "set", "size", "dim", "numel", "is_floating_point", "numpy", "cpu", "item", "repr"}
)


def watching_torch() -> contextlib.AbstractContextManager[Any]:
    """Report every function of tensors to the recorder; an unknown function is one opaque call."""
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
            result = read(recorder, f"torch.{name}", name, func, args, kwargs)
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


def watching_jax() -> contextlib.AbstractContextManager[None]:
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
    return replaced((owner, name, _hooked(getattr(owner, name), name)) for owner, name in places)


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
        result = read(recorder, f"jax.{plain}", plain, original, args, kwargs)
        return original(*args, **kwargs) if result is NotImplemented else result

    return functools.update_wrapper(call, original, updated=())
