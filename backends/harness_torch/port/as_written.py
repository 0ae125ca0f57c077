"""A ``torch.nn.Module`` as its code is, in float32 where that names no other type."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from harness.tracing.calls import Trace
from harness.tracing.side import AsWritten, InputShape
from harness_torch.port.exact import Exact, run_eagerly
from harness_torch.port.holding import Holding
from harness_torch.port.layouts import find_layouts, named_outputs, outside, to_tensors
from harness_torch.port.recorder import Recorder
from harness_torch.port.side import recorded

Tensor = torch.Tensor


def as_written(module: torch.nn.Module, shapes: Sequence[InputShape]) -> AsWritten:
    """The module, on the CPU and not compiled, which gives the same numbers.

    Raises:
        UsageError: it cannot be evaluated with inputs of these shapes.
    """
    run_eagerly()
    module.cpu().eval()
    floats = [each.dtype for each in module.parameters() if each.dtype.is_floating_point]
    dtype = floats[0] if floats else torch.get_default_dtype()

    def typed(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [each.to(dtype) if each.dtype.is_floating_point else each for each in tensors]

    def evaluate(tensors: list[Tensor]) -> object:
        with torch.no_grad(), Exact(raised=False):
            return module(*typed(tensors))

    layouts = find_layouts(evaluate, shapes)

    def outputs(inputs: Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        for name, output in named_outputs(evaluate(to_tensors(inputs, layouts))):
            laid_out = outside(output)
            numbers = laid_out.double() if laid_out.dtype.is_floating_point else laid_out
            yield name, np.array(numbers.numpy())

    def record(inputs: Sequence[np.ndarray]) -> Trace:
        given = typed(to_tensors(inputs, [None] * len(inputs)))
        known = {name: (each, each.detach()) for name, each in module.named_parameters()}
        with torch.no_grad():
            return recorded(module, given, layouts, Recorder(known), raised=False)

    return AsWritten(Holding(module).load, outputs, record)
