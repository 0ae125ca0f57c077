"""What each primitive of JAX computes, in the vocabulary of :mod:`harness.tracing.semantics`.

Primitives are met where no function above them is known: in the model's own code and in functions that
consist of several known steps.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax
from jax._src import core

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness.tracing.functions import reversal, sliced, span, split
from harness_jax.port.products import convolution, dot_general
from harness_jax.port.recorder import Recorder

Run = Callable[..., Any]

#: Primitives that change neither the elements nor their order.
_SAME = frozenset(
    {"convert_element_type", "copy", "copy_p", "stop_gradient", "stage", "device_put", "optimization_barrier"}
)

#: Primitives that evaluate a program: ``jax.checkpoint``, and functions that were compiled inside of one.
_OF_JAXPR = frozenset({"checkpoint", "remat", "remat2", "jit", "pjit", "closed_call", "core_call"})

_ELEMENTWISE = {
    "tanh": "tanh",
    "logistic": "sigmoid",
    "exp": "exp",
    "log": "log",
    "sqrt": "sqrt",
    "rsqrt": "rsqrt",
    "square": "square",
    "abs": "abs",
    "neg": "negative",
}

_ARITHMETIC = {
    "add": "add",
    "add_any": "add",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "pow": "power",
    "max": "maximum",
    "min": "minimum",
}

_REDUCTIONS = {"reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min"}


def evaluate(
    recorder: Recorder, primitive: Any, operands: tuple[Any, ...], params: dict[str, Any], run: Run
) -> Any:
    """Evaluate and record a primitive."""
    name = primitive.name
    # Numbers that are drawn make an evaluation unlike the next: whoever compares must hear of them.
    if name == "random_bits":
        drawn = kinds.Opaque(function="jax.random.bits")
        return recorder.call("jax.random.bits", drawn, [], lambda: run(*operands))
    known = [place for place, operand in enumerate(operands) if recorder.knows(operand)]
    if not known or name.startswith("random_") or name == "threefry2x32":
        return run(*operands)
    if name in _SAME:
        same = recorder.unheard(run, *operands)
        recorder.alias(same, operands[0])
        return same
    if name in _OF_JAXPR:
        # The steps of a program that has been traced before, each for itself.
        jaxpr = params["jaxpr"]
        is_closed = isinstance(jaxpr, core.ClosedJaxpr)
        program, constants = (jaxpr.jaxpr, jaxpr.consts) if is_closed else (jaxpr, ())
        return core.eval_jaxpr(program, constants, *operands)
    result = _translated(recorder, name, operands, params, run)
    if result is NotImplemented:
        name, given = f"jax.lax.{name}", [operands[place] for place in known]
        does = kinds.Opaque(function=name)
        return recorder.call(name, does, given, lambda *new: run(*_replaced(operands, known, new)))
    return result


def _replaced(operands: tuple[Any, ...], places: list[int], new: tuple[Any, ...]) -> list[Any]:
    put = dict(zip(places, new, strict=True))
    return [put.get(place, operand) for place, operand in enumerate(operands)]


def _translated(
    recorder: Recorder, name: str, operands: tuple[Any, ...], params: dict[str, Any], run: Run
) -> Any:
    if name in _ARITHMETIC:
        return recorder.arithmetic(f"jax.lax.{name}", _ARITHMETIC[name], operands, run)
    if name in _OF_SEVERAL:
        return _OF_SEVERAL[name](recorder, operands, params, run)
    x, *others = operands
    does = _of_one(name, x, params)
    if does is None:
        return NotImplemented

    def of_first(new: Any) -> Any:
        return run(new, *others)

    record = functools.partial(recorder.call, f"jax.lax.{name}", does, [x], of_first)
    if name not in _REARRANGEMENTS:
        return record()
    return recorder.defer(x, of_first, functools.partial(_layout, name, x, params), record)


def _layout(name: str, x: Any, params: dict[str, Any], result: Any) -> Stored | None:
    """Describe a rearrangement of a parameter: stacked layers, packed or transposed kernels."""
    if name == "transpose":
        return Stored("", axes=tuple(params["permutation"]))
    if name != "slice":
        return None if name == "rev" else Stored("", shape=result.shape)
    cut = [axis for axis in range(x.ndim) if result.shape[axis] != x.shape[axis]]
    if len(cut) != 1 or set(params["strides"] or ()) > {1}:
        return None
    start, stop = params["start_indices"][cut[0]], params["limit_indices"][cut[0]]
    return Stored("", axis=cut[0], start=start, stop=stop)


def _of_one(name: str, x: Any, params: dict[str, Any]) -> kinds.AnySemantics | None:
    """Return the semantics of a primitive that changes one value."""
    if name in _ELEMENTWISE:
        return kinds.Activation(function=_ELEMENTWISE[name])
    if name in _REDUCTIONS:
        axes = tuple(sorted(axis - x.ndim for axis in params["axes"]))
        return kinds.Reduction(function=_REDUCTIONS[name], axes=axes)
    return _REARRANGEMENTS[name](x, params) if name in _REARRANGEMENTS else None


def _broadcast(x: Any, params: dict[str, Any]) -> kinds.AnySemantics | None:
    """Read a broadcast that only adds axes; None if it repeats elements."""
    if np.prod(params["shape"]) != x.size:
        return None
    kept = params["broadcast_dimensions"]
    return sliced(":" if axis in kept else "None" for axis in range(len(params["shape"])))


def _reshape(x: Any, params: dict[str, Any]) -> kinds.AnySemantics:
    """Read a reshape that keeps the batch; if it only adds and removes axes of size one, read an index."""
    new = tuple(params["new_sizes"])
    if new[:1] == x.shape[:1] or [size for size in new if size != 1] != [
        size for size in x.shape if size != 1
    ]:
        return kinds.Reshape(shape=new[1:])
    # All axes of size one are taken away where they are, and put in before the next axis that stays.
    parts, old = [], [*x.shape]
    for size in new:
        if size == 1:
            parts.append("None")
            continue
        while old[0] == 1:
            parts.append("0")
            old.pop(0)
        parts.append(":")
        old.pop(0)
    return sliced([*parts, *("0" for _ in old)])


def _slice(x: Any, params: dict[str, Any]) -> kinds.Slice:
    steps = params["strides"] or (1,) * x.ndim
    cuts = map(slice, params["start_indices"], params["limit_indices"], steps)
    return sliced(map(span, cuts, x.shape))


_REARRANGEMENTS: dict[str, Callable[[Any, dict[str, Any]], kinds.AnySemantics | None]] = {
    "reshape": _reshape,
    "transpose": lambda _, params: kinds.Transposition(axes=tuple(params["permutation"])),
    "broadcast_in_dim": _broadcast,
    "squeeze": lambda x, params: sliced(
        "0" if axis in params["dimensions"] else ":" for axis in range(x.ndim)
    ),
    "rev": lambda x, params: reversal(params["dimensions"], x.ndim),
    "slice": _slice,
}


def _power(recorder: Recorder, operands: Any, params: dict[str, Any], run: Run) -> Any:
    exponent = params["y"]
    does: kinds.AnySemantics = kinds.Arithmetic(function="power", constant=float(exponent))
    if exponent == 2:  # noqa: PLR2004
        does = kinds.Activation(function="square")
    return recorder.call("jax.lax.integer_pow", does, operands, run)


def _concatenate(recorder: Recorder, operands: Any, params: dict[str, Any], run: Run) -> Any:
    axis = params["dimension"] - operands[0].ndim
    return recorder.call("jax.lax.concatenate", kinds.Concatenation(axis=axis), operands, run)


def _stack(_: Recorder, operands: Any, params: dict[str, Any], __: Run) -> Any:
    axis = params["axis"] % (operands[0].ndim + 1)
    return lax.concatenate([lax.expand_dims(each, (axis,)) for each in operands], axis)


def _split(recorder: Recorder, operands: Any, params: dict[str, Any], run: Run) -> list[Any]:
    return split(recorder, "jax.lax.split", operands[0], params["axis"], params["sizes"], run)


def _select(recorder: Recorder, operands: Any, _: dict[str, Any], run: Run) -> Any:
    """Record a selection: the primitive takes its first case where the condition is false."""
    if len(operands) != 3 or operands[0].dtype != bool:  # noqa: PLR2004
        return NotImplemented
    which, if_false, if_true = operands
    inputs = [which, if_true, if_false]
    return recorder.call(
        "jax.lax.select_n", kinds.Selection(), inputs, lambda where, one, other: run(where, other, one)
    )


_OF_SEVERAL: dict[str, Callable[[Recorder, Any, dict[str, Any], Run], Any]] = {
    "integer_pow": _power,
    "concatenate": _concatenate,
    "stack": _stack,
    "split": _split,
    "select_n": _select,
    "dot_general": dot_general,
    "conv_general_dilated": convolution,
}
