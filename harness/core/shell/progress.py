"""Progress of work in phases, and of downloads and imports, on standard error."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from harness.core.documents.numbers import about
from harness.core.shell.console import LiveLine, console
from harness.spec.data import DownloadProgress

#: How often a phase that goes on is shown again.
_REMINDER_SECONDS = 60.0


class Phases:
    """The phases of one piece of work.

    A phase that takes minutes is shown again every minute, so that it does not seem to hang.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._line = LiveLine(quiet=quiet)
        self._ends = threading.Event()
        self._current = ("", time.monotonic())
        self._thread = threading.Thread(target=self._remind, daemon=True)

    def begin(self, phase: str) -> None:
        """Show that ``phase`` begins."""
        self._current = (phase, time.monotonic())
        self._line.doing(phase)

    def _remind(self) -> None:
        while not self._ends.wait(_REMINDER_SECONDS):
            phase, began = self._current
            if (passed := time.monotonic() - began) >= _REMINDER_SECONDS:
                self._line.doing(f"{phase}, {about(passed)} so far")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        self._thread.join()
        self._line.stop()


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[DownloadProgress]:
    """Show a download or an import on standard error; ``quiet`` shows nothing."""
    if quiet:
        yield lambda _what, _done, _total: None
        return
    shown = console(quiet=False)
    if not shown.is_terminal:
        yield _PlainProgress(lambda line: shown.print(line, markup=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=shown) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


class _PlainProgress:
    """Prints a line when a step begins, and a line for each tenth of it if its size is known."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._tenths: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if self._tenths.get(what, -1) < tenth:
            self._tenths[what] = tenth
            amount = f": {10 * tenth} % of {total / 1e6:.1f} MB" if total else ""
            self._say(f"{what}{amount}")
