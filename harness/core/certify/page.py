"""Certificates in words, and the document of ``harness check``."""

import enum
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.core.certify.certificate import Certificate
from harness.core.documents.document import Document, Node, Paragraph, Table
from harness.core.documents.numbers import listed
from harness.core.stats.deviations import largest
from harness.errors import HarnessError
from harness.spec.backend import Precision
from harness.spec.task import TaskDefinition

if TYPE_CHECKING:
    from harness.core.certify.certify import NotOffered, Skipped
    from harness.core.certify.parity import Finding

#: What a label and a cell add where the dropout of a task was not tested.
_WITHOUT_DROPOUT = "without dropout"
#: The label of a backend without float64 whose first losses agree. It is not certified, so nothing ranks it.
IN_FLOAT32 = "agrees in float32"


def certificate_label(certificate: Certificate | None) -> str:
    """Return ``certified``, ``certified without dropout``, ``agrees in float32`` or ``not certified``."""
    if certificate is None or not certificate.certified:
        return IN_FLOAT32 if certificate is not None and certificate.agrees_in_float32 else "not certified"
    return f"certified {_WITHOUT_DROPOUT}" if certificate.lacks_dropout else "certified"


# A check: a cell for each configuration and task, and below the table what deviates.


class Status(enum.Enum):
    """The outcome of a check as a table shows it."""

    AGREES = "✓"
    DEVIATES = "DEVIATES"
    NOT_CHECKED = "not checked"


#: What the worst status of all says, the worst first.
_CONCLUSIONS = {
    Status.DEVIATES: "At least one result deviates from the reference.",
    Status.NOT_CHECKED: "No deviation was found, but not everything could be checked.",
    Status.AGREES: "Everything agrees with the reference.",
}


class Checked(NamedTuple):
    """A check that has ended: each case in order, and the findings.

    ``problem`` is the error that stopped it.
    """

    label: str
    task: str
    precision: Precision
    outcomes: "Sequence[Finding | Skipped | NotOffered]"
    findings: "Sequence[Finding]"
    problem: HarnessError | None

    @property
    def name(self) -> str:
        """The configuration and the task."""
        return f"{self.label} on {self.task}"

    @property
    def status(self) -> Status:
        """The worst that was found."""
        if any(not finding.passed for finding in self.findings):
            return Status.DEVIATES
        return Status.NOT_CHECKED if self.problem else Status.AGREES

    @property
    def cell(self) -> str:
        """The status and the deviation that it stands for: that which failed, or the largest in float64."""
        from harness.core.certify.parity import TOLERANCE

        failed = [finding for finding in self.findings if not finding.passed]
        exact = [finding.worst for finding in failed if finding.tolerance == TOLERANCE]
        if failed and not exact:
            worst = largest(finding.worst for finding in failed)
            return f"{self.status.value} {worst:.1e} in {self.precision}"
        exact = exact or [finding.worst for finding in self.findings if finding.tolerance == TOLERANCE]
        if self.problem or not exact:
            return self.status.value
        incomplete = not all(finding.complete for finding in self.findings)
        return f"{self.status.value} {largest(exact):.1e}" + f" {_WITHOUT_DROPOUT}" * incomplete


class Extent(NamedTuple):
    """What was checked: the tasks, the cases that were chosen, if any, and what could not be loaded.

    ``forks`` says why workers of a backend cannot be forked, by its name; empty if they can.
    """

    definitions: Sequence[TaskDefinition]
    cases: Sequence[str]
    broken: Sequence[str]
    forks: Mapping[str, str] = {}


def check_document(
    checks: Sequence[Checked], extent: Extent, *, by_case: bool = False, traceback: bool = False
) -> Document:
    """Return the table of the worst deviations, the deviating cases, and the conclusion."""
    from harness.core.certify.parity import TOLERANCE

    rows = [
        [label, *(checked.cell for checked in row)]
        for label, row in itertools.groupby(checks, key=lambda checked: checked.label)
    ]
    scope = f"Worst relative deviation from the reference in float64. Up to {TOLERANCE:g} is rounding."
    headers = ["backend", *(definition.name for definition in extent.definitions)]
    smaller = [
        f"{definition.name} with {', '.join(f'{key}={value}' for key, value in definition.certified.items())}"
        for definition in extent.definitions
        if definition.certified
    ]
    nodes: list[Node] = [Table(headers, rows, scope, announced=True)]
    if smaller:
        nodes.append(Paragraph(f"Smaller networks of the same layers were compared: {'; '.join(smaller)}."))
    nodes += map(Paragraph, extent.broken)
    for checked in checks:
        nodes += _remarks(checked, by_case=by_case, traceback=traceback)
    nodes += map(Paragraph, _fork_texts(extent.forks))
    if extent.cases:
        nodes.append(Paragraph(f"Only these cases were compared: {', '.join(extent.cases)}."))
    statuses = {*[Status.NOT_CHECKED] * len(extent.broken), *(checked.status for checked in checks)}
    worst = next(status for status in _CONCLUSIONS if status in {*statuses, Status.AGREES})
    nodes.append(Paragraph(_CONCLUSIONS[worst]))
    return Document("check", "Check against the references", nodes)


def _fork_texts(forks: Mapping[str, str]) -> Iterator[str]:
    """Say how --jobs starts the workers of each backend, and why those that are not forked are not."""
    if forked := [backend for backend, reason in forks.items() if not reason]:
        yield f"--jobs forks the workers of {listed(forked)} from a process that has made the imports."
    for backend, reason in forks.items():
        if reason:
            yield f"--jobs starts each worker of {backend} anew: {reason}."


def _remarks(checked: Checked, *, by_case: bool, traceback: bool) -> Iterator[Node]:
    """Yield deviations and the error that stopped the check; its traceback and every case if asked for."""
    from harness.core.certify.certify import Skipped

    for finding in {finding.case: finding for finding in checked.findings}.values():
        if not finding.passed:
            yield Paragraph(f"{checked.name}, {finding.case}: {finding.explanation}.")
    if checked.problem:
        yield Paragraph(f"{checked.name} could not be checked completely: {checked.problem}")
    if traceback and (lines := _traceback(checked.problem)):
        yield Paragraph(lines, "lines")
    for outcome in checked.outcomes:
        if isinstance(outcome, Skipped):
            yield Paragraph(f"{checked.name}, {outcome.case}: {result_text(outcome)}.")
    if by_case and checked.outcomes:
        rows = [(outcome.case, *_figures(outcome)) for outcome in checked.outcomes]
        yield Table(["case", "worst relative deviation", ""], rows, checked.name, announced=True)


def _figures(outcome: "Finding | Skipped | NotOffered") -> tuple[str, str]:
    """Return the deviation of a case, and its mark."""
    from harness.core.certify.certify import NotOffered, Skipped

    if isinstance(outcome, Skipped):
        return "", "skipped"
    if isinstance(outcome, NotOffered):
        return "", result_text(outcome)
    return f"{outcome.worst:.1e}", (Status.AGREES if outcome.passed else Status.DEVIATES).value


def result_text(outcome: "Finding | Skipped | NotOffered") -> str:
    """Return ``✓ 1.1e-15``, ``DEVIATES 1.1e-3: REASON``, or the reason why the case was skipped."""
    from harness.core.certify.certify import PRIVATE, NotOffered, Skipped

    if isinstance(outcome, NotOffered):
        what = outcome.loss if outcome.loss == PRIVATE else f"loss {outcome.loss}"
        return f"left out, the backend has no {what}"
    if isinstance(outcome, Skipped):
        return f"skipped, because {outcome.because} failed"
    worst, mark = _figures(outcome)
    reason = f" ({outcome.note})" if outcome.note else ""
    reason = reason if outcome.passed else f": {outcome.explanation}"
    return f"{mark} {worst}{reason}"


def _traceback(error: BaseException | None) -> str:
    """Return the worker's traceback of an exception that the backend raised; empty where there is none."""
    from harness.errors import RequestFailed

    while error is not None:
        if isinstance(error, RequestFailed):
            return error.traceback.rstrip()
        error = error.__cause__
    return ""
