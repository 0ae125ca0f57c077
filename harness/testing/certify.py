"""Comparing a configuration with a task's reference, in a worker or in this process; making references."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from harness.errors import Declined, HarnessError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.installation import installed_version
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition
from harness.testing.cases import Case, cases
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

    def observe_losses(self, case: Case, precision: Precision) -> Losses:
        """The first losses of a case in a precision; raises Declined or HarnessError."""


def examine(examiner: Examiner, definition: TaskDefinition) -> Iterator[tuple[Case, Finding | HarnessError]]:
    """Yield each case of a task with its finding, or with the error that came in its place.

    The error is Declined where the backend does not support the case.

    Raises:
        HarnessError: the task has no reference that fits it.
    """
    reference = reference_of(definition)
    examiner.begin()
    for case in cases(definition):
        try:
            observation = examiner.observe(case)
        except HarnessError as error:
            yield case, error
        else:
            yield case, compare(case.name, observation, reference.cases[case.name].observation)


def examine_losses(examiner: Examiner, definition: TaskDefinition, precision: Precision) -> Finding:
    """Compare the first losses in a lower precision with the reference; raises Declined or HarnessError.

    Meaningful only where the first case passed in float64: a fault there shows in every precision.
    """
    first, *_ = cases(definition)
    expected = reference_of(definition).cases[first.name].observation.losses
    return compare_losses(examiner.observe_losses(first, precision), expected, precision)


def declined_cases(names_by_reason: dict[str, list[str]], *, all_cases: int = 0) -> str:
    """A sentence that lists declined cases by the reason given.

    It is the reason alone where one reason declines ``all_cases``, such as an unsupported device.
    """
    for reason, names in names_by_reason.items():
        if len(names) == all_cases:
            return reason
    parts = (f"case {', '.join(map(repr, names))}: {reason}" for reason, names in names_by_reason.items())
    return f"declined: {'; '.join(parts)}"


def check(
    examiner: Examiner, definition: TaskDefinition, report: Callable[[Finding], None] = lambda _: None
) -> list[Finding]:
    """The findings of all cases, then of the first losses in the configuration's precision.

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
        else:
            findings.append(outcome)
            report(outcome)
    if declined:
        raise Declined(declined_cases(declined, all_cases=len(cases(definition))))
    precision = examiner.configuration.precision
    if precision != "float64" and findings[0].passed:
        findings.append(examine_losses(examiner, definition, precision))
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
