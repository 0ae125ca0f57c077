"""Progress of downloads and imports: a bar on a terminal, otherwise a line for each tenth."""

import contextlib
from collections.abc import Callable, Iterator

from harness.spec.data import DownloadProgress


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[DownloadProgress]:
    """Show a download or an import on standard error; ``quiet`` shows nothing."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from harness.cli.standard_error import console

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
    """Few lines: one when a step begins, then one for each tenth of it if its size is known."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._tenths: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if self._tenths.get(what, -1) < tenth:
            self._tenths[what] = tenth
            amount = f": {10 * tenth} % of {total / 1e6:.1f} MB" if total else ""
            self._say(f"{what}{amount}")
