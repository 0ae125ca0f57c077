"""The mode ``best`` of ``harness run``, and the faster modes that are mentioned after its runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.runs.record import Record
from harness.core.runs.request import RunRequest
from harness.core.shell.executors import Executor
from harness.timing.duel.display import ModeDisplay
from harness.timing.duel.fastest_mode import FastestModes, ModeEvent, fastest_runs
from harness.timing.duel.mode_times import all_kept
from harness.timing.duel.modes_page import faster_modes
from harness.timing.duel.record import DUELS


class FindModes(NamedTuple):
    """Find the fastest run of each choice: a :class:`harness.core.shell.executors.PlacedWork`."""

    choices: Sequence[Sequence[RunRequest]]
    certify: bool

    @property
    def tasks(self) -> set[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return {choice[0].task.name for choice in self.choices}

    @property
    def backends(self) -> list[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return [choice[0].configuration.backend for choice in self.choices]

    @property
    def datasets(self) -> list[str]:
        """See :class:`harness.core.shell.executors.PlacedWork`."""
        return [choice[0].dataset.name for choice in self.choices]

    def do(self, folder: Path, notify: Callable[[ModeEvent], None]) -> list[RunRequest]:
        """Return the runs; duels are written to ``folder``."""
        return fastest_runs(self.choices, FastestModes(folder, notify, certify=self.certify))


def best_runs(
    choices: Sequence[Sequence[RunRequest]], executor: Executor, results: Path, *, quiet: bool, certify: bool
) -> list[RunRequest]:
    """Return the fastest run of each choice: see :class:`harness.core.shell.executors.BestMode`."""
    with ModeDisplay(quiet=quiet) as display:
        runs: list[RunRequest] = executor.carry_out(
            FindModes(choices, certify), results / DUELS.folder, display
        )
        return runs


def remarks(records: Sequence[Record]) -> list[str]:
    """Name the modes that are known to be faster than the modes of ``records``."""
    return faster_modes(
        [(record, record.task.description, record.machine) for record in records], [*all_kept()]
    )
