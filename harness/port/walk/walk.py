"""The walk from input to output: every call whose input is right and whose output is not, with its cause.

After each cause the walk continues with A's array in place of B's, so that one fault hides no other.
"""

import collections
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.models.remote_side import RemoteSide
from harness.core.models.traced import Use
from harness.errors import HarnessError
from harness.port import values
from harness.port.cause_kinds import REPLACED, merged
from harness.port.evaluation import Evaluated, paired_outputs, worst_output
from harness.port.pairing.matching import Matching, PairedUse
from harness.port.record import Cause, Mode
from harness.port.recurrences import level
from harness.port.sides import Sides
from harness.port.walk.borders import Folded, fold_borders
from harness.port.walk.corresponding import AxisOrder, Corresponding, beginning, corresponding
from harness.port.walk.diagnosis import causes_of, explained, explanation
from harness.port.walk.expressions import Budget, Calls, Expression
from harness.port.walk.narrowing import narrowed
from harness.port.walk.places import Place, of_semantics, turned
from harness.port.walk.segments import Segment, producers, segment_before
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace
from harness.tracing.side import Override

#: How often an expression is extended if no change of it explains the difference.
_MOST_ROUNDS = 3
#: Kinds of causes that show calls alone, which are looked at more closely if they are not few.
_VAGUE, _FEW_CALLS = {REPLACED, "missing call", "extra call"}, 2
#: The number of faults that one walk corrects; a model with more has nothing right.
_MOST_FAULTS = 60


#: How often causes at the same lines are searched: in the first step of a loop, the state may be zeros.
_SEARCHED_STEPS = 2
#: The count of faults by the lines and names of the calls of both sides.
Steps = collections.Counter[tuple[tuple[str, str, str], ...]]


class Fault(NamedTuple):
    """Causes at one place, and the arrays that correct them."""

    causes: list[Cause]
    corrections: list[Override]


class TracePair:
    """Traces of both sides with the same inputs, B's with the corrections so far."""

    def __init__(
        self,
        trace_a: Trace,
        index_a: values.ValueIndex,
        folded_b: Folded,
        matching: Matching,
        steps: Steps,
    ) -> None:
        self._steps = steps
        self._a, (self._b, self._borders) = trace_a, folded_b
        trace_b = self._b
        self._matching, self._index_a = matching, index_a
        self._consumers: dict[int, list[int]] = {}
        for place, call in enumerate(trace_b.calls):
            for value in call.inputs:
                self._consumers.setdefault(value, []).append(place)
        self._in_a: dict[int, list[int]] = {}
        for place, each in enumerate(trace_b.values):
            if each.array.size > 1 and (places := index_a.places_of(each)):
                self._in_a[place] = places
        #: Values at which expressions may begin: in the same order of axes, as far as their shapes tell.
        self._common_b: dict[int, list[int]] = {}
        for place, places in self._in_a.items():
            array = trace_b.values[place].array
            if alike := [each for each in places if values.are_alike(trace_a.values[each].array, array)]:
                self._common_b[place] = alike
        self._common_a = {place for places in self._common_b.values() for place in places}
        self._made_by = producers(trace_a), producers(trace_b)
        self._users_a, self._users_b = _users(trace_a), _users(trace_b)
        #: Values of B that differ but lead only to right values, as where one side crops later.
        self._cleared: set[int] = set()
        for call in reversed(trace_b.calls):  # calls that use a value come after the call that made it
            self._cleared.update(filter(self._leads_to_right_values, call.outputs))

    def first_fault(self, visited: set[tuple[str, int]]) -> Fault | None:
        """Find the first difference that has not been visited; None if there is none."""
        pairs = itertools.chain.from_iterable(map(self._calls_of, self._matching.pairs))
        for pair in sorted(pairs, key=lambda pair: pair.b.place):
            if not are_comparable(pair, self._a, self._b):
                continue
            fault = self._before_call(pair, visited)
            if fault is None and self._are_wholes(pair):
                fault = self._in_call(pair, visited)
            if fault is not None:
                return fault
        for number, (value_a, value_b) in enumerate(paired_outputs(self._a, self._b)):
            key = ("result", number)
            if key not in visited and not self._equal(value_a, value_b):
                visited.add(key)
                return self._in_segment(value_a, value_b, consumer=None)
        return None

    def _calls_of(self, pair: PairedUse) -> Iterator[PairedUse]:
        """Yield the pairs of calls that use the parameters of ``pair``: of equal inputs, then by the step.

        Steps are paired where both sides have as many. In another mode than that of the matching, more calls
        may come before the layer, such as dropout.
        """
        users_a, users_b = (
            list(users[_key_of(use)] or users[_name_of(use)])
            for users, use in ((self._users_a, pair.a), (self._users_b, pair.b))
        )
        by_step = len(users_a) == len(users_b)
        found = []
        for b in users_b if len(users_b) > 1 or not by_step else ():
            a = next((each for each in users_a if self._have_equal_inputs(each, b)), None)
            if a is not None:
                users_a.remove(a)
                found.append((a, b))
        rest = [each for each in users_b if each not in {b for _, b in found}]
        found += zip(users_a, rest, strict=True) if by_step else ()
        for a, b in found:
            yield PairedUse(pair.a._replace(place=a), pair.b._replace(place=b))

    def _are_wholes(self, pair: PairedUse) -> bool:
        """Check that neither side is a part of a packed projection, whose call has further results."""
        return bool(self._users_a[_key_of(pair.a)] and self._users_b[_key_of(pair.b)])

    def _have_equal_inputs(self, a: int, b: int) -> bool:
        one, other = self._a.calls[a].inputs, self._b.calls[b].inputs
        return bool(one and other) and self._equal(one[0], other[0])

    def _equal(self, value_a: int, value_b: int) -> bool:
        if value_a in self._in_a.get(value_b, ()):
            return True
        one, other = self._a.values[value_a].array, self._b.values[value_b].array
        if values.are_equal(one, other):
            return True
        fitting = values.in_shape_of(one, other)
        return fitting is not None and values.difference(other, fitting) <= values.ROUNDING

    def _leads_to_right_values(self, value: int) -> bool:
        """Check that each value that is computed from ``value`` is right, or leads to right values."""
        consumers = self._consumers.get(value, [])
        if not consumers or value in self._b.outputs:
            return False
        made = (output for place in consumers for output in self._b.calls[place].outputs)
        return all(output in self._in_a or output in self._cleared for output in made)

    def _before_call(self, pair: PairedUse, visited: set[tuple[str, int]]) -> Fault | None:
        """Find a fault between the previous calls with parameters and the inputs of ``pair``."""
        call_a, call_b = self._a.calls[pair.a.place], self._b.calls[pair.b.place]
        for number, (value_a, value_b) in enumerate(zip(call_a.inputs, call_b.inputs, strict=False)):
            key = ("input", 1000 * pair.b.place + number)
            if key in visited or self._equal(value_a, value_b):
                continue
            visited.add(key)
            order = _order_of_input(call_a.does, call_b.does, number, self._a.values[value_a].array.ndim)
            return self._in_segment(value_a, value_b, (pair.b.place, number), order)
        return None

    def _in_call(self, pair: PairedUse, visited: set[tuple[str, int]]) -> Fault | None:
        a, b = Place(self._a, self._a.calls[pair.a.place]), Place(self._b, self._b.calls[pair.b.place])
        key = ("output", pair.b.place)
        if key in visited or self._equal(a.call.outputs[0], b.call.outputs[0]):
            return None
        if b.call.outputs[0] in self._cleared:
            return None
        visited.add(key)
        array = turned(a, b)
        found = None if array is None else self._between_calls(pair, a, b, array)
        causes = found or of_semantics(a, b) or [_unexplained(a, b)]
        return Fault(causes, [] if array is None else [Override(pair.b.place, 0, array)])

    def _between_calls(self, pair: PairedUse, a: Place, b: Place, right: np.ndarray) -> list[Cause] | None:
        """Find the causes of differing results of two calls of the same inputs."""
        budget = Budget()
        one, other = (
            Expression(
                Calls(each.trace), Segment([use.place], each.call.inputs), each.call.outputs[0], budget
            )
            for each, use in ((a, pair.a), (b, pair.b))
        )
        both = Corresponding(one, other, (other.end,), right, values.difference(b.output, right), 0.0)
        found = explanation(one, other, both)
        return None if found is None else explained(found, both, "")

    def _in_segment(
        self, value_a: int, value_b: int, consumer: tuple[int, int] | None, order: AxisOrder = None
    ) -> Fault:
        """Find a fault among the calls that lead to two values, which must be equal in ``order`` of axes.

        A fault at the lines of earlier ones, as in a later step of a loop, is corrected without its cause.
        """
        name = self._b.calls[consumer[0]].path if consumer is not None else ""
        if self._is_of_earlier_steps(value_a, value_b):
            a, b = self._expressions(value_a, value_b, {value_a}, {value_b})
            return Fault([], self._corrections(b, corresponding(a, b, order)))
        fault = self._within(value_a, value_b, (set(), set()), name, order)
        if fault.causes[0].kind == REPLACED:  # the cause may lie before values that both sides have
            later = [
                {value for call in trace.calls if not call.parameters for value in call.outputs}
                for trace in (self._a, self._b)
            ]
            longer = self._within(value_a, value_b, (later[0], later[1]), name, order)
            fault = fault if longer.causes[0].kind == REPLACED else longer
        if fault.causes[0].kind == REPLACED:
            fault = self._beginning(value_a, value_b, name) or fault
        if consumer is None or fault.corrections:
            return fault
        array = values.in_shape_of(self._a.values[value_a].array, self._b.values[value_b].array)
        return fault if array is None else Fault(fault.causes, [self._input_correction(*consumer, array)])

    def _is_of_earlier_steps(self, value_a: int, value_b: int) -> bool:
        """Check that faults at the same lines were found before; count this one."""
        made = (self._a, self._made_by[0].get(value_a)), (self._b, self._made_by[1].get(value_b))
        calls = [trace.calls[place] for trace, place in made if place is not None]
        key = tuple(map(_names, calls))
        self._steps[key] += len(calls) > 1
        return self._steps[key] > _SEARCHED_STEPS

    def _beginning(self, value_a: int, value_b: int, name: str) -> Fault | None:
        """Find the fault where the difference of two values begins, as in the first step of a loop."""
        a, b = self._expressions(value_a, value_b, {value_a}, {value_b})
        pair = beginning(a, b, self._index_a)
        return pair and Fault(causes_of(pair.a, pair.b, pair, name), self._corrections(b, pair))

    def _within(
        self,
        value_a: int,
        value_b: int,
        not_common: tuple[set[int], set[int]],
        name: str,
        order: AxisOrder,
    ) -> Fault:
        """Find the fault of the expressions that begin with common values other than ``not_common``."""
        not_common[0].add(value_a)
        not_common[1].add(value_b)
        for _ in range(_MOST_ROUNDS):
            a, b = self._expressions(value_a, value_b, *not_common)
            pair = corresponding(a, b, order)
            if pair.a.calls or pair.b.calls or pair.a.is_table(pair.a.end):
                break
            # Both sides have the values, in another order of axes or for another call: go further back.
            not_common[0].add(pair.a.end)
            not_common[1].add(pair.b.end)
        causes = causes_of(a, b, pair, name)
        count = len(pair.a.calls) + len(pair.b.calls)
        if count > _FEW_CALLS and causes[0].kind in _VAGUE:
            piece = narrowed(a, b, order)
            smaller = None if piece is None else corresponding(piece.a, piece.b)
            # Pieces whose ends have the same numbers differ in the order of axes alone, and say nothing.
            if piece and smaller and piece.size < count and smaller.before > values.ROUNDING:
                made_by = producers(self._b)
                given = [
                    Override(made_by[each], 0, array)
                    for each, array in piece.given.items()
                    if isinstance(each, int)
                ]
                return Fault(causes_of(piece.a, piece.b, smaller, name), given)
        return Fault(causes, self._corrections(b, pair))

    def _expressions(
        self, value_a: int, value_b: int, not_common_a: set[int], not_common_b: set[int]
    ) -> tuple[Expression, Expression]:
        """Return the expressions that lead to two values from common values other than the given ones."""
        before_a = segment_before(
            self._a, value_a, lambda place: place in self._common_a and place not in not_common_a
        )
        before_b = segment_before(
            self._b, value_b, lambda place: place in self._common_b and place not in not_common_b
        )
        if not_common_b == {value_b}:
            before_b = self._from_values_of(before_a, value_b) or before_b
        budget = Budget()
        return (
            Expression(Calls(self._a), before_a, value_a, budget),
            Expression(Calls(self._b), before_b, value_b, budget),
        )

    def _corrections(self, b: Expression, pair: Corresponding) -> list[Override]:
        made_by = producers(self._b)
        if pair.array.size != pair.b.result.size:
            return []
        found = []
        for slot in pair.slots:
            if isinstance(slot, tuple):
                found.append(self._input_correction(*slot, pair.array))
            elif slot in b.made():
                call = made_by[slot]
                found.append(Override(call, self._b.calls[call].outputs.index(slot), pair.array))
            else:
                found += [self._input_correction(*user, pair.array) for user in b.consumers(slot)]
        return found

    def _input_correction(self, place: int, number: int, array: np.ndarray) -> Override:
        place = self._borders.get(place, place) if number == 0 else place
        return Override(place, number, array, "input")

    def _from_values_of(self, before_a: Segment, value_b: int) -> Segment | None:
        """Return B's segment from the values with which A's begins; None if other values enter it, too.

        B may compute a value on the way that A has elsewhere, such as the last of the steps that A averages.
        """

        def enters(place: int) -> bool:
            return not set(before_a.enters).isdisjoint(self._common_b.get(place, ()))

        segment = segment_before(self._b, value_b, enters)
        return segment if segment.enters and all(map(enters, segment.enters)) else None


def _users(trace: Trace) -> dict[frozenset[str], list[int]]:
    """Group the calls that use the same parameters, and by the name of their kernel."""
    found: dict[frozenset[str], list[int]] = collections.defaultdict(list)
    for place, call in enumerate(trace.calls):
        found[_key_of(call)].append(place)
        found[_name_of(call)].append(place)
    return found


def _key_of(user: Use | Call) -> frozenset[str]:
    return frozenset(map(repr, user.parameters.values()))


def _name_of(user: Use | Call) -> frozenset[str]:
    return frozenset(stored.name for role, stored in user.parameters.items() if role == "kernel")


def _order_of_input(does_a: kinds.Semantics, does_b: kinds.Semantics, number: int, axes: int) -> AxisOrder:
    """Return the order of axes in which B's layer takes A's input; None if it is unknown.

    Shapes alone cannot tell where sizes are equal, such as 8 channels of 8×8 pixels.
    """
    known = (kinds.Linear, kinds.Convolution, kinds.Recurrent)
    if number or not isinstance(does_a, known) or not isinstance(does_b, known):
        return None
    usual_a, usual_b = (_usual_order(each, axes) for each in (does_a, does_b))
    return tuple(usual_a[usual_b.index(axis)] for axis in range(axes))


def _usual_order(does: kinds.Semantics, axes: int) -> tuple[int, ...]:
    """Return the order that makes the batch the first axis and the channels the last."""
    if getattr(does, "channels_first", False):
        return (0, *range(2, axes), 1)
    first = (0, 1) if getattr(does, "batch_first", True) else (1, 0)
    return (*first, *range(2, axes))[:axes]


def are_comparable(pair: PairedUse, trace_a: Trace, trace_b: Trace) -> bool:
    """Check that the two calls can be compared as wholes."""
    a, b = trace_a.calls[pair.a.place].does, trace_b.calls[pair.b.place].does
    pointwise = {type(a), type(b)} <= {kinds.Linear, kinds.Convolution}
    transposed = [getattr(does, "transposed", False) for does in (a, b)]
    return (type(a) is type(b) or pointwise) and transposed[0] == transposed[1]


def _unexplained(a: Place, b: Place) -> Cause:
    wanted = values.in_shape_of(a.output, b.output)
    if wanted is not None:
        return Cause.at("unexplained", a.call, b.call, "", "", values.difference(b.output, wanted))
    own, other = (str(each.output.shape[1:]) for each in (a, b))
    return Cause.at("shape", a.call, b.call, own, other)


def walked(sides: Sides, case: Evaluated, matching: Matching) -> list[Cause]:
    """Find all causes of differences in ``case``, with fused recurrent layers as steps where needed.

    The side that is walked is run again. Where B alone has a fused layer, A is walked, with the steps of B.
    """
    a, b = level(case.a, case.b)
    if b is case.b or a is not case.a:
        return walk(sides.b, a, case.b, case.inputs, matching, training=case.training)
    found = walk(sides.a, b, case.a, case.inputs, matching.mirrored(), training=case.training)
    return [cause.mirrored() for cause in found]


def walk(
    b: RemoteSide,
    trace_a: Trace,
    trace_b: Trace,
    inputs: Sequence[np.ndarray],
    matching: Matching,
    *,
    training: bool,
) -> list[Cause]:
    """Find all causes of differences between A's evaluation and B's of the same ``inputs``."""
    mode: Mode = "training" if training else "evaluation"
    trace_a = fold_borders(trace_a).trace
    index = values.ValueIndex(trace_a)
    folded_b = fold_borders(trace_b)
    faults: list[Fault] = []
    rest: list[Cause] = []
    overrides: list[Override] = []
    visited: set[tuple[str, int]] = set()
    steps: Steps = collections.Counter()
    are_right = False
    for _ in range(_MOST_FAULTS):
        if overrides:
            try:
                again = fold_borders(b.trace(inputs, training=training, overrides=overrides))
            except HarnessError:  # A's array does not fit what follows, as where a stride moved
                rest = _by_semantics(trace_a, folded_b.trace, matching, visited)
                break
            if len(again.trace.calls) != len(folded_b.trace.calls):
                break  # the code takes another branch with A's numbers
            folded_b = again
            are_right = worst_output(trace_a, folded_b.trace)[0] <= values.ROUNDING
            if are_right:  # what is left changes no output
                break
        fault = TracePair(trace_a, index, folded_b, matching, steps).first_fault(visited)
        if fault is None:
            break
        for cause in fault.causes:
            cause.step, cause.steps = _step_of(fault.corrections, folded_b.trace)
        faults = [each for each in faults if not _is_corrected_by(each, fault)] + [fault]
        overrides += fault.corrections
    if are_right:
        faults = [fault for fault in faults if fault.corrections]
    found = [cause for fault in faults for cause in fault.causes] + rest
    for cause in found:
        cause.mode = mode
    return merged(found)


def _is_corrected_by(earlier: Fault, later: Fault) -> bool:
    """Check that ``later`` corrects all that ``earlier`` did, whose arrays were thus not the right ones."""
    places, again = ({each[:2] + each[3:] for each in fault.corrections} for fault in (earlier, later))
    return bool(places) and places <= again


def _step_of(corrections: Sequence[Override], trace: Trace) -> tuple[int, int]:
    """Return the step of a loop in which a call is corrected, from 1, and the count of steps; else zeros.

    A line has as many steps as the rarest of its calls; other calls may come several times in a step.
    """
    if not corrections or not (line := trace.calls[corrections[0].call].line):
        return 0, 0
    names = [_names(call) for call in trace.calls]
    place = corrections[0].call
    counts = collections.Counter(each for each in names if each[0] == line)
    steps = min(counts.values())
    in_a_step, rest = divmod(counts[names[place]], steps)
    if steps == 1 or rest:
        return 0, 0
    return names[:place].count(names[place]) // in_a_step + 1, steps


def _names(call: Call) -> tuple[str, str, str]:
    return call.line, call.function, call.path


def _by_semantics(
    trace_a: Trace, trace_b: Trace, matching: Matching, visited: set[tuple[str, int]]
) -> list[Cause]:
    """Find faults of the calls that the walk did not reach, each on A's inputs."""
    found: list[Cause] = []
    for pair in matching.pairs:
        if ("output", pair.b.place) in visited or not are_comparable(pair, trace_a, trace_b):
            continue
        a, b = Place(trace_a, trace_a.calls[pair.a.place]), Place(trace_b, trace_b.calls[pair.b.place])
        found += of_semantics(a, b)
    return found
