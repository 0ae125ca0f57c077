"""Hooks the layers of flax.linen."""

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

from flax import linen

from harness_jax.port.known_layers import LAYERS
from harness_jax.port.layers import Layer
from harness_jax.port.recorder import ENTER, Recorder


def recording(recorder: Recorder) -> contextlib.AbstractContextManager[Any]:
    """Record the layers that are known."""
    return linen.intercept_methods(functools.partial(_intercept, recorder))


def _intercept(
    recorder: Recorder, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Any:
    translation, name = _known(type(context.module), context.method_name)
    if not recorder.listens or translation is None:
        return call(*args, **kwargs)
    signature = inspect.signature(getattr(type(context.module), context.method_name))
    bound = signature.bind(context.module, *args, **kwargs)
    bound.apply_defaults()
    bound.arguments.pop("self")

    def run(**new: Any) -> Any:
        again = signature.bind(context.module, *args, **kwargs)
        again.arguments.update(new)
        return call(*again.args[1:], **again.kwargs)

    layer = Layer(
        recorder=recorder,
        module=context.module,
        path="/".join(context.module.path),
        function=f"flax.linen.{name}",
        arguments=dict(bound.arguments),
        array=functools.partial(_array, context.module),
        run=run,
    )
    result = translation(layer)
    return call(*args, **kwargs) if result is ENTER else result


def _known(owner: type, method: str) -> tuple[Callable[[Layer], Any] | None, str]:
    """The translation of the class of flax that a method is of."""
    for base in owner.__mro__:
        if method in vars(base):
            name = base.__name__ if method == "__call__" else f"{base.__name__}.{method}"
            return (LAYERS.get(name) if base.__module__.startswith("flax.linen.") else None), name
    return None, ""


def _array(module: Any, name: str) -> Any:
    """An array of a module by its name, or by a path of names, from any collection."""
    first, *path, last = [*([""] if "." not in name else []), *name.split(".")]
    part = getattr(module, first, None) if first else None
    if isinstance(part, linen.Module):
        return _array(part, ".".join((*path, last)))
    for collection in module.variables.values():
        arrays = functools.reduce(
            lambda tree, each: tree.get(each, {}), [first, *path] if first else path, collection
        )
        if last in arrays:
            return arrays[last]
    return None
