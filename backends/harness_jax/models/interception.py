"""Sees the calls of functions and primitives, however the model refers to them.

A model holds functions of JAX in many places: names of its modules, attributes (``self.activation =
nnx.relu``), defaults, dictionaries, partials. All of them refer to the same function object, so it is the
object that is changed: its code is replaced by one that asks a hook first, and put back afterwards.
Compiled functions are called as plain Python inside :func:`jax.disable_jit`. Below all functions, the
evaluation of primitives is hooked as well, so that no computation goes unseen.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import jax
from jax._src import core

from harness.tracing.functions import replaced

#: Called with the original function, its positional and its named arguments.
Hook = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
#: Called with a primitive, its operands and parameters, and a function that evaluates it.
PrimitiveHook = Callable[[Any, tuple[Any, ...], dict[str, Any], Callable[..., Any]], Any]


def python_function(function: Any) -> FunctionType | None:
    """Find the function of Python below the wrappers of jit and custom derivatives; None if there is none."""
    while function is not None and not isinstance(function, FunctionType):
        function = getattr(function, "fun", None) or getattr(function, "__wrapped__", None)
    return function


@contextlib.contextmanager
def intercepted(hooks: Mapping[FunctionType, Hook]) -> Iterator[None]:
    """Call each hook in the place of its function."""
    codes = {function: function.__code__ for function in hooks}
    try:
        for function, hook in hooks.items():
            swap(function, hook)
        yield
    finally:
        for function, code in codes.items():
            function.__code__ = code


def swap(function: FunctionType, hook: Hook) -> None:
    """Call the hook in the place of the function from now on; the function keeps its signature."""
    vars(function).setdefault("__signature__", inspect.signature(function))
    function.__code__ = _asking(function, hook)


def _asking(function: FunctionType, hook: Hook) -> CodeType:
    """Build code that calls the hook; it takes any arguments and has the free variables of the original."""
    original = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    original.__kwdefaults__ = function.__kwdefaults__

    def ask(*args: Any, **kwargs: Any) -> Any:
        called: Any = "the hook"
        instead_of: Any = "the original"
        return called(instead_of, args, kwargs)

    put: dict[Any, Any] = {"the hook": hook, "the original": original}
    code = ask.__code__
    return code.replace(
        co_consts=tuple(put.get(constant, constant) for constant in code.co_consts),
        co_freevars=function.__code__.co_freevars,
        co_name=function.__name__,
    )


@contextlib.contextmanager
def primitives_intercepted(hook: PrimitiveHook) -> Iterator[None]:
    """Call the hook for each primitive that is evaluated, outside of compiled functions."""
    evaluate = core.EvalTrace.process_primitive

    def process(trace: Any, primitive: Any, operands: Any, params: dict[str, Any], /) -> Any:
        return hook(primitive, tuple(operands), params, lambda *new: evaluate(trace, primitive, new, params))

    with replaced([(core.EvalTrace, "process_primitive", process)]), jax.disable_jit():
        yield
