"""The runs that a results folder holds, by identity, kept up to date while other processes add to it."""

from collections.abc import Iterable

from harness.runs.documents import UnreadableRecord
from harness.runs.identity import data_fingerprint
from harness.runs.record import Record
from harness.runs.store import RUNS, Store

#: A run that need not be done again ...
FINISHED = frozenset({"ok", "diverged"})
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

    def finished_before(self, key: str, dataset: str) -> Record | None:
        """The newest finished record of this identity and the present data that there was at the start."""
        return self._newest(key, dataset, FINISHED, before=True)

    def tried_since(self, key: str, dataset: str) -> Record | None:
        """The newest record of this identity that another process has completed since the start."""
        return self._newest(key, dataset, TRIED, before=False)

    def _newest(self, key: str, dataset: str, statuses: frozenset[str], *, before: bool) -> Record | None:
        for record in reversed(self._records[key]):
            known = f"{record.id}.json" in self._before
            if record.status in statuses and known == before and _is_of_present_data(record, dataset):
                return record
        return None


def _is_of_present_data(record: Record, dataset: str) -> bool:
    fingerprint = record.dataset.fingerprint
    if fingerprint is None:  # it ended before it read the data
        return record.status not in FINISHED
    return fingerprint == data_fingerprint(dataset)
