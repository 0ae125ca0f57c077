"""Chains of calls, one after the other, of which one side has more than the other."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.port.diagnosis import Place
from harness.port.reference import NoReference, compute
from harness.port.segments import Segment
from harness.port.values import difference, in_shape_of
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace

#: Calls that move numbers alone.
_MOVING = (kinds.Reshape, kinds.Transposition)


class Edit(NamedTuple):
    """Calls that A has at a place where B has others; one of them is empty, or both have some."""

    of_a: list[Place]
    of_b: list[Place]


class Explained(NamedTuple):
    """Edits after which B's chain gives A's value, and the differences before and after."""

    edits: list[Edit]
    before: float | None
    after: float | None


def name_of(does: kinds.Semantics) -> str:
    """The function of a call in a word."""
    for field in ("function", "cell"):
        if isinstance(value := getattr(does, field, None), str):
            return value
    return type(does).__name__.lower()


def edits_between(
    trace_a: Trace, trace_b: Trace, before_a: Segment, before_b: Segment, value_a: int, value_b: int
) -> Explained:
    """What must change in B's chain, with the numbers that show it where the calls have formulas."""
    chain_a, chain_b = _sounding(trace_a, before_a.calls), _sounding(trace_b, before_b.calls)
    words_a = [name_of(place.call.does) for place in chain_a]
    words_b = [name_of(place.call.does) for place in chain_b]
    matcher = difflib.SequenceMatcher(a=words_b, b=words_a, autojunk=False)
    edits, edited = [], []
    for tag, b_from, b_to, a_from, a_to in matcher.get_opcodes():
        edited += chain_b[b_from:b_to] if tag == "equal" else chain_a[a_from:a_to]
        if tag != "equal":
            edits.append(Edit(chain_a[a_from:a_to], chain_b[b_from:b_to]))
    array_a, array_b = trace_a.values[value_a].array, trace_b.values[value_b].array
    fitting = in_shape_of(array_b, array_a)
    before = None if fitting is None else difference(fitting, array_a)
    return Explained(edits, before, _error(edited, trace_b, before_b, array_a))


def _sounding(trace: Trace, calls: Sequence[int]) -> list[Place]:
    places = [Place(trace, trace.calls[place]) for place in calls]
    return [
        place
        for place in places
        if not is_silent(place.call.does) and not isinstance(place.call.does, _MOVING)
    ]


def is_silent(does: kinds.Semantics) -> bool:
    """Whether a call changes no number: dropout that is off, or the identity."""
    return isinstance(does, kinds.Dropout) or (
        isinstance(does, kinds.Activation) and does.function == "identity"
    )


def _error(chain: Sequence[Place], trace_b: Trace, before_b: Segment, wanted: np.ndarray) -> float | None:
    """The difference after the chain is applied to the value that enters B's; None if it has no formula."""
    if len(before_b.enters) != 1:
        return None
    x = trace_b.values[before_b.enters[0]].array
    try:
        for place in chain:
            if len(place.call.inputs) != 1:
                return None
            x = compute(place.call.does, [x], place.parameters)[0]
    except NoReference:
        return None
    fitting = in_shape_of(x, wanted)
    return None if fitting is None else difference(fitting, wanted)
