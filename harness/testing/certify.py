"""Holding a backend's mode against a task's reference, in a worker of its own, and making references."""

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from harness.errors import Declined, HarnessError, UsageError
from harness.plugins import registry
from harness.plugins.installation import installed_version
from harness.spec.backend import Precision
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


class Side(msgspec.Struct, frozen=True):
    """A backend in a mode, where, with how many threads and in which precision it is to be timed.

    ``python`` is the interpreter of its worker, ``environment`` what that is given beside the usual.
    """

    backend: str
    mode: str
    device: str
    threads: int
    precision: Precision = "float32"
    python: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """As it is written on the command line, ``torch:compile``."""
        return f"{self.backend}:{self.mode}"


class Examiner(Protocol):
    """Carries out certification cases for one side, in a worker or in this process."""

    side: Side

    def begin(self) -> None:
        """A certification begins: its time limit starts now."""

    def observe(self, case: Case) -> Observation:
        """What the side does on a case in float64; raises Declined or HarnessError."""

    def observe_losses(self, case: Case) -> Losses:
        """The first losses of a case in the side's own precision; raises Declined or HarnessError."""


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
        Declined: the side does not do all cases; names each that it declined, with the reason.
        HarnessError: the reference does not fit, or the side failed, hung or died.
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
    if examiner.side.precision != "float64" and findings[0].passed:
        first, precision = wanted[0], examiner.side.precision
        expected_losses = reference.cases[first.name].observation.losses
        findings.append(compare_losses(examiner.observe_losses(first), expected_losses, precision))
        tell(findings[-1])
    return findings


def make_reference(definition: TaskDefinition, examiners: Sequence[Examiner]) -> Reference:
    """A reference from the agreement of at least two frameworks.

    Raises:
        HarnessError: the sides do not agree; says in which case and how.
    """
    wanted = cases(definition)
    sides = [examiner.side for examiner in examiners]
    first, *others = [[examiner.observe(case) for case in wanted] for examiner in examiners]
    for side, other in zip(sides[1:], others, strict=True):
        for case, observed, theirs in zip(wanted, first, other, strict=True):
            finding = compare(case.name, theirs, observed)
            if not finding.passed:
                raise HarnessError(
                    f"{side.label} and {sides[0].label} do not agree on {definition.name}, "
                    f"case {case.name!r}: {finding.words}"
                )
    return Reference(
        task=definition.name,
        version=wanted[0].task.version,
        made_with={
            side.label: ", ".join(map(installed_version, registry.backend(side.backend).requires))
            for side in sides
        },
        cases={
            case.name: ReferenceCase(case_sha256(case), observed)
            for case, observed in zip(wanted, first, strict=True)
        },
    )
