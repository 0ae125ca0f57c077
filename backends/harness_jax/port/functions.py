"""The functions of jax.nn, jax.numpy and flax that have a meaning of their own.

Each reading takes a call in progress, and returns the result, or NotImplemented. What is not here is entered,
down to primitives.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from harness.tracing import functions as shared
from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import Reading
from harness.tracing.recorder import Running
from harness_jax.models import has_flax
from harness_jax.port.products import contract, pairs
from harness_jax.port.recorder import Recorder


def _pooling(function: Literal["max", "mean"]) -> Reading:
    def read(called: Running) -> Any:
        x, size = called.x, tuple(called["window_shape"])
        strides = tuple(called["strides"] or (1,) * len(size))
        padding = pairs(called["padding"], x.shape[1:-1], size, strides)
        if x.ndim != len(size) + 2 or padding is None:
            return NotImplemented
        does = kinds.Pooling(
            function=function,
            size=size,
            strides=strides,
            padding=padding,
            counts_padding=bool(called.get("count_include_pad", False)),
        )
        return called.record(does)

    return read


def getitem(called: Running) -> Any:
    """Read ``x[index]`` with numbers, slices and new axes; rows of a table by integers are an embedding."""
    index = called["idx"]
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) == 1 and id(called["arr"]) in called.recorder.names and _is_integers(index):
        return _rows(called, "arr", "idx")
    does = shared.index_of(index)
    if does is None:
        return NotImplemented

    def run(array: Any) -> Any:
        return called.run(arr=array)

    layout = _layout(called["arr"], parts)
    return called.recorder.defer(called["arr"], run, lambda _: layout, lambda: called.record(does, "arr"))


def _layout(array: Any, parts: tuple[Any, ...]) -> Stored | None:
    """Return how a range of one axis lies in the array; None for any other index."""
    if not all(isinstance(part, slice) and part.step in {None, 1} for part in parts):
        return None
    ranges = [part.indices(length) for part, length in zip(parts, array.shape, strict=False)]
    cut = [axis for axis, (start, stop, _) in enumerate(ranges) if stop - start != array.shape[axis]]
    if len(cut) != 1:
        return None
    start, stop, _ = ranges[cut[0]]
    return Stored("", axis=cut[0], start=start, stop=stop)


def _einsum(called: Running) -> Any:
    """Record products of two values, in the order in which they are written; other sums are entered."""
    text, operands = called["subscripts"], called["operands"]
    found = shared.product(text, [np.shape(each) for each in operands]) if isinstance(text, str) else None
    if found is None or not all(isinstance(each, jax.Array) for each in operands):
        return NotImplemented
    return contract(called.recorder, operands, found)


def _is_integers(index: Any) -> bool:
    return hasattr(index, "dtype") and index.ndim > 0 and jnp.issubdtype(index.dtype, jnp.integer)


def _rows(called: Running, table: str, index: str) -> Any:
    stored = called.recorder.part(called[table])
    if stored is None or not called.recorder.knows(called[index]):
        return NotImplemented
    return called.record(kinds.Embedding(), index, parameters={"table": stored})


def _take(called: Running) -> Any:
    if called["axis"] != 0 or not _is_integers(called["indices"]):
        return NotImplemented
    return _rows(called, "a", "indices")


_RESIZINGS: dict[str, Literal["nearest", "bilinear", "bicubic"]] = {
    "nearest": "nearest",
    **dict.fromkeys(("linear", "bilinear", "triangle"), "bilinear"),
    **dict.fromkeys(("cubic", "bicubic"), "bicubic"),
}


def _resize(called: Running) -> Any:
    """Read ``jax.image.resize`` of channels-last pictures."""
    x, shape = called["image"], tuple(called["shape"])
    method = _RESIZINGS.get(str(getattr(called["method"], "name", called["method"])).lower())
    spatial = shape[1:-1]
    shrinks = any(new < old for new, old in zip(spatial, x.shape[1:-1], strict=True))
    if method is None or (shape[0], shape[-1]) != (x.shape[0], x.shape[-1]):
        return NotImplemented
    does = kinds.Resize(
        size=spatial,
        method=method,
        coefficient=-0.5 if method == "bicubic" else None,
        antialias=bool(called["antialias"]) and shrinks and method != "nearest",
        inside=method == "bicubic",
    )
    return called.record(does)


# Attention, and its masks.

#: Arguments for which attention is more than its semantics say.
_SPECIAL = ("query_seq_lengths", "key_value_seq_lengths", "local_window_size", "module")


def _attention(called: Running) -> Any:
    """Read ``dot_product_attention`` of arrays ``(batch, length, heads, depth)``."""
    query, key, value = (called[each] for each in ("query", "key", "value"))
    if any(called.get(each) is not None for each in _SPECIAL) or called.get("return_residual"):
        return NotImplemented
    if query.ndim != 4 or query.shape[2] != key.shape[2]:  # noqa: PLR2004
        return NotImplemented
    causal = bool(called.get("is_causal"))
    offset, added = _mask_of(called.recorder, called.get("mask"), called.get("bias"), causal=causal)
    does = kinds.Attention(
        scale=shared.attention_scale(called.get("scale"), query.shape[-1]),
        causal_offset=offset,
        masked=added is not None,
        heads_axis=2,
    )

    def attend(query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        other = {} if mask is added else {"mask": None, "bias": mask}
        return called.run(query=query, key=key, value=value, **other)

    result = called.part(does, [query, key, value, *([] if added is None else [added])], attend)
    rate = float(called.get("dropout_rate", 0.0))
    if not rate:  # else it drops weights at random, which is left out
        return result
    dropped = kinds.Dropout(rate=rate, active=not called.get("deterministic"))
    return called.part(dropped, [result], lambda new: jnp.array(new, copy=True))


def _mask_of(recorder: Recorder, mask: Any, bias: Any, *, causal: bool) -> tuple[int | None, Any]:
    """Return the offset of a causal mask, and the array that is added to the logits beside it.

    A mask of booleans that is itself causal counts as a causal mask.
    """
    if mask is None:
        return (0 if causal else None), bias
    if bias is None and not recorder.knows(mask) and mask.shape[-2] > 1:
        offset = shared.causal_offset(np.asarray(mask, bool))
        if offset is not None:
            return (min(offset, 0) if causal else offset), None
    added = recorder.unheard(
        lambda: jnp.where(jax.numpy.asarray(mask, bool), 0.0 if bias is None else bias, -jnp.inf)
    )
    return (0 if causal else None), added


_NN: dict[str, Reading] = {
    **shared.ACTIVATIONS,
    "mish": shared.activation("mish"),
    "identity": shared.activation("identity"),
    "dot_product_attention": _attention,
}
_NUMPY: dict[str, Reading] = {
    **shared.REDUCTIONS,
    **dict.fromkeys(("divide", "true_divide"), shared.arithmetic("divide")),
    **dict.fromkeys(("power", "float_power"), shared.arithmetic("power")),
    "take": _take,
    "pad": shared.padded,
    "einsum": _einsum,
}
_FLAX: dict[str, Reading] = {
    "max_pool": _pooling("max"),
    "avg_pool": _pooling("mean"),
    "dot_product_attention": _attention,
}
#: Binary functions of jax.numpy, which the operators of arrays call.
UFUNCS = frozenset({"add", "subtract", "multiply", "maximum", "minimum"})


def known_functions() -> list[tuple[Any, dict[str, Reading]]]:
    """Return modules, and the known functions in each."""
    known: list[tuple[Any, dict[str, Reading]]] = [
        (jax.nn, _NN),
        (jnp, _NUMPY),
        (jax.image, {"resize": _resize}),
    ]
    if not has_flax():
        return known
    from flax import linen, nnx

    return [*known, (nnx, _FLAX), (linen, _FLAX)]
