"""Hooks the layers of flax.nnx."""

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from flax import nnx

from harness_jax.models.interception import Hook
from harness_jax.port.known_layers import LAYERS
from harness_jax.port.layers import Layer
from harness_jax.port.recorder import ENTER, Recorder


def hooks(recorder: Recorder) -> dict[FunctionType, Hook]:
    """A hook for each layer that is known."""
    known: dict[FunctionType, Hook] = {}
    for name, translation in LAYERS.items():
        owner, _, method = name.partition(".")
        function = getattr(getattr(nnx, owner, None), method or "__call__", None)
        if isinstance(function, FunctionType):
            known[function] = functools.partial(
                _hook, recorder, f"flax.nnx.{name}", translation, inspect.signature(function)
            )
    return known


def _hook(
    recorder: Recorder,
    name: str,
    translation: Callable[[Layer], Any],
    signature: inspect.Signature,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if not recorder.listens:
        return original(*args, **kwargs)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    module = bound.arguments.pop("self")

    def run(**new: Any) -> Any:
        again = signature.bind(*args, **kwargs)
        again.arguments.update(new)
        return original(*again.args, **again.kwargs)

    layer = Layer(
        recorder=recorder,
        module=module,
        path=recorder.paths.get(id(module), ""),
        function=name,
        arguments=dict(bound.arguments),
        array=functools.partial(_array, module),
        run=run,
    )
    result = translation(layer)
    return original(*args, **kwargs) if result is ENTER else result


def _array(module: Any, name: str) -> Any:
    """An array of a module by its name, or by a path of names."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module.get_value() if isinstance(module, nnx.Variable) else module
