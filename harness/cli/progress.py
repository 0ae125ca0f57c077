"""Progress of runs on standard error: one live line on a terminal, otherwise a line every ten seconds."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column

from harness.certify.certificate import Certificate
from harness.cli.printing import print_error
from harness.cli.standard_error import LiveLine, console, print_line
from harness.duel.fastest_mode import BUDGET_SECONDS
from harness.duel.mode_times import ModeTimes
from harness.duel.preparation import Prepared
from harness.duel.record import DuelRecord
from harness.duel.runner import Outlook
from harness.plugins.configuration import Configuration
from harness.report.check import certificate_label
from harness.report.duel import chosen_sentence
from harness.report.numbers import (
    about,
    failure_text,
    score_value,
    significant,
    test_score,
    time_left,
    time_ratio,
)
from harness.runs.record import DatasetRecord, Epoch, Record
from harness.runs.request import RunRequest
from harness.runs.sequence import RunObserver, certified_work
from harness.spec.task import Adversarial, Task
from harness.tracking.following import Tracking
from harness.tracking.tracker import Tracker
from harness.training.measures import measure_of_task

# The time that is left of a sequence of activities, such as certificates and runs, from those that ended.

_MINUTE, _HOUR = 60, 3600
#: From this share of the current activity on, its own speed counts instead of earlier activities.
_OWN_SPEED = 0.1


class Activity(NamedTuple):
    """``group`` is ``certificate`` or ``run``; those of the same ``kind`` take about as long."""

    group: str
    kind: str


class Remaining:
    """Estimates the time left of planned activities, one of which runs at a time, in any order."""

    def __init__(self, planned: Sequence[Activity], clock: Callable[[], float]) -> None:
        self._to_come = list(planned)
        self._clock = clock
        self._seconds: dict[Activity, list[float]] = {}
        self._current: Activity | None = None
        self._began = 0.0
        self._share_began: tuple[float, float] | None = None
        self._share = 0.0

    def begin(self, activity: Activity) -> None:
        """An activity begins; what was planned of its kind is one less."""
        self._current, self._began = activity, self._clock()
        self._share_began, self._share = None, 0.0
        if activity in self._to_come:
            self._to_come.remove(activity)

    def drop(self, activity: Activity) -> None:
        """A planned activity will not begin."""
        if activity in self._to_come:
            self._to_come.remove(activity)

    def advance(self, share: float) -> None:
        """This share of the current activity, from 0 to 1, is done."""
        if self._share_began is None:
            self._share_began = share, self._clock()
        self._share = share

    def end(self) -> None:
        """The current activity has ended."""
        if self._current is not None:
            self._seconds.setdefault(self._current, []).append(self._clock() - self._began)
        self._current = None

    def seconds(self) -> float | None:
        """The seconds left in all; None while nothing is known of one of the groups."""
        current = self._of_current()
        to_come = [self._expected(activity) for activity in self._to_come]
        known = [seconds for seconds in (current, *to_come) if seconds is not None]
        return sum(known) if len(known) == len(to_come) + 1 else None

    def _of_current(self) -> float | None:
        """What is left of the current activity; 0 between two of them."""
        if self._current is None:
            return 0.0
        whole = self._whole_of_current()
        return None if whole is None else max(0.0, whole - (self._clock() - self._began))

    def _whole_of_current(self) -> float | None:
        """How long the current activity takes in all: at its own speed, or as long as earlier ones."""
        expected = None if self._current is None else self._ended_like(self._current)
        if self._share_began is None:
            return expected
        first, since = self._share_began
        by_own_speed = self._share >= _OWN_SPEED or expected is None
        if self._share <= first or self._share >= 1 or not by_own_speed:
            return expected  # after training a run is scored and verified
        left = (self._clock() - since) / (self._share - first) * (1 - self._share)
        return self._clock() - self._began + left

    def _expected(self, activity: Activity) -> float | None:
        """How long a planned activity takes: the mean of its kind, or else of its group."""
        ended = self._ended_like(activity)
        if ended is None and self._current is not None and self._current.group == activity.group:
            return self._whole_of_current()
        return ended

    def _ended_like(self, activity: Activity) -> float | None:
        if activity in self._seconds:
            return statistics.fmean(self._seconds[activity])
        of_group = [
            seconds
            for each, ended in self._seconds.items()
            if each.group == activity.group
            for seconds in ended
        ]
        return statistics.fmean(of_group) if of_group else None


def left_text(seconds: float) -> str:
    """``40 s left``, ``12 min left``, ``1 h 20 min left``: two digits are more than is known."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s left"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min left"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {minutes} min left"


# What displays of runs share: a live part on a terminal, lines that stay, and trackers to follow.

#: The spinner and the space after it.
SPINNER_WIDTH = 2
#: Without a terminal no line about work under way comes sooner after another line.
QUIET_SECONDS = 10.0


class LiveDisplay:
    """A context manager; ``quiet`` prints nothing. ``printed`` is when the last line was, monotonic."""

    def __init__(self, *, quiet: bool, printed: float) -> None:
        self._console = console(quiet=quiet)
        self._printed = printed
        self._tracking: Tracking | None = None
        self.live = self._console.is_terminal and not quiet
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
            console=self._console,
            disable=not self.live,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._printed = time.monotonic()
        print_line(self._console, text)

    def warn(self, text: str) -> None:
        """Print a line that stays, even where no progress is shown."""
        if self._console.quiet:
            print_error(text)
        else:
            self.say(text)

    def track(self, trackers: Sequence[Tracker], folder: Path) -> None:
        """Show the runs in these tools, too; ``folder`` is that of the records."""
        self._tracking = Tracking(trackers, folder, self.warn)

    def stand_ins(self, datasets: Iterable[DatasetRecord]) -> None:
        """Say once for each data set that it replaces another, and why."""
        for text in stand_in_texts(datasets):
            self.say(text)


def stand_in_texts(datasets: Iterable[DatasetRecord]) -> list[str]:
    """A sentence for each data set that replaces another, and why."""
    return [
        f"Data set {dataset.stands_in_for} is not available, {dataset.name} is used instead: {dataset.reason}"
        for dataset in {each.name: each for each in datasets if each.stands_in_for}.values()
    ]


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


# Progress of a duel on standard error, and of the short duel by which the fastest mode is found.


class DuelDisplay(LiveLine):
    """Progress on standard error; see :class:`harness.duel.runner.DuelObserver`."""

    def preparing(self, *, certify: bool) -> None:
        """What happens before the first pair."""
        self.doing(f"{'certifying and ' if certify else ''}trying each configuration once")

    def certifying(self, label: str) -> None:
        """See :class:`harness.duel.runner.DuelObserver`."""
        self.doing(f"certifying {label}")

    def trying(self, label: str) -> None:
        """See :class:`harness.duel.runner.DuelObserver`."""
        self.doing(f"trying {label}")

    def measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        """What a pair consists of, and what a verdict takes."""
        steps = " and ".join(map(str, prepared.steps))
        fewest, seconds = outlook.fewest_pairs, outlook.pair_seconds
        self.doing(
            f"{prepared.turns} blocks of {steps} steps; a verdict takes at least {fewest} pairs of about "
            f"{seconds:.0f} s, {about(fewest * seconds)}"
        )
        if outlook.pairs_left < fewest:
            self.say(
                f"The time suffices for about {max(1, outlook.pairs_left)} of these, so the result will "
                f"say what is likely; give at least {about(outlook.seconds_needed)} for a verdict"
            )

    def paired(self, record: DuelRecord, seconds_left: float) -> None:
        """The ratios after each pair."""
        ratios = "; ".join(
            f"{result.configuration} {time_ratio(result.ratio)}"
            + (f", {result.verdict}" if result.verdict != "undecided" else "")
            for result in record.results
        )
        left = "" if record.stopped_because else f"; {time_left(seconds_left)}"
        self.say(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {ratios}{left}")
        self.show(f"pair {len(record.pairs) + 1}{left}")


class ModeDisplay(DuelDisplay):
    """See :class:`harness.duel.fastest_mode.ModeObserver`."""

    def timing_modes(self, label: str, task: str, modes: list[str]) -> None:
        """What is measured, and how long it takes at most."""
        self.say(f"{label} on {task}: timing {', '.join(modes)} for at most {about(BUDGET_SECONDS)}")

    def chosen(self, times: ModeTimes) -> None:
        """The mode that is used, and how much longer the others take."""
        self.say(chosen_sentence(times))

    def measuring(self, prepared: Prepared, outlook: Outlook) -> None:
        """No verdict is needed, so nothing is said about its time."""
