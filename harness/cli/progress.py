"""Progress of runs on standard error: one live line on a terminal, otherwise a line every ten seconds."""

import math
import time
from collections.abc import Sequence
from typing import Protocol

from rich.progress import TaskID

from harness.certify.certificate import Certificate
from harness.cli.live_display import QUIET_SECONDS, SPINNER_WIDTH, LiveDisplay
from harness.cli.remaining import Activity, Remaining, left_text
from harness.plugins.configuration import Configuration
from harness.report.certificate_words import certificate_label
from harness.report.numbers import significant
from harness.report.phrases import failure_text
from harness.report.scores import score_value, test_score
from harness.runs.record import Epoch, Record
from harness.runs.request import RunRequest
from harness.runs.sequence import RunObserver, certified_work
from harness.spec.task import Adversarial, Task
from harness.training.measures import measure_of_task

#: A certificate that takes longer was not in the cache: its time is worth a line on a terminal.
CACHED_SECONDS = 1.0


class RunDisplay(LiveDisplay):
    """Shows runs one after the other: a :class:`harness.runs.sequence.SequenceObserver`.

    ``quiet`` prints nothing.
    """

    def __init__(self, requests: Sequence[RunRequest], *, quiet: bool, certify: bool) -> None:
        self._runs = len(requests)
        self._begun = 0
        works = {certified_work(request): request for request in requests} if certify else {}
        self._remaining = Remaining(
            [*map(_certificate_activity, works.values()), *map(_run_activity, requests)], time.monotonic
        )
        super().__init__(quiet=quiet, printed=-math.inf)
        self._line: TaskID = self._progress.add_task("", total=None)

    def certifying(self, configuration: Configuration, task: str) -> None:
        """See :class:`harness.runs.sequence.CertificationObserver`."""
        self._remaining.begin(Activity("certificate", f"{configuration.label} {task}"))
        self.update(f"certifying {configuration.label} on {task}", "comparing with the reference in float64")

    def examined(self, configuration: Configuration, task: str, cases: int, of: int) -> None:
        """See :class:`harness.runs.sequence.CertificationObserver`."""
        self._remaining.advance(cases / of)
        self.update(f"certifying {configuration.label} on {task}", f"case {cases} of {of}")

    def certified(
        self, configuration: Configuration, task: str, certificate: Certificate, seconds: float
    ) -> None:
        """See :class:`harness.runs.sequence.CertificationObserver`."""
        self._remaining.end()
        if self.live and seconds > CACHED_SECONDS:
            outcome = certificate_label(certificate)
            self.say(f"{configuration.label} on {task}: {outcome} in {seconds:.0f} s")

    def begin(self, request: RunRequest) -> RunObserver:
        """See :class:`harness.runs.sequence.SequenceObserver`."""
        self._begun += 1
        self._remaining.begin(_run_activity(request))
        name = self._name(request)
        self.update(name, "starting a worker")
        line = RunLine(self, name, request.plan.task)
        return self._tracking.follow(line) if self._tracking else line

    def recorded_elsewhere(self, request: RunRequest, record: Record) -> None:
        """See :class:`harness.runs.sequence.SequenceObserver`."""
        self._begun += 1
        self._remaining.drop(_run_activity(request))
        self.say(f"{self._name(request)}: {record.status}, by another process")

    def waiting(self, runs: int) -> None:
        """See :class:`harness.runs.sequence.SequenceObserver`."""
        self.update(f"waiting for {runs} run{'s' * (runs > 1)} of other processes", "")

    def _name(self, request: RunRequest) -> str:
        plan = request.plan
        number = f"[{self._begun}/{self._runs}] " if self._runs > 1 else ""
        variant = f" ({request.variant})" if request.variant else ""
        return f"{number}{plan.task.name} {request.backend}:{plan.mode} seed {plan.seed}{variant}"

    def advance(self, share: float) -> None:
        """This share of the current run's training is done."""
        self._remaining.advance(share)

    def end(self, outcome: str) -> None:
        """The current run has ended."""
        self._remaining.end()
        self.say(outcome)

    def update(self, name: str, *details: str) -> None:
        """Show work under way. ``name`` stays whole; details that do not fit a terminal are left out."""
        if self.live:
            width = self._console.width - SPINNER_WIDTH
            self._progress.update(self._line, description=fitted(name, self._with_time_left(details), width))
        elif time.monotonic() - self._printed >= QUIET_SECONDS:
            self.say(": ".join(filter(None, [name, ", ".join(self._with_time_left(details))])))

    def _with_time_left(self, details: Sequence[str]) -> list[str]:
        """The first detail, the time left of all runs, and the other details."""
        seconds = self._remaining.seconds()
        shown = list(filter(None, details))
        first, others = shown[:1], shown[1:]
        return [*first, *([left_text(seconds)] if seconds and seconds >= 1 else []), *others]


def fitted(name: str, details: Sequence[str], width: int) -> str:
    """``name: detail, detail`` with those details, in their order, that fit the width."""
    text = name
    for detail in details:
        longer = f"{text}{': ' if text == name else ', '}{detail}"
        if len(longer) <= width:
            text = longer
    return text


def _certificate_activity(request: RunRequest) -> Activity:
    configuration, task, _ = certified_work(request)
    return Activity("certificate", f"{configuration.label} {task}")


def _run_activity(request: RunRequest) -> Activity:
    return Activity("run", f"{request.backend}:{request.plan.mode} {request.plan.task.name}")


class Line(Protocol):
    """Where a run is shown."""

    def update(self, name: str, *details: str) -> None:
        """Show work under way."""

    def advance(self, share: float) -> None:
        """This share of the run's training is done."""

    def end(self, outcome: str) -> None:
        """The run has ended."""


class RunLine:
    """One run on the display: a :class:`harness.runs.sequence.RunObserver`."""

    def __init__(self, display: Line, name: str, task: Task) -> None:
        self._display = display
        self._name = name
        self._epochs = task.epochs
        self._measure = measure_of_task(task)
        self._loss = "generator loss" if isinstance(task.objective, Adversarial) else "loss"
        self._score = ""
        self._epoch = ""

    def started(self, record: Record) -> None:
        """See :class:`harness.runs.execute.Observer`. The phases show it already."""

    def phase(self, name: str) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._display.update(self._name, ", ".join(filter(None, (self._epoch, name))))

    def trained(self, step: int, total_steps: int, epoch: int, loss: float, step_seconds: float) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._display.advance(step / total_steps)
        self._epoch = f"epoch {epoch}/{self._epochs}"
        speed = f"{1 / step_seconds:.1f} steps/s" if step_seconds else ""
        self._display.update(self._name, self._epoch, f"{self._loss} {significant(loss)}", self._score, speed)

    def scored(self, epoch: Epoch) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._score = f"validation {self._measure.name} {score_value(self._measure, epoch.validation)}"

    def end(self, record: Record) -> None:
        """See :class:`harness.runs.sequence.RunObserver`."""
        failure = record.failure
        if failure is None:
            outcome = f"test {test_score(record)}"
        elif record.status == "unsupported":
            outcome = record.status  # the result states the reason
        else:
            outcome = failure_text(record.status, failure)
        self._display.end(f"{self._name}: {outcome}")
