"""Execution of runs one after the other, each after its certificate, while nothing else runs."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self

from harness.core.certify.certificate import Certificate
from harness.core.certify.certificates import certificate
from harness.core.certify.run_cases import rules_of
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.runs.events import (
    CertificationEvent,
    Certified,
    Examined,
    Finished,
    RunObserver,
)
from harness.core.runs.execute import execute
from harness.core.runs.record import Failure, Record
from harness.core.runs.request import RunRequest, new_record
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.store import Store
from harness.core.worker.examiner import Examiner
from harness.errors import interruption

#: A configuration, the name of the task, and the rules of training that the run uses.
CertifiedWork = tuple[Configuration, str, frozenset[str]]


def certified_work(request: RunRequest) -> CertifiedWork:
    """Return the work that the certificate of a run covers."""
    return request.configuration, request.task.name, rules_of(request.task)


class Certification:
    """The certification of the work of runs, each once, with one worker for each configuration.

    Several threads may ask for certificates; those of one configuration wait for each other.

    Between two certificates a worker is stopped, so that it takes no time from a timed run. It ends with the
    last certificate of its configuration.
    """

    def __init__(self, requests: Iterable[RunRequest], notify: Callable[[CertificationEvent], None]) -> None:
        self._notify = notify
        self._made: dict[CertifiedWork, Certificate] = {}
        self._examiners: dict[Configuration, Examiner] = {}
        works = dict.fromkeys(map(certified_work, requests))
        self._to_come = Counter(configuration for configuration, *_ in works)
        self._locks = {configuration: threading.Lock() for configuration in self._to_come}

    def certificate(
        self, request: RunRequest, notify: Callable[[CertificationEvent], None] | None = None
    ) -> Certificate:
        """Return the certificate of a run's work, made or read from the cache at the first call.

        ``notify`` follows this call in place of the observer of all.
        """
        work = certified_work(request)
        with self._locks[request.configuration]:
            if work not in self._made:
                self._made[work] = self._make(request, notify or self._notify)
        return self._made[work]

    def abandon(self) -> None:
        """Kill the workers: the certificates that other threads are making fail."""
        for examiner in list(self._examiners.values()):
            examiner.kill()

    def _make(self, request: RunRequest, notify: Callable[[CertificationEvent], None]) -> Certificate:
        configuration, task, _ = certified_work(request)
        start = time.perf_counter()
        examiner = self._examiners.get(configuration)
        if examiner is None:
            examiner = self._examiners[configuration] = Examiner(configuration, request.timeout_seconds)
        made = certificate(
            examiner,
            registry.task(task),
            request.task,
            lambda cases, of: notify(Examined(configuration, task, cases, of)),
        )
        self._to_come[configuration] -= 1
        if self._to_come[configuration]:
            examiner.pause()
        else:
            self._examiners.pop(configuration).close()
        notify(Certified(configuration, task, made, time.perf_counter() - start))
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for examiner in self._examiners.values():
            examiner.__exit__(kind, error, trace)


#: Interval at which the records of other processes are looked up while this one waits for them.
_POLL_SECONDS = 0.5


class SequenceObserver(Protocol):
    """An observer of a sequence of runs."""

    def begin(self, node: str, request: RunRequest) -> RunObserver:
        """Begin a run on a node, "" for this machine; return the observer of its events."""

    def recorded_elsewhere(self, request: RunRequest, record: Record) -> None:
        """Show that another process has executed a run."""

    def waiting(self, runs: int) -> None:
        """Show that other processes execute all ``runs`` that are left."""


def execute_all(
    shared: SharedRuns,
    store: Store,
    observer: SequenceObserver,
    certification: Certification | None = None,
) -> list[Record]:
    """Execute the runs of a matrix that are left and free, in turn, and wait for those of other processes.

    Return the records of the matrix, including earlier ones and those of other processes; end early after
    Ctrl-C. Without ``certification``, runs have no certificate.
    """
    while shared.left:
        for run, record in shared.refresh():
            observer.recorded_elsewhere(run.request, record)
        claimed = shared.claim()
        if claimed is None:
            if shared.left:
                observer.waiting(len(shared.left))
                time.sleep(_POLL_SECONDS)
        else:
            record = _execute(claimed.request, store, observer, certification)
            shared.add(claimed, record)
            if record.status == "interrupted":
                break
    return shared.records


def _execute(
    request: RunRequest, store: Store, observer: SequenceObserver, certification: Certification | None
) -> Record:
    """Certify a run, then execute it."""
    try:
        known = certification.certificate(request) if certification else None
    except KeyboardInterrupt as interrupt:
        return _interrupted(request, store, interrupt)
    notify = observer.begin("", request)
    record = execute(request, known, store, notify)
    notify(Finished(record))
    return record


def _interrupted(request: RunRequest, store: Store, interrupt: KeyboardInterrupt) -> Record:
    """Record a run that was interrupted while its configuration was being certified."""
    record = new_record(request)
    record.status, record.failure = "interrupted", Failure(interruption(interrupt))
    store.save(record)
    return record
