"""Keras in float64 throughout, in this process.

Even with ``floatx`` float64 Keras computes parts in float32: on JAX and PyTorch by its rules of promotion, on
TensorFlow where a primitive's constants are float32. A model's own casts to a narrower type are undone too:
the precision that a model asks for is not what is compared.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras.src import backend
from keras.src.backend.common import dtypes

_NARROW = frozenset({"float16", "bfloat16", "float32", "half", "float"})


@functools.cache
def install() -> None:
    """Make everything that is built and computed from now on float64."""
    if backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    dtypes._lattice_result_type = _widened_result(dtypes._lattice_result_type)  # noqa: SLF001
    keras.DTypePolicy.__init__ = _with_wide_name(keras.DTypePolicy.__init__)
    keras.KerasTensor.__init__ = _with_wide_dtype(keras.KerasTensor.__init__)
    keras.Variable.__init__ = _with_wide_dtype(keras.Variable.__init__)
    for name in ("cast", "convert_to_tensor"):
        _replace(name)
    if backend.backend() == "tensorflow":
        from harness_keras.port import tensorflow_float64

        tensorflow_float64.install()
    elif backend.backend() == "jax":
        from harness_keras.port import jax_float64

        jax_float64.install()


def widen(model: Any) -> None:
    """Make a model float64 that was built before, with its values."""
    for layer in model._flatten_layers():  # noqa: SLF001
        policy = vars(layer).get("_dtype_policy")
        if isinstance(policy, keras.DTypePolicy) and wide(policy.compute_dtype) != policy.compute_dtype:
            vars(layer)["_dtype_policy"] = keras.DTypePolicy("float64")
        for tensor in getattr(layer, "_inputs", None) or []:
            if isinstance(tensor, keras.KerasTensor):
                tensor._dtype = wide(tensor._dtype)  # noqa: SLF001
    for variable in model.variables:
        if wide(variable.dtype) != variable.dtype:
            value = np.array(keras.ops.convert_to_numpy(variable), np.float64)
            variable._dtype = "float64"  # noqa: SLF001
            variable._initialize(keras.ops.convert_to_tensor(value))  # noqa: SLF001


def wide(dtype: Any) -> Any:
    """float64 for narrower floating types, others as they are."""
    if dtype is None:
        return None
    name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    return "float64" if name in _NARROW else dtype


def _replace(name: str) -> None:
    original = getattr(backend.core, name)
    hooked = _with_wide_dtype(original)
    for namespace in (backend, backend.core, keras.src.ops, keras.ops, keras.src.ops.core):
        if vars(namespace).get(name) is original:
            setattr(namespace, name, hooked)


def _widened_result(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def result_type(*args: Any) -> str:
        return wide(original(*args))

    return result_type


def _with_wide_name(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def init(policy: Any, name: str | None = None, *args: Any, **kwargs: Any) -> None:
        if isinstance(name, str) and (name in _NARROW or name.startswith("mixed_")):
            name = "float64"
        original(policy, name, *args, **kwargs)

    return init


def _with_wide_dtype(original: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its argument ``dtype`` widened."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        if "dtype" in bound.arguments:
            bound.arguments["dtype"] = wide(bound.arguments["dtype"])
        return original(*bound.args, **bound.kwargs)

    return call
