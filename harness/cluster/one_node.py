"""Work that belongs on one machine, such as a duel, placed as a whole on a node of a cluster."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.cluster.agent import FindModes, NodeState, PlacedDuel, PluginFile
from harness.cluster.dispatch import Lost, Nodes
from harness.cluster.messages import Ended
from harness.core.machine.files import replace_result
from harness.core.plugins import files as named_files
from harness.core.plugins import registry
from harness.core.runs.events import Phase
from harness.errors import HarnessError, UsageError, interruption
from harness.timing.duel.fastest_mode import (
    FastestMode,
    ModeEvent,
    TimingModes,
)
from harness.timing.duel.record import DUELS, DuelRecord
from harness.timing.duel.runner import Measuring, Paired

_POLL_SECONDS = 0.5


def on_one_node(
    nodes: Nodes,
    asked: FindModes | PlacedDuel,
    datasets: Iterable[str],
    notify: Callable[[ModeEvent], None],
) -> Any:
    """The result of the first node that is ready and lacks none of the backends.

    Raises:
        UsageError: every node lacks a backend; says what one lacks.
        HarnessError: the work failed, or its node was lost.
    """
    chosen: str | None = None
    lacking: dict[str, NodeState] = {}
    while True:
        for node, arrival in nodes.poll(_POLL_SECONDS):
            match arrival:
                case NodeState() if chosen is None and not arrival.lacking:
                    chosen, name = node, arrival.name
                    nodes.work(node, asked, datasets)
                case NodeState():
                    lacking[node] = arrival
                case Lost() if node == chosen:
                    raise HarnessError(
                        f"node {name} was lost ({arrival.reason}); run the same command again."
                    )
                case Lost():
                    lacking.pop(node, None)
                case Phase() | Measuring() | Paired() | TimingModes() | FastestMode() if node == chosen:
                    notify(arrival)
                case Ended() if node == chosen:
                    return _result(arrival)
        if chosen is None and lacking and not nodes.awaited():
            state = next(iter(lacking.values()))
            raise UsageError(f"node {state.name}: {next(iter(state.lacking.values()))}")


def _result(ended: Ended) -> Any:
    if ended.error is not None:
        raise (UsageError if ended.exit_code == UsageError.exit_code else HarnessError)(ended.error)
    return ended.result


def write_duels(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of duels that a node has sent.

    Raises:
        HarnessError: one cannot be written.
    """
    for name, content in files.items():
        path = folder / Path(name).name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace_result(path, content)
        except OSError as error:
            raise HarnessError(f"cannot write the record {path}: {error.strerror}") from error


class DuelRecorder:
    """Writes the record of a duel on a node after each pair, and passes on what the node reports."""

    def __init__(self, folder: Path, notify: Callable[[ModeEvent], None]) -> None:
        self._folder = folder
        self._notify = notify
        self.record: DuelRecord | None = None
        self.path = folder

    def __call__(self, event: ModeEvent) -> None:
        """Pass an event on; after a pair, write the record first."""
        if isinstance(event, Paired):
            self.save(event.record)
        self._notify(event)

    def save(self, record: DuelRecord) -> None:
        """Write a record.

        Raises:
            HarnessError: it cannot be written.
        """
        self.record, self.path = record, DUELS.save(record, self._folder)

    def interrupted(self, interrupt: KeyboardInterrupt) -> DuelRecord:
        """The record of a duel that a Ctrl-C ended, with its finished pairs.

        Raises:
            KeyboardInterrupt: there is none yet.
        """
        if self.record is None:
            raise interrupt
        self.record.status, self.record.failure = "interrupted", interruption(interrupt)
        self.save(self.record)
        return self.record


# The files of ``--plugin`` as they travel to nodes, which have no copy of them.


def plugin_files(tasks: Iterable[str]) -> list[PluginFile]:
    """The plugin files of this process, with the references of these tasks that are kept next to them.

    Raises:
        UsageError: a file cannot be read.
    """
    references = [reference for task in tasks if (reference := _reference(task)) is not None]
    return [_file(path, references) for path in named_files.plugin_files()]


def _file(path: Path, references: Iterable[Path]) -> PluginFile:
    folder = path.parent
    beside = [reference for reference in references if reference.is_relative_to(folder)]
    try:
        return PluginFile(
            path.name,
            path.read_bytes(),
            {str(file.relative_to(folder)): file.read_bytes() for file in beside},
        )
    except OSError as error:
        raise UsageError(f"plugin file {path} cannot be sent to the nodes: {error.strerror}") from error


def _reference(task: str) -> Path | None:
    try:
        reference = registry.task(task).reference
    except HarnessError:
        return None
    return reference if reference is not None and reference.is_file() else None
