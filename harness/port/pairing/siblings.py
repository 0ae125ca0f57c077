"""The order of parameters that stand side by side, such as the kernels of two branches of one shape.

Neither values nor names tell such parameters apart; the outputs that follow from each order do.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from harness.core.models.messages import Description
from harness.port import drawn
from harness.port.evaluation import TOLERANCE, output_gap, paired_outputs
from harness.port.pairing.matching import Matching
from harness.port.pairing.transfer import transferred
from harness.port.recurrences import level
from harness.port.sides import Sides
from harness.port.values import ValueIndex
from harness.tracing.calls import Trace

#: Orders of siblings that are tried.
_MOST_TRIALS = 24


def best_order(
    sides: Sides,
    matching: Matching,
    a: Description,
    b: Description,
    firsts: tuple[Trace, Trace],
    inputs: Sequence[np.ndarray],
) -> Matching:
    """Return ``matching`` with siblings in the order in which B computes most of the values of A.

    ``a`` and ``b`` describe both sides, ``firsts`` are traces of both. Afterwards both sides have
    their initial parameters.
    """
    if not matching.siblings:
        return matching
    values_a = drawn.moved(a.parameters, a.trained, firsts[0])
    sides.a.load(values_a)
    trace_a = sides.a.trace(inputs, training=False)
    steps_a, _ = level(trace_a, firsts[1])
    index = ValueIndex(steps_a)

    def reached(matching: Matching) -> tuple[int, int]:
        """Count the outputs of B that equal A's, and the calls of B that give a value of A."""
        loaded, _ = transferred(matching, {**a.parameters, **values_a}, b.parameters)
        sides.b.load(loaded)
        trace = sides.b.trace(inputs, training=False)
        _, steps = level(trace_a, trace)
        made = [steps.values[call.outputs[0]] for call in steps.calls]
        right = sum(each.array.size > 1 and bool(index.places_of(each)) for each in made)
        outputs = [
            output_gap(trace_a.values[one].array, trace.values[other].array)
            for one, other in paired_outputs(trace_a, trace)
        ]
        return sum(gap <= TOLERANCE for gap in outputs), right

    best, trials = reached(matching), 0
    for group in matching.siblings:
        for order in itertools.islice(itertools.permutations(group), 1, None):
            if best[0] == len(trace_a.outputs) or trials >= _MOST_TRIALS:
                break
            trials += 1
            other = matching.reordered(group, order)
            found = reached(other)
            if found > best:
                matching, best = other, found
    sides.a.load({name: a.parameters[name] for name in values_a})
    sides.b.load(b.parameters)
    return matching
