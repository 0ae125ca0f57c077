"""Making a site: what changed since the last time is made again, and the rest is kept."""

import gc
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import harness
from harness.core.documents.document import Item
from harness.core.documents.find import Result
from harness.core.documents.kinds import RecordKind, UnreadableRecord
from harness.core.machine.cpus import usable_cpus
from harness.core.plugins.distributions import HARNESS
from harness.core.runs.selection import no_garbage_collection
from harness.core.runs.store import RUNS
from harness.core.shell.features import records
from harness.sharing.publish.branch import branch_pages, lately, read_branch
from harness.sharing.publish.folder import SiteFolder
from harness.sharing.publish.index import Answer, Entry, Index, Part, Stamp, digest_of
from harness.sharing.publish.layout import Layout, shared_files
from harness.sharing.publish.overview import (
    machine_pages,
    machines_page,
    records_page,
    start_page,
    task_pages,
)
from harness.sharing.publish.records import images_of, publish_record, stamp_of
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES

#: Fewer changed records are published in this process.
_FEWEST_FOR_WORKERS = 200
_CHUNK = 50


class Published(NamedTuple):
    """The number of records in a site, of those published now, and why files could not be published."""

    records: int
    changed: int
    problems: list[str]


def publish(results: Path, folder: Path, title: str, repository: str) -> Published:
    """Make the site of a results folder in ``folder``, or bring it up to date.

    Raises:
        UsageError: the folder has files of the user.
        OSError: a file cannot be written.
    """
    site = SiteFolder(folder)
    shared = shared_files()
    with no_garbage_collection():
        made_by = digest_of([_code_version(), title, repository, *shared.values()])
        published = _Site(site, Index.read(folder, made_by), results, title, repository, made_by).make(shared)
        gc.freeze()
    return published


def _code_version() -> str:
    """Return the version of the harness, and when its code changed: between releases the version stays."""
    top = Path(harness.__file__).parent
    newest = max(path.stat().st_mtime_ns for path in top.rglob("*.py"))
    return f"{metadata.version(HARNESS)} {newest}"


class _Site:
    """A site while it is made. ``_layout`` knows the pages of all records, whether made now or before."""

    def __init__(
        self, folder: SiteFolder, old: Index, results: Path, title: str, repository: str, made_by: str
    ) -> None:
        self._folder, self._old, self._repository = folder, old, repository
        self._index = Index(made_by)
        self._found: dict[str, Result] = {}
        for result in records().results_in(results):
            self._found[f"{result.kind.folder}/{result.path.stem}"] = result
        pages = {result.path.stem: f"{name}.html" for name, result in self._found.items()}
        self._layout = Layout(title, pages)
        self._images = images_of({result.path.parent for result in self._found.values()})

    def make(self, shared: dict[str, str]) -> Published:
        for name, text in shared.items():
            self._folder.write(name, text)
        changed = self._publish_records()
        every = self._index.entries.values()
        good = sorted((each for each in every if not each.problem), key=lambda each: each.id, reverse=True)
        problems = sorted((each for each in every if each.problem), key=lambda each: each.id)
        answers = self._tasks(good)
        self._machines(good)
        changes = self._branch(good)
        listed = digest_of([(each.page, each.stamp) for each in good] + [each.problem for each in problems])
        self._part("records", listed, lambda: (records_page(good, problems, self._layout), []))
        start = digest_of([listed, answers, changes])
        self._part("start", start, lambda: (start_page(good, answers, changes, problems, self._layout), []))
        kept = {*shared, *(page for part in self._index.parts.values() for page in part.pages)}
        for each in good:
            kept |= {each.page, f"{each.kind}/{each.id}.json", *each.beside}
        self._folder.keep_only(kept)
        self._folder.write(*self._index.file())
        return Published(len(good), changed, [each.problem for each in problems])

    def _publish_records(self) -> int:
        """Publish the records that are new or changed; return their number."""
        work: list[tuple[str, Result, Stamp, str]] = []
        of_runs = self._digest_of_runs()
        for name, result in self._found.items():
            stamp = stamp_of(result.path) or (0, 0)
            depends = of_runs if result.kind.reads_results else ""
            entry = self._old.entries.get(name)
            is_same = entry and (entry.stamp, entry.depends, entry.problem) == (stamp, depends, "")
            if entry and is_same and self._has([entry.page, f"{entry.kind}/{entry.id}.json", *entry.beside]):
                self._index.entries[name] = entry
            else:
                work.append((name, result, stamp, depends))
        # Pages that show other records are made last: those must be there.
        work.sort(key=lambda each: bool(each[3]))
        for (name, *_, depends), entry in zip(work, self._entries(work), strict=True):
            entry.depends = depends
            self._index.entries[name] = entry
        return len(work)

    def _published(self, result: Result, stamp: Stamp) -> Entry:
        images = self._images.get(result.path.stem, [])
        return publish_record(result, stamp, images, self._folder, self._layout)

    def _digest_of_runs(self) -> str:
        return digest_of(stamp_of(result.path) for result in self._found.values() if result.kind is RUNS)

    def _entries(self, work: Sequence[tuple[str, Result, Stamp, str]]) -> Iterable[Entry]:
        cpus = usable_cpus()
        first = [each for each in work if not each[3]]
        if len(first) < _FEWEST_FOR_WORKERS or cpus == 1:
            return [self._published(result, stamp) for _, result, stamp, _ in work]
        _inherited[:] = [(self._folder, self._layout)]
        with ProcessPoolExecutor(cpus, mp_context=get_context("fork")) as pool:
            tasks = [
                (result.kind.folder, str(result.path), stamp, self._images.get(result.path.stem, []))
                for _, result, stamp, _ in first
            ]
            entries = [*pool.map(_in_worker, tasks, chunksize=_CHUNK)]
        return [
            *entries,
            *(self._published(result, stamp) for _, result, stamp, depends in work if depends),
        ]

    def _part(
        self, name: str, digest: str, make: Callable[[], tuple[dict[str, str], list[Answer]]]
    ) -> list[Answer]:
        """Make the pages of a part unless they were made of the same; return its answers."""
        old = self._old.parts.get(name)
        if old is None or old.digest != digest or not self._has(old.pages):
            files, answers = make()
            pages = [self._folder.write(page, text) for page, text in files.items()]
            old = Part(digest, pages, answers)
        self._index.parts[name] = old
        return old.answers

    def _has(self, pages: Iterable[str]) -> bool:
        return all((self._folder.path / page).is_file() for page in pages)

    def _tasks(self, good: Sequence[Entry]) -> list[Answer]:
        answers: list[Answer] = []
        tasks = dict.fromkeys(each.task for each in good if each.kind == RUNS.folder)
        for task in sorted(tasks):
            entries = [each for each in good if each.task == task]
            digest = digest_of((each.page, each.stamp) for each in entries)
            answers += self._part(f"task {task}", digest, lambda: self._task(task, entries))  # noqa: B023
        return answers

    def _task(self, task: str, entries: Sequence[Entry]) -> tuple[dict[str, str], list[Answer]]:
        runs = self._read(RUNS, entries)
        return task_pages(task, entries, runs, [*self._read(DUELS, entries)], self._folder.path, self._layout)

    def _read(self, kind: RecordKind[Any], entries: Iterable[Entry]) -> Iterable[Any]:
        """Read the published records of a kind, oldest first."""
        paths = [
            self._folder.path / each.kind / f"{each.id}.json"
            for each in sorted(entries, key=lambda each: each.id)
            if each.kind == kind.folder
        ]
        return (each for each in kind.read_each(paths) if not isinstance(each, UnreadableRecord))

    def _machines(self, good: Sequence[Entry]) -> None:
        machines: dict[str, list[Entry]] = {}
        for each in good:
            if each.machine:
                machines.setdefault(each.machine, []).append(each)
        for machine, entries in machines.items():
            digest = digest_of((each.page, each.stamp) for each in entries)
            self._part(
                f"machine {machine}",
                digest,
                lambda: (machine_pages(entries, machine, self._layout), []),  # noqa: B023
            )
        counts = {machine: len(entries) for machine, entries in machines.items()}
        self._part("machines", digest_of(counts.items()), lambda: (machines_page(counts, self._layout), []))

    def _branch(self, good: Sequence[Entry]) -> list[Item]:
        """Make the pages of the branch; return what changed lately."""
        gates = [each for each in good if each.kind == GATES.folder]
        digest = digest_of((each.page, each.stamp) for each in gates)
        old = self._old.lately
        self._index.lately = old

        def make() -> tuple[dict[str, str], list[Answer]]:
            branch = read_branch([*self._read(GATES, gates)], self._repository)
            self._index.lately = msgspec.json.encode(lately(branch)).decode()
            return branch_pages(branch, self._layout), []

        self._part("branch", digest, make)
        return msgspec.json.decode(self._index.lately or "[]", type=list[Item])


#: What forked workers inherit.
_inherited: list[tuple[SiteFolder, Layout]] = []


def _in_worker(task: tuple[str, str, Stamp, list[Path]]) -> Entry:
    folder, path, stamp, images = task
    kind = next(kind for kind in records().kinds if kind.folder == folder)
    return publish_record(Result(kind, Path(path)), stamp, images, *_inherited[0])
