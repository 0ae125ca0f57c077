"""Runs one after the other, each after the certificate that it needs; nothing is timed meanwhile."""

import time
from typing import Protocol

import msgspec

from harness.errors import interruption
from harness.plugins.configuration import Configuration
from harness.runs.certification import Certification, CertificationObserver, configuration_of
from harness.runs.execute import execute
from harness.runs.record import Failure, Record
from harness.runs.request import RunRequest, new_record
from harness.runs.sharing import SharedRuns
from harness.runs.store import Store
from harness.runs.training import Observer

#: How often the records of other processes are looked up while this one waits for them.
_POLL_SECONDS = 0.5


class RunObserver(Observer, Protocol):
    """Watches one run."""

    def end(self, record: Record) -> None:
        """The run is over."""


class SequenceObserver(CertificationObserver, Protocol):
    """Watches a sequence of runs."""

    def begin(self, request: RunRequest) -> RunObserver:
        """A run begins; returns its observer."""

    def recorded_elsewhere(self, request: RunRequest, record: Record) -> None:
        """Another process has executed a run."""

    def waiting(self, runs: int) -> None:
        """Nothing is free: other processes execute so many runs."""


def execute_all(
    shared: SharedRuns,
    store: Store,
    observer: SequenceObserver,
    deadline: float,
    certification: Certification | None = None,
) -> list[Record]:
    """Execute what is left of a matrix and free, in turn, and wait for what other processes execute of it.

    Returns the records of the matrix, those that were there before and those of others among them; ends early
    after a Ctrl-C. Without ``certification`` runs have no certificate. What a configuration declines as
    unsupported is not tried again with other seeds. No run begins after ``deadline``, in seconds of the
    monotonic clock.
    """
    declined = DeclinedWork()
    while shared.left and time.monotonic() <= deadline:
        for run, record in shared.refresh():
            declined.add(record, run.request)
            observer.recorded_elsewhere(run.request, record)
        claimed = shared.claim()
        if claimed is None:
            if shared.left:
                observer.waiting(len(shared.left))
                time.sleep(_POLL_SECONDS)
        elif claimed.request in declined:
            shared.drop(claimed)
        else:
            record = _execute(claimed.request, store, observer, certification)
            shared.add(claimed, record)
            declined.add(record, claimed.request)
            if record.status == "interrupted":
                break
    return shared.records


class DeclinedWork:
    """What configurations have declined as unsupported."""

    def __init__(self) -> None:
        self._works: set[tuple[Configuration, bytes]] = set()

    def add(self, record: Record, request: RunRequest) -> None:
        """Note what a run has shown."""
        if record.status == "unsupported":
            self._works.add(self._work(request))

    def __contains__(self, request: RunRequest) -> bool:
        return self._work(request) in self._works

    @staticmethod
    def _work(request: RunRequest) -> tuple[Configuration, bytes]:
        return configuration_of(request), msgspec.json.encode(request.plan.task)


def _execute(
    request: RunRequest, store: Store, observer: SequenceObserver, certification: Certification | None
) -> Record:
    """Execute a run after its certificate."""
    try:
        known = certification.certificate(request) if certification else None
    except KeyboardInterrupt as interrupt:
        return _interrupted(request, store, interrupt)
    run = observer.begin(request)
    record = execute(msgspec.structs.replace(request, certificate=known), store, run)
    run.end(record)
    return record


def _interrupted(request: RunRequest, store: Store, interrupt: KeyboardInterrupt) -> Record:
    """The record of a run that was interrupted while its configuration was being certified."""
    record = new_record(request)
    record.status, record.failure = "interrupted", Failure(interruption(interrupt))
    store.save(record)
    return record
