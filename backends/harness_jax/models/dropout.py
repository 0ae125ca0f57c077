"""Switches off dropout, in the layers of flax and in its attention."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from harness_jax.models import has_flax
from harness_jax.models.interception import Hook, intercepted


@contextlib.contextmanager
def without_dropout() -> Iterator[None]:
    """Evaluate without dropout whatever the settings of the model."""
    if not has_flax():  # there is no dropout without it
        yield
        return
    from flax import linen, nnx
    from flax.linen import attention as linen_attention
    from flax.nnx.nn import attention as nnx_attention

    def leave_out(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, linen.Dropout) and context.method_name == "__call__":
            return args[0] if args else kwargs["inputs"]
        return call(*args, **kwargs)

    hooks: dict[Any, Hook] = {
        nnx.Dropout.__call__: lambda _, args, kwargs: args[1] if len(args) > 1 else kwargs["inputs"],
        nnx_attention.dot_product_attention: _still,
        nnx_attention.dot_product_attention_weights: _still,
        linen_attention.dot_product_attention: _still,
        linen_attention.dot_product_attention_weights: _still,
    }
    with intercepted(hooks), linen.intercept_methods(leave_out):
        yield


def _still(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call attention without dropout, if the layer of flax passes ``deterministic`` by name."""
    return original(*args, **{**kwargs, "deterministic": True} if "deterministic" in kwargs else kwargs)
