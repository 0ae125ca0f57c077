"""One value in all arrays without counterpart, so that a fault shows before their pairs are known.

Whichever arrays and parts belong together, both models then have the same values, and right ones the same
outputs.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.core.models.messages import Description
from harness.port.evaluation import TOLERANCE, is_constant, is_finite, worst_output
from harness.port.pairing.assignments import STARTS, surer
from harness.port.pairing.lacking import Lacking
from harness.port.pairing.matching import Matching
from harness.port.sides import Sides
from harness.tracing.calls import Stored


class Filled(NamedTuple):
    """Arrays without counterpart that have one value, and whether the outputs of both models differ then."""

    lacking: Lacking
    differs: bool


def left_open(matching: Matching, a: Description, b: Description) -> Matching:
    """Unpair arrays whose pairs are in question, if the rest of both sides can have one value."""
    matching = _with_missing_roles(matching, a, b)
    for each in surer(matching):
        lacking = Lacking.of(each, a, b).that_train(set(), set())
        if any(_fillings(lacking)):
            return each
        if not (lacking.a and lacking.b):
            break
    return matching


def filled(sides: Sides, lacking: Lacking, inputs: Sequence[np.ndarray]) -> Filled | None:
    """Fill ``lacking`` with the first value at which outputs of ``inputs`` differ; None if no value fits.

    Afterwards both sides have values of these arrays that the caller must load again.
    """
    found = None
    for each in _fillings(lacking):
        sides.a.load(each.a)
        sides.b.load(each.b)
        a, b = sides.both(lambda side: side.outputs(inputs, training=False))
        if is_finite(a) and not is_constant(a):
            found = Filled(each, worst_output(a, b)[0] > TOLERANCE)
            if found.differs:
                break
    return found


def _fillings(lacking: Lacking) -> Iterator[Lacking]:
    """Yield the arrays filled with each value of which both sides have as many numbers."""
    held = lacking.a, lacking.b
    for of_arrays, of_vectors in STARTS[:-1]:  # zeros alone would hide all faults

        def value(array: np.ndarray, numbers: tuple[float, float] = (of_arrays, of_vectors)) -> float:
            return numbers[array.ndim < 2]  # noqa: PLR2004  a vector

        counts = [sum(array.size for array in own.values() if value(array)) for own in held]
        if counts[0] == counts[1] > 0:
            of_a, of_b = (
                {name: np.full(array.shape, value(array)) for name, array in own.items()} for own in held
            )
            yield lacking._replace(a=of_a, b=of_b)


def _with_missing_roles(matching: Matching, a: Description, b: Description) -> Matching:
    """Pair arrays without counterpart with roles of the other side's uses, such as a bias added later.

    Only arrays that one other fits are paired, and packed ones only if their parts have one order.
    """
    described, unmatched = (a, b), (matching.unmatched_a, matching.unmatched_b)
    pairs: list[tuple[Stored, Stored]] = []
    for lacks, has in ((0, 1), (1, 0)):
        in_order: dict[str, bool] = {}
        for pair in matching.pairs:
            kernels = [use.parameters.get("kernel", Stored("")) for use in pair]
            first, second = ((stored.start, stored.stop) for stored in kernels)
            for role in pair[has].parameters.keys() - pair[lacks].parameters.keys():
                name = pair[has].parameters[role].name
                in_order[name] = in_order.get(name, True) and first == second
        for name in (name for name, is_alike in in_order.items() if is_alike):
            shape = described[has].parameters[name].shape
            fitting = [own for own in unmatched[lacks] if described[lacks].parameters[own].shape == shape]
            both = [(Stored(own), Stored(name)) for own in fitting]
            pairs += both if lacks == 0 else [(one, other) for other, one in both]
    names = [(one.name, other.name) for one, other in pairs]
    sure = [
        pair
        for pair, own in zip(pairs, names, strict=True)
        if sum(own[0] == each[0] or own[1] == each[1] for each in names) == 1
    ]
    known_a, known_b = ({pair[side].name for pair in sure} for side in (0, 1))
    return msgspec.structs.replace(
        matching,
        free=[*matching.free, *sure],
        unmatched_a=[name for name in matching.unmatched_a if name not in known_a],
        unmatched_b=[name for name in matching.unmatched_b if name not in known_b],
    )
