"""Functions of ``keras.ops`` that are products, attention among them."""

import math
from typing import Any

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.called import Called, reads
from harness_keras.port.geometry import from_end
from harness_keras.port.recorder import is_array

Tensor = Any


@reads("numpy.matmul")
def _matmul(called: Called) -> Tensor:
    second = called["x2"]
    name = called.recorder.name_of(second) if is_array(second) else None
    if name is not None and len(second.shape) == 2:  # noqa: PLR2004
        return called.record(kinds.Linear(), "x1", parameters={"kernel": Stored(name)})
    return called.record(kinds.MatrixProduct(), "x1", "x2")


@reads("numpy.take")
def _take(called: Called) -> Tensor:
    table = called["x"]
    name = called.recorder.name_of(table) if is_array(table) else None
    if name is not None and called["axis"] == 0 and len(table.shape) == 2:  # noqa: PLR2004
        return called.record(kinds.Embedding(), "indices", parameters={"table": Stored(name)})
    if not is_array(table) or not is_array(called["indices"]) or called["axis"] is None:
        return NotImplemented
    return called.record(kinds.Gather(axis=from_end(called["axis"], len(table.shape))), "x", "indices")


@reads("nn.dot_product_attention")
def _attention(called: Called) -> Tensor:
    mask, bias = called["mask"], called["bias"]
    if (mask is not None and bias is not None) or called.arguments.get("attn_logits_soft_cap"):
        return NotImplemented
    if called["query"].shape[2] != called["key"].shape[2]:
        return NotImplemented
    scale = called["scale"]
    does = kinds.Attention(
        scale=float(scale) if scale is not None else 1 / math.sqrt(called["key"].shape[-1]),
        causal_offset=0 if called["is_causal"] else None,
        masked=mask is not None or bias is not None,
        heads_axis=2,
    )
    further = "mask" if mask is not None else "bias"
    return called.record(does, "query", "key", "value", *([further] if does.masked else []))


@reads("numpy.einsum")
def _einsum(called: Called) -> Tensor:
    operands = called["operands"]
    if not all(is_array(each) for each in operands):
        return NotImplemented
    equation = called["subscripts"].replace(" ", "")
    transposed = _product(equation) if len(operands) == 2 else None  # noqa: PLR2004
    does: kinds.AnySemantics = kinds.Contraction(equation=equation)
    if transposed is not None:
        does = kinds.MatrixProduct(transposed=transposed)
    return called.recorder.call(
        called.function, does, operands, lambda *given: called.original(called["subscripts"], *given)
    )


def _product(equation: str) -> bool | None:
    """Whether an equation is a product of the last two axes, the second transposed; None if it is none."""
    left, output = equation.split("->") if "->" in equation else (equation, "")
    first, second = left.split(",")
    batch, rows, inner = first[:-2], first[-2:-1], first[-1:]
    if not output or len(second) != len(first) or second[:-2] != batch or output[:-1] != batch + rows:
        return None
    column = output[-1]
    return {inner + column: False, column + inner: True}.get(second[-2:])
