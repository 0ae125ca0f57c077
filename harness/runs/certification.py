"""Certificates of runs, each made when the first run needs it, so that results come from the start."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from harness.machine.cpus import usable_cpus
from harness.machine.gpus import gpus
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.runs.request import RunRequest
from harness.testing.certificate import Certificate
from harness.testing.certifying import Examined, certificate
from harness.testing.run_cases import rules_of
from harness.worker.examiner import Examiner

#: A configuration, the name of the task, and the rules of training that the run uses.
CertifiedWork = tuple[Configuration, str, frozenset[str]]
#: How often workers are killed anew that a thread may just have started.
_KILL_SECONDS = 0.1


class Made(NamedTuple):
    """A certificate that is known, and how long that took."""

    configuration: Configuration
    certificate: Certificate
    seconds: float


class CertificationObserver(Protocol):
    """Watches certificates being made, those of several configurations of a task at once."""

    def certifying(self, configurations: Sequence[Configuration], task: str) -> None:
        """Certificates are read from the cache or made."""

    def examined(self, cases: int, of: int) -> None:
        """So many cases of them have been examined in all."""

    def certified(self, task: str, made: Sequence[Made]) -> None:
        """The certificates are known."""


def configuration_of(request: RunRequest) -> Configuration:
    """The configuration that a run needs a certificate of."""
    plan = request.plan
    return Configuration(request.backend, plan.mode, plan.device, plan.threads, plan.precision)


def certified_work(request: RunRequest) -> CertifiedWork:
    """What the certificate of a run is of."""
    task = request.plan.task
    return configuration_of(request), task.name, rules_of(task)


def certified_at_once(requests: Iterable[RunRequest]) -> list[list[RunRequest]]:
    """A run of each certified work, in groups whose certificates are made at the same time.

    These are the configurations that do the same work: most of a certificate is compiling, which uses one
    CPU. Where there may be an accelerator, frameworks would have to share its memory, so each is alone.
    """
    works = {certified_work(request): request for request in requests}
    groups: dict[object, list[RunRequest]] = {}
    for work, request in works.items():
        alone = request.plan.device != "cpu" and bool(gpus())
        groups.setdefault(work if alone else work[1:], []).append(request)
    return list(groups.values())


class Certification:
    """Certifies the work of runs, each once, with one worker for each configuration.

    Between two certificates a worker is stopped, so that it takes no time from a run that is timed; it is
    ended with the last certificate of its configuration.
    """

    def __init__(self, groups: Iterable[Sequence[RunRequest]], observer: CertificationObserver) -> None:
        """``groups`` hold a run of each work; see :func:`certified_at_once`."""
        self._observer = observer
        self._made: dict[CertifiedWork, Certificate] = {}
        self._examiners: dict[Configuration, Examiner] = {}
        self._groups = {certified_work(request): group for group in groups for request in group}
        self._to_come = Counter(configuration for configuration, *_ in self._groups)
        # Its threads must not end before the workers that they have started: those would end with them.
        self._pool = ThreadPoolExecutor(usable_cpus())

    def certificate(self, request: RunRequest) -> Certificate:
        """The certificate of a run's work, made or read from the cache when it is first asked for."""
        work = certified_work(request)
        if work not in self._made:
            self._make(self._groups.get(work, [request]))
        return self._made[work]

    def _make(self, group: Sequence[RunRequest]) -> None:
        configurations, task = [configuration_of(request) for request in group], group[0].plan.task.name
        self._observer.certifying(configurations, task)
        for request, configuration in zip(group, configurations, strict=True):
            if configuration not in self._examiners:
                self._examiners[configuration] = Examiner(configuration, request.timeout_seconds)
        made = [self._made_of(group[0], self._observer.examined)] if len(group) == 1 else self._at_once(group)
        for request, each in zip(group, made, strict=True):
            self._made[certified_work(request)] = each.certificate
            self._release(each.configuration)
        self._observer.certified(task, made)

    def _made_of(self, request: RunRequest, examined: Examined) -> Made:
        configuration, start = configuration_of(request), time.perf_counter()
        task = request.plan.task
        made = certificate(self._examiners[configuration], registry.task(task.name), task, examined)
        return Made(configuration, made, time.perf_counter() - start)

    def _at_once(self, group: Sequence[RunRequest]) -> list[Made]:
        """Each in a thread; only this one calls the observer."""
        news: SimpleQueue[tuple[int, int, int] | None] = SimpleQueue()
        futures: list[Future[Made]] = []
        examined: dict[int, tuple[int, int]] = {}
        try:
            for number, request in enumerate(group):

                def report(cases: int, of: int, number: int = number) -> None:
                    news.put((number, cases, of))

                futures.append(self._pool.submit(self._made_of, request, report))
                futures[-1].add_done_callback(lambda _: news.put(None))
            ended = 0
            while ended < len(group):
                if (told := news.get()) is None:
                    ended += 1
                else:
                    number, *counts = told
                    examined[number] = counts[0], counts[1]
                    self._observer.examined(*map(sum, zip(*examined.values(), strict=True)))
            return [future.result() for future in futures]
        except BaseException:
            self._abandon(group, futures)
            raise

    def _abandon(self, group: Sequence[RunRequest], futures: Sequence[Future[Made]]) -> None:
        for future in futures:
            future.cancel()
        while wait(futures, _KILL_SECONDS).not_done:
            for request in group:
                self._examiners[configuration_of(request)].abandon()

    def _release(self, configuration: Configuration) -> None:
        self._to_come[configuration] -= 1
        if self._to_come[configuration] > 0:
            self._examiners[configuration].pause()
        else:
            self._examiners.pop(configuration).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for examiner in self._examiners.values():
            examiner.__exit__(kind, error, trace)
        self._pool.shutdown()
