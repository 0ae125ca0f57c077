"""What a person sees on standard error while runs go: one live line on a terminal, else plain lines."""

import datetime
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.cli.standard_error import console
from harness.runs.execute import RunRequest
from harness.runs.record import Epoch, Record


class RunDisplay:
    """Shows runs, one after the other. ``quiet`` says nothing at all."""

    def __init__(self, runs: int, *, quiet: bool) -> None:
        self._runs = runs
        self._begun = 0
        self._console = console(quiet=quiet)
        self.live = self._console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[status]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self.live,
            transient=True,
        )
        self._bar: TaskID = self._progress.add_task("", total=None, status="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def describe(self, what: str) -> None:
        """What goes on between runs."""
        self._progress.reset(self._bar, total=None, description=what, status="")

    def begin(self, request: RunRequest) -> "RunLine":
        """The observer of the next run."""
        self._begun += 1
        plan = request.plan
        number = f"[{self._begun}/{self._runs}]"
        name = f"{number} {plan.task.name} {request.backend}:{plan.mode} seed {plan.seed}"
        self._progress.reset(self._bar, total=None, description=name, status="starting a worker")
        return RunLine(self, name, plan.task.epochs)

    def update(self, status: str, completed: int | None = None, total: int | None = None) -> None:
        """Change the live line."""
        self._progress.update(self._bar, status=status, completed=completed, total=total)


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


class RunLine:
    """One run on the display: a :class:`harness.runs.execute.Observer`."""

    def __init__(self, display: RunDisplay, name: str, epochs: int) -> None:
        self._display = display
        self._name = name
        self._epochs = epochs
        self._accuracy = ""
        self._speed = ""
        self._seconds_left = 0.0
        self._training = ""

    def phase(self, name: str) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._display.update(" | ".join(part for part in (self._training, name) if part))

    def trained(self, step: int, total_steps: int, epoch: int, loss: float, step_seconds: float) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        self._speed = f"{1 / step_seconds:.1f} steps/s" if step_seconds else ""
        self._seconds_left = (total_steps - step) * step_seconds
        parts = [f"epoch {epoch}/{self._epochs}", f"loss {loss:.3f}", self._accuracy, self._speed]
        self._training = " | ".join(part for part in parts if part)
        self._display.update(self._training, step, total_steps)

    def scored(self, epoch: Epoch) -> None:
        """See :class:`harness.runs.execute.Observer`."""
        measure = "accuracy" if "accuracy" in epoch.train else "loss"
        train, validation = epoch.train[measure], epoch.validation[measure]
        self._accuracy = f"{measure} {_short(train)} train {_short(validation)} val"
        if self._display.live:
            return
        parts = [f"epoch {epoch.epoch}/{self._epochs}", f"loss {epoch.training_loss:.3f}", self._accuracy]
        if self._speed:  # not known after the first step
            left = datetime.timedelta(seconds=round(self._seconds_left))
            parts += [self._speed, f"{left} of training left"]
        self._display.say(" | ".join([self._name, *parts]))

    def end(self, record: Record) -> None:
        """The run is over."""
        if record.failure is not None:
            outcome = f"{record.status}: {record.failure.message}"
        else:
            scores = record.test_at_last or {}
            measure = "accuracy" if "accuracy" in scores else "loss"
            outcome = f"test {measure} {_short(scores.get(measure))}"
        self._display.say(f"{self._name}: {outcome}")
