"""Attention layers with projections."""

from typing import Any

import keras
import numpy as np
from keras import ops

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.readings import Running, Unreadable, reads

Tensor = Any


@reads(keras.layers.MultiHeadAttention)
def multi_head(running: Running) -> Tensor:
    """Projections, attention and the output projection, as one call."""
    layer, given = running.layer, running.arguments
    query, value = given["query"], given["value"]
    key = value if given.get("key") is None else given["key"]
    if len(query.shape) != 3 or layer._output_shape or getattr(layer, "_use_gate", False):  # noqa: PLR2004, SLF001
        raise Unreadable
    mask = _mask(running, query, value)
    does = kinds.MultiHeadAttention(
        heads=layer.num_heads,
        scale=layer._inverse_sqrt_key_dim,  # noqa: SLF001
        causal_offset=0 if given.get("use_causal_mask") else None,
        masked=mask is not None,
    )
    alone = query is value and value is key
    inputs = [query] if alone and mask is None else [query, key, value]

    def compute(query: Tensor, *others: Tensor) -> Any:
        key, value = others[:2] or (query, query)
        return running.run(query=query, value=value, key=key)

    inputs += [] if mask is None else [mask]
    result = running.part(does, inputs, compute, _projections(running))
    return _with_dropout(running, result)


def _with_dropout(running: Running, result: Any) -> Any:
    """Say that the attention drops weights at random, which is left out."""
    rate = float(running.layer._dropout)  # noqa: SLF001
    if not rate:
        return result
    out, *scores = result if isinstance(result, tuple) else (result,)
    does = kinds.Dropout(rate=rate, active=running.training)
    out = running.part(does, [out], lambda x: x)
    return (out, *scores) if scores else out


def _projections(running: Running) -> dict[str, Stored]:
    layer = running.layer
    parameters = {}
    for role in ("query", "key", "value", "output"):
        projection = getattr(layer, f"_{role}_dense")
        kernel, bias = projection.kernel, projection.bias
        shape = (-1, kernel.shape[-1]) if role == "output" else (kernel.shape[0], -1)
        parameters[f"{role}_kernel"] = running.stored(kernel, shape=_known(shape, kernel))
        if bias is not None:
            parameters[f"{role}_bias"] = running.stored(bias, shape=(int(np.prod(bias.shape)),))
    return parameters


def _known(shape: tuple[int, int], kernel: Any) -> tuple[int, int]:
    count = int(np.prod(kernel.shape))
    rows, columns = shape
    return (count // columns, columns) if rows == -1 else (rows, count // rows)


def _mask(running: Running, query: Tensor, value: Tensor) -> Tensor | None:
    """What is added to the scores, of masks of all kinds but the causal one: zero, or minus infinity."""
    given, layer = running.arguments, running.layer
    with running.recorder.quiet():
        keep = layer._compute_attention_mask(  # noqa: SLF001
            query,
            value,
            query_mask=getattr(query, "_keras_mask", None),
            value_mask=given.get("value_mask"),
            key_mask=given.get("key_mask"),
            attention_mask=given.get("attention_mask"),
        )
        if keep is None:
            return None
        kept = ops.cast(keep, "bool")
        if len(kept.shape) == 3:  # noqa: PLR2004 - one for all heads
            kept = ops.expand_dims(kept, 1)
        return ops.where(kept, 0.0, float("-inf"))
