"""Keras in float64 throughout: for good in a process of ``harness port``, for a while in a program.

Even with ``floatx`` float64 Keras computes parts in float32: on JAX and PyTorch by its rules of promotion, on
TensorFlow where a primitive's constants are float32. A model's own casts to a narrower type are undone too:
the precision that a model asks for is not what is compared.
"""

import contextlib
import functools
import importlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src import backend
from keras.src.backend.common import dtypes
from keras.src.utils.naming import reset_uids

from harness.tracing.functions import replaced

Tensor = Any
_NARROW = frozenset({"float16", "bfloat16", "float32", "half", "float"})


#: The owner of an attribute, its name, and what it is in float64.
Replacement = tuple[Any, str, Any]
#: Not empty while replacements are in their places.
_inside: list[bool] = []
_for_good = contextlib.ExitStack()


def prepare() -> None:
    """Use float64 for everything that is built and computed from now on.

    Models that are built again have the same names, and the random numbers that follow.
    """
    if backend.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    reset_uids()
    if not _inside:
        keras.utils.set_random_seed(0)
    _for_good.enter_context(exactly())


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """Build and compute in float64 within this context; ``floatx`` must be float64 already."""
    if _inside:
        yield
        return
    with replaced(_replacements()):
        _inside.append(True)
        try:
            yield
        finally:
            _inside.clear()


@functools.cache
def _replacements() -> tuple[Replacement, ...]:
    of_engine: tuple[Replacement, ...] = ()
    if backend.backend() == "tensorflow":
        of_engine = importlib.import_module("harness_keras.port.tensorflow_float64").replacements()
    elif backend.backend() == "jax":
        of_engine = ((backend.nn, "dot_product_attention", _attention_of_jax),)
    result_type = dtypes._lattice_result_type  # noqa: SLF001
    inits = {
        keras.DTypePolicy: _with_wide_name,
        keras.KerasTensor: _with_wide_dtype,
        keras.Variable: _with_wide_dtype,
    }
    return (
        (dtypes, "_lattice_result_type", lambda *args: wide(result_type(*args))),
        *((kind, "__init__", widened(kind.__init__)) for kind, widened in inits.items()),
        *_everywhere("cast", _with_wide_dtype),
        *_everywhere("convert_to_tensor", _with_wide_value),
        *_that_take_a_dtype(),
        *of_engine,
    )


def widen(model: Any) -> None:
    """Convert a model that was built before to float64, with its values."""
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
    """Return float64 for narrower floating types, other types unchanged.

    Outside of float64 every type is unchanged: a user's module may have imported a function while the
    function was replaced, and call it later.
    """
    if dtype is None or not _inside:
        return dtype
    name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    return "float64" if name in _NARROW else dtype


def _everywhere(name: str, widening: Callable[..., Any]) -> Iterator[Replacement]:
    """Replace the engine's function ``name`` in every module that has it."""
    original = getattr(backend.core, name)
    widened = widening(original)
    for namespace in (backend, backend.core, keras.src.ops, keras.ops, keras.src.ops.core):
        if vars(namespace).get(name) is original:
            yield (namespace, name, widened)


def _that_take_a_dtype() -> Iterator[Replacement]:
    """Replace functions with an argument ``dtype``: TensorFlow cannot add narrower arrays to float64."""
    for module in (backend.numpy, backend.nn, backend.random):
        for name, function in list(vars(module).items()):
            own = inspect.isfunction(function) and function.__module__ == module.__name__
            if own and not name.startswith("_") and "dtype" in inspect.signature(function).parameters:
                yield (module, name, _with_wide_dtype(function))


def is_narrow(value: Any) -> bool:
    """Check that an engine would make a float32 tensor of ``value``, such as numbers without a type."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.name in _NARROW
    leaves = keras.tree.flatten(value) if isinstance(value, list | tuple) else [value]
    return all(isinstance(leaf, int | float) for leaf in leaves) and any(
        isinstance(leaf, float) for leaf in leaves
    )


def _with_wide_name(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def init(policy: Any, name: str | None = None, *args: Any, **kwargs: Any) -> None:
        if _inside and isinstance(name, str) and (name in _NARROW or name.startswith("mixed_")):
            name = "float64"
        original(policy, name, *args, **kwargs)

    return init


def _with_wide_value(original: Callable[..., Any]) -> Callable[..., Any]:
    """Widen the argument ``dtype`` of a function, which decides the type of numbers without a type."""
    widened = _with_wide_dtype(original)

    @functools.wraps(original)
    def convert(x: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dtype is None and _inside and is_narrow(x):
            dtype = "float64"
        return widened(x, dtype, *args, **kwargs)

    return convert


def _with_wide_dtype(original: Callable[..., Any]) -> Callable[..., Any]:
    """Widen the argument ``dtype`` of a function."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        if "dtype" in bound.arguments:
            bound.arguments["dtype"] = wide(bound.arguments["dtype"])
        return original(*bound.args, **bound.kwargs)

    return call


def _attention_of_jax(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """Attend over ``(batch, length, heads, depth)``; a head of keys and values may serve a group of queries.

    JAX's own function sums the scores in float32.
    """
    import jax
    import jax.numpy as jnp

    del flash_attention
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = jnp.repeat(key, groups, axis=2), jnp.repeat(value, groups, axis=2)
    scale = 1 / math.sqrt(key.shape[-1]) if scale is None else scale
    scores = jnp.einsum("btnh,bsnh->bnts", query, key) * scale
    if attn_logits_soft_cap is not None:
        scores = jnp.tanh(scores / attn_logits_soft_cap) * attn_logits_soft_cap
    scores = scores if bias is None else scores + bias
    kept = jnp.tril(jnp.ones(scores.shape[-2:], bool)) if is_causal else None
    if mask is not None:
        kept = mask if kept is None else jnp.logical_and(mask, kept)
    if kept is not None:
        scores = jnp.where(kept, scores, -0.7 * jnp.finfo(scores.dtype).max)
    return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(scores, axis=-1), value)
