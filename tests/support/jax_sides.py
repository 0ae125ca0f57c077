"""Makes sides of models in JAX, and holds their traces to the formulas of NumPy."""

import contextlib

import jax
import numpy as np
from jax._src.lax import lax as lax_internal

from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape
from harness.tracing.side import OwnTraining
from harness_jax import port
from support.formulas import problem_of


@contextlib.contextmanager
def prepared():
    """A process of JAX as a side has it, and as it was afterwards."""
    code = lax_internal._convert_element_type.__code__
    port.prepare()
    try:
        yield
    finally:
        lax_internal._convert_element_type.__code__ = code
        jax.config.update("jax_enable_x64", False)
        jax.config.update("jax_disable_most_optimizations", False)
        jax.clear_caches()


def side_of(built, *shapes, own=None):
    assert port.claims(built)
    return port.make_side(built, [InputShape(shape) for shape in shapes], own or OwnTraining())


def randomized(side):
    """The side with parameters that are neither zero nor one; variances are positive."""
    rng = np.random.default_rng(5)
    side.load({name: rng.uniform(0.5, 1.5, array.shape) for name, array in side.parameters().items()})
    return side


def checked(side, *inputs, training=False, opaque=0, **options):
    """The trace, each of whose calls is what its formula says."""
    trace = side.trace(list(inputs), training=training, **options)
    described = [call for call in trace.calls if not isinstance(call.does, kinds.Opaque)]
    assert len(trace.calls) - len(described) == opaque, kinds_of(trace)
    assert [problem for call in described if (problem := problem_of(trace, call))] == []
    return trace


def kinds_of(trace):
    return [type(call.does).__name__ for call in trace.calls]


def values(trace, call):
    return [trace.values[place].array for place in trace.calls[call].outputs]
