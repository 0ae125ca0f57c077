"""Fused recurrent layers become the steps of which they consist, with the same numbers."""

import numpy as np
import pytest

from harness.port.calls import compute
from harness.port.recurrences import level
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace, Value

RNG = np.random.default_rng(0)
UNITS, INPUTS = 3, 2
EMPTY = Trace([], [], [], [])


def trace(cell, **fields):
    """A trace of one layer over four steps."""
    does = kinds.Recurrent(cell=cell, **fields)
    shapes = {"kernel": (INPUTS, UNITS), "recurrent": (UNITS, UNITS), "bias": (UNITS,)}
    shapes["recurrent_bias"] = (UNITS,)
    arrays = {
        f"{role}_{gate}": RNG.normal(size=shape)
        for role, shape in shapes.items()
        for gate in kinds.GATES[cell]
    }
    x = RNG.normal(size=(5, 4, INPUTS) if does.batch_first else (4, 5, INPUTS))
    (out,) = compute(does, [x], arrays)
    values = [Value("input", x), Value("call", out)]
    values += [Value("parameter", array, name) for name, array in arrays.items()]
    stored = {name: Stored(name) for name in arrays}
    call = Call(path="rnn", function="rnn", does=does, inputs=[0], outputs=[1], parameters=stored)
    return Trace(values, [call], [0], [1])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"reverse": True},
        {"returns": "last"},
        {"batch_first": False},
        {"activation": "relu"},
        {"reset_after": False},
    ],
)
@pytest.mark.parametrize("cell", kinds.GATES)
def test_the_steps_of_a_layer_give_its_result(cell, fields):
    fused = trace(cell, **fields)
    steps, _ = level(fused, EMPTY)
    assert not any(isinstance(call.does, kinds.Recurrent) for call in steps.calls)
    assert len({call.outputs[0] for call in steps.calls}) == len(steps.calls)
    arrays = {0: steps.values[0].array}
    arrays |= {place: value.array for place, value in enumerate(steps.values) if value.source == "constant"}
    for call in steps.calls:
        inputs = [arrays[place] for place in call.inputs]
        (arrays[call.outputs[0]],) = compute(call.does, inputs, steps.parameters_of(call))
    np.testing.assert_allclose(arrays[1], fused.values[1].array, atol=1e-12)


def test_layers_that_both_sides_have_stay_whole():
    one, other = trace("gru"), trace("gru")
    assert level(one, other) == (one, other)


def test_a_layer_whose_steps_give_another_result_stays_whole():
    fused = trace("lstm")
    fused.values[1].array = fused.values[1].array + 1.0
    assert level(fused, EMPTY)[0].calls == fused.calls
