"""A duel as work that an executor places on one of its machines, recorded here after each pair."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.errors import interruption
from harness.timing.duel.record import DUELS, DuelRecord
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.runner import Duel, DuelEvent, Paired
from harness.timing.engine.pairs import trainings_of
from harness.timing.engine.workloads import Workload


class PlacedDuel(NamedTuple):
    """A duel: a :class:`harness.core.shell.executors.PlacedWork`.

    ``python`` is the interpreter of the command; the machine that does the work replaces it by its own.
    """

    request: DuelRequest
    python: str

    @property
    def tasks(self) -> set[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return {workload.task.name for workload in trainings_of(self.request.workloads)}

    @property
    def backends(self) -> list[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return [workload.configuration.backend for workload in self.request.workloads]

    @property
    def datasets(self) -> list[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return [self.request.dataset.name]

    def do(self, folder: Path, notify: Callable[[DuelEvent], None]) -> DuelRecord:
        """Return the record of the duel, which is written to ``folder``."""
        workloads = [self._here(workload) for workload in trainings_of(self.request.workloads)]
        return Duel(msgspec.structs.replace(self.request, workloads=workloads), folder, notify).carry_out()

    def _here(self, workload: Workload) -> Workload:
        """Replace the interpreter of the command by the interpreter of this machine."""
        configuration = workload.configuration
        if configuration.python != self.python:
            return workload
        own = msgspec.structs.replace(configuration, python=sys.executable)
        return msgspec.structs.replace(workload, configuration=own)


class DuelRecorder:
    """Writes the record of a duel that another machine carries out after each pair, and passes events on."""

    def __init__(self, folder: Path, notify: Callable[[DuelEvent], None]) -> None:
        self._folder = folder
        self._notify = notify
        self.record: DuelRecord | None = None
        self.path = folder

    def __call__(self, event: DuelEvent) -> None:
        """Pass an event on; after a pair, write the record first."""
        if isinstance(event, Paired):
            self.save(event.record)
        self._notify(event)

    def save(self, record: DuelRecord) -> None:
        """Write ``record``."""
        self.record, self.path = record, DUELS.save(record, self._folder)

    def interrupted(self, interrupt: KeyboardInterrupt) -> DuelRecord:
        """Return the record of a duel that a Ctrl-C ended, with its finished pairs."""
        if self.record is None:
            raise interrupt
        self.record.status, self.record.failure = "interrupted", interruption(interrupt)
        self.save(self.record)
        return self.record
