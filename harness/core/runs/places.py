"""Places for runs whose times are not judged: each has CPUs or a GPU of its own, and warm workers.

Where times are judged, a run has the machine for itself and a fresh process, and needs none of this.
"""

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.core.machine.cpus import WORKER_CPUS, cpu_groups, usable_cpus
from harness.core.machine.worker_variables import visible_gpus, worker_variables
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Making
from harness.core.worker import protocol
from harness.core.worker.session import Session, silence_within
from harness.core.worker.template import CannotFork, Template, Templates
from harness.errors import HarnessError

_GPUS = "CUDA_VISIBLE_DEVICES"


class Place:
    """Executes one run at a time on its CPUs, beside those of other places.

    Another thread may call :meth:`abandon`, which ends all workers of the place, now and later.
    """

    def __init__(
        self, templates: Templates, cpus: Sequence[int], jobs: int = 1, gpu: Mapping[str, str] | None = None
    ) -> None:
        """``jobs`` counts all places of the machine. ``gpu`` has the variables that choose a GPU."""
        self._templates, self._cpus, self._jobs, self._gpu = templates, list(cpus), jobs, dict(gpu or {})
        self._sessions: set[Session] = set()
        self._prepared: _PlacedSession | None = None
        self._lock = threading.Lock()
        #: The largest peak memory of a worker here; 0 before the first has ended.
        self.peak_bytes = 0
        #: Why the place was abandoned; empty until then.
        self.abandoned = ""

    def variables(self, configuration: Configuration) -> dict[str, str]:
        """Return the variables of a worker of this configuration here."""
        variables = worker_variables(configuration.threads, configuration.device, os.environ)
        cpus = {WORKER_CPUS: ",".join(map(str, self._cpus))}
        gpu = self._gpu if variables[_GPUS] != "-1" else {}
        return {**variables, **cpus, **gpu}

    def template(self, configuration: Configuration) -> Template | None:
        """Return the template for workers of this configuration; None where they cannot be forked.

        Call it first in a thread that lives as long as the templates.
        """
        return self._templates.template(
            configuration.backend, configuration.threads, self.variables(configuration)
        )

    def session(
        self,
        configuration: Configuration,
        limit_seconds: float | None,
        variables: Mapping[str, str] | None = None,
        *,
        fresh: bool = False,
    ) -> tuple[Session, Making]:
        """Start a worker, and say how it was made.

        With ``fresh``, or further ``variables``, it is neither forked nor prepared. Its end removes it from
        the place.
        """
        self._refuse_if_abandoned()
        as_usual = not fresh and not variables
        use = _Use.of(self, configuration, limit_seconds, variables or {})
        template = self.template(configuration) if as_usual else None
        session = self._taken(use) if as_usual and template is None else None
        try:
            session = session or self._start(use, template)
        except CannotFork as error:
            assert template is not None  # noqa: S101
            self._refuse_if_abandoned()  # which kills templates, too
            self._templates.give_up(configuration.backend, template, error)
            template, session = None, self._start(use, None)
        return session, Making("fresh" if template is None else "forked", self._jobs)

    def prepare(self, configuration: Configuration, limit_seconds: float | None) -> None:
        """Start the next worker, which imports the framework, where workers cannot be forked.

        It is started as any other, and carries out the first request of any worker. Then it waits. A run of
        another configuration ends it. Call it in a thread that lives as long as the place.
        """
        if self.abandoned or self._prepared is not None or self.template(configuration) is not None:
            return
        with contextlib.suppress(HarnessError):  # the run reports it
            session = self._start(_Use.of(self, configuration, limit_seconds, {}), None)
            try:
                session.send_ahead(protocol.Describe(configuration.backend, configuration.threads))
            except HarnessError:
                session.kill_and_close()
                raise
            self._prepared = session  # last: the present run may take it to repeat its work

    @property
    def is_prepared(self) -> bool:
        """Check whether a worker has been prepared that no run has taken."""
        return self._prepared is not None

    def _taken(self, use: "_Use") -> "_PlacedSession | None":
        """Return the prepared worker if it can be used so; else end it."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return None
        if prepared.use != use or prepared.process.has_ended():
            prepared.kill_and_close()
            return None
        prepared.renew_deadline()
        return prepared

    def _refuse_if_abandoned(self) -> None:
        if self.abandoned:
            raise HarnessError(self.abandoned)

    def _start(self, use: "_Use", template: Template | None) -> "_PlacedSession":
        session = _PlacedSession(self, use, template)
        with self._lock:
            self._sessions.add(session)
            if self.abandoned:
                session.kill()
        return session

    def forget(self, session: Session) -> None:
        """Note that a worker is about to end, after which another process may get its process id."""
        with self._lock:
            self._sessions.discard(session)

    def learn_from(self, session: Session, configuration: Configuration) -> None:
        """Have the template of a forked worker that has made a whole run learn what it has imported."""
        if (template := self.template(configuration)) is not None:
            with contextlib.suppress(HarnessError):
                template.learn_from(session)

    def note_memory(self, measured: Mapping[str, float]) -> None:
        """Note the peak memory of a worker at its end, pages that it shares with its template included."""
        self.peak_bytes = max(self.peak_bytes, int(measured.get("peak_memory_bytes", 0)))

    def close(self) -> None:
        """End the worker that no run has taken."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.kill_and_close()

    def abandon(self, reason: str) -> None:
        """End all workers of the place. Runs of them are then recorded as interrupted, for this reason."""
        with self._lock:
            self.abandoned = self.abandoned or reason or "interrupted"
            for session in self._sessions:
                session.kill()


class _Use(NamedTuple):
    """What a worker is started for: workers of equal uses are alike."""

    backend: str
    threads: int
    variables: dict[str, str]
    limit_seconds: float | None

    @classmethod
    def of(
        cls, place: Place, configuration: Configuration, limit: float | None, more: Mapping[str, str]
    ) -> "_Use":
        """Return the use for a configuration at a place, with ``more`` variables."""
        variables = {**place.variables(configuration), **more}
        return cls(configuration.backend, configuration.threads, variables, limit)


class _PlacedSession(Session):
    """A worker of a place. The first request may be sent ahead: before the run that will make it begins."""

    def __init__(self, place: Place, use: _Use, template: Template | None) -> None:
        self.use = use
        self._place = place
        self._ahead: msgspec.Struct | None = None
        limit = use.limit_seconds
        super().__init__(use.variables, limit, silence_seconds=silence_within(limit), template=template)

    def send_ahead(self, request: msgspec.Struct) -> None:
        """Send a request which :meth:`send` then does not send again."""
        self.send(request)
        self._ahead = request

    def send(self, request: msgspec.Struct) -> None:
        """See :meth:`Session.send`."""
        ahead, self._ahead = self._ahead, None
        if request != ahead:
            super().send(request)

    def close(self) -> None:
        """See :meth:`Session.close`."""
        self._place.forget(self)
        super().close()


def places(templates: Templates, jobs: int, threads: int, device: str, gpus: int) -> list[Place]:
    """Return ``jobs`` places of ``threads`` CPUs each; on ``gpus`` GPUs, if there are any, in turn.

    Places share CPUs where there are more of them than fit the machine.
    """
    groups = cpu_groups(threads, usable_cpus())
    known = visible_gpus(os.environ.get(_GPUS), gpus - 1)[:gpus] if device in {"auto", "cuda"} else []

    def place(number: int) -> Place:
        gpu = {_GPUS: known[number % len(known)]} if known else {}
        return Place(templates, groups[number % len(groups)], jobs, gpu)

    return [place(number) for number in range(jobs)]


def most_jobs(threads: int, device: str, cpus: int, gpus: int) -> int:
    """Return how many runs of so many threads fit these CPUs and GPUs at once: on GPUs, one for each."""
    fitting = max(1, cpus // threads)
    on_gpus = gpus and device != "cpu"
    return min(fitting, 1 if ":" in device else gpus) if on_gpus else fitting
