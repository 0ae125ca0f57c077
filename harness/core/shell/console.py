"""The console on standard error, and its live line: one changing line on a terminal, otherwise plain lines.

Progress that cannot be written is dropped, so that the work continues without it.
"""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Self, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.core.shell.printing import discard, visible

#: Values of ``TERM``.
_WITHOUT_CURSOR = ("dumb", "unknown")


class _Forgiving:
    """A stream that drops what it cannot write: its reader has left, or the disk is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BlockingIOError:
            pass  # the pipe is full
        except OSError:
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _VisibleConsole(Console):
    """A console whose text cannot change styles or move the cursor."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments with visible text; see :func:`harness.core.shell.printing.visible`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(*, quiet: bool) -> Console:
    """Make a console on standard error that never raises; ``quiet`` prints nothing.

    A live line needs a terminal that can move its cursor. ``NO_COLOR`` is honoured by rich; ``FORCE_COLOR``,
    which many CI systems set, does not make a log a terminal.
    """
    file = cast("TextIO", _Forgiving(sys.stderr)) if sys.stderr else None  # None: it was closed at the start
    live = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in _WITHOUT_CURSOR
    return _VisibleConsole(file=file, stderr=True, quiet=quiet, highlight=False, force_terminal=live)


def print_line(console: Console, text: str) -> None:
    """Print a permanent line: wrapped at words on a terminal, in one piece elsewhere.

    Rich would also cut the live line while it prints a line that it does not wrap.
    """
    console.print(text, markup=False, soft_wrap=not console.is_terminal)


class LiveLine:
    """The current activity: one changing line on a terminal, otherwise a line for each activity.

    Use it as a context manager.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = console(quiet=quiet)
        self._status = self._console.status("")
        if self._console.is_terminal and not quiet:
            self._status.start()

    def show(self, activity: str) -> None:
        """Replace the changing line."""
        self._status.update(Text(activity))  # Text: brackets in a name are not markup

    def doing(self, activity: str) -> None:
        """Show that an activity begins."""
        self.show(activity)
        if not self._console.is_terminal:
            self.say(activity)

    def say(self, text: str) -> None:
        """Print a permanent line."""
        print_line(self._console, text)

    def stop(self) -> None:
        """Remove the changing line."""
        self._status.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
