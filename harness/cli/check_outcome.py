"""The check of one configuration on one task: a line for each case as it ends, then a cell and remarks."""

import enum
import time

from tabulate import tabulate

from harness.certify.cases import cases
from harness.certify.certify import Selection, Skipped, check, check_names
from harness.certify.parity import TOLERANCE, Finding
from harness.certify.waiting import Waiting
from harness.cli.messages import print_error_line
from harness.errors import HarnessError
from harness.report.certificate_words import WITHOUT_DROPOUT
from harness.spec.task import TaskDefinition
from harness.worker.errors import RequestFailed
from harness.worker.examiner import Examiner

CLOCK = "clock"


class Status(enum.Enum):
    """The outcome of a check as a table shows it."""

    AGREES = "✓"
    DEVIATES = "DEVIATES"
    DISHONEST = "DISHONEST CLOCK"
    NOT_CHECKED = "not checked"


class CheckOutcome:
    """``status`` and ``cell`` go into the table, ``remarks`` below it."""

    def __init__(self, examiner: Examiner, definition: TaskDefinition, selection: Selection) -> None:
        """Make the check, which takes seconds to minutes; never raises HarnessError."""
        self.label = examiner.configuration.label
        self._name = f"{self.label} on {definition.name}"
        self._precision = examiner.configuration.precision
        self._outcomes: list[Finding | Skipped] = []
        self._findings: list[Finding] = []
        self._problem: HarnessError | None = None
        self._waiting: Waiting | None = None
        names = check_names(definition, self._precision, examiner.contract, selection)
        self._number = len(names) + selection.includes(CLOCK)
        self._start = time.perf_counter()
        try:
            self._findings = check(examiner, definition, self._report, selection)
            if selection.includes(CLOCK):
                self._test_clock(examiner, definition)
        except HarnessError as error:
            self._problem = error
        seconds = time.perf_counter() - self._start
        made = len(self._outcomes) + (self._waiting is not None)
        print_error_line(f"{self._name}: {made} of {self._number} cases in {seconds:.1f} s")

    def _test_clock(self, examiner: Examiner, definition: TaskDefinition) -> None:
        failed = next((finding.case for finding in self._findings if not finding.passed), None)
        if failed is not None:
            self._report(Skipped(CLOCK, failed))
            return
        self._waiting = examiner.observe_waiting(cases(definition)[0])

    def _report(self, outcome: Finding | Skipped) -> None:
        """Print a line for a case that has ended, with the time so far and about the time that is left."""
        self._outcomes.append(outcome)
        made, elapsed = len(self._outcomes), time.perf_counter() - self._start
        left = elapsed / made * (self._number - made)
        print_error_line(
            f"{self._name}: {outcome.case} {_result(outcome)} "
            f"({made} of {self._number}, {elapsed:.0f} s, about {left:.0f} s left)"
        )

    @property
    def _all_findings(self) -> list[Finding]:
        """The findings with their causes; after an error those that were there before it."""
        return self._findings or [one for one in self._outcomes if isinstance(one, Finding)]

    @property
    def status(self) -> Status:
        """The worst that was found."""
        if any(not finding.passed for finding in self._all_findings):
            return Status.DEVIATES
        if self._waiting is not None and self._waiting.fault is not None:
            return Status.DISHONEST
        return Status.NOT_CHECKED if self._problem else Status.AGREES

    @property
    def cell(self) -> str:
        """The status and the deviation that it stands for: that which failed, or the largest in float64."""
        failed = [finding for finding in self._all_findings if not finding.passed]
        exact = [finding.worst for finding in failed if finding.tolerance == TOLERANCE]
        if failed and not exact:
            worst = max(finding.worst for finding in failed)
            return f"{self.status.value} {worst:.1e} in {self._precision}"
        exact = exact or [one.worst for one in self._all_findings if one.tolerance == TOLERANCE]
        if self._problem or not exact:
            return self.status.value
        incomplete = not all(finding.complete for finding in self._all_findings)
        return f"{self.status.value} {max(exact):.1e}" + f" {WITHOUT_DROPOUT}" * incomplete

    def remarks(self, *, by_case: bool, traceback: bool) -> list[str]:
        """What deviates, what stopped the check, its traceback and every case if asked for."""
        findings = {finding.case: finding for finding in self._all_findings}
        texts = [
            f"{self._name}, {finding.case}: {finding.explanation}."
            for finding in findings.values()
            if not finding.passed
        ]
        if self._problem:
            texts.append(f"{self._name} could not be checked completely: {self._problem}")
        if traceback and (lines := _traceback(self._problem)):
            texts.append(lines)
        if self._waiting is not None and (why := self._waiting.explanation):
            texts.append(f"{self._name}: its clock cannot be trusted: {why}.")
        skipped = [one for one in self._outcomes if isinstance(one, Skipped)]
        texts += [f"{self._name}, {one.case}: {_result(one)}." for one in skipped]
        if by_case and self._outcomes:
            rows = [
                (one.case, f"{one.worst:.1e}" if isinstance(one, Finding) else "", _mark(one))
                for one in self._outcomes
            ]
            table = tabulate(rows, ("case", "worst relative deviation", ""), disable_numparse=True)
            texts.append(f"{self._name}\n{table}")
        return texts


def _mark(outcome: Finding | Skipped) -> str:
    if isinstance(outcome, Skipped):
        return "skipped"
    return str((Status.AGREES if outcome.passed else Status.DEVIATES).value)


def _result(outcome: Finding | Skipped) -> str:
    if isinstance(outcome, Skipped):
        return f"skipped, because {outcome.because} failed"
    return f"{_mark(outcome)} {outcome.worst:.1e}"


def _traceback(error: BaseException | None) -> str:
    """The worker's traceback of an exception that the backend raised; empty where there is none."""
    while error is not None:
        if isinstance(error, RequestFailed):
            return error.traceback.rstrip()
        error = error.__cause__
    return ""
