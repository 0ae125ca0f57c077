"""What rounding allows: asked of A alone, and once for all evaluations."""

import numpy as np
from support.numpy_side import NumpySide

from harness.port.evaluation import TOLERANCE, compared_cases, evaluated
from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(6, 4))
SHAPES = [InputShape((6,))]


class Side(NumpySide):
    """Counts loads, and traces outputs."""

    def __init__(self, kernel):
        super().__init__(("fc", kinds.Linear(), {"kernel": kernel, "bias": np.zeros(4)}))
        self.loads = 0

    def load(self, parameters):
        super().load(parameters)
        self.loads += 1

    def outputs(self, inputs, *, training):
        return self.trace(inputs, training=training)


class Sides:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def both(self, call):
        return call(self.a), call(self.b)


def compared(kernel):
    sides = Sides(Side(KERNEL), Side(kernel))
    values = dict(sides.a.loaded)
    cases = [evaluated(sides, SHAPES, size, training=False, traced=False) for size in (4, 1, 7)]
    found = compared_cases(sides.a, cases, values)
    assert all(sides.a.loaded[name] is array for name, array in values.items())
    return found, sides.a.loads


def test_equal_sides_need_no_rounding():
    found, loads = compared(KERNEL)
    assert [each.worst for each in found] == [0.0, 0.0, 0.0]
    assert [each.what for each in found] == [f"evaluation, batch of {size}" for size in (4, 1, 7)]
    assert loads == 0


def test_rounding_is_measured_once_for_all_batches_and_undone():
    found, loads = compared(KERNEL * 1.1)
    assert not any(each.equal for each in found)
    assert all(each.tolerance >= TOLERANCE for each in found)
    assert loads == 2
