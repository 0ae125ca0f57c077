"""Standard error, for what goes on: a live line on a terminal, else plain lines; silence once it broke."""

import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from harness.cli.messages import discard


class _Forgiving:
    """A stream that swallows what it cannot write: work goes on though nobody can be told of it any more.

    The reader may have left, the terminal been closed, the disk behind it be full.
    """

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
            pass  # it is full for the moment
        except OSError:
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def console(*, quiet: bool) -> Console:
    """One that writes to standard error and never raises for it; ``quiet`` says nothing at all."""
    file = cast("TextIO", _Forgiving(sys.stderr)) if sys.stderr else None  # None: it came closed
    return Console(file=file, stderr=True, quiet=quiet, highlight=False)


class LiveLine:
    """What is being done: a line that changes on a terminal, else a line each time."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = console(quiet=quiet)
        self._status = self._console.status("")
        if self._console.is_terminal and not quiet:
            self._status.start()

    def show(self, what: str) -> None:
        """Put it into the line that changes."""
        self._status.update(Text(what))  # a name in brackets is no markup

    def doing(self, what: str) -> None:
        """Something begins."""
        self.show(what)
        if not self._console.is_terminal:
            self.say(what)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Take the live line away."""
        self._status.stop()
