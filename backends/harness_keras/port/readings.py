"""How layers and functions are read that are called, and where Keras reports them.

Layers are found by what their ``call`` really is, and the functions that ``keras.ops`` consists of by the
names that they have in every engine. The hooks are set once in a process and do nothing outside an evaluation
that is recorded.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
from keras import tree
from keras.src import backend

from harness.tracing.calls import Stored
from harness.tracing.functions import Reading, entering
from harness.tracing.recorder import Running
from harness_keras.port.recorder import active

Tensor = Any

#: Functions that compute nothing: nobody needs to know that they were called.
PASSIVE = frozenset({
    "shape", "is_tensor", "convert_to_numpy", "ndim", "size", "device_scope", "compute_output_spec",
    "random_seed_dtype", "custom_gradient", "remat", "cond", "switch", "while_loop", "fori_loop", "scan",
    "map", "vectorized_map", "associative_scan", "enable_numpy", "get_device", "to_torch_dtype",
    "standardize_dtype", "standardize_tuple", "result_type", "in_stateless_scope", "get_stateless_scope",
    "any_symbolic_tensors",
})  # fmt: skip


class Unreadable(Exception):
    """The layer is known, but not in this configuration; ``whole`` layers consist of nothing known either."""

    def __init__(self, *, whole: bool = False) -> None:
        super().__init__()
        self.whole = whole


@dataclass(frozen=True, kw_only=True)
class Layer(Running):
    """A layer that is being called."""

    layer: Any

    @property
    def training(self) -> bool:
        """Whether the layer runs in training mode."""
        return bool(self.get("training"))

    def stored(self, variable: Any, **part: Any) -> Stored:
        """Return the parameter of a role."""
        name = self.recorder.names.get(id(variable))
        if name is None:
            raise Unreadable
        return Stored(name, **part)

    def roles(self, **variables: Any) -> dict[str, Stored]:
        """Return the existing roles of ``variables``; see :meth:`stored`."""
        return {role: self.stored(each) for role, each in variables.items() if each is not None}


_READINGS: dict[type | None, Reading] = {}


#: Makes a function the reading of these classes.
reads_layer = entering(_READINGS)


def layer_class(name: str) -> type | None:
    """Return a class of ``keras.layers``; None in older versions that lack it."""
    return getattr(keras.layers, name, None)


def reading_of(layer: Any) -> Reading | None:
    """Return the reading of a layer, unless the user's own class computes something else."""
    for each in type(layer).__mro__:
        if each in _READINGS:
            return _READINGS[each]
        if "call" in vars(each) or "__call__" in vars(each):
            return None
    return None


FUNCTIONS: dict[str, Reading] = {}
#: Makes a function the reading of the functions with these names.
reads = entering(FUNCTIONS)


# The hooks.


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
        # The model itself has no name in paths.
        around = recorder.paths[-1] and f"{recorder.paths[-1]}/"
        with recorder.inside(around + operation.name if len(recorder.paths) > 1 else ""):
            reading, whole = reading_of(operation), False
            run = functools.partial(original, operation)
            if reading is not None:
                shown, signature = (
                    f"keras.layers.{type(operation).__name__}",
                    inspect.signature(operation.call),
                )
                try:
                    return reading(Layer.of(recorder, shown, signature, run, args, kwargs, layer=operation))
                except Unreadable as reason:
                    whole = reason.whole
            function = f"{type(operation).__module__}.{type(operation).__qualname__}"
            record = recorder.opaque_call if whole else recorder.enter
            return record(function, run, args, kwargs)

    return call


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
        if not recorder.knows_any((args, kwargs)):
            with recorder.quiet():
                return original(*args, **kwargs)
        if reading is not None:
            result = reading(Running.of(recorder, shown, signature, original, args, kwargs))
            if result is not NotImplemented:
                return result
        return recorder.enter(shown, original, args, kwargs)

    return call


def _is_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Check that an argument stands for a tensor without values, as while a model is built."""
    return any(
        isinstance(each, keras.KerasTensor)
        or type(each).__name__.endswith(("Tracer", "SymbolicTensor"))
        or str(getattr(each, "device", "")) == "meta"
        for each in tree.flatten((args, kwargs))
    )
