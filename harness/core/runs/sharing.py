"""A matrix of runs that several processes execute together, and that a later call continues.

A run is not executed if a record of the same identity can replace it. Each other run is claimed before it is
executed, so that processes with the same results folder execute each run once.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from harness.core.documents.kinds import UnreadableRecord
from harness.core.machine.description import Machine
from harness.core.machine.processes import this_process
from harness.core.plugins.configuration import Configuration
from harness.core.runs.claims import Claims
from harness.core.runs.extensions import work_of
from harness.core.runs.identity import data_fingerprint, ingredients_of
from harness.core.runs.record import Record, identity_key
from harness.core.runs.request import RunRequest
from harness.core.runs.store import RUNS, Store

#: A run that need not be done again ...
FINISHED = frozenset({"ok", "stopped", "diverged"})
#: ... and one that another process has just tried, which a process beside it does not try again.
TRIED = FINISHED | {"failed", "timeout", "unsupported"}


class RecordedRuns:
    """The runs that a results folder holds, by identity, kept up to date while other processes add to it.

    Each file is read once, or as long as its run goes on.
    """

    def __init__(self, store: Store, keys: Iterable[str]) -> None:
        self._store = store
        self._records: dict[str, list[Record]] = {key: [] for key in keys}
        self._read: set[str] = set()
        self.update()
        self._before = set(self._read)

    def update(self) -> None:
        """Read the records that are new."""
        for path in self._store.paths():
            if path.name in self._read:
                continue
            try:
                record = RUNS.read(path)
            except UnreadableRecord:  # other commands name it
                self._read.add(path.name)
                continue
            if record.status in {"running", "lost"}:
                continue
            self._read.add(path.name)
            if record.identity_key in self._records:
                self._records[record.identity_key].append(record)

    def finished_before(self, run: "PlannedRun") -> Record | None:
        """Return the newest finished record of this identity and of the present data, as of the start."""
        return self._newest(run, FINISHED, before=True)

    def tried_since(self, run: "PlannedRun") -> Record | None:
        """Return the newest record of this identity that another process has completed since the start."""
        return self._newest(run, TRIED, before=False)

    def _newest(self, run: "PlannedRun", statuses: frozenset[str], *, before: bool) -> Record | None:
        for record in reversed(self._records[run.key]):
            known = f"{record.id}.json" in self._before
            if (
                record.status in statuses
                and known == before
                and _is_of_present_data(record, run.request.dataset.name)
                and self._keeps_what_is_asked(record, run.request, also_failed=not before)
            ):
                return record
        return None

    def _keeps_what_is_asked(self, record: Record, request: RunRequest, *, also_failed: bool) -> bool:
        """Check that a successful run has the weights and the work that the request asks for.

        ``also_failed``: work that was tried and has failed counts, too.
        """
        if record.status != "ok":
            return True
        for work in work_of(request):
            entry = record.extensions.get(work.name)
            if not work.in_every_run and (entry is None or (entry.failure and not also_failed)):
                return False
        if not request.save_weights:
            return True
        kept = record.weights
        names = [] if kept is None else [file.name for file in (kept.last, kept.best) if file is not None]
        return bool(names) and all((self._store.folder / name).is_file() for name in names)


def _is_of_present_data(record: Record, dataset: str) -> bool:
    fingerprint = record.dataset.fingerprint
    if fingerprint is None:  # it ended before it read the data
        return record.status not in FINISHED
    return fingerprint == data_fingerprint(dataset)


class PlannedRun(NamedTuple):
    """A run of the matrix: its place there, its request, and the key of its identity."""

    place: int
    request: RunRequest
    key: str


class SharedRuns:
    """The runs of a matrix: those recorded, those left, and those that this process may execute."""

    def __init__(
        self,
        requests: Sequence[RunRequest],
        store: Store,
        *,
        certify: bool,
        fresh: bool = False,
        machine: Machine | None = None,
    ) -> None:
        """Look up what is recorded; with ``fresh`` nothing that was recorded before counts.

        ``certify`` says whether the runs will have certificates. ``machine`` is where they will run; default:
        this one.
        """
        self._claims = Claims(store.folder.parent)
        self._planned = [
            _planned(place, request, ingredients_of(request, certify=certify, machine=machine))
            for place, request in enumerate(requests)
        ]
        self._recorded = RecordedRuns(store, (run.key for run in self._planned))
        self._records: dict[int, Record] = {}
        self._dropped: set[int] = set()
        self._declined: set[tuple[Configuration, bytes]] = set()
        if not fresh:
            for run in self._planned:
                record = self._recorded.finished_before(run)
                if record is not None:
                    self._records[run.place] = record
        self.reused = len(self._records)

    @property
    def total(self) -> int:
        """The number of runs in the matrix."""
        return len(self._planned)

    @property
    def left(self) -> list[PlannedRun]:
        """The runs without a record, those that other processes execute among them."""
        done = self._records.keys() | self._dropped
        return [run for run in self._planned if run.place not in done]

    @property
    def records(self) -> list[Record]:
        """The records of the matrix, reused and new, in its order; runs that are left have none."""
        return [self._records[place] for place in sorted(self._records)]

    def refresh(self) -> list[tuple[PlannedRun, Record]]:
        """Return the runs that other processes have recorded since the last call; they are then done."""
        self._recorded.update()
        found = []
        for run in self.left:
            record = self._recorded.tried_since(run)
            if record is not None:
                self._note(run, record)
                found.append((run, record))
        return found

    def claim(self) -> PlannedRun | None:
        """Claim the first run that is left and free; None if other processes execute all that are left.

        Where a configuration has declined a task as unsupported, its other seeds are left out. Call
        :meth:`add` when the run is over. Several runs may be claimed at a time.
        """
        for run in self.left:
            if _work(run.request) in self._declined:
                self._dropped.add(run.place)
            elif self._claims.take(run.key, _name(run.request)):
                self._recorded.update()  # its record may have been completed just before
                if self._recorded.tried_since(run) is None:
                    return run
                self._claims.release(run.key)
        return None

    def add(self, run: PlannedRun, record: Record) -> None:
        """Note that a claimed run is over; its record must have been saved."""
        self._note(run, record)
        self._claims.release(run.key)

    def _note(self, run: PlannedRun, record: Record) -> None:
        self._records[run.place] = record
        if record.status == "unsupported":
            self._declined.add(_work(run.request))

    def give_back(self, run: PlannedRun) -> None:
        """Release a claimed run that was not executed, so that it is left for any process."""
        self._claims.release(run.key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release all claims."""
        self._claims.close()


def _planned(place: int, request: RunRequest, identity: dict[str, str]) -> PlannedRun:
    request = msgspec.structs.replace(request, identity=identity, process=this_process())
    return PlannedRun(place, request, identity_key(identity))


def _work(request: RunRequest) -> tuple[Configuration, bytes]:
    return request.configuration, msgspec.json.encode(request.task)


def _name(request: RunRequest) -> str:
    return f"{request.task.name} {request.configuration.label} seed {request.seed}"
