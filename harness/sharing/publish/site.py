"""Making a site: all pages anew, from the records of a folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from harness.core.documents.files import fill_folder
from harness.core.documents.find import Result
from harness.core.documents.kinds import Envelope, RecordKind, UnreadableRecord
from harness.core.documents.numbers import score_value
from harness.core.machine.files import read_file
from harness.core.runs.record import Record
from harness.core.runs.selection import no_garbage_collection
from harness.core.runs.store import RUNS
from harness.core.shell.features import records
from harness.core.training.measures import measure_of_task
from harness.errors import HarnessError
from harness.sharing.publish.branch import branch_pages, lately, read_branch
from harness.sharing.publish.layout import Layout, shared_files
from harness.sharing.publish.overview import Answer, Entry, records_page, start_page, task_address, task_page
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES


class Published(NamedTuple):
    """The number of records in a site, and why files could not be published."""

    records: int
    problems: list[str]


def publish(results: Path, folder: Path, title: str, repository: str) -> Published:
    """Make the site of a results folder in ``folder``, in place of what an earlier call has made there."""
    fill_folder(folder)
    site = _Site(folder, results, Layout(title))
    with no_garbage_collection():
        return site.make(repository)


class _Site:
    def __init__(self, folder: Path, results: Path, layout: Layout) -> None:
        self._folder, self._results, self._layout = folder, results, layout
        self._written: set[Path] = set()

    def make(self, repository: str) -> Published:
        """Write all pages, and remove those of an earlier call that are not made again."""
        for name, text in shared_files().items():
            self._write(name, text.encode())
        found: dict[Entry, Result] = {}
        problems = []
        for result in records().results_in(self._results):
            try:
                found[self._publish(result)] = result
            except UnreadableRecord as error:
                problems.append(str(error))
            except (HarnessError, msgspec.MsgspecError, OSError) as error:
                problems.append(f"{result.path.name}: {error}")
        entries = sorted(found, key=lambda each: each.id, reverse=True)
        answers = [answer for task in _tasks(entries) for answer in self._task(task, entries, found)]
        gates = [*_read(GATES, entries, found)]
        branch = read_branch(gates, repository)
        self._pages(branch_pages(branch, self._layout))
        start = start_page(entries, answers, lately(branch), problems, self._layout)
        self._pages({"records.html": records_page(entries, self._layout), "index.html": start})
        for path in [*self._folder.rglob("*")]:
            is_hidden = any(part.startswith(".") for part in path.relative_to(self._folder).parts)
            if path.is_file() and path not in self._written and not is_hidden:
                path.unlink()
        return Published(len(entries), problems)

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._written.add(path)

    def _pages(self, pages: dict[str, str]) -> None:
        for name, text in pages.items():
            self._write(name, text.encode("utf-8", "replace"))

    def _publish(self, result: Result) -> Entry:
        kind, path = result
        record = kind.read(path)
        if getattr(record, "status", "") == "running":
            raise HarnessError("it is the record of work that is still running")
        entry = _entry(kind, record, path)
        link = Markup('<p><a href="{}">JSON of this record</a></p>').format(path.name)
        page = self._layout.page(entry.page, kind.page_of(record, path), link)
        self._pages({entry.page: page})
        self._write(f"{kind.folder}/{path.name}", read_file(path))
        return entry

    def _task(self, task: str, entries: Sequence[Entry], found: dict[Entry, Result]) -> list[Answer]:
        of_task = [each for each in entries if each.task == task]
        runs, duels = _read(RUNS, of_task, found), [*_read(DUELS, of_task, found)]
        page, answers = task_page(task, of_task, runs, duels, self._results, self._layout)
        self._pages({task_address(task): page})
        return answers


def _tasks(entries: Iterable[Entry]) -> list[str]:
    return sorted({each.task for each in entries if each.kind == RUNS.folder})


def _read(kind: RecordKind[Any], entries: Sequence[Entry], found: dict[Entry, Result]) -> Iterable[Any]:
    """Read the records of a kind, oldest first."""
    paths = [found[each].path for each in reversed(entries) if each.kind == kind.folder]
    return (each for each in kind.read_each(paths) if not isinstance(each, UnreadableRecord))


def _entry(kind: RecordKind[Any], record: Any, path: Path) -> Entry:
    listed = kind.row_of(record)
    entry = Entry(kind.folder, path.stem, "", *listed, "", "")
    if isinstance(record, Envelope):
        host = f", host {record.machine.host}" if record.machine.host else ""
        machine = f"{record.machine.model_text}{host}"
        entry = entry._replace(started=record.started_at, status=record.status, machine=machine)
    if kind is RUNS and isinstance(record, Record):
        score = score_value(measure_of_task(record.task.description), record.test_at_last)
        entry = entry._replace(label=record.configuration.label, seed=record.seed, score=score)
    return entry
