"""A site from the records of a results folder: which pages it has, and which of them are made again."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from harness.core.documents.document import Document
from harness.core.documents.render.html import Frame, html_page, shared_files
from harness.core.machine.cpus import usable_cpus
from harness.sharing.publish.branch import branch_document, read_branch, series_document
from harness.sharing.publish.copies import RESULTS, Source, publish_record, sources
from harness.sharing.publish.feed import feed
from harness.sharing.publish.files import write
from harness.sharing.publish.index import Entry, code_version, key_of, read_index, write_index
from harness.sharing.publish.overview import (
    address_of,
    machine_page,
    search_data,
    search_page,
    start_page,
    task_page,
)

_LINKS = (("Start", "index.html"), ("Branch", "branch.html"), ("Records", "records.html"))
_ASSETS = "assets"
#: Fewer records are made in this process.
_FEWEST_IN_PARALLEL, _CHUNK = 50, 20


class Page(NamedTuple):
    """A page of a site: its address, what it is made of, and a function that makes its content."""

    address: str
    key: str
    make: Callable[[], str | bytes]


class Published(NamedTuple):
    """What was done: how many records and pages the site has, and how many of them were made now."""

    records: int
    pages: int
    made: int
    removed: int
    faults: list[str]


class _Site:
    """A site in a folder, while it is brought up to date with the ``results``."""

    def __init__(self, results: Path, folder: Path, title: str, repository: Path) -> None:
        self._results, self._folder, self._title, self._repository = results, folder, title, repository
        self._index = read_index(folder, f"{code_version()} {title}")
        self._pages = dict(self._index.pages)
        self._made = 0

    def update(self, report: Callable[[str], None]) -> Published:
        """Make what changed, remove what is gone, and say so; ``report`` is told what is done."""
        found = {
            source.path.relative_to(self._results).as_posix(): source for source in sources(self._results)
        }
        gone = [each for file, each in self._index.entries.items() if file not in found]
        self._make_records(found, report)
        entries = sorted(self._index.entries.values(), key=lambda each: (each.time, each.name), reverse=True)
        readable = [each for each in entries if not each.fault]
        report(f"{len(readable)} records; making pages")
        pages = list(self._planned(entries, readable))
        for page in pages:
            self._make(page)
        removed = self._remove(gone, {page.address for page in pages})
        write_index(self._folder, self._index)
        faults = [each.fault for each in entries if each.fault]
        return Published(len(readable), len(readable) + len(pages), self._made, removed, faults)

    def _make_records(self, found: dict[str, Source], report: Callable[[str], None]) -> None:
        """Copy records that are new or changed, with their pages; those that others are about come first."""
        kept = {
            file: entry
            for file, entry in self._index.entries.items()
            if file in found and entry.stamp == found[file].stamp and (entry.fault or self._has(entry))
        }
        wanted = [source for file, source in found.items() if file not in kept]
        work = partial(
            publish_record, results=self._results, site=self._folder, frame=_frame("records/x.html")
        )
        entries = dict(kept)
        for number, entry in enumerate(_mapped(work, wanted), 1):
            entries[entry.file] = entry
            self._made += 1
            if number % 500 == 0:
                report(f"{number} of {len(wanted)} records")
        self._index.entries = entries

    def _has(self, entry: Entry) -> bool:
        return (self._folder / entry.page).exists()

    def _planned(self, entries: Sequence[Entry], readable: Sequence[Entry]) -> Iterator[Page]:
        """Yield all pages but those of single records."""
        gates = [each for each in readable if each.kind == "gate"]
        tasks = _by(readable, lambda each: each.task if each.kind != "gate" else "")
        tasks = {task: of_task for task, of_task in tasks.items() if any(e.kind == "run" for e in of_task)}
        for task, of_task in sorted(tasks.items()):
            address = address_of("tasks", task)
            yield Page(address, key_of(of_task), partial(self._task, address, task, of_task))
        self._index.answers = {t: a for t, a in self._index.answers.items() if t in tasks}
        for machine, of_machine in _by(readable, lambda each: each.machine).items():
            address = address_of("machines", machine)
            yield self._page(address, key_of(of_machine), partial(machine_page, machine, of_machine))
        paths = sorted(self._folder / RESULTS / "gates" / f"{each.name}.json" for each in gates)
        branch = read_branch(paths, self._repository)
        of_gates = key_of(gates, sorted(branch.commits.items()))
        yield self._page("branch.html", of_gates, partial(branch_document, branch, gates))
        for address, series in branch.series:
            yield self._page(address, of_gates, partial(series_document, branch, address, series))
        yield Page("feed.xml", of_gates, partial(feed, self._title, branch, gates))
        of_all = key_of(entries)
        make_start = partial(start_page, self._title, self._index.answers, entries, branch)
        yield self._page("index.html", key_of(entries, of_gates), make_start)
        scripts = (f"{_ASSETS}/records.js", f"{_ASSETS}/search.js")
        yield self._page("records.html", of_all, partial(search_page, len(readable)), scripts)
        yield Page(scripts[0], of_all, partial(search_data, entries))
        yield Page(
            scripts[1], "", lambda: resources.files(__package__).joinpath("search.js").read_text("utf-8")
        )
        for name, content in shared_files().items():
            yield Page(f"{_ASSETS}/{name}", "", partial(str, content))

    def _task(self, address: str, task: str, of_task: Sequence[Entry]) -> str:
        document, self._index.answers[task] = task_page(task, of_task, self._folder / RESULTS)
        return html_page(document, _frame(address))

    def _page(
        self, address: str, key: str, make: Callable[[], Document], scripts: Sequence[str] = ()
    ) -> Page:
        return Page(address, key, lambda: html_page(make(), _frame(address, scripts)))

    def _make(self, page: Page) -> None:
        """Write a page, unless it was made of the same before."""
        path = self._folder / page.address
        if self._pages.get(page.address) == page.key and path.exists():
            return
        write(path, page.make())
        self._index.pages[page.address] = page.key
        self._made += 1

    def _remove(self, gone: Sequence[Entry], planned: set[str]) -> int:
        """Remove the pages and copies of records that are gone, and pages that are no longer planned."""
        stale = [each for each in self._index.pages if each not in planned]
        for address in stale:
            del self._index.pages[address]
        here = {each.name for each in self._index.entries.values() if not each.fault}
        for each in gone:
            if each.name not in here:
                stale.append(each.page)
                copies = (self._folder / RESULTS).glob(f"*/{each.name}[.-]*")
                stale += [path.relative_to(self._folder).as_posix() for path in copies]
        for address in stale:
            (self._folder / address).unlink(missing_ok=True)
        return len(stale)


def _by(entries: Sequence[Entry], name_of: Callable[[Entry], str]) -> dict[str, list[Entry]]:
    """Return the entries of each name; an empty name has none."""
    groups: dict[str, list[Entry]] = {}
    for each in entries:
        if name := name_of(each):
            groups.setdefault(name, []).append(each)
    return groups


def _frame(address: str, scripts: Sequence[str] = ()) -> Frame:
    """Return what is around the page with this address."""
    top = "../" * address.count("/")
    links = [(text, f"{top or './'}{to}") for text, to in _LINKS]
    return Frame(f"{top}{_ASSETS}" if top else f"./{_ASSETS}", links, f"{top or './'}{address}", scripts)


def _mapped(work: Callable[[Source], Entry], wanted: Sequence[Source]) -> Iterator[Entry]:
    """Do the work for each source, on all CPUs where there are many; results come in order."""
    workers = usable_cpus()
    if len(wanted) < _FEWEST_IN_PARALLEL or workers == 1:
        yield from map(work, wanted)
        return
    pool: Executor
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, wanted, chunksize=_CHUNK)


def publish(
    results: Path, folder: Path, title: str, repository: Path, report: Callable[[str], None]
) -> Published:
    """Make or update the site of ``results`` in ``folder``, and return what was done.

    ``repository`` is a folder of the repository that has the commits of gates, where there is one. ``report``
    is told what is done.
    """
    return _Site(results, folder, title, repository).update(report)
