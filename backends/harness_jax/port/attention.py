"""Attention: the function of jax.nn and flax, and the layers of flax, with their masks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.tracing import semantics as kinds
from harness_jax.port.layers import Layer
from harness_jax.port.recorder import ENTER, Recorder

#: Arguments for which attention is more than its semantics say.
_SPECIAL = ("query_seq_lengths", "key_value_seq_lengths", "local_window_size", "module")


def attention(recorder: Recorder, name: str, arguments: dict[str, Any], run: Callable[..., Any]) -> Any:
    """``dot_product_attention``, of (batch, length, heads, depth)."""
    query, key, value = (arguments[each] for each in ("query", "key", "value"))
    if any(arguments.get(each) is not None for each in _SPECIAL) or arguments.get("return_residual"):
        return ENTER
    if query.ndim != 4 or query.shape[2] != key.shape[2]:  # noqa: PLR2004
        return ENTER
    bias = arguments.get("bias")
    offset, added = mask_of(recorder, arguments.get("mask"), bias, causal=bool(arguments.get("is_causal")))
    scale = arguments.get("scale")
    does = kinds.Attention(
        scale=float(scale) if scale is not None else float(query.shape[-1]) ** -0.5,
        causal_offset=offset,
        masked=added is not None,
        heads_axis=2,
    )

    def attend(query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        other = {} if mask is added else {"mask": None, "bias": mask}
        return run(query=query, key=key, value=value, **other)

    return recorder.call(does, name, attend, [query, key, value, *([] if added is None else [added])])


def multi_head_attention(layer: Layer) -> Any:
    """``MultiHeadAttention`` with as many heads of keys as of queries."""
    module, query = layer.module, layer.x
    keys = layer.arguments.get("inputs_kv", None)
    key = next((each for each in (layer.arguments.get("inputs_k"), keys) if each is not None), query)
    value = next((each for each in (layer.arguments.get("inputs_v"), keys) if each is not None), key)
    inputs = {layer.x_name: query}
    if key is not query or value is not key:
        inputs |= {"inputs_k": key, "inputs_v": value}
    heads = module.num_heads
    if _is_special(layer) or keys is not None or query.ndim != 3:  # noqa: PLR2004
        return ENTER
    causal = bool(layer.arguments.get("is_causal"))
    offset, added = mask_of(layer.recorder, layer.arguments.get("mask"), None, causal=causal)
    depth = layer.array("query.kernel").shape[-1]
    does = kinds.MultiHeadAttention(
        heads=heads, scale=float(depth) ** -0.5, causal_offset=offset, masked=added is not None
    )
    parameters = {}
    for role in ("query", "key", "value"):
        width = layer.array(f"{role}.kernel").shape[0]
        parameters[f"{role}_kernel"] = layer.stored(f"{role}.kernel", final_shape=(width, heads * depth))
        parameters[f"{role}_bias"] = layer.stored(f"{role}.bias", final_shape=(heads * depth,))
    parameters["output_kernel"] = layer.stored("out.kernel", final_shape=(heads * depth, -1))
    parameters["output_bias"] = layer.stored("out.bias")
    result = layer.call(does, inputs, parameters, also=[] if added is None else [added])
    return _with_dropout(layer, result)


def _with_dropout(layer: Layer, result: Any) -> Any:
    """Say that the attention drops weights at random, which is left out."""
    rate = float(layer.setting("dropout_rate", default=0.0))
    if not rate:
        return result
    does = kinds.Dropout(rate=rate, active=not layer.setting("deterministic", default=True))
    return layer.recorder.call(
        does, layer.function, lambda new: jnp.array(new, copy=True), [result], path=layer.path
    )


def _is_special(layer: Layer) -> bool:
    module = layer.module
    arrays = [f"{part}.{name}" for part in ("query", "key", "value", "out") for name in ("kernel", "bias")]
    own_function = not getattr(module.attention_fn, "__module__", "").startswith("flax.")
    groups = getattr(module, "num_kv_heads", module.num_heads) != module.num_heads
    other = groups or module.normalize_qk or layer.setting("decode", default=False) or own_function
    return bool(other) or layer.array("query.kernel") is None or not layer.has_only_parameters(*arrays)


def mask_of(recorder: Recorder, mask: Any, bias: Any, *, causal: bool) -> tuple[int | None, Any]:
    """The offset of a causal mask, and what is added to the logits beside it.

    A mask of booleans that is causal itself counts as one.
    """
    if mask is None:
        return (0 if causal else None), bias
    if bias is None and not recorder.knows(mask):
        offset = causal_offset(np.asarray(mask, bool))
        if offset is not None:
            return (min(offset, 0) if causal else offset), None
    added = recorder.unheard(
        lambda: jnp.where(jax.numpy.asarray(mask, bool), 0.0 if bias is None else bias, -jnp.inf)
    )
    return (0 if causal else None), added


def causal_offset(mask: np.ndarray) -> int | None:
    """The offset of a mask (..., queries, keys) that is causal; None for any other."""
    rows = mask.reshape(-1, *mask.shape[-2:])
    first = int(rows[0, 0].sum()) - 1
    queries, keys = mask.shape[-2:]
    expected = np.tri(queries, keys, first, dtype=bool)
    return first if queries > 1 and bool((rows == expected).all()) else None
