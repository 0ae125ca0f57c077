"""Makes sides of PyTorch modules in this process and checks traces against NumPy's formulas."""

import contextlib

import numpy as np
import torch

from harness.reference.calls import NoReference, compute
from harness.tracing import semantics as kinds
from harness.tracing.side import OwnTraining
from harness_torch import port

BATCH = 3


@contextlib.contextmanager
def prepared():
    """Compute in float64, and as before afterwards."""
    dtype, fast = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    compiler = torch.compile
    port.prepare()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.compile = compiler
        torch.compiler.set_stance("default")


def side_of(module, shapes, own=None):
    """The side of a module with parameters that are neither zero nor one."""
    side = port.make_side(module, shapes, own or OwnTraining())
    rng = np.random.default_rng(1)
    changed = [name for name in side.parameters() if name in side.trained() or "running" in name]
    side.load(
        {name: side.parameters()[name] + 0.3 * rng.random(side.parameters()[name].shape) for name in changed}
    )
    return side


def inputs_of(shapes, batch=BATCH):
    rng = np.random.default_rng(2)
    return [
        rng.integers(0, shape.maximum, (batch, *shape.shape))
        if shape.integer
        else rng.standard_normal((batch, *shape.shape))
        for shape in shapes
    ]


def canonical(trace, call):
    """The parameters of a call by role."""
    stored = {value.name: value.array for value in trace.values if value.source == "parameter"}
    return {role: each.canonical(stored[each.name]) for role, each in call.parameters.items()}


def _formula(trace, call):
    """The first output by NumPy's formula, or by indexing and reshaping."""
    inputs = [trace.values[place].array for place in call.inputs]
    if isinstance(call.does, kinds.Slice):
        return inputs[0][_index(call.does.index)]
    if isinstance(call.does, kinds.Reshape):
        return inputs[0].reshape(-1, *call.does.shape)
    return compute(call.does, inputs, canonical(trace, call))[0]


def _index(text):
    """``[:, -1]`` as what indexes an array."""
    parts = (part.strip() for part in text.strip("[]").split(","))
    return tuple(
        slice(*(int(each) if each else None for each in part.split(":"))) if ":" in part else int(part)
        for part in parts
    )


def unconfirmed(trace):
    """The calls that NumPy's formula does not confirm: none should differ; opaque ones have no formula."""
    found = []
    for call in trace.calls:
        try:
            expected = _formula(trace, call)
        except NoReference:
            found.append(call)
            continue
        recorded = trace.values[call.outputs[0]].array
        if expected.shape != recorded.shape or not np.allclose(expected, recorded, 1e-10, 1e-12):
            found.append(call)
    return found


def opaque(trace):
    return [call.function for call in trace.calls if isinstance(call.does, kinds.Opaque)]


def output(trace, number=0):
    return trace.values[trace.outputs[number]].array
