"""Makes the models of this process compute in float64 throughout."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax._src.lax import lax as lax_internal

from harness_jax.port.interception import swap

_NARROW = frozenset({"float32", "bfloat16", "float16"})


def enable() -> None:
    """Enable float64, and keep it where a function casts to float32 for itself."""
    jax.config.update("jax_enable_x64", True)
    # Functions are compiled here to run once or a few times.
    jax.config.update("jax_disable_most_optimizations", True)
    swap(lax_internal._convert_element_type, _keep_wide)  # noqa: SLF001


def _keep_wide(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    operand, new_dtype, *rest = *args, *(() if len(args) > 1 else (kwargs.pop("new_dtype", None),))
    if is_narrow(new_dtype) and isinstance(operand, jax.Array) and operand.dtype == np.float64:
        weak = getattr(operand, "weak_type", False)
        new_dtype = new_dtype if weak else np.dtype(np.float64)
    return original(operand, new_dtype, *rest, **kwargs)


def is_narrow(dtype: Any) -> bool:
    """Whether something is a floating-point type below float64."""
    if isinstance(dtype, np.dtype):
        return dtype.name in _NARROW
    return isinstance(dtype, type) and dtype.__name__ in _NARROW


def widened(array: Any) -> Any:
    """An array of the model in float64, if it is of a floating-point type."""
    array = jnp.asarray(array)
    return array.astype(jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array


def widen_settings(module: Any) -> None:
    """Replace what makes a module compute less exactly than it could.

    These are narrow types (``dtype``, ``param_dtype``), and the variance as the mean of squares less the
    square of the mean, which cancels digits where the mean is large.
    """
    for name, value in list(vars(module).items()):
        if is_narrow(value):
            object.__setattr__(module, name, jnp.float64)
        elif name == "use_fast_variance":
            object.__setattr__(module, name, False)
