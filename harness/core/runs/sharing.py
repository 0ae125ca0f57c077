"""A matrix of runs that several processes execute together, and that a later call goes on with.

What a record of the same identity replaces is not executed. Each other run is claimed before it is executed,
so that processes with the same results folder execute each run once.
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
from harness.core.runs.identity import data_fingerprint, ingredients_of
from harness.core.runs.record import Record, identity_key
from harness.core.runs.request import RunRequest
from harness.core.runs.store import RUNS, Store

# The runs that a results folder holds, by identity, kept up to date while other processes add to it.

#: A run that need not be done again ...
FINISHED = frozenset({"ok", "stopped", "diverged"})
#: ... and one that another process has just tried, which a process beside it does not try again.
TRIED = FINISHED | {"failed", "timeout", "unsupported"}


class RecordedRuns:
    """Records of some identities. Each file is read once, or as long as its run goes on."""

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
        """The newest finished record of this identity and the present data that there was at the start."""
        return self._newest(run, FINISHED, before=True)

    def tried_since(self, run: "PlannedRun") -> Record | None:
        """The newest record of this identity that another process has completed since the start."""
        return self._newest(run, TRIED, before=False)

    def _newest(self, run: "PlannedRun", statuses: frozenset[str], *, before: bool) -> Record | None:
        for record in reversed(self._records[run.key]):
            known = f"{record.id}.json" in self._before
            if (
                record.status in statuses
                and known == before
                and _is_of_present_data(record, run.request.dataset.name)
                and self._keeps_what_is_asked(record, run.request)
            ):
                return record
        return None

    def _keeps_what_is_asked(self, record: Record, request: RunRequest) -> bool:
        """Whether weights and explanations are there if they are asked for; only success has any."""
        if record.status == "ok" and request.explain and record.explained is None:
            return False
        if record.status != "ok" or not request.save_weights:
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
    """A run of the matrix: its place there, and what to execute, with its identity."""

    place: int
    request: RunRequest
    key: str


class SharedRuns:
    """Which runs of a matrix are recorded, which are left, and which of these this process may execute."""

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
        """The records of the matrix, reused and new, in its order; without the runs that are left."""
        return [self._records[place] for place in sorted(self._records)]

    def refresh(self) -> list[tuple[PlannedRun, Record]]:
        """Look up what other processes have recorded since the last call, which is then done."""
        self._recorded.update()
        found = []
        for run in self.left:
            record = self._recorded.tried_since(run)
            if record is not None:
                self._note(run, record)
                found.append((run, record))
        return found

    def claim(self) -> PlannedRun | None:
        """Claim the first run that is left and free; None if others execute all that are left.

        What a configuration has declined as unsupported is left out with its other seeds. Call :meth:`add`
        when the run is over. Several may be claimed at a time.

        Raises:
            HarnessError: claims cannot be written.
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
        """A claimed run is over; its record must have been saved."""
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
        """Release what is still claimed."""
        self._claims.close()


def _planned(place: int, request: RunRequest, identity: dict[str, str]) -> PlannedRun:
    request = msgspec.structs.replace(request, identity=identity, process=this_process())
    return PlannedRun(place, request, identity_key(identity))


def _work(request: RunRequest) -> tuple[Configuration, bytes]:
    return request.configuration, msgspec.json.encode(request.task)


def _name(request: RunRequest) -> str:
    return f"{request.task.name} {request.configuration.label} seed {request.seed}"
