"""Progress of downloads and imports: a bar where standard error is a terminal, else a line at each tenth."""

import contextlib
from collections.abc import Callable, Iterator

from harness.spec.data import DownloadProgress


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[DownloadProgress]:
    """Tells on standard error of a download or an import; ``quiet`` says nothing."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from harness.cli.standard_error import console

    if quiet:
        yield lambda _what, _done, _total: None
        return
    shown = console(quiet=False)
    if not shown.is_terminal:
        yield _PlainProgress(lambda line: shown.print(line, markup=False, soft_wrap=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.update(tasks[what], completed=done, total=total or None)

        yield show


class _PlainProgress:
    """Few lines: where a step begins, and each tenth of it where the total is known."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seen: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if self._seen.get(what, -1) < tenth:
            self._seen[what] = tenth
            amount = f" {10 * tenth} % of {total / 1e6:.1f} MB" if total else ""
            self._say(f"{what}{amount}")
