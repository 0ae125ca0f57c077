"""Makes sides of PyTorch modules in this process and checks traces against NumPy's formulas."""

import contextlib

import numpy as np
import torch

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


def opaque(trace):
    return [call.function for call in trace.calls if isinstance(call.does, kinds.Opaque)]


def output(trace, number=0):
    return trace.values[trace.outputs[number]].array
