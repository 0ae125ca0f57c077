"""Expressions of both sides whose inputs are equal, and the change of one that gives the other's numbers.

An expression is the calls that lead to a value from values that both sides have. Changes are tried in plain
NumPy: a call with another field, its inputs in another order, values exchanged, a table of the other side.
The judge is what comes out at the end. Where no change explains the difference, the smallest pair of
expressions is left.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.port import relations
from harness.port.diagnosis import differing_fields, explains, is_silent, name_of
from harness.port.findings import kind_of
from harness.port.matching import stored_arrays
from harness.port.values import ROUNDING, Segment, difference, orders, producers
from harness.reference.call_mistakes import Alternative, alternatives, text
from harness.reference.calls import NoReference, compute
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace

#: Where another array is put: in a value's place, or in that of one input of a call.
Slot = int | tuple[int, int]
#: So many numbers are computed in the search for one difference.
_MOST_NUMBERS = 3e8
_MOST_VALUES = 24
_MOST_PARTS = 4
_MOST_FORMS = 6
_MOST_CALLS_SHOWN = 6
_MISSING = 1.5
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

    def spend(self, numbers: float) -> None:
        """Count numbers that were computed."""
        self._left -= numbers


class Change(NamedTuple):
    """What one side may have otherwise: both sides' texts, arrays in other places, and changed calls.

    ``call`` is the place of the call that is shown; None for all of the expression. Where ``turned`` is
    given, the end has its last axis in this order. ``also`` are further kinds and texts that belong to it.
    """

    kind: str
    own: str
    other: str
    call: int | None
    given: Mapping[Slot, np.ndarray]
    calls: Mapping[int, Alternative]
    turned: np.ndarray | None = None
    also: tuple[tuple[str, str, str], ...] = ()


_NOTHING: Mapping[Slot, np.ndarray] = {}
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

    def made(self) -> list[int]:
        """The values that its calls make first, in their order."""
        return [self.trace.calls[call].outputs[0] for call in self.calls]

    def sources(self) -> list[int]:
        """The values that enter, constants and parameters among them."""
        made = {output for call in self.calls for output in self.trace.calls[call].outputs}
        used = (source for call in self.calls for source in self.trace.calls[call].inputs)
        return [source for source in dict.fromkeys(used) if source not in made]

    def consumers(self, value: int) -> list[tuple[int, int]]:
        """The calls that use a value, and the places of it among their inputs."""
        return [
            (call, number)
            for call in self.calls
            for number, source in enumerate(self.trace.calls[call].inputs)
            if source == value
        ]

    def computed(
        self, given: Mapping[Slot, np.ndarray] = _NOTHING, changed: Mapping[int, Alternative] = _NO_CALLS
    ) -> np.ndarray | None:
        """The end with other arrays and calls; None if something on the way has no formula."""
        if self.budget.is_spent:
            return None
        arrays: dict[int, np.ndarray | None] = {
            slot: each for slot, each in given.items() if isinstance(slot, int)
        }
        for place in self.calls:
            call = self.trace.calls[place]
            if any(output in given for output in call.outputs):
                continue
            known = [
                given.get((place, number), arrays.get(source, self.array(source)))
                for number, source in enumerate(call.inputs)
            ]
            is_given = any((place, number) in given for number in range(len(call.inputs)))
            if place not in changed and not is_given and arrays.keys().isdisjoint(call.inputs):
                continue
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
        return arrays.get(self.end)

    def text(self) -> str:
        """The calls as a formula, or as a chain where each has one input."""
        if all(len(self.trace.calls[call].inputs) == 1 for call in self.calls):
            return " → ".join(self._word(call) for call in self.sounding()) or "nothing"
        return self._formula(self.end, _MOST_CALLS_SHOWN)

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
        """What a value is called: a parameter's name, or the call that made it."""
        held = self.trace.values[value]
        if held.name:
            return held.name
        call = self._made_by.get(value)
        if call is None:
            return (
                f"table {'×'.join(map(str, held.array.shape))}"
                if held.array.size > 1
                else text(float(held.array))
            )
        does, path = self.trace.calls[call].does, self.trace.calls[call].path
        return f"{path}{does.index}" if isinstance(does, kinds.Slice) else path or name_of(does)

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
    """The smallest expressions that differ."""
    goal = Goal(a, b)
    whole = next(forms(a.result, b.result), a.result)
    last = Corresponding(a, b, (b.end,) if b.calls else (), whole, goal.before, 0.0)
    of_a = [(value, len(a.before(value))) for value in (*a.made(), *a.enters)]
    of_b: list[tuple[tuple[Slot, ...], int, int]] = [
        ((value,), value, len(b.before(value))) for value in b.made()
    ]
    for value in b.enters:
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
        for form in forms(own, other):
            if difference(form, other) <= ROUNDING:
                continue
            gap = goal.gap(b.computed(dict.fromkeys(slots, form)))
            if goal.is_met(gap):
                return Corresponding(a.up_to(value_a), b.up_to(value_b), slots, form, goal.before, gap)
    return last


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
    whole_a.budget.renew()
    # The side with fewer calls says more with each.
    for own, whole, other, wanted in sorted(sides, key=lambda side: (len(side[0].calls), side[0] is pair.a)):
        goal = Goal(wanted, whole)
        for change in _changes(own, other):
            if own.budget.is_spent:
                return None
            out = whole.computed(change.given, change.calls)
            if out is not None and change.turned is not None:
                out = out[..., change.turned] if out.shape[-1] == len(change.turned) else None
            gap = goal.gap(out)
            if goal.is_met(gap):
                return Explanation(change, own is pair.a, goal.before, gap)
    return None


def _changes(own: Expression, other: Expression) -> Iterator[Change]:
    yield from _of_calls(own, other)
    yield from _exchanges(own)
    yield from _of_tables(own, other)
    yield from _rotary(own)


def _of_calls(own: Expression, other: Expression) -> Iterator[Change]:
    """Calls with what the other side has, or with a known mistake: one of them, then all that are alike."""
    several: dict[tuple[str, str, str], dict[int, Alternative]] = {}
    for place in own.calls:
        call = own.trace.calls[place]
        if is_silent(call.does):
            continue
        inputs = [own.array(value) for value in call.inputs]
        parameters = own.parameters(place)
        for each in itertools.chain(
            _of_the_other(call.does, parameters, other), alternatives(call.does, parameters, inputs)
        ):
            key = each.kind, each.own, each.other
            if each.order:
                values = [call.inputs[source] for source in each.order]
                key = each.kind, *_in_order(own, call.inputs, values)
            yield Change(*key, place, _NOTHING, {place: each})
            several.setdefault(key, {})[place] = each
        yield from _of_several_fields(own, place, other)
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
    """Some of the fields in which a call of the other side differs, the fewest first."""
    does, parameters = own.trace.calls[place].does, own.parameters(place)
    for there in other.calls:
        does_there = other.trace.calls[there].does
        fields = differing_fields(does, does_there)[:_MOST_PARTS]
        for count in range(2, len(fields) + 1):
            for chosen in itertools.combinations(fields, count):
                values = {field: getattr(does_there, field) for field in chosen}
                changed = msgspec.structs.replace(does, **values)
                first, *rest = (_texts(does, does_there, field) for field in chosen)
                calls = {place: Alternative(*first, changed, parameters)}
                yield Change(*first, place, _NOTHING, calls, also=tuple(rest))


def _texts(does: kinds.Semantics, does_there: kinds.Semantics, field: str) -> tuple[str, str, str]:
    value = getattr(does_there, field)
    return kind_of(does, field, value), text(getattr(does, field)), text(value)


def _exchanges(own: Expression) -> Iterator[Change]:
    """Values of one shape in each other's place, neither of which is made of the other."""
    values = [value for value in (*own.sources(), *own.made()[:-1]) if own.array(value).size > 1][
        :_MOST_VALUES
    ]
    before = {value: own.before(value) for value in values}
    for one, other in itertools.combinations(values, 2):
        if not _are_siblings(own, one, other, before):
            continue
        given = {one: own.array(other), other: own.array(one)}
        yield Change(
            "exchange", *_in_order(own, (one, other), (other, one)), _user(own, one, other), given, _NO_CALLS
        )
    groups: dict[tuple[object, ...], list[int]] = {}
    for place in own.calls:
        call = own.trace.calls[place]
        key = type(call.does), tuple(call.inputs), own.array(call.outputs[0]).shape
        groups.setdefault(key, []).append(call.outputs[0])
    for group in groups.values():
        if not 2 < len(group) <= _MOST_PARTS:  # noqa: PLR2004  two are a pair
            continue
        for order in itertools.permutations(group):
            moved = {value: own.array(new) for value, new in zip(group, order, strict=True) if value != new}
            if len(moved) > 2:  # noqa: PLR2004
                yield Change("exchange", *_in_order(own, group, order), None, moved, _NO_CALLS)


def _are_siblings(own: Expression, one: int, other: int, before: Mapping[int, Sequence[int]]) -> bool:
    if own.array(one).shape != own.array(other).shape:
        return False
    made_of = [
        {source for call in before[value] for source in own.trace.calls[call].inputs}
        for value in (one, other)
    ]
    return one not in made_of[1] and other not in made_of[0]


def _in_order(own: Expression, *orders_of_values: Sequence[int]) -> list[str]:
    return [", ".join(own.name(value) for value in each) for each in orders_of_values]


def _user(own: Expression, *values: int) -> int | None:
    users = [call for value in values for call, _ in own.consumers(value)]
    return min(users, default=None)


def _of_tables(own: Expression, other: Expression) -> Iterator[Change]:
    """Constants with the numbers of the other side's, one of them or all in their order or by likeness."""
    of_own, of_other = (
        [value for value in each.sources() if _is_table(each, value)][:_MOST_VALUES] for each in (own, other)
    )
    fitting = {
        value: [
            form for there in of_other for form in relations.fitting(other.array(there), own.array(value))
        ]
        for value in of_own
    }
    for value, arrays in fitting.items():
        for array in arrays:
            yield _of_table(own, {value: array})
    if len(of_own) > 1 and all(fitting.values()):
        nearest = {
            value: min(arrays, key=lambda each, value=value: float(np.abs(each - own.array(value)).mean()))
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


def _is_table(expression: Expression, value: int) -> bool:
    held = expression.trace.values[value]
    return held.source == "constant" and held.array.size > 1


def _of_table(own: Expression, given: dict[int, np.ndarray]) -> Change:
    value, array = next(iter(given.items()))
    kind, own_text, other_text = relations.described(own.array(value), array)
    return Change(kind, own_text, other_text, _user(own, value), dict(given), _NO_CALLS)


def _rotary(own: Expression) -> Iterator[Change]:
    """What enters with adjacent pairs half apart, or the reverse, and what comes out turned back, or not."""
    values = [value for value in own.enters if own.array(value).ndim > 1][:_MOST_PARTS]
    for count in range(len(values), 0, -1):
        for chosen in itertools.combinations(values, count):
            widths = {own.array(value).shape[-1] for value in chosen}
            width = min(widths)
            if len(widths) > 1 or width % 2 or width < 4:  # noqa: PLR2004  two pairs
                continue
            apart = np.arange(width).reshape(2, -1).T.ravel()
            texts = "adjacent pairs", "pairs half apart"
            for order, each in ((apart, texts), (np.argsort(apart), texts[::-1])):
                given = {value: own.array(value)[..., order] for value in chosen}
                for turned in (None, np.argsort(order)):
                    yield Change("rotary pairs", *each, None, given, _NO_CALLS, turned)
