"""Holding a backend's mode against a task's reference, in a worker of its own, and making references."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from harness.errors import Declined, HarnessError, UsageError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.installation import installed_version
from harness.spec.task import TaskDefinition
from harness.testing.cases import Case, cases
from harness.testing.observation import Losses, Observation
from harness.testing.parity import (
    Finding,
    Reference,
    ReferenceCase,
    case_sha256,
    compare,
    compare_losses,
    read_reference,
)


class Examiner(Protocol):
    """Carries out certification cases for one configuration, in a worker or in this process."""

    configuration: Configuration

    def begin(self) -> None:
        """A certification begins: its time limit starts now."""

    def observe(self, case: Case) -> Observation:
        """What the configuration does on a case in float64; raises Declined or HarnessError."""

    def observe_losses(self, case: Case) -> Losses:
        """The first losses of a case in the precision that is timed; raises Declined or HarnessError."""


def reference_of(definition: TaskDefinition) -> Reference:
    """The committed reference of a task, found to fit the task as it is now.

    Raises:
        UsageError: there is none, it cannot be read, or it is stale; says how to make one.
    """
    remedy = f"make it with: harness reference {definition.name} --backend torch --backend jax"
    if definition.reference is None or not definition.reference.is_file():
        raise UsageError(f"task {definition.name} has no reference; {remedy}")
    try:
        reference = read_reference(definition.reference)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"the reference {definition.reference} cannot be read: {error}; {remedy}") from error
    for case in cases(definition):
        known = reference.cases.get(case.name)
        if known is None or known.sha256 != case_sha256(case) or reference.version != case.task.version:
            raise UsageError(
                f"the reference of task {definition.name} is stale: case {case.name!r} is not the one it "
                f"was made for; {remedy}"
            )
    return reference


def declined_cases(names_by_reason: dict[str, list[str]]) -> str:
    """In words, with the names of the cases as they are to be read."""
    told = (f"case {', '.join(names)}: {reason}" for reason, names in names_by_reason.items())
    return f"declined: {'; '.join(told)}"


def check(
    examiner: Examiner, definition: TaskDefinition, tell: Callable[[Finding], None] = lambda _: None
) -> list[Finding]:
    """What each case of a task came to, and the first losses as timed; ``tell`` hears each as it comes.

    Raises:
        Declined: the configuration does not do all cases; names each that it declined, with the reason.
        HarnessError: the reference does not fit, or the configuration failed, hung or died.
    """
    reference = reference_of(definition)
    examiner.begin()
    wanted = cases(definition)
    findings = []
    declined: dict[str, list[str]] = {}
    for case in wanted:
        expected = reference.cases[case.name].observation
        try:
            findings.append(compare(case.name, examiner.observe(case), expected))
        except Declined as error:
            declined.setdefault(str(error), []).append(repr(case.name))
            continue
        tell(findings[-1])
    if declined:
        raise Declined(declined_cases(declined))
    # What differs in float64 differs in a lower precision too, and that would tell nothing more.
    if examiner.configuration.precision != "float64" and findings[0].passed:
        first, precision = wanted[0], examiner.configuration.precision
        expected_losses = reference.cases[first.name].observation.losses
        findings.append(compare_losses(examiner.observe_losses(first), expected_losses, precision))
        tell(findings[-1])
    return findings


def make_reference(definition: TaskDefinition, examiners: Sequence[Examiner]) -> Reference:
    """A reference from the agreement of at least two frameworks.

    Raises:
        HarnessError: the configurations do not agree; says in which case and how.
    """
    wanted = cases(definition)
    configurations = [examiner.configuration for examiner in examiners]
    first, *others = [[examiner.observe(case) for case in wanted] for examiner in examiners]
    for configuration, other in zip(configurations[1:], others, strict=True):
        for case, observed, theirs in zip(wanted, first, other, strict=True):
            finding = compare(case.name, theirs, observed)
            if not finding.passed:
                raise HarnessError(
                    f"{configuration.label} and {configurations[0].label} do not agree on {definition.name}, "
                    f"case {case.name!r}: {finding.words}"
                )
    return Reference(
        task=definition.name,
        version=wanted[0].task.version,
        made_with={
            configuration.label: ", ".join(
                map(installed_version, registry.backend(configuration.backend).requires)
            )
            for configuration in configurations
        },
        cases={
            case.name: ReferenceCase(case_sha256(case), observed)
            for case, observed in zip(wanted, first, strict=True)
        },
    )
