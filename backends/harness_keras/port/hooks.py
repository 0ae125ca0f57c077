"""Where Keras reports what it computes: calls of layers and of the functions that ``keras.ops`` consists of.

The hooks are set once in a process and do nothing outside an evaluation that is recorded.
"""

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras
from keras import tree
from keras.src import backend

from harness_keras.port import (  # noqa: F401 - importing a file registers its readings
    attention,
    convolution,
    dense,
    dropouts,
    elementwise,
    functions_elementwise,
    functions_products,
    functions_shapes,
    functions_spatial,
    images,
    normalization,
    recurrent,
)
from harness_keras.port.called import FUNCTIONS, PASSIVE, Called
from harness_keras.port.readings import Reading, Running, Unreadable, reading_of
from harness_keras.port.recorder import Recorder, active, is_array

Tensor = Any


@functools.cache
def install() -> None:
    """Set the hooks."""
    keras.Operation.__call__ = _operation(keras.Operation.__call__)
    keras.Layer._set_mask_metadata = _unrecorded(keras.Layer._set_mask_metadata)  # noqa: SLF001
    for name in ("nn", "numpy", "math", "core", "image", "linalg", "random"):
        _wrap(getattr(backend, name), name)


def _operation(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = active()
        if recorder is None or _is_traced(args, kwargs):
            return original(operation, *args, **kwargs)
        with recorder.inside(operation.name):
            reading = reading_of(operation)
            if reading is None:
                return _enter(recorder, operation, original, args, kwargs)
            return _read(recorder, reading, original, operation, args, kwargs)

    return call


def _read(
    recorder: Recorder,
    reading: Reading,
    original: Callable[..., Any],
    layer: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    bound = inspect.signature(layer.call).bind(*args, **kwargs)
    bound.apply_defaults()

    def run(**changed: Any) -> Any:
        bound.arguments.update(changed)
        return original(layer, *bound.args, **bound.kwargs)

    try:
        return reading(Running(recorder, layer, dict(bound.arguments), run))
    except Unreadable as reason:
        return _enter(recorder, layer, original, args, kwargs, whole=reason.whole)


def _enter(
    recorder: Recorder,
    operation: Any,
    run: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    whole: bool = False,
) -> Any:
    """Record what an operation consists of, or one opaque call where that does not give its outputs."""
    function = f"{type(operation).__module__}.{type(operation).__qualname__}"
    record = recorder.opaque_call if whole else recorder.enter
    return record(function, functools.partial(run, operation), args, kwargs)


def _unrecorded(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = active()
        if recorder is None:
            return original(*args, **kwargs)
        with recorder.quiet():
            return original(*args, **kwargs)

    return call


def _wrap(module: ModuleType, group: str) -> None:
    for name, function in list(vars(module).items()):
        if not inspect.isfunction(function) or name.startswith("_") or name in PASSIVE:
            continue
        if function.__module__ == module.__name__ or f"{group}.{name}" in FUNCTIONS:
            hooked = _function(function, f"{group}.{name}")
            setattr(module, name, hooked)
            for namespace in (backend, keras.src.ops, keras.ops):
                if vars(namespace).get(name) is function:
                    setattr(namespace, name, hooked)


def _function(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    signature = inspect.signature(original)
    reading = FUNCTIONS.get(name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = active()
        if recorder is None or _is_traced(args, kwargs):
            return original(*args, **kwargs)
        shown = f"keras.ops.{name.rsplit('.', 1)[-1]}"
        if not any(recorder.is_known(tensor) for tensor in tree.flatten((args, kwargs)) if is_array(tensor)):
            with recorder.quiet():
                return original(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if reading is not None:
            result = reading(Called(recorder, shown, dict(bound.arguments), original))
            if result is not NotImplemented:
                return result
        return recorder.enter(shown, original, args, kwargs)

    return call


def _is_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether some argument stands for a tensor without values, as while a model is built."""
    return any(
        isinstance(each, keras.KerasTensor) or type(each).__name__.endswith("Tracer") or _is_symbolic(each)
        for each in tree.flatten((args, kwargs))
    )


def _is_symbolic(tensor: Any) -> bool:
    return type(tensor).__name__ == "SymbolicTensor" or str(getattr(tensor, "device", "")) == "meta"
