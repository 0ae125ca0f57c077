"""What displays of runs share: a live part on a terminal, lines that stay, and trackers to follow."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Column

from harness.cli.messages import print_error
from harness.cli.standard_error import console, print_line
from harness.runs.record import DatasetRecord
from harness.tracking.following import Tracking
from harness.tracking.tracker import Tracker

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
