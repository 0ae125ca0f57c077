"""Comparing a configuration with a task's reference, in a worker or in this process; making references."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from harness.errors import Declined, HarnessError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.definition import define_task
from harness.plugins.installation import installed_version
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition
from harness.testing.call_comparison import compare_calls
from harness.testing.cases import Case, cases
from harness.testing.dropout import DropoutTests, uses_dropout
from harness.testing.long_calls import CallsObservation, long_calls_case
from harness.testing.observation import Losses, Observation
from harness.testing.parity import Finding, compare, compare_losses
from harness.testing.reference import Reference, ReferenceCase, case_sha256, reference_of


class Examiner(Protocol):
    """Carries out certification cases for one configuration, in a worker or in this process."""

    configuration: Configuration

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


def examine(examiner: Examiner, definition: TaskDefinition) -> Iterator[tuple[Case, Outcome]]:
    """Yield each case of a task with its outcome; long calls last, if none of the others failed.

    Raises:
        HarnessError: the task has no reference that fits it.
    """
    reference = reference_of(definition)
    examiner.begin()
    failed = ""
    for case in cases(definition):
        outcome = _outcome(case, examiner, reference)
        if not failed and _failed(outcome):
            failed = case.name
        yield case, outcome
    long = long_calls_case(definition)
    if long is not None:
        yield long, Skipped(long.name, failed) if failed else _outcome(long, examiner)


def _failed(outcome: Outcome) -> bool:
    if isinstance(outcome, Finding):
        return not outcome.passed
    return not isinstance(outcome, Declined)


def _outcome(case: Case, examiner: Examiner, reference: Reference | None = None) -> Outcome:
    """What comes of a case; without a reference the case is that of long calls."""
    try:
        if reference is None:
            return compare_calls(examiner.observe_calls(case))
        return compare(case.name, examiner.observe(case), reference.cases[case.name].observation)
    except HarnessError as error:
        return error


def examine_losses(examiner: Examiner, definition: TaskDefinition, precision: Precision) -> Finding:
    """Compare the first losses in a lower precision with the reference; raises Declined or HarnessError.

    Meaningful only where the first case passed in float64: a fault there shows in every precision.
    """
    first, *_ = cases(definition)
    expected = reference_of(definition).cases[first.name].observation.losses
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


def check(
    examiner: Examiner, definition: TaskDefinition, report: Callable[[Finding], None] = lambda _: None
) -> list[Finding]:
    """The findings of all cases, of the first losses in the run's precision, and of dropout where it is used.

    ``report`` is called with each finding as soon as it is there.

    Raises:
        Declined: the backend does not support every case; lists those it declined, with the reasons.
        HarnessError: the reference does not fit, or the configuration failed, hung or died.
    """
    findings = []
    declined: dict[str, list[str]] = {}
    for case, outcome in examine(examiner, definition):
        if isinstance(outcome, Declined):
            declined.setdefault(str(outcome), []).append(case.name)
        elif isinstance(outcome, HarnessError):
            raise outcome
        elif isinstance(outcome, Finding):
            findings.append(outcome)
            report(outcome)
    if declined:
        raise Declined(declined_cases(declined, all_cases=len(cases(definition))))
    precision = examiner.configuration.precision
    if precision != "float64" and findings[0].passed:
        findings.append(examine_losses(examiner, definition, precision))
        report(findings[-1])
    if findings[0].passed and uses_dropout(define_task(definition, definition.options())):
        findings.append(examine_dropout(examiner, definition))
        report(findings[-1])
    return findings


def make_reference(definition: TaskDefinition, examiners: Sequence[Examiner]) -> Reference:
    """A reference from the agreement of at least two frameworks.

    Raises:
        HarnessError: the configurations disagree; says in which case and how.
    """
    all_cases = cases(definition)
    configurations = [examiner.configuration for examiner in examiners]
    first, *others = [[examiner.observe(case) for case in all_cases] for examiner in examiners]
    for configuration, other in zip(configurations[1:], others, strict=True):
        for case, expected, observed in zip(all_cases, first, other, strict=True):
            finding = compare(case.name, observed, expected)
            if not finding.passed:
                raise HarnessError(
                    f"{configuration.label} and {configurations[0].label} disagree on {definition.name}, "
                    f"case {case.name!r}: {finding.explanation}"
                )
    return Reference(
        task=definition.name,
        version=all_cases[0].task.version,
        made_with={
            configuration.label: ", ".join(
                map(installed_version, registry.backend(configuration.backend).requires)
            )
            for configuration in configurations
        },
        cases={
            case.name: ReferenceCase(case_sha256(case), observed)
            for case, observed in zip(all_cases, first, strict=True)
        },
    )
