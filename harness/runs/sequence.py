"""Runs one after the other: certificates first, so that nothing is timed while a certificate is computed."""

import time
from collections.abc import Iterable
from typing import Protocol

import msgspec

from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.runs.execute import execute
from harness.runs.record import Record
from harness.runs.request import RunRequest
from harness.runs.store import Store
from harness.runs.training import Observer
from harness.spec.task import Task
from harness.testing.certificate import Certificate
from harness.testing.certificate_cache import certificate
from harness.testing.dropout import uses_dropout
from harness.worker.examiner import Examiner

#: The name of the task, and whether its runs use dropout, which is tested apart.
_Work = tuple[str, bool]
Certificates = dict[tuple[Configuration, _Work], Certificate]


class RunObserver(Observer, Protocol):
    """Watches one run."""

    def end(self, record: Record) -> None:
        """The run is over."""


class SequenceObserver(Protocol):
    """Watches a sequence of runs."""

    def certifying(self, configuration: Configuration, task: str) -> None:
        """A certificate is read from the cache or computed."""

    def certified(
        self, configuration: Configuration, task: str, certificate: Certificate, seconds: float
    ) -> None:
        """The certificate is known."""

    def begin(self, request: RunRequest) -> RunObserver:
        """A run begins; returns its observer."""


def configuration_of(request: RunRequest) -> Configuration:
    """The configuration that a run needs a certificate of."""
    plan = request.plan
    return Configuration(request.backend, plan.mode, plan.device, plan.threads, plan.precision)


def _work_of(request: RunRequest) -> _Work:
    task = request.plan.task
    return task.name, uses_dropout(task)


def certify_all(requests: Iterable[RunRequest], observer: SequenceObserver) -> Certificates:
    """The certificate of each configuration and task of the runs, with one worker per configuration."""
    tasks: dict[Configuration, dict[_Work, Task]] = {}
    limits: dict[Configuration, float | None] = {}
    for request in requests:
        configuration = configuration_of(request)
        tasks.setdefault(configuration, {})[_work_of(request)] = request.plan.task
        limits[configuration] = request.timeout_seconds
    certificates: Certificates = {}
    for configuration, works in tasks.items():
        with Examiner(configuration, limits[configuration]) as examiner:
            for work, task in works.items():
                observer.certifying(configuration, task.name)
                start = time.perf_counter()
                made = certificate(examiner, registry.task(task.name), task)
                observer.certified(configuration, task.name, made, time.perf_counter() - start)
                certificates[configuration, work] = made
    return certificates


def execute_all(
    requests: Iterable[RunRequest],
    certificates: Certificates,
    store: Store,
    observer: SequenceObserver,
    deadline: float,
) -> list[Record]:
    """Execute the runs in turn; ends early after a Ctrl-C.

    What a configuration declines as unsupported is not tried again with other seeds. No run begins after
    ``deadline``, in seconds of the monotonic clock.
    """
    records: list[Record] = []
    declined: set[tuple[Configuration, bytes]] = set()
    for request in requests:
        work = (configuration_of(request), msgspec.json.encode(request.plan.task))
        if work in declined:
            continue
        if time.monotonic() > deadline:
            break
        run = observer.begin(request)
        known = certificates.get((configuration_of(request), _work_of(request)))
        record = execute(msgspec.structs.replace(request, certificate=known), store, run)
        run.end(record)
        records.append(record)
        if record.status == "unsupported":
            declined.add(work)
        if record.status == "interrupted":
            break
    return records
