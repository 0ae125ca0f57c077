"""Progress of runs on standard error: one live line on a terminal, otherwise plain lines."""

import datetime
import math
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.cli.standard_error import console
from harness.plugins.configuration import Configuration
from harness.report.certificate_words import certificate_label
from harness.report.numbers import significant
from harness.report.phrases import failure_text
from harness.report.scores import score_value, test_score
from harness.runs.record import DatasetRecord, Epoch, Record
from harness.runs.request import RunRequest
from harness.spec.task import Task
from harness.testing.certificate import Certificate
from harness.training.measures import measure_of_task

#: A certificate that takes longer was not in the cache: its time is worth a line.
_CACHED_SECONDS = 1.0
_BAR_WIDTH = 12
_TIME_WIDTH = len("00:00")
_NARROWEST = 20
#: Lines about a run where progress is not one live line, its outcome excluded.
_MOST_LINES = 20
#: The speed behind the bar's remaining time is the mean over this time: the whole run.
_SPEED_SECONDS = 24 * 3600.0


class RunDisplay:
    """Shows runs one after the other: a :class:`harness.runs.sequence.SequenceObserver`.

    ``quiet`` prints nothing.
    """

    def __init__(self, runs: int, *, quiet: bool) -> None:
        self._runs = runs
        self._begun = 0
        self._console = console(quiet=quiet)
        self.live = self._console.is_terminal and not quiet
        self._progress = Progress(
            BarColumn(bar_width=_BAR_WIDTH),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            disable=not self.live,
            transient=True,
            speed_estimate_period=_SPEED_SECONDS,
        )
        self._bar: TaskID = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def stand_ins(self, datasets: Iterable[DatasetRecord]) -> None:
        """Say once for each data set that it replaces another, and why."""
        for dataset in {each.name: each for each in datasets if each.stands_in_for}.values():
            self.say(
                f"Data set {dataset.stands_in_for} is not available, {dataset.name} is used instead: "
                f"{dataset.reason}"
            )

    def certifying(self, configuration: Configuration, task: str) -> None:
        """See :class:`harness.runs.sequence.SequenceObserver`."""
        activity = f"certifying {configuration.label} on {task} (float64, compared with the reference)"
        self._progress.reset(self._bar, total=None, description=self._fitted(activity))

    def certified(
        self, configuration: Configuration, task: str, certificate: Certificate, seconds: float
    ) -> None:
        """See :class:`harness.runs.sequence.SequenceObserver`."""
        if seconds > _CACHED_SECONDS:
            outcome = certificate_label(certificate)
            self.say(f"{configuration.label} on {task}: {outcome} in {seconds:.0f} s")

    def begin(self, request: RunRequest) -> "RunLine":
        """See :class:`harness.runs.sequence.SequenceObserver`."""
        self._begun += 1
        plan = request.plan
        number = f"[{self._begun}/{self._runs}] " if self._runs > 1 else ""
        variant = f" ({request.variant})" if request.variant else ""
        name = f"{number}{plan.task.name} {request.backend}:{plan.mode} seed {plan.seed}{variant}"
        self._progress.reset(self._bar, total=None, description=self._fitted(f"{name}: starting a worker"))
        return RunLine(self, name, plan.task)

    def update(self, text: str, completed: int | None = None, total: int | None = None) -> None:
        """Change the live line."""
        self._progress.update(self._bar, description=self._fitted(text), completed=completed, total=total)

    def _fitted(self, text: str) -> str:
        """Cut to the width of the terminal: rich would drop the bar before it cuts the text."""
        width = max(_NARROWEST, self._console.width - _BAR_WIDTH - _TIME_WIDTH - 2)
        return text if len(text) <= width else f"{text[: width - 1]}…"


class RunLine:
    """One run on the display: a :class:`harness.runs.sequence.RunObserver`."""

    def __init__(self, display: RunDisplay, name: str, task: Task) -> None:
        self._display = display
        self._name = name
        self._epochs = task.epochs
        self._measure = measure_of_task(task)
        self._scores = ""
        self._speed = ""
        self._began: tuple[int, float] | None = None
        self._seconds_left: float | None = None
        self._training = ""

    def phase(self, name: str) -> None:
        """See :class:`harness.runs.training.Observer`."""
        self._display.update(f"{self._name}: {', '.join(filter(None, (self._training, name)))}")

    def trained(self, step: int, total_steps: int, epoch: int, loss: float, step_seconds: float) -> None:
        """See :class:`harness.runs.training.Observer`."""
        self._speed = f"{1 / step_seconds:.1f} steps/s" if step_seconds else ""
        self._seconds_left = self._estimate(step, total_steps)
        parts = [f"epoch {epoch}/{self._epochs}", f"loss {significant(loss)}", self._scores, self._speed]
        self._training = ", ".join(part for part in parts if part)
        self._display.update(f"{self._name}: {self._training}", step, total_steps)

    def _estimate(self, step: int, total_steps: int) -> float | None:
        """Seconds left at the mean speed since the first step, scoring included; None at the first one."""
        now = time.monotonic()
        if self._began is None:
            self._began = step, now
        first, start = self._began
        return (total_steps - step) * (now - start) / (step - first) if step > first else None

    def _is_shown(self, epoch: int) -> bool:
        """Whether this epoch has a line: every one, or so many that there are about 20."""
        return epoch == self._epochs or epoch % math.ceil(self._epochs / _MOST_LINES) == 0

    def scored(self, epoch: Epoch) -> None:
        """See :class:`harness.runs.training.Observer`."""
        training, validation = (
            score_value(self._measure, scores) for scores in (epoch.train, epoch.validation)
        )
        self._scores = f"{self._measure.name} {training} (training) {validation} (validation)"
        if self._display.live or not self._is_shown(epoch.epoch):
            return
        loss = f"loss {significant(epoch.training_loss)}"
        parts = [f"epoch {epoch.epoch}/{self._epochs}", loss, self._scores]
        if self._speed and self._seconds_left is not None:  # not known after the first step
            left = datetime.timedelta(seconds=round(self._seconds_left))
            parts += [self._speed, f"{left} left"]
        self._display.say(f"{self._name}: {', '.join(parts)}")

    def end(self, record: Record) -> None:
        """See :class:`harness.runs.sequence.RunObserver`."""
        failure = record.failure
        if failure is None:
            outcome = f"test {test_score(record)}"
        elif record.status == "unsupported":
            outcome = record.status  # the result states the reason
        else:
            outcome = failure_text(record.status, failure)
        self._display.say(f"{self._name}: {outcome}")
