"""Runs one after the other, each after the certificate that it needs; nothing is timed meanwhile."""

import time
from collections.abc import Iterable
from typing import Protocol

import msgspec

from harness.errors import interruption
from harness.plugins.configuration import Configuration
from harness.runs.certification import Certification, CertificationObserver, configuration_of
from harness.runs.execute import execute
from harness.runs.record import Failure, Record
from harness.runs.request import RunRequest, new_record
from harness.runs.store import Store
from harness.runs.training import Observer


class RunObserver(Observer, Protocol):
    """Watches one run."""

    def end(self, record: Record) -> None:
        """The run is over."""


class SequenceObserver(CertificationObserver, Protocol):
    """Watches a sequence of runs."""

    def begin(self, request: RunRequest) -> RunObserver:
        """A run begins; returns its observer."""


def execute_all(
    requests: Iterable[RunRequest],
    store: Store,
    observer: SequenceObserver,
    deadline: float,
    certification: Certification | None = None,
) -> list[Record]:
    """Execute the runs in turn; ends early after a Ctrl-C.

    Without ``certification`` runs have no certificate. What a configuration declines as unsupported is not
    tried again with other seeds. No run begins after ``deadline``, in seconds of the monotonic clock.
    """
    records: list[Record] = []
    declined: set[tuple[Configuration, bytes]] = set()
    for request in requests:
        work = (configuration_of(request), msgspec.json.encode(request.plan.task))
        if work in declined:
            continue
        if time.monotonic() > deadline:
            break
        try:
            known = certification.certificate(request) if certification else None
        except KeyboardInterrupt as interrupt:
            records.append(_interrupted(request, store, interrupt))
            break
        run = observer.begin(request)
        record = execute(msgspec.structs.replace(request, certificate=known), store, run)
        run.end(record)
        records.append(record)
        if record.status == "unsupported":
            declined.add(work)
        if record.status == "interrupted":
            break
    return records


def _interrupted(request: RunRequest, store: Store, interrupt: KeyboardInterrupt) -> Record:
    """The record of a run that was interrupted while its configuration was being certified."""
    record = new_record(request)
    record.status, record.failure = "interrupted", Failure(interruption(interrupt))
    store.save(record)
    return record
