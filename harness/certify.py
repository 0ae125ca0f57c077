"""Holding a backend's mode against a task's reference, in a worker of its own, and making references."""

import os
import sys
from collections.abc import Callable, Iterator

import msgspec

from harness import plugins, protocol
from harness.errors import HarnessError, UsageError
from harness.installation import installed_version
from harness.parity import Finding, Reference, ReferenceCase, compare, description_sha256, read_reference
from harness.parity_cases import Case, cases
from harness.process_environment import worker_settings
from harness.session import Declined, Session
from harness.spec import TaskDefinition

_CASE_LIMIT_SECONDS = 300.0


class Side(msgspec.Struct, frozen=True):
    """A backend in a mode, where and with how many threads it is to be certified.

    ``python`` is the interpreter of its worker, ``environment`` what that is given beside the usual.
    """

    backend: str
    mode: str
    device: str
    threads: int
    python: str = sys.executable
    environment: dict[str, str] = {}


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
        if (
            known is None
            or known.sha256 != description_sha256(case)
            or reference.version != case.task.version
        ):
            raise UsageError(
                f"the reference of task {definition.name} is stale: case {case.name!r} is not the one it "
                f"was made for; {remedy}"
            )
    return reference


def observe_cases(
    side: Side, wanted: list[Case], limit_seconds: float | None = None
) -> Iterator[tuple[Case, protocol.Observed]]:
    """Each case as the side's worker carries it out, one process for all of them, within the time limit.

    Raises:
        HarnessError: the backend declined, failed, hung or died; names the case.
    """
    settings = worker_settings(side.threads, side.device, os.environ)
    limit = _CASE_LIMIT_SECONDS + 30.0 * len(wanted)
    limit = min(limit, limit_seconds or limit)
    with Session(settings | side.environment, limit, side.python) as session:
        session.call(protocol.Describe(side.backend, side.threads), protocol.Described)
        for case in wanted:
            request = protocol.Observe(case, side.mode, side.device, side.threads)
            try:
                yield case, session.call(request, protocol.Observed)
            except Declined as error:
                raise Declined(f"case {case.name!r}: {error}") from error
            except HarnessError as error:
                told = "; ".join(session.last_lines()[-2:])
                raise HarnessError(f"case {case.name!r}: {error} {told}".strip()) from error


def check(
    side: Side,
    definition: TaskDefinition,
    tell: Callable[[Finding], None] = lambda _: None,
    limit_seconds: float | None = None,
) -> list[Finding]:
    """What each case of a task came to; ``tell`` hears each as it comes."""
    reference = reference_of(definition)
    findings = []
    for case, observed in observe_cases(side, cases(definition), limit_seconds):
        finding = compare(case.name, observed.observation, reference.cases[case.name].observation)
        findings.append(finding)
        tell(finding)
    return findings


def make_reference(definition: TaskDefinition, sides: list[Side]) -> Reference:
    """A reference from the agreement of at least two frameworks.

    Raises:
        HarnessError: the sides do not agree; says in which case and how.
    """
    first, *others = [list(observe_cases(side, cases(definition))) for side in sides]
    for side, other in zip(sides[1:], others, strict=True):
        for (case, observed), (_, theirs) in zip(first, other, strict=True):
            finding = compare(case.name, theirs.observation, observed.observation)
            if not finding.passed:
                raise HarnessError(
                    f"{side.backend}:{side.mode} and {sides[0].backend}:{sides[0].mode} do not agree on "
                    f"{definition.name}, case {case.name!r}: {finding.words}"
                )
    return Reference(
        task=definition.name,
        version=first[0][0].task.version,
        made_with={
            f"{side.backend}:{side.mode}": ", ".join(
                map(installed_version, plugins.backend(side.backend).requires)
            )
            for side in sides
        },
        cases={
            case.name: ReferenceCase(description_sha256(case), observed.observation)
            for case, observed in first
        },
    )
