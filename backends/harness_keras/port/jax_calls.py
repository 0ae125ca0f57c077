"""Operators on arrays and the commonest functions of JAX in the code of a Keras model on JAX."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from harness_keras.port import operators
from harness_keras.port.recorder import active

_METHODS = ("reshape", "transpose", "mean", "sum", "astype", "swapaxes", "flatten", "ravel", "squeeze")
_OPERATORS = ("add", "sub", "mul", "truediv", "pow", "matmul")


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Report operators, methods and functions of arrays to the recorder."""
    array = type(jnp.zeros(()))
    dunders = [f"__{side}{name}__" for name in _OPERATORS for side in ("", "r")]
    places: list[tuple[Any, str]] = [
        (array, name) for name in (*dunders, "__neg__", "__getitem__", *_METHODS)
    ]
    places += [
        (module, name)
        for module in (jnp, jax.nn, jax.lax)
        for name in operators.NAMES
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
    plain = name.strip("_")

    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = active()
        given = jax.tree.leaves((args, kwargs))
        if recorder is None or not args or any(isinstance(each, jax.core.Tracer) for each in given):
            return original(*args, **kwargs)
        if not operators.is_of(recorder, args, kwargs):
            return original(*args, **kwargs)
        result = operators.read(operators.Foreign(recorder, f"jax.{plain}", plain, original, args, kwargs))
        return original(*args, **kwargs) if result is NotImplemented else result

    return functools.update_wrapper(call, original, updated=())
