"""Comparing a configuration with a task's reference, in a worker or in this process."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from harness.core.certify.cases import Case, cases, plain_task
from harness.core.certify.certificate import Losses
from harness.core.certify.clients import allows_clients, client_tests
from harness.core.certify.dropout import DropoutTests, dropout_tests, uses_dropout
from harness.core.certify.long_calls import (
    LONG_CALLS,
    CallsObservation,
    compare_calls,
    long_calls_case,
    observe_calls,
)
from harness.core.certify.noise import CANARIES, NoiseTests, noise_tests
from harness.core.certify.observation import Observation, TrialPrograms, observe, observe_losses
from harness.core.certify.parity import Finding, compare, compare_losses, losses_name
from harness.core.certify.references import Reference, reference_of
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.errors import Declined, HarnessError, LossNotDeclared
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition

_T = TypeVar("_T")


class Examination(NamedTuple, Generic[_T]):
    """What can be observed of a case: its name, how, and the type by which a message decodes the result."""

    name: str
    observe: Callable[[TrialPrograms, Case], _T]
    result: Any


ALL_STEPS = Examination("steps", observe, Observation)
FIRST_LOSSES = Examination("losses", observe_losses, Losses)
CALLS = Examination("calls", observe_calls, CallsObservation)
DROPOUT_TESTS = Examination("dropout", dropout_tests, DropoutTests)
NOISE_TESTS = Examination("noise", noise_tests, NoiseTests)
CLIENT_TESTS = Examination("clients", client_tests, list[str])

EXAMINATIONS: dict[str, Examination[Any]] = {
    each.name: each for each in (ALL_STEPS, FIRST_LOSSES, CALLS, DROPOUT_TESTS, NOISE_TESTS, CLIENT_TESTS)
}


class Examiner(Protocol):
    """Carries out certification cases for one configuration, in a worker or in this process."""

    configuration: Configuration

    def begin(self) -> None:
        """Begin a certification: its time limit starts now."""

    def examine(self, kind: Examination[_T], case: Case, precision: Precision = "float64") -> _T:
        """Observe a case, by programs of this precision."""


DROPOUT = "dropout"
NOISE = "noise of dp-sgd"
CLIENTS = "federated averaging"
#: The loss that a backend without gradients of single samples does not offer.
PRIVATE = "DP-SGD"


class Skipped(msgspec.Struct, frozen=True):
    """A case that is not carried out, because one that it builds on failed."""

    case: str
    because: str


class NotOffered(msgspec.Struct, frozen=True):
    """A case that is left out, because the backend does not declare its ``loss``; see :func:`examine`.

    ``loss`` is :data:`PRIVATE` where it declines DP-SGD.
    """

    case: str
    loss: str


class Selection(msgspec.Struct, frozen=True):
    """Which cases a check makes: those of these names, or all; with ``fail_fast`` none after a failure."""

    names: frozenset[str] = frozenset()
    fail_fast: bool = False

    def includes(self, name: str) -> bool:
        """Check that the case of this name is selected."""
        return not self.names or name in self.names


_ALL = Selection()


#: The outcome of a case. The error is Declined where the backend does not support the case.
Outcome = Finding | HarnessError | Skipped | NotOffered


def examine(
    examiner: Examiner, definition: TaskDefinition, selection: Selection = _ALL
) -> Iterator[tuple[Case, Outcome]]:
    """Yield each selected case of a task with its outcome; long calls last, if no other case failed.

    A case whose loss the backend does not declare is not offered, nor is a case of DP-SGD that the backend
    declines. It is reported as declined if the selection names it, or if it is the first case: without the
    first case nothing is known of the network.
    """
    reference = reference_of(definition, examiner.configuration.backend)
    examiner.begin()
    failed = ""
    first, *others = cases(definition)
    for case in (first, *others):
        if not selection.includes(case.name):
            continue
        outcome = _outcome(case, examiner, reference)
        private = case.task.privacy is not None  # not every mode has gradients of single samples
        optional = LossNotDeclared if not private else Declined
        if isinstance(outcome, optional) and case != first and case.name not in selection.names:
            outcome = NotOffered(case.name, case.task.special_loss() or PRIVATE)
        if not failed and _failed(outcome):
            failed = case.name
        yield case, outcome
    long = long_calls_case(definition)
    if long is not None and selection.includes(long.name):
        yield long, Skipped(long.name, failed) if failed else _caught(lambda: _long_calls(long, examiner))


def _failed(outcome: Outcome) -> bool:
    if isinstance(outcome, Finding):
        return not outcome.passed
    return not isinstance(outcome, Declined | NotOffered)


def _outcome(case: Case, examiner: Examiner, reference: Reference) -> Outcome:
    try:
        expected, observed = reference.cases[case.name].observation, examiner.examine(ALL_STEPS, case)
    except HarnessError as error:
        return error
    return compare(case.name, observed, expected)


def _long_calls(case: Case, examiner: Examiner) -> Finding:
    return compare_calls(examiner.examine(CALLS, case))


def examine_losses(
    examiner: Examiner, definition: TaskDefinition, precision: Precision, alone: str = ""
) -> Finding:
    """Compare the first losses in a lower precision with the reference; raises Declined or HarnessError.

    Without ``alone`` these are the losses of the first case, which must have passed in float64: a fault there
    shows in every precision. ``alone`` names a case that is compared in this precision alone.
    """
    first, *others = cases(definition)
    case = next((other for other in others if other.name == alone), first)
    expected = reference_of(definition, examiner.configuration.backend).cases[case.name].observation.losses
    observed = examiner.examine(FIRST_LOSSES, case, precision)
    return compare_losses(observed, expected, precision, alone)


def examine_dropout(examiner: Examiner, definition: TaskDefinition) -> Finding:
    """Test dropout in the task's network by statistics; raises HarnessError."""
    first, *_ = cases(definition)
    tests = examiner.examine(DROPOUT_TESTS, first)
    return _tested(DROPOUT, tests.faults, complete=tests.complete)


def examine_noise(examiner: Examiner, definition: TaskDefinition) -> Finding:
    """Test the noise that a backend draws for DP-SGD, by statistics and by an audit; raises HarnessError."""
    private = next(case for case in cases(definition) if case.task.privacy is not None)
    tests = examiner.examine(NOISE_TESTS, private)
    bound = f"epsilon is at least {tests.bound:.2f}, claimed {tests.claimed:.2f}"
    return _tested(NOISE, tests.faults, note=f"audit with {CANARIES:,} canaries: {bound}")


def examine_clients(examiner: Examiner, definition: TaskDefinition) -> Finding:
    """Test that averaged clients train as central training demands; raises HarnessError."""
    first, *_ = cases(definition)
    return _tested(CLIENTS, examiner.examine(CLIENT_TESTS, first))


def _tested(name: str, faults: list[str], *, complete: bool = True, note: str = "") -> Finding:
    """Make the finding of tests without a measurable deviation: the deviation is infinite or zero."""
    return Finding(name, math.inf if faults else 0.0, "; ".join(faults), complete=complete, note=note)


def declined_cases(names_by_reason: dict[str, list[str]], *, all_cases: int = 0) -> str:
    """List declined cases in a sentence, by the reason given.

    If one reason declines ``all_cases`` or more, such as an unsupported device, return the reason alone.
    """
    for reason, names in names_by_reason.items():
        if len(names) >= all_cases > 0:
            return reason
    parts = (f"case {', '.join(map(repr, names))}: {reason}" for reason, names in names_by_reason.items())
    return f"declined: {'; '.join(parts)}"


def check_names(
    definition: TaskDefinition,
    precision: Precision,
    selection: Selection = _ALL,
) -> list[str]:
    """Return the names of the selected cases of a check, in order.

    Dropout is among the cases if used or named; the noise of DP-SGD and averaged clients are if named.
    """
    names = [case.name for case in cases(definition)]
    names += [LONG_CALLS] * (long_calls_case(definition) is not None)
    names += [losses_name(precision)] * (precision != "float64")
    dropout = DROPOUT in selection.names or uses_dropout(define_task(definition, definition.options()))
    names += [DROPOUT] * dropout + [NOISE] * (NOISE in selection.names)
    names += [CLIENTS] * (CLIENTS in selection.names and allows_clients(plain_task(definition)))
    return [name for name in names if selection.includes(name)]


def check(
    examiner: Examiner,
    definition: TaskDefinition,
    report: Callable[[Finding | Skipped | NotOffered], None] = lambda _: None,
    selection: Selection = _ALL,
) -> list[Finding]:
    """Examine all cases, the first losses in the run's precision, and dropout where it is used.

    ``report`` is called with each finding, and with each case that is left out, as soon as it is known.
    """
    findings: list[Finding] = []
    declined: dict[str, list[str]] = {}
    offered = len(cases(definition))
    for name, outcome in _outcomes(examiner, definition, selection):
        if isinstance(outcome, Declined):
            declined.setdefault(str(outcome), []).append(name)
        elif isinstance(outcome, HarnessError):
            raise outcome
        else:
            report(outcome)
            offered -= isinstance(outcome, NotOffered)
            if isinstance(outcome, Finding):
                findings.append(outcome)
    if declined:
        raise Declined(declined_cases(declined, all_cases=offered))
    return findings


def _outcomes(
    examiner: Examiner, definition: TaskDefinition, selection: Selection
) -> Iterator[tuple[str, Outcome]]:
    """Examine the selected cases of a check; with ``fail_fast``, skip the cases after a failure."""
    precision = examiner.configuration.precision
    further = {
        losses_name(precision): lambda: examine_losses(examiner, definition, precision),
        DROPOUT: lambda: examine_dropout(examiner, definition),
        NOISE: lambda: examine_noise(examiner, definition),
        CLIENTS: lambda: examine_clients(examiner, definition),
    }
    first, failed = cases(definition)[0].name, ""
    found = examine(examiner, definition, selection)
    for name in check_names(definition, precision, selection):
        if failed and (selection.fail_fast or (name in further and failed == first)):
            yield name, Skipped(name, failed)
            continue
        outcome = _caught(further[name]) if name in further else next(found)[1]
        if not failed and _failed(outcome):
            failed = name
        yield name, outcome


def _caught(examine: Callable[[], Finding]) -> Outcome:
    try:
        return examine()
    except HarnessError as error:
        return error
