"""Parameters that were copied with an error, seen in the initial values of both sides.

A kernel may have been copied upside down, with two axes exchanged, or with its halves exchanged. The
comparison gives B the values of A, and would not see such an error.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.port.calls import NoReference, compute
from harness.port.causes.exchanges import AGREE
from harness.port.evaluation import is_constant
from harness.port.pairing.matching import Matching, PairedUse
from harness.port.pairing.relations import TURNED, Operation, is_copy, operation_between
from harness.port.pairing.transfer import add_second_biases
from harness.port.record import Cause
from harness.port.values import are_equal, difference
from harness.port.walk.places import Place
from harness.tracing import semantics as kinds
from harness.tracing.calls import Trace


class _Copied(NamedTuple):
    """The initial values of a parameter on both sides, in canonical form."""

    pair: PairedUse
    role: str
    own: np.ndarray
    other: np.ndarray

    @property
    def names(self) -> tuple[str, str]:
        """The names of the parameter in A and in B."""
        return self.pair.a.parameters[self.role].name, self.pair.b.parameters[self.role].name


def copied(
    trace_a: Trace, trace_b: Trace, matching: Matching, worst: float, *, may_share_seeds: bool = False
) -> list[Cause]:
    """Find parameters of B that equal those of A after an operation, with the change of the outputs.

    Both traces are of the models with their initial values, and their outputs differ by ``worst``. If the
    following values are equal nevertheless, B's own code reverses the operation: the cause is harmless, and
    the operation is added to ``matching``. If both sides ``may_share_seeds``, equal numbers in another shape
    are no copies.
    """
    return _AsMade(trace_a, trace_b, matching, worst, may_share_seeds).after_operations()


class _AsMade:
    """Both sides with their initial values."""

    def __init__(
        self, trace_a: Trace, trace_b: Trace, matching: Matching, worst: float, may_share_seeds: bool
    ) -> None:
        self._a, self._b, self._matching = trace_a, trace_b, matching
        self._may_share_seeds = may_share_seeds
        self._agree = worst <= AGREE and not is_constant(trace_a)
        stored_a, stored_b = trace_a.stored(), trace_b.stored()
        self._parameters = []
        for pair in matching.pairs:
            of_a = {role: each.canonical(stored_a[each.name]) for role, each in pair.a.parameters.items()}
            of_b = {role: each.canonical(stored_b[each.name]) for role, each in pair.b.parameters.items()}
            add_second_biases(of_a, pair.b.parameters)
            add_second_biases(of_b, pair.a.parameters)
            self._parameters += [
                _Copied(pair, role, of_a[role], of_b[role]) for role in sorted(of_a.keys() & of_b.keys())
            ]

    def after_operations(self) -> list[Cause]:
        """Find parameters that are equal after an operation."""
        found = []
        for each in self._parameters:
            operation = self._operation(each)
            if operation is None:
                continue
            text = f"{each.names[1]}, equal after {operation.text}"
            if self._is_right(each.pair):
                self._matching.operations[each.pair.b.parameters[each.role]] = operation
                found.append(self._cause(each, text, None, None))
            elif self._may_share_seeds and operation.text.startswith(TURNED):
                continue
            elif (change := self._change(each)) > AGREE:
                rest = difference(operation.applied(each.own), each.other)
                found.append(self._cause(each, text, change, rest))
        return found + self._free_after_operations(self._a.stored(), self._b.stored())

    def _free_after_operations(
        self, stored_a: Mapping[str, np.ndarray], stored_b: Mapping[str, np.ndarray]
    ) -> list[Cause]:
        """Find arrays of own arithmetic that are equal after an operation, where the outputs agree."""
        found = []
        for one, other in self._matching.free if self._agree else ():
            operation = operation_between(
                one.canonical(stored_a[one.name]), other.canonical(stored_b[other.name]), repeats=True
            )
            if operation is not None:
                self._matching.operations[other] = operation
                text = f"{other.name}, equal after {operation.text}"
                found.append(Cause.at("copied values", one.name, other.name, one.name, text, harmless=True))
        return found

    def _operation(self, each: _Copied) -> Operation | None:
        if each.own.size <= 1:
            return None
        convolution = isinstance(self._a.calls[each.pair.a.place].does, kinds.Convolution)
        spatial = max(each.own.ndim - 2, 0) if convolution else 0
        operation = operation_between(each.own, each.other, spatial)
        if operation is None or operation.order is not None or np.ptp(each.own):
            return operation
        # Constant initial values differ by an offset; they are copies only if the kernel is one.
        kernel = next(
            (one for one in self._parameters if one.pair is each.pair and one.role.startswith("kernel")), None
        )
        was_copied = kernel is not None and np.ptp(kernel.own) and is_copy(kernel.own, kernel.other)
        return operation if was_copied else None

    def _is_right(self, pair: PairedUse) -> bool:
        """Check that the outputs are equal, or that a value which B computes from this call equals A's."""
        if self._agree:
            return True
        made = set(self._b.calls[pair.b.place].outputs)
        for call in self._b.calls[pair.b.place + 1 :]:
            if not made.isdisjoint(call.inputs):
                made |= {*call.outputs}
        places = [(self._a.outputs, self._b.outputs)]
        places += [
            (self._a.calls[each.a.place].inputs, self._b.calls[each.b.place].inputs)
            for each in self._matching.pairs
        ]
        return any(
            b in made and self._agrees(a, b)
            for of_a, of_b in places
            for a, b in zip(of_a, of_b, strict=False)
        )

    def _agrees(self, a: int, b: int) -> bool:
        one, other = self._a.values[a].array, self._b.values[b].array
        return bool(np.ptp(one)) and are_equal(one, other, AGREE)

    def _change(self, each: _Copied) -> float:
        """Measure how B's values change the output of A's call; without a formula, compare the values."""
        call = self._a.calls[each.pair.a.place]
        place = Place(self._a, call)
        changed = dict(place.parameters)
        for role, stored in call.parameters.items():
            if stored == each.pair.a.parameters[each.role]:
                changed[role] = each.other
        try:
            return difference(compute(call.does, place.inputs, changed)[0], place.output)
        except NoReference:
            return difference(each.other, each.own)

    def _cause(self, each: _Copied, text: str, before: float | None, after: float | None) -> Cause:
        """Make the cause, which is harmless without ``before``."""
        a, b = self._a.calls[each.pair.a.place], self._b.calls[each.pair.b.place]
        harmless = before is None
        cause = Cause.at("copied values", a, b, each.names[0], text, before, after, harmless=harmless)
        cause.path_a, cause.path_b = (f"{path} {each.role}" for path in (cause.path_a, cause.path_b))
        return cause
