"""Certificates of runs, each made when the first run needs it, so that results come from the start."""

import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from harness.certify.certificate import Certificate
from harness.certify.certificates import certificate
from harness.certify.certify import rules_of
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.runs.request import RunRequest
from harness.worker.examiner import Examiner

#: A configuration, the name of the task, and the rules of training that the run uses.
CertifiedWork = tuple[Configuration, str, frozenset[str]]


class CertificationObserver(Protocol):
    """Watches certificates being made."""

    def certifying(self, configuration: Configuration, task: str) -> None:
        """A certificate is read from the cache or computed."""

    def examined(self, configuration: Configuration, task: str, cases: int, of: int) -> None:
        """So many cases of a certificate have been examined."""

    def certified(
        self, configuration: Configuration, task: str, certificate: Certificate, seconds: float
    ) -> None:
        """The certificate is known."""


def configuration_of(request: RunRequest) -> Configuration:
    """The configuration that a run needs a certificate of."""
    plan = request.plan
    return Configuration(request.backend, plan.mode, plan.device, plan.threads, plan.precision)


def certified_work(request: RunRequest) -> CertifiedWork:
    """What the certificate of a run is of."""
    task = request.plan.task
    return configuration_of(request), task.name, rules_of(task)


class Certification:
    """Certifies the work of runs, each once, with one worker for each configuration.

    Between two certificates a worker is stopped, so that it takes no time from a run that is timed; it is
    ended with the last certificate of its configuration.
    """

    def __init__(self, requests: Iterable[RunRequest], observer: CertificationObserver) -> None:
        self._observer = observer
        self._made: dict[CertifiedWork, Certificate] = {}
        self._examiners: dict[Configuration, Examiner] = {}
        works = dict.fromkeys(map(certified_work, requests))
        self._to_come = Counter(configuration for configuration, *_ in works)

    def certificate(self, request: RunRequest) -> Certificate:
        """The certificate of a run's work, made or read from the cache when it is first asked for."""
        work = certified_work(request)
        if work not in self._made:
            self._made[work] = self._make(request)
        return self._made[work]

    def _make(self, request: RunRequest) -> Certificate:
        configuration, task, _ = certified_work(request)
        observer, start = self._observer, time.perf_counter()
        observer.certifying(configuration, task)
        examiner = self._examiners.get(configuration)
        if examiner is None:
            examiner = self._examiners[configuration] = Examiner(configuration, request.timeout_seconds)
        made = certificate(
            examiner,
            registry.task(task),
            request.plan.task,
            lambda cases, of: observer.examined(configuration, task, cases, of),
        )
        self._to_come[configuration] -= 1
        if self._to_come[configuration]:
            examiner.pause()
        else:
            self._examiners.pop(configuration).close()
        observer.certified(configuration, task, made, time.perf_counter() - start)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for examiner in self._examiners.values():
            examiner.__exit__(kind, error, trace)
