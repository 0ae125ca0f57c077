"""Places for runs whose times are not judged: each has CPUs or a GPU of its own, and forked workers.

Where times are judged, a run has the machine for itself and a fresh process, and needs none of this.
"""

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence

from harness.core.machine.cpus import WORKER_CPUS, cpu_groups, usable_cpus
from harness.core.machine.worker_variables import visible_gpus, worker_variables
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import Making
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

        With ``fresh``, or further ``variables``, it is not forked. Its end removes it from the place.
        """
        self._refuse_if_abandoned()
        given = {**self.variables(configuration), **(variables or {})}
        template = None if fresh or variables else self.template(configuration)
        try:
            session = self._start(given, limit_seconds, template)
        except CannotFork as error:
            assert template is not None  # noqa: S101
            self._refuse_if_abandoned()  # which kills templates, too
            self._templates.give_up(configuration.backend, template, error)
            template, session = None, self._start(given, limit_seconds, None)
        return session, Making("fresh" if template is None else "forked", self._jobs)

    def _refuse_if_abandoned(self) -> None:
        if self.abandoned:
            raise HarnessError(self.abandoned)

    def _start(
        self, variables: Mapping[str, str], limit_seconds: float | None, template: Template | None
    ) -> Session:
        session = _PlacedSession(self, variables, limit_seconds, template)
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

    def abandon(self, reason: str) -> None:
        """End all workers of the place. Runs of them are then recorded as interrupted, for this reason."""
        with self._lock:
            self.abandoned = self.abandoned or reason or "interrupted"
            for session in self._sessions:
                session.kill()


class _PlacedSession(Session):
    def __init__(
        self, place: Place, variables: Mapping[str, str], limit: float | None, template: Template | None
    ) -> None:
        self._place = place
        super().__init__(variables, limit, silence_seconds=silence_within(limit), template=template)

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
