"""Holding a backend's mode against a task's reference, in a worker of its own, and making references."""

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from harness import plugins, protocol
from harness.errors import HarnessError, UsageError
from harness.installation import installed_version
from harness.observation import Losses, Observation
from harness.parity import (
    Finding,
    Reference,
    ReferenceCase,
    case_sha256,
    compare,
    compare_losses,
    read_reference,
)
from harness.parity_cases import Case, cases
from harness.process_environment import worker_settings
from harness.session import Declined, Session, silence_within
from harness.spec import Precision, TaskDefinition

_R = TypeVar("_R", protocol.Observed, protocol.ObservedLosses)


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


class Examiner:
    """Has certification cases carried out by a worker of a side: one for all tasks, for imports take long.

    A worker that fell in one case is replaced for the next.
    """

    def __init__(self, side: Side, limit_seconds: float | None = None) -> None:
        """``limit_seconds`` bounds each certification; without it only silence ends one that hangs."""
        self.side = side
        self._limit_seconds = limit_seconds
        self._session: Session | None = None

    def begin(self) -> None:
        """Give the certification that follows the whole of its time, however long those before it took."""
        if self._session is not None:
            self._session.renew_deadline()

    def observe(self, case: Case) -> Observation:
        """What the side does on a case in float64.

        Raises:
            Declined: the backend does not do what the case takes.
            HarnessError: it failed, hung or died; names the case.
        """
        side = self.side
        request = protocol.Observe(case, side.mode, side.device, side.threads)
        return self._ask(case, request, protocol.Observed).observation

    def observe_losses(self, case: Case) -> Losses:
        """The first losses of a case in the side's own precision; raises as :meth:`observe`."""
        side = self.side
        request = protocol.ObserveLosses(case, side.mode, side.device, side.threads, side.precision)
        return self._ask(case, request, protocol.ObservedLosses).losses

    def _ask(self, case: Case, request: protocol.Request, expected: type[_R]) -> _R:
        try:
            session = self._session or self._start()
            return session.call(request, expected)
        except Declined:
            raise
        except HarnessError as error:
            told = "; ".join(self._session.last_lines()[-2:]) if self._session else ""
            self.close()
            raise HarnessError(f"case {case.name!r}: {error} {told}".strip()) from error

    def _start(self) -> Session:
        side = self.side
        settings = worker_settings(side.threads, side.device, os.environ) | dict(side.environment)
        limit = self._limit_seconds
        self._session = Session(settings, limit, side.python, silence_seconds=silence_within(limit))
        self._session.call(protocol.Describe(side.backend, side.threads), protocol.Described)
        return self._session

    def close(self) -> None:
        """End the worker, if there is one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._session is not None:
            self._session.kill()
        self.close()


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


def make_reference(definition: TaskDefinition, sides: list[Side]) -> Reference:
    """A reference from the agreement of at least two frameworks.

    Raises:
        HarnessError: the sides do not agree; says in which case and how.
    """
    wanted = cases(definition)
    first, *others = [_observe_all(side, wanted) for side in sides]
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
            side.label: ", ".join(map(installed_version, plugins.backend(side.backend).requires))
            for side in sides
        },
        cases={
            case.name: ReferenceCase(case_sha256(case), observed)
            for case, observed in zip(wanted, first, strict=True)
        },
    )


def _observe_all(side: Side, wanted: list[Case]) -> list[Observation]:
    with Examiner(side) as examiner:
        return [examiner.observe(case) for case in wanted]
