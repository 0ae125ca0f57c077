"""Hooks the layers of flax, of nnx and of linen."""

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from flax import linen, nnx

from harness.tracing.functions import Reading
from harness_jax.models.interception import Hook
from harness_jax.port.layers import LAYERS, Layer
from harness_jax.port.recorder import Recorder


def nnx_hooks(recorder: Recorder) -> dict[FunctionType, Hook]:
    """Return a hook for each known layer of nnx."""
    known: dict[FunctionType, Hook] = {}
    for name, reading in LAYERS.items():
        owner, _, method = name.partition(".")
        function = getattr(getattr(nnx, owner, None), method or "__call__", None)
        if isinstance(function, FunctionType):
            signature = inspect.signature(function)
            known[function] = functools.partial(_hook, recorder, f"flax.nnx.{name}", reading, signature)
    return known


def _hook(
    recorder: Recorder,
    name: str,
    reading: Reading,
    signature: inspect.Signature,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if not recorder.listens:
        return original(*args, **kwargs)
    module = args[0]
    array = functools.partial(_nnx_array, module)
    layer = Layer.of(recorder, name, signature, original, args, kwargs, module=module, array=array)
    with recorder.inside(recorder.names_of_modules.get(id(module), "")):
        result = reading(layer)
        return original(*args, **kwargs) if result is NotImplemented else result


def _nnx_array(module: Any, name: str) -> Any:
    """Return an array of a module by its name, or by a path of names."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module.get_value() if isinstance(module, nnx.Variable) else module


def intercept(
    recorder: Recorder, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Any:
    """Record a known layer of linen, or call an unknown one."""
    module = context.module
    reading, name = _known(type(module), context.method_name)
    if not recorder.listens or reading is None:
        return call(*args, **kwargs)
    signature = inspect.signature(getattr(type(module), context.method_name))

    def original(_: Any, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    array, name = functools.partial(_linen_array, module), f"flax.linen.{name}"
    layer = Layer.of(recorder, name, signature, original, (module, *args), kwargs, module=module, array=array)
    with recorder.inside("/".join(module.path)):
        result = reading(layer)
        return call(*args, **kwargs) if result is NotImplemented else result


def _known(owner: type, method: str) -> tuple[Reading | None, str]:
    """Return the reading of the flax class that defines ``method``, and the name of that layer."""
    for base in owner.__mro__:
        if method in vars(base):
            name = base.__name__ if method == "__call__" else f"{base.__name__}.{method}"
            return (LAYERS.get(name) if base.__module__.startswith("flax.linen.") else None), name
    return None, ""


def _linen_array(module: Any, name: str) -> Any:
    """Return an array of a module by its name, or by a path of names, from any collection."""
    first, *path, last = [*([""] if "." not in name else []), *name.split(".")]
    part = getattr(module, first, None) if first else None
    if isinstance(part, linen.Module):
        return _linen_array(part, ".".join((*path, last)))
    for collection in module.variables.values():
        arrays = functools.reduce(
            lambda tree, each: tree.get(each, {}), [first, *path] if first else path, collection
        )
        if last in arrays:
            return arrays[last]
    return None
