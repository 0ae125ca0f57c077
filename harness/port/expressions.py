"""Expressions of both sides whose inputs are equal, and the change of one that gives the other's numbers.

An expression is the calls that lead to a value from values that both sides have. Changes are tried in plain
NumPy: a call with another field, its inputs in another order, values exchanged, a table of the other side.
The judge is what comes out at the end. Where no change explains the difference, the smallest pair of
expressions is left.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.port import relations
from harness.port.diagnosis import differing_fields, explains, is_silent, name_of
from harness.port.findings import kind_of
from harness.port.matching import stored_arrays
from harness.port.values import (
    ROUNDING,
    Segment,
    are_alike,
    are_equal,
    difference,
    orders,
    producers,
)
from harness.reference.call_mistakes import Alternative, alternatives, text
from harness.reference.calls import NoReference, compute
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace

#: Where another array is put: in a value's place, or in that of one input of a call.
Slot = int | tuple[int, int]
#: So many numbers are computed in the search for one difference.
_MOST_NUMBERS, _OF_A_CALL = 2e8, 4e3
_MOST_VALUES = 24
_MOST_PARTS = 4
_MOST_FORMS, _MOST_COLUMNS = 6, 4096
_MOST_CALLS_SHOWN, _MOST_LETTERS = 6, 120
_MISSING = 1.5
_MOST_EXPLANATIONS = 8
_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


class Budget:
    """Ends a search after so many numbers."""

    def __init__(self) -> None:
        self._left = _MOST_NUMBERS

    @property
    def is_spent(self) -> bool:
        """Whether the search must end."""
        return self._left <= 0

    def renew(self) -> None:
        """Let another search begin."""
        self._left = _MOST_NUMBERS

    def end_soon(self) -> None:
        """Leave the search a part of its numbers, once there is something to show."""
        self._left = min(self._left, _MOST_NUMBERS / 10)

    def spend(self, numbers: float) -> None:
        """Count numbers that a call computed; each call takes as long as some thousands of them."""
        self._left -= numbers + _OF_A_CALL


class Change(NamedTuple):
    """What one side may have otherwise: both sides' texts, arrays in other places, and changed calls.

    ``call`` is the place of the call that is shown; None for all of the expression. Where ``turned`` is
    given, the end has its last axis in this order. ``also`` are further kinds and texts that belong to it.
    """

    kind: str
    own: str
    other: str
    call: int | None
    given: "Given"
    calls: Mapping[int, Alternative]
    turned: np.ndarray | None = None
    also: tuple[tuple[str, str, str], ...] = ()


Given = Mapping[Slot, np.ndarray]
_NOTHING: Given = {}
_NO_CALLS: Mapping[int, Alternative] = {}


class Calls:
    """The calls of a trace, which expressions of it share."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.made_by = producers(trace)
        self._stored = stored_arrays(trace)
        self._parameters: dict[int, dict[str, np.ndarray]] = {}

    def parameters(self, call: int) -> dict[str, np.ndarray]:
        """The canonical parameters of a call."""
        if call not in self._parameters:
            stored = self.trace.calls[call].parameters
            self._parameters[call] = {
                role: each.canonical(self._stored[each.name]) for role, each in stored.items()
            }
        return self._parameters[call]


class Expression:
    """The calls of a segment of a trace, in their order, and the value that they lead to."""

    def __init__(self, source: Calls, segment: Segment, end: int, budget: Budget) -> None:
        self.trace, self.calls, self.end, self.budget = source.trace, segment.calls, end, budget
        self.enters = segment.enters
        self.parameters = source.parameters
        self._source, self._made_by = source, source.made_by
        self._inside = set(self.calls)

    def array(self, value: int) -> np.ndarray:
        """The numbers of a value."""
        return np.asarray(self.trace.values[value].array)

    @property
    def result(self) -> np.ndarray:
        """The numbers at the end."""
        return self.array(self.end)

    def before(self, value: int) -> list[int]:
        """The calls of the expression that lead to a value."""
        found: set[int] = set()
        queue = [value]
        while queue:
            call = self._made_by.get(queue.pop())
            if call in self._inside and call not in found:
                found.add(call)
                queue += self.trace.calls[call].inputs
        return sorted(found)

    def up_to(self, value: int) -> "Expression":
        """The part that leads to a value."""
        calls = self.before(value)
        used = {source for call in calls for source in self.trace.calls[call].inputs} or {value}
        made = {output for call in calls for output in self.trace.calls[call].outputs}
        enters = [
            place for place in sorted(used - made) if self.trace.values[place].source in {"call", "input"}
        ]
        return Expression(self._source, Segment(calls, enters), value, self.budget)

    def after(self, value: int) -> "Expression":
        """The part that leads on from a value, which enters it."""
        earlier = set(self.before(value))
        calls = [call for call in self.calls if call not in earlier]
        reached = {value}
        for call in calls:
            if not reached.isdisjoint(self.trace.calls[call].inputs):
                reached.update(self.trace.calls[call].outputs)
        calls = [call for call in calls if not reached.isdisjoint(self.trace.calls[call].outputs)]
        return Expression(self._source, Segment(calls, [value]), self.end, self.budget)

    def empty(self) -> "Expression":
        """The end alone."""
        return Expression(self._source, Segment([], [self.end]), self.end, self.budget)

    def made(self) -> list[int]:
        """The values that its calls make first, in their order."""
        return [self.trace.calls[call].outputs[0] for call in self.calls]

    def sources(self) -> list[int]:
        """The values that enter, constants and parameters among them."""
        made = {output for call in self.calls for output in self.trace.calls[call].outputs}
        used = (source for call in self.calls for source in self.trace.calls[call].inputs)
        return [source for source in dict.fromkeys(used) if source not in made]

    def source_of(self, value: int) -> Call | None:
        """The call that made a value."""
        call = self._made_by.get(value)
        return None if call is None else self.trace.calls[call]

    def used_by(self, value: int) -> set[int]:
        """The values of which the expression makes one."""
        return {source for call in self.before(value) for source in self.trace.calls[call].inputs}

    def consumers(self, value: int) -> list[tuple[int, int]]:
        """The calls that use a value, and the places of it among their inputs."""
        return [
            (call, number)
            for call in self.calls
            for number, source in enumerate(self.trace.calls[call].inputs)
            if source == value
        ]

    def computed(
        self, given: Given = _NOTHING, changed: Mapping[int, Alternative] = _NO_CALLS
    ) -> np.ndarray | None:
        """The end with other arrays and calls; None if something on the way has no formula."""
        return None if self.budget.is_spent else self.values(given, changed).get(self.end)

    def values(
        self, given: Given = _NOTHING, changed: Mapping[int, Alternative] = _NO_CALLS
    ) -> dict[int, np.ndarray | None]:
        """All values that other arrays and calls make other ones; None where something has no formula."""
        arrays: dict[int, np.ndarray | None] = {
            slot: each for slot, each in given.items() if isinstance(slot, int)
        }
        given_calls = {slot[0] for slot in given if not isinstance(slot, int)}
        for place in self.calls:
            call = self.trace.calls[place]
            is_changed = place in changed or place in given_calls or not arrays.keys().isdisjoint(call.inputs)
            if not is_changed or any(output in given for output in call.outputs):
                continue
            known = [
                given.get((place, number), arrays[source] if source in arrays else self.array(source))
                for number, source in enumerate(call.inputs)
            ]
            # What a call gives beside its first output has no formula.
            arrays.update(dict.fromkeys(call.outputs))
            inputs = [each for each in known if each is not None]
            if len(inputs) < len(known):
                continue
            try:
                if place in changed:
                    with np.errstate(all="ignore"):
                        out = changed[place].output(inputs)
                else:
                    out = compute(call.does, inputs, self.parameters(place))[0]
            except (NoReference, ValueError, IndexError):
                continue
            self.budget.spend(out.size * _effort(self, place))
            arrays[call.outputs[0]] = out
        return arrays

    def text(self) -> str:
        """The calls as a formula, or as a chain where each has one input."""
        if all(len(self.trace.calls[call].inputs) == 1 for call in self.calls):
            return " → ".join(self._word(call) for call in self.sounding()) or "nothing"
        formulas = (self._formula(self.end, depth) for depth in range(_MOST_CALLS_SHOWN, 0, -1))
        return next((each for each in formulas if len(each) <= _MOST_LETTERS), "…")

    def only_moves(self) -> bool:
        """Whether there are calls, and none changes a number."""
        moving = (kinds.Reshape, kinds.Transposition, kinds.Slice, kinds.Gather, kinds.Concatenation)
        return bool(self.calls) and all(
            isinstance(self.trace.calls[call].does, moving) for call in self.calls
        )

    def sounding(self) -> list[int]:
        """The calls that do something; those that only move numbers where there are no others."""
        audible = [call for call in self.calls if not is_silent(self.trace.calls[call].does)]
        moving = (kinds.Reshape, kinds.Transposition)
        return [call for call in audible if not isinstance(self.trace.calls[call].does, moving)] or audible

    def line(self) -> str:
        """Where the user's code makes the end, or what enters."""
        call = self._made_by.get(self.end)
        return "" if call is None else self.trace.calls[call].line

    def name(self, value: int) -> str:
        """What a value is called: a parameter's name, a part of another value, or the layer that made it."""
        held = self.trace.values[value]
        call = self._made_by.get(value)
        if held.name or call is None:
            shape = "×".join(map(str, held.array.shape))
            ends = np.ravel(held.array)[[0, -1]]
            table = f"table {shape} of {' … '.join(text(float(each)) for each in ends)}"
            return held.name or (table if held.array.size > 1 else text(float(ends[0])))
        made = self.trace.calls[call]
        if isinstance(made.does, kinds.Slice):
            return f"{self.name(made.inputs[0])}{made.does.index}"
        if isinstance(made.does, kinds.Reshape | kinds.Transposition):
            return self.name(made.inputs[0])
        return made.path or name_of(made.does)

    def _word(self, call: int) -> str:
        does = self.trace.calls[call].does
        if isinstance(does, kinds.Slice):
            return f"slice {does.index}"
        constant = getattr(does, "constant", None)
        return name_of(does) if constant is None else f"{name_of(does)} {text(constant)}"

    def _formula(self, value: int, depth: int) -> str:
        call = self._made_by.get(value)
        if call not in self._inside:
            return self.name(value)
        if not depth:
            return "…"
        does = self.trace.calls[call].does
        parts = [self._formula(each, depth - 1) for each in self.trace.calls[call].inputs]
        if isinstance(does, kinds.Slice):
            return f"{parts[0]}{does.index}"
        if isinstance(does, kinds.Arithmetic) and does.function in _INFIX:
            if does.constant is not None:
                parts.insert(0 if does.constant_first else 1, text(does.constant))
            return f"({f' {_INFIX[does.function]} '.join(parts)})"
        return f"{name_of(does)}({', '.join(parts)})"


def _effort(expression: Expression, call: int) -> float:
    """How many products a number takes."""
    kernel = expression.parameters(call).get("kernel")
    return float(kernel.size / kernel.shape[-1]) if kernel is not None else 1.0


def forms(array: np.ndarray, like: np.ndarray) -> Iterator[np.ndarray]:
    """The array with its axes in each order that has the shape of another one."""
    if array.shape == like.shape:
        yield array
    found = False
    for order in itertools.islice(orders(array.shape, like.shape), _MOST_FORMS):
        found = True
        if order != tuple(range(array.ndim)):
            yield array.transpose(order)
    if not found and array.size == like.size:
        yield array.reshape(like.shape)


# Values of both sides that stand for each other.


class Corresponding(NamedTuple):
    """Expressions whose ends stand for each other: with A's in the slots of B what follows is right."""

    a: Expression
    b: Expression
    slots: tuple[Slot, ...]
    array: np.ndarray
    before: float
    after: float


class Goal:
    """What the end of B must be, in any order of the axes."""

    def __init__(self, a: Expression, b: Expression) -> None:
        self._wanted = list(forms(a.result, b.result))
        self.before = min((difference(b.result, each) for each in self._wanted), default=np.inf)

    def gap(self, out: np.ndarray | None) -> float:
        """The difference of an array from it."""
        if out is None:
            return np.inf
        gaps = [difference(out, each) for each in self._wanted if each.shape == out.shape]
        if not gaps:
            gaps = [difference(form, each) for each in self._wanted[:1] for form in forms(out, each)]
        return min(gaps, default=np.inf)

    def is_met(self, gap: float) -> bool:
        """Whether what remains is rounding."""
        return explains(gap, self.before if np.isfinite(self.before) else 1.0)


def corresponding(a: Expression, b: Expression) -> Corresponding:
    """The smallest expressions that differ; of one side none, if the other goes on with what it ends with."""
    pair = _smallest(a, b)
    rests = _rest(pair.a, pair.b.result), _rest(pair.b, pair.a.result)
    if not any(rests):
        return pair
    return pair._replace(a=rests[0] or pair.a.empty(), b=rests[1] or pair.b.empty())


def _smallest(a: Expression, b: Expression) -> Corresponding:
    goal = Goal(a, b)
    whole = next(forms(a.result, b.result), a.result)
    last = Corresponding(a, b, (b.end,) if b.calls else (), whole, goal.before, 0.0)
    of_a = [(value, len(a.before(value))) for value in (*a.made(), *a.sources())]
    of_b: list[tuple[tuple[Slot, ...], int, int]] = [
        ((value,), value, len(b.before(value))) for value in b.made()
    ]
    for value in b.sources():
        users = b.consumers(value)
        of_b.append(((value,), value, 0))
        of_b += [((user,), value, 0) for user in users if len(users) > 1]
    pairs = sorted(
        (
            (_size(size_a, size_b), value_a, slots, value_b)
            for value_a, size_a in of_a
            for slots, value_b, size_b in of_b
        ),
        key=lambda pair: pair[0],
    )
    for size, value_a, slots, value_b in pairs:
        if size >= _size(len(a.calls), len(b.calls)) or b.budget.is_spent:
            break
        own, other = a.array(value_a), b.array(value_b)
        if own.size != other.size or own.size <= 1 or sorted(_long(own)) != sorted(_long(other)):
            continue
        if size == _MISSING and are_equal(own, other):  # the same value with its axes in another order
            continue
        for form in forms(own, other):
            if difference(form, other) <= ROUNDING:
                continue
            gap = goal.gap(b.computed(dict.fromkeys(slots, form)))
            if goal.is_met(gap):
                return Corresponding(a.up_to(value_a), b.up_to(value_b), slots, form, goal.before, gap)
    return last


def _rest(expression: Expression, array: np.ndarray) -> Expression | None:
    """What an expression makes of a value of its own that has these numbers; None if it has no such value."""
    for value in reversed((*expression.sources(), *expression.made()[:-1])):
        if expression.array(value).size == array.size > 1 and are_alike(expression.array(value), array):
            return expression.after(value)
    return None


def _size(calls_a: int, calls_b: int) -> float:
    """A call in the place of another is a smaller difference than one that is missing."""
    return calls_a + calls_b + (0.0 if calls_a and calls_b else _MISSING)


def _long(array: np.ndarray) -> list[int]:
    return [size for size in array.shape if size != 1]


# Changes of an expression.


class Explanation(NamedTuple):
    """A change that gives the other side's numbers, and whether it is one of A."""

    change: Change
    of_a: bool
    before: float
    after: float


def explanation(whole_a: Expression, whole_b: Expression, pair: Corresponding) -> Explanation | None:
    """The change in one of the smallest expressions after which the whole ones agree."""
    sides = [(pair.a, whole_a, pair.b, whole_b), (pair.b, whole_b, pair.a, whole_a)]
    # The side with fewer calls says more with each.
    for own, whole, other, wanted in sorted(sides, key=lambda side: (len(side[0].calls), side[0] is pair.a)):
        goal, found = Goal(wanted, whole), list[tuple[int, Explanation]]()
        own.budget.renew()
        for change in _changes(own, other):
            out = whole.computed(change.given, change.calls)
            if out is not None and change.turned is not None:
                out = out[..., change.turned] if out.shape[-1] == len(change.turned) else None
            gap = goal.gap(out)
            if goal.is_met(gap):
                shared = _shared(whole.values(change.given, change.calls), whole, wanted)
                found.append((shared, Explanation(change, own is pair.a, goal.before, gap)))
                own.budget.end_soon()
            if own.budget.is_spent or len(found) >= _MOST_EXPLANATIONS:
                break
        if found:
            return max(found, key=lambda each: each[0])[1]
    return None


def _shared(values: Mapping[int, np.ndarray | None], own: Expression, other: Expression) -> int:
    """How many values are those of the other side, if these change: the more, the likelier is the change."""
    arrays = [values.get(value, own.array(value)) for value in own.made()]
    wanted = [other.array(value) for value in other.made()]
    return sum(
        any(are_equal(each, there) for there in wanted if there.size == each.size)
        for each in arrays
        if each is not None and each.size > 1
    )


def _changes(own: Expression, other: Expression) -> Iterator[Change]:
    """Those that are few and say most come first."""
    tried = {call: _tried(own, call, other) for call in own.calls}
    yield from _of_calls(
        own, {call: [each for each in several if each.order] for call, several in tried.items()}
    )
    yield from _exchanged_parts(own)
    yield from _exchanges(own)
    yield from _of_tables(own, other)
    yield from _of_calls(
        own, {call: [each for each in several if not each.order] for call, several in tried.items()}
    )
    for call in own.calls:
        yield from _of_several_fields(own, call, other)
    yield from _columns(own)
    yield from _rotary(own)


def _tried(own: Expression, place: int, other: Expression) -> list[Alternative]:
    """What the other side has for a call, then known mistakes."""
    call, parameters = own.trace.calls[place], own.parameters(place)
    if is_silent(call.does):
        return []
    inputs = [own.array(value) for value in call.inputs]
    return [*_of_the_other(call.does, parameters, other), *alternatives(call.does, parameters, inputs)]


def _of_calls(own: Expression, tried: Mapping[int, Sequence[Alternative]]) -> Iterator[Change]:
    """One call with something else, then all that are alike."""
    several: dict[tuple[str, str, str], dict[int, Alternative]] = {}
    for place, alternatives_here in tried.items():
        sources = own.trace.calls[place].inputs
        for each in alternatives_here:
            key = each.kind, each.own, each.other
            if each.order:
                key = each.kind, _in_order(own, sources), _in_order(own, [sources[one] for one in each.order])
            yield Change(*key, place, _NOTHING, {place: each})
            several.setdefault(key, {})[place] = each
    for key, calls in several.items():
        if len(calls) > 1:
            yield Change(*key, min(calls), _NOTHING, calls)


def _of_the_other(
    does: kinds.Semantics, parameters: Mapping[str, np.ndarray], other: Expression
) -> Iterator[Alternative]:
    for place in other.calls:
        does_there = other.trace.calls[place].does
        for field in differing_fields(does, does_there):
            changed = msgspec.structs.replace(does, **{field: getattr(does_there, field)})
            yield Alternative(*_texts(does, does_there, field), changed, parameters)


def _of_several_fields(own: Expression, place: int, other: Expression) -> Iterator[Change]:
    """Some of the fields in which a call of the other side differs, and parameters that this one lacks."""
    does, parameters = own.trace.calls[place].does, own.parameters(place)
    for there in other.calls:
        does_there = other.trace.calls[there].does
        if type(does_there) is not type(does):
            continue
        parts: list[tuple[tuple[str, str, str], dict[str, object], dict[str, np.ndarray]]] = [
            (_texts(does, does_there, field), {field: getattr(does_there, field)}, {})
            for field in differing_fields(does, does_there)
        ]
        parts += [
            (
                (f"missing {'bias' if 'bias' in role or role == 'shift' else 'scale'}", f"no {role}", role),
                {},
                {role: array},
            )
            for role, array in other.parameters(there).items()
            if role not in parameters
        ]
        for count in range(1, len(parts[:_MOST_PARTS]) + 1):
            for chosen in itertools.combinations(parts[:_MOST_PARTS], count):
                if count == 1 and chosen[0][1]:  # a single field was tried before
                    continue
                values = {field: value for _, each, _ in chosen for field, value in each.items()}
                more = {role: array for _, _, each in chosen for role, array in each.items()}
                changed = msgspec.structs.replace(does, **values)
                (first, *_), *rest = chosen
                calls = {place: Alternative(*first, changed, {**parameters, **more})}
                yield Change(*first, place, _NOTHING, calls, also=tuple(words for words, _, _ in rest))


def _texts(does: kinds.Semantics, does_there: kinds.Semantics, field: str) -> tuple[str, str, str]:
    value = getattr(does_there, field)
    return kind_of(does, field, value), text(getattr(does, field)), text(value)


def _exchanges(own: Expression) -> Iterator[Change]:
    """Values of one shape in each other's place, none of which is made of another."""
    values = [value for value in (*own.sources(), *own.made()[:-1]) if own.array(value).size > 1]
    groups = [list(pair) for pair in itertools.combinations(values[:_MOST_VALUES], 2)]
    by_source: dict[object, list[int]] = {}
    for value in values:
        call = own.source_of(value)
        key: object = (type(call.does), tuple(call.inputs)) if call is not None else "constants"
        by_source.setdefault(
            tuple(sorted(own.array(value).shape)) if value in own.enters else key, []
        ).append(value)
    groups += [group for group in by_source.values() if 2 < len(group) <= _MOST_PARTS]  # noqa: PLR2004
    used = {value: own.used_by(value) for value in values}
    for group in groups:
        shapes = {tuple(sorted(own.array(value).shape)) for value in group}
        if len(shapes) > 1 or any(value in used[other] for value in group for other in group):
            continue
        for order in itertools.permutations(group):
            if not all(map(int.__ne__, group, order)):
                continue
            texts = _in_order(own, group), _in_order(own, order)
            for given in _permuted(own, group, order):
                yield Change("exchange", *texts, _user(own, *group), given, _NO_CALLS)


def _permuted(own: Expression, values: Sequence[int], sources: Sequence[int]) -> Iterator[Given]:
    """The arrays of other values in the places of some, their axes in either of the first fitting orders."""
    choices = []
    for value, source in zip(values, sources, strict=True):
        array, like = own.array(source), own.array(value)
        choices.append([array] if array.shape == like.shape else [*itertools.islice(forms(array, like), 2)])
    for arrays in itertools.product(*choices):
        yield dict(zip(values, arrays, strict=True))


def _exchanged_parts(own: Expression) -> Iterator[Change]:
    """Two parts in each other's place wherever they are taken, as in each step of a cell."""
    by_index: dict[str, list[int]] = {}
    for place in own.calls:
        does = own.trace.calls[place].does
        if isinstance(does, kinds.Slice):
            by_index.setdefault(does.index, []).append(place)
    for one, other in itertools.combinations(by_index, 2):
        places = by_index[one] + by_index[other]
        shapes = {own.array(own.trace.calls[place].outputs[0]).shape for place in places}
        if len(shapes) > 1 or len(places) == 2:  # noqa: PLR2004  two values
            continue
        changed = {
            place: Alternative("", "", "", kinds.Slice(index=index), {})
            for index, several in ((other, by_index[one]), (one, by_index[other]))
            for place in several
        }
        yield Change("exchange", f"{one}, {other}", f"{other}, {one}", min(places), _NOTHING, changed)


def _in_order(own: Expression, values: Sequence[int]) -> str:
    return ", ".join(own.name(value) for value in values)


def _user(own: Expression, *values: int) -> int | None:
    users = [call for value in values for call, _ in own.consumers(value)]
    return min(users, default=None)


def _of_tables(own: Expression, other: Expression) -> Iterator[Change]:
    """Constants with the numbers of the other side's, one of them or all in their order or by likeness."""
    of_own, of_other = (
        [value for value in each.sources() if is_table(each, value)][:_MOST_VALUES] for each in (own, other)
    )
    fitting = {
        value: [
            form
            for there in of_other
            for form in relations.fitting(other.array(there), own.array(value))
            if not np.array_equal(form, own.array(value))
        ]
        for value in of_own
    }
    for value, arrays in fitting.items():
        for array in arrays:
            yield _of_table(own, {value: array})
    if len(of_own) > 1 and all(fitting.values()):
        nearest: dict[Slot, np.ndarray] = {
            value: min(arrays, key=functools.partial(_distance, own.array(value)))
            for value, arrays in fitting.items()
        }
        yield _of_table(own, nearest)
        if len(of_own) == len(of_other):
            yield _of_table(
                own,
                {
                    value: arrays[min(place, len(arrays) - 1)]
                    for place, (value, arrays) in enumerate(fitting.items())
                },
            )


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other).mean())


def is_table(expression: Expression, value: int) -> bool:
    """Whether a value is a constant array."""
    held = expression.trace.values[value]
    return held.source == "constant" and held.array.size > 1


def _of_table(own: Expression, given: dict[Slot, np.ndarray]) -> Change:
    value, array = next((slot, each) for slot, each in given.items() if isinstance(slot, int))
    kind, own_text, other_text = relations.described(own.array(value), array)
    return Change(kind, own_text, other_text, _user(own, value), given, _NO_CALLS)


def _columns(own: Expression) -> Iterator[Change]:
    """What enters with its last axis as other parts, or with axes of one length in each other's place."""
    values = [value for value in own.enters if own.array(value).ndim > 1][:_MOST_PARTS]
    for value in values:
        width = own.array(value).shape[-1]
        for count, parts in itertools.product(range(2, width // 2 + 1), repeat=2):
            if width % (count * parts) == 0 and width <= _MOST_COLUMNS:
                order = np.arange(width).reshape(count, parts, -1).swapaxes(0, 1).ravel()
                first, second = (
                    f"{own.name(value)} as {one} × {other} parts"
                    for one, other in ((count, parts), (parts, count))
                )
                given: Given = {value: own.array(value)[..., order]}
                yield Change("order of elements", first, second, None, given, _NO_CALLS)
    for shape in dict.fromkeys(own.array(value).shape for value in values):
        alike = [value for value in values if own.array(value).shape == shape]
        texts = [f"axes {axes}" for axes in orders(shape, shape)][:_MOST_FORMS]
        for axes, words in itertools.islice(zip(orders(shape, shape), texts, strict=False), 1, None):
            turned: Given = {value: own.array(value).transpose(axes) for value in alike}
            yield Change("axes", texts[0], words, _user(own, *alike), turned, _NO_CALLS)


def _rotary(own: Expression) -> Iterator[Change]:
    """What enters with adjacent pairs half apart, or the reverse, and what comes out turned back, or not.

    It is not where that is a product in which the order does not count.
    """
    if "multiply" not in {getattr(own.trace.calls[call].does, "function", "") for call in own.calls}:
        return
    values = [value for value in own.enters if own.array(value).ndim > 1][:_MOST_PARTS]
    for count in range(len(values), 0, -1):
        for chosen in itertools.combinations(values, count):
            widths = {own.array(value).shape[-1] for value in chosen}
            width = min(widths)
            if len(widths) > 1 or width % 2 or width < 4:  # noqa: PLR2004  two pairs
                continue
            apart = np.arange(width).reshape(2, -1).T.ravel()
            pairs = "adjacent pairs", "pairs half apart"
            for order, each in ((apart, pairs), (np.argsort(apart), pairs[::-1])):
                given: Given = {value: own.array(value)[..., order] for value in chosen}
                for turned in (None, np.argsort(order)):
                    yield Change("rotary pairs", *each, None, given, _NO_CALLS, turned)
