"""Changes of an expression that may give the other side's numbers, the likeliest first."""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from harness.port.call_mistakes import Alternative, alternatives
from harness.port.cause_kinds import field_text, kind_of, text
from harness.port.pairing.transfer import missing_kind
from harness.port.values import orders
from harness.port.walk import tables
from harness.port.walk.expressions import NO_CALLS, NOTHING, Expression, Given, Slot, forms, is_silent
from harness.port.walk.places import differing_fields
from harness.tracing import semantics as kinds

_MOST_VALUES, _MOST_PARTS = 24, 4
_MOST_FORMS, _MOST_COLUMNS = 6, 4096


class Change(NamedTuple):
    """A change of one side: both sides' texts, arrays in other places, and changed calls.

    ``call`` is the place of the call that is shown; None for the whole expression. ``turned``, if given, is
    the order of the last axis of the end. ``also`` are further kinds and texts of the change.
    """

    kind: str
    own: str
    other: str
    call: int | None
    given: "Given"
    calls: Mapping[int, Alternative]
    turned: np.ndarray | None = None
    also: tuple[tuple[str, str, str], ...] = ()


def changes(own: Expression, other: Expression) -> Iterator[Change]:
    """Yield the changes of ``own``; rare and telling changes come first."""
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
    """List the alternatives to a call: the other side's fields, then known mistakes."""
    call, parameters = own.trace.calls[place], own.parameters(place)
    if is_silent(call.does):
        return []
    found = [
        Alternative(*_texts(call.does, there, field), changed, parameters)
        for there in (other.trace.calls[each].does for each in other.calls)
        for field in differing_fields(call.does, there)
        for changed in [msgspec.structs.replace(call.does, **{field: getattr(there, field)})]
    ]
    found += [
        Alternative(*_numbers(call.does, own_field, there, field), changed, parameters)
        for there in (other.trace.calls[each].does for each in other.calls)
        if type(there) is not type(call.does)
        for own_field, field in itertools.product(_floats(call.does), _floats(there))
        for changed in [msgspec.structs.replace(call.does, **{own_field: getattr(there, field)})]
        if changed != call.does
    ]
    return [*found, *alternatives(call.does, parameters, [own.array(value) for value in call.inputs])]


def _floats(does: kinds.Semantics) -> list[str]:
    return [field for field in does.__struct_fields__ if isinstance(getattr(does, field), float)]


def _numbers(
    does: kinds.Semantics, field: str, there: kinds.Semantics, field_there: str
) -> tuple[str, str, str]:
    """Return the kind and texts of a number that one side states as an option and the other computes with."""
    named, name = (does, field) if field_there == "constant" else (there, field_there)
    return kind_of(named, name), text(getattr(does, field)), text(getattr(there, field_there))


def _of_calls(own: Expression, tried: Mapping[int, Sequence[Alternative]]) -> Iterator[Change]:
    """Yield each alternative to one call, then to all calls that are alike."""
    several: dict[tuple[str, str, str], dict[int, Alternative]] = {}
    for place, alternatives_here in tried.items():
        sources = own.trace.calls[place].inputs
        for each in alternatives_here:
            key = each.kind, each.own, each.other
            if each.order:
                key = each.kind, _in_order(own, sources), _in_order(own, [sources[one] for one in each.order])
            yield Change(*key, place, NOTHING, {place: each})
            several.setdefault(key, {})[place] = each
    for key, calls in several.items():
        if len(calls) > 1:
            yield Change(*key, min(calls), NOTHING, calls)


def _of_several_fields(own: Expression, place: int, other: Expression) -> Iterator[Change]:
    """Yield combinations of fields of the other side's calls, and of parameters that this call lacks."""
    does, parameters = own.trace.calls[place].does, own.parameters(place)
    for there in other.calls:
        does_there = other.trace.calls[there].does
        if type(does_there) is not type(does):
            continue
        if isinstance(does, kinds.Arithmetic) and isinstance(does_there, kinds.Arithmetic):
            if does.constant is not None and does_there.constant is not None:
                own_text, other_text = (
                    f"{each.function} {text(each.constant)}" for each in (does, does_there)
                )
                all_fields = Alternative("constant", own_text, other_text, does_there, parameters)
                yield Change("constant", own_text, other_text, place, NOTHING, {place: all_fields})
            continue
        parts: list[tuple[tuple[str, str, str], dict[str, object], dict[str, np.ndarray]]] = [
            (_texts(does, does_there, field), {field: getattr(does_there, field)}, {})
            for field in differing_fields(does, does_there)
        ]
        parts += [
            (
                (missing_kind(role), f"no {role}", role),
                {},
                {role: array},
            )
            for role, array in other.parameters(there).items()
            if role not in parameters
        ]
        for count in range(1, len(parts[:_MOST_PARTS]) + 1):
            for chosen in itertools.combinations(parts[:_MOST_PARTS], count):
                if count == 1 and chosen[0][1]:  # single fields are tried above
                    continue
                values = {field: value for _, each, _ in chosen for field, value in each.items()}
                more = {role: array for _, _, each in chosen for role, array in each.items()}
                changed = msgspec.structs.replace(does, **values)
                (first, *_), *rest = chosen
                calls = {place: Alternative(*first, changed, {**parameters, **more})}
                yield Change(*first, place, NOTHING, calls, also=tuple(words for words, _, _ in rest))


def _texts(does: kinds.Semantics, does_there: kinds.Semantics, field: str) -> tuple[str, str, str]:
    value = getattr(does_there, field)
    return kind_of(does, field, value), field_text(field, getattr(does, field)), field_text(field, value)


def _exchanges(own: Expression) -> Iterator[Change]:
    """Yield exchanges of values of one shape, none of which depends on another."""
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
    used = {
        value: {source for call in own.before(value) for source in own.trace.calls[call].inputs}
        for value in values
    }
    for group in groups:
        shapes = {tuple(sorted(own.array(value).shape)) for value in group}
        if len(shapes) > 1 or any(value in used[other] for value in group for other in group):
            continue
        for order in itertools.permutations(group):
            if not all(map(int.__ne__, group, order)):
                continue
            texts = _in_order(own, group), _in_order(own, order)
            for given in _permuted(own, group, order):
                yield Change("exchange", *texts, _user(own, *group), given, NO_CALLS)


def _permuted(own: Expression, values: Sequence[int], sources: Sequence[int]) -> Iterator[Given]:
    """Yield the arrays of ``sources`` in the places of ``values``, in the first fitting orders of axes."""
    choices = []
    for value, source in zip(values, sources, strict=True):
        array, like = own.array(source), own.array(value)
        choices.append([array] if array.shape == like.shape else [*itertools.islice(forms(array, like), 2)])
    for arrays in itertools.product(*choices):
        yield dict(zip(values, arrays, strict=True))


def _exchanged_parts(own: Expression) -> Iterator[Change]:
    """Yield exchanges of two parts wherever they are taken, as in each step of a cell."""
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
        yield Change("exchange", f"{one}, {other}", f"{other}, {one}", min(places), NOTHING, changed)


def _in_order(own: Expression, values: Sequence[int]) -> str:
    return ", ".join(own.name(value) for value in values)


def _user(own: Expression, *values: int) -> int | None:
    users = [call for value in values for call, _ in own.consumers(value)]
    return min(users, default=None)


def _of_tables(own: Expression, other: Expression) -> Iterator[Change]:
    """Yield the other side's numbers for one constant, and for all constants by likeness or in order."""
    of_own, of_other = (
        [value for value in each.sources() if each.is_table(value)][:_MOST_VALUES] for each in (own, other)
    )
    fitting = {
        value: [
            form
            for there in of_other
            for form in tables.fitting(other.array(there), own.array(value))
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


def _of_table(own: Expression, given: dict[Slot, np.ndarray]) -> Change:
    value, array = next((slot, each) for slot, each in given.items() if isinstance(slot, int))
    kind, own_text, other_text = tables.described(own.array(value), array)
    return Change(kind, own_text, other_text, _user(own, value), given, NO_CALLS)


def _columns(own: Expression) -> Iterator[Change]:
    """Yield inputs with the last axis split into other parts, or with axes of one length exchanged."""
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
                yield Change("order of elements", first, second, None, given, NO_CALLS)
    for shape in dict.fromkeys(own.array(value).shape for value in values):
        alike = [value for value in values if own.array(value).shape == shape]
        texts = [f"axes {axes}" for axes in orders(shape, shape)][:_MOST_FORMS]
        for axes, words in itertools.islice(zip(orders(shape, shape), texts, strict=False), 1, None):
            turned: Given = {value: own.array(value).transpose(axes) for value in alike}
            yield Change("axes", texts[0], words, _user(own, *alike), turned, NO_CALLS)


def _rotary(own: Expression) -> Iterator[Change]:
    """Yield inputs with adjacent pairs half apart, or the reverse, and the end turned back or not.

    The end stays unchanged if it is a product in which the order does not count.
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
                    yield Change("rotary pairs", *each, None, given, NO_CALLS, turned)
