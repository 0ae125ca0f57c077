"""Differences between unequal numbers of calls: calls that are missing, and one call for several."""

from collections.abc import Sequence
from typing import NamedTuple

from harness.port import diagnosis
from harness.port.chains import Edit, Explained, is_silent, name_of
from harness.port.diagnosis import Place
from harness.port.findings import Cause
from harness.port.segments import Segment
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Trace

#: The kind of cause of calls that stand in the place of others.
REPLACED = "other function"


def edited(edit: Edit, found: Explained, consumer: str) -> Cause:
    """The cause that an edit of B's chain is; ``consumer`` is the layer that comes after it."""
    kind = REPLACED if edit.of_a and edit.of_b else "missing call" if edit.of_a else "extra call"
    proven = found.after is not None and diagnosis.explains(found.after, found.before or 1.0)

    def words(places: list[Place]) -> str:
        return " → ".join(map(_word, places)) or "nothing"

    return Cause(
        kind=kind,
        path_a=edit.of_a[0].call.path if edit.of_a else "",
        path_b=_where(edit, consumer),
        function_a=edit.of_a[0].call.function if edit.of_a else "",
        function_b=edit.of_b[0].call.function if edit.of_b else "",
        a=words(edit.of_a),
        b=words(edit.of_b),
        before=found.before,
        after=found.after if proven else None,
    )


def _word(place: Place) -> str:
    does = place.call.does
    return f"slice {does.index}" if isinstance(does, kinds.Slice) else name_of(does)


def _where(edit: Edit, consumer: str) -> str:
    """B's first call of the edit, and the layer that it comes before."""
    own = edit.of_b[0].call.path if edit.of_b else ""
    return " ".join(filter(None, (own, f"before {consumer}" if consumer and consumer != own else "")))


class Mistake(NamedTuple):
    """A mistake in a single call that gives a value of the other side, and the call that made that."""

    single: Place
    value: int
    other: Call
    kind: str
    texts: tuple[str, str]
    before: float
    after: float


def mistake_in(
    own: Trace, other: Trace, before_own: Segment, before_other: Segment, wanted: int
) -> Mistake | None:
    """A mistake in one call of a side that gives the wanted value of the other, or one on the way to it."""
    makers = {
        value: other.calls[place] for place in before_other.calls for value in other.calls[place].outputs
    }
    for place in before_own.calls:
        single = Place(own, own.calls[place])
        if is_silent(single.call.does):
            continue
        for candidate in dict.fromkeys((wanted, *makers)):
            found = next(diagnosis.mistakes_giving(single, other.values[candidate].array), None)
            if found is None:
                continue
            alternative, before, after = found
            texts = (alternative.own, alternative.other)
            kind = alternative.kind
            if kind == "activation" and "identity" in texts:
                kind = "missing call" if alternative.other == "identity" else "extra call"
            other_call = makers.get(candidate, single.call)
            return Mistake(single, candidate, other_call, kind, texts, before, after)
    return None


def composite_cause(
    kind: str, call_a: Call, call_b: Call, texts: Sequence[str], before: float, after: float
) -> Cause:
    """The cause of a mistake, with the calls of both sides."""
    return Cause(
        kind=kind,
        path_a=call_a.path,
        path_b=call_b.path,
        function_a=call_a.function,
        function_b=call_b.function,
        a=texts[0],
        b=texts[1],
        before=before,
        after=after,
    )
