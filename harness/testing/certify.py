"""Comparing a configuration with a task's reference, in a worker or in this process."""

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from harness.errors import Declined, HarnessError
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.spec.backend import Precision
from harness.spec.contract import CONTRACT, beyond_first_contract
from harness.spec.task import TaskDefinition
from harness.testing.call_comparison import compare_calls
from harness.testing.cases import Case, cases
from harness.testing.diagnosis import diagnosed
from harness.testing.dropout import DropoutTests, uses_dropout
from harness.testing.long_calls import LONG_CALLS, CallsObservation, long_calls_case
from harness.testing.losses import Losses
from harness.testing.observation import Observation
from harness.testing.parity import Finding, compare, compare_losses, losses_name
from harness.testing.recognition import Recognizer
from harness.testing.reference import Reference, reference_of


class Examiner(Protocol):
    """Carries out certification cases for one configuration, in a worker or in this process."""

    configuration: Configuration

    @property
    def contract(self) -> int:
        """The version of the contract that the backend follows."""

    def begin(self) -> None:
        """A certification begins: its time limit starts now."""

    def observe(self, case: Case) -> Observation:
        """What the configuration does on a case in float64; raises Declined or HarnessError."""

    def observe_calls(self, case: Case) -> CallsObservation:
        """The steps of a case in long calls and one by one; raises Declined or HarnessError."""

    def test_dropout(self, case: Case) -> DropoutTests:
        """The statistical tests of dropout in the case's network; raises Declined or HarnessError."""

    def observe_losses(self, case: Case, precision: Precision) -> Losses:
        """The first losses of a case in a precision; raises Declined or HarnessError."""


DROPOUT = "dropout"


class Skipped(msgspec.Struct, frozen=True):
    """A case that is not carried out, because one that it builds on failed."""

    case: str
    because: str


#: What came of a case. The error is Declined where the backend does not support the case.
Outcome = Finding | HarnessError | Skipped


def examine(
    examiner: Examiner, definition: TaskDefinition, selection: "Selection | None" = None
) -> Iterator[tuple[Case, Outcome]]:
    """Yield each selected case of a task with its outcome; long calls last, if none of the others failed.

    Raises:
        HarnessError: the task has no reference that fits it.
    """
    reference = reference_of(definition, examiner.configuration.backend)
    examiner.begin()
    recognizer = Recognizer()
    failed = ""
    for case in cases_within(definition, examiner.contract):
        if selection is not None and not selection.includes(case.name):
            continue
        outcome = _outcome(case, examiner, reference, recognizer)
        if not failed and _failed(outcome):
            failed = case.name
        yield case, outcome
    long = long_calls_case(definition)
    if long is not None and (selection is None or selection.includes(long.name)):
        yield long, Skipped(long.name, failed) if failed else _outcome(long, examiner)


def cases_within(definition: TaskDefinition, contract: int) -> list[Case]:
    """The cases of a task for a backend of this version of the contract.

    One that follows the first has no schedules: runs with one are declined, those without are certified.
    """
    first, *others = cases(definition)
    if contract >= CONTRACT or beyond_first_contract(first.task):
        return [first, *others]
    return [first, *(case for case in others if beyond_first_contract(case.task) is None)]


def _failed(outcome: Outcome) -> bool:
    if isinstance(outcome, Finding):
        return not outcome.passed
    return not isinstance(outcome, Declined)


def _outcome(
    case: Case,
    examiner: Examiner,
    reference: Reference | None = None,
    recognizer: Recognizer | None = None,
) -> Outcome:
    """What comes of a case; without a reference the case is that of long calls."""
    try:
        if reference is None:
            return compare_calls(examiner.observe_calls(case), case.task)
        expected, observed = reference.cases[case.name].observation, examiner.observe(case)
        finding = compare(case.name, observed, expected, case.task.optimizer)
        return finding if recognizer is None else recognizer.named(finding, case, observed, expected)
    except HarnessError as error:
        return error


def examine_losses(examiner: Examiner, definition: TaskDefinition, precision: Precision) -> Finding:
    """Compare the first losses in a lower precision with the reference; raises Declined or HarnessError.

    Meaningful only where the first case passed in float64: a fault there shows in every precision.
    """
    first, *_ = cases(definition)
    expected = reference_of(definition, examiner.configuration.backend).cases[first.name].observation.losses
    return compare_losses(examiner.observe_losses(first, precision), expected, precision)


def examine_dropout(examiner: Examiner, definition: TaskDefinition) -> Finding:
    """Test dropout in the task's network by statistics; raises HarnessError.

    The deviation is infinite or zero: there is none to measure.
    """
    first, *_ = cases(definition)
    tests = examiner.test_dropout(first)
    worst = math.inf if tests.faults else 0.0
    return Finding(DROPOUT, worst, "; ".join(tests.faults), complete=tests.complete)


def declined_cases(names_by_reason: dict[str, list[str]], *, all_cases: int = 0) -> str:
    """A sentence that lists declined cases by the reason given.

    It is the reason alone where one reason declines ``all_cases`` or more, such as an unsupported device.
    """
    for reason, names in names_by_reason.items():
        if len(names) >= all_cases > 0:
            return reason
    parts = (f"case {', '.join(map(repr, names))}: {reason}" for reason, names in names_by_reason.items())
    return f"declined: {'; '.join(parts)}"


class Selection(msgspec.Struct, frozen=True):
    """Which cases a check makes: those of these names, or all; with ``fail_fast`` none after a failure."""

    names: frozenset[str] = frozenset()
    fail_fast: bool = False

    def includes(self, name: str) -> bool:
        """Whether the case of this name is made."""
        return not self.names or name in self.names


_ALL = Selection()


def check_names(
    definition: TaskDefinition,
    precision: Precision,
    contract: int = CONTRACT,
    selection: Selection = _ALL,
) -> list[str]:
    """The names of the selected cases of a check, in order; dropout where a task uses it, or it is named."""
    names = [case.name for case in cases_within(definition, contract)]
    names += [LONG_CALLS] * (long_calls_case(definition) is not None)
    names += [losses_name(precision)] * (precision != "float64")
    dropout = DROPOUT in selection.names or uses_dropout(define_task(definition, definition.options()))
    return [name for name in [*names, *[DROPOUT] * dropout] if selection.includes(name)]


def check(
    examiner: Examiner,
    definition: TaskDefinition,
    report: Callable[[Finding | Skipped], None] = lambda _: None,
    selection: Selection = _ALL,
) -> list[Finding]:
    """The findings of all cases, of the first losses in the run's precision, and of dropout where it is used.

    ``report`` is called with each finding, and with each case that is skipped, as soon as it is known.

    Raises:
        Declined: the backend does not support every case; lists those it declined, with the reasons.
        HarnessError: the reference does not fit, or the configuration failed, hung or died.
    """
    findings: list[Finding] = []
    declined: dict[str, list[str]] = {}
    for name, outcome in _outcomes(examiner, definition, selection):
        if isinstance(outcome, Declined):
            declined.setdefault(str(outcome), []).append(name)
        elif isinstance(outcome, HarnessError):
            raise outcome
        else:
            report(outcome)
            if isinstance(outcome, Finding):
                findings.append(outcome)
    if declined:
        raise Declined(declined_cases(declined, all_cases=len(cases_within(definition, examiner.contract))))
    return diagnosed(findings, cases(definition))


def _outcomes(
    examiner: Examiner, definition: TaskDefinition, selection: Selection
) -> Iterator[tuple[str, Outcome]]:
    """The selected cases of a check; with ``fail_fast``, those after a failure are skipped."""
    precision = examiner.configuration.precision
    further = {
        losses_name(precision): lambda: examine_losses(examiner, definition, precision),
        DROPOUT: lambda: examine_dropout(examiner, definition),
    }
    first, failed = cases(definition)[0].name, ""
    found = examine(examiner, definition, selection)
    for name in check_names(definition, precision, examiner.contract, selection):
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
