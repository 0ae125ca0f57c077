"""Runs in TensorBoard: a folder with an event file for each record, in the form that PyTorch writes.

TensorBoard's own writer is not used: it imports TensorFlow where that is installed, and its thread would work
while steps are timed.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.machine.description import this_host
from harness.machine.files import prove_writable
from harness.runs.record import Epoch, Record
from harness.tracking import values
from harness.tracking.events import Moment, version_event, write_events
from harness.tracking.tracker import TrackedRun

_EVENT_FILES = "events.out.tfevents.*"


class TensorboardTracker:
    """See :class:`harness.tracking.tracker.Tracker`. ``folder`` is what ``tensorboard --logdir`` reads.

    The event file of a run that is there already is written anew.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboard.compat.proto.event_pb2  # noqa: F401  to find out now whether it is installed
        except ImportError as error:
            raise UsageError(
                f'TensorBoard is not installed: pip install "dl-harness[tensorboard]" ({error})'
            ) from error
        self.place = str(folder)
        self._folder = folder

    def connect(self) -> None:
        """Make the folder."""
        prove_writable(self._folder)

    def run(self, record: Record, path: Path) -> TrackedRun:
        """See :class:`harness.tracking.tracker.Tracker`."""
        folder = self._folder / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(_EVENT_FILES):
            stale.unlink()
        return _TensorboardRun(folder, record, path)


class _TensorboardRun:
    """See :class:`harness.tracking.tracker.TrackedRun`."""

    def __init__(self, folder: Path, record: Record, path: Path) -> None:
        self._start = values.started_at(record)
        self._path = path
        self._file = folder / f"events.out.tfevents.{int(self._start)}.{this_host().name}.{os.getpid()}"
        parameters = Moment(self._start, 0).parameters(values.parameters(record))
        write_events(self._file, [version_event(self._start), parameters])

    def scored(self, epochs: Sequence[Epoch]) -> None:
        """See :class:`harness.tracking.tracker.TrackedRun`."""
        write_events(
            self._file,
            [
                Moment(values.scored_at(self._start, epoch), epoch.epoch).scalar(*metric)
                for epoch in epochs
                for metric in values.epoch_values(epoch).items()
            ],
        )

    def ended(self, record: Record) -> None:
        """See :class:`harness.tracking.tracker.TrackedRun`."""
        moment = Moment(values.ended_at(record), record.epochs[-1].epoch if record.epochs else 0)
        files = values.pictures(record, self._path.parent)
        rows = [
            f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in values.tags(record).items()
        ]
        write_events(
            self._file,
            [
                *(moment.scalar(*metric) for metric in values.final_values(record).items()),
                *(moment.picture(f"pictures/{name}", path) for name, path in files.items()),
                moment.text("record", "\n".join(["| | |", "|---|---|", *rows])),
                moment.end(succeeded=record.status == "ok"),
            ],
        )
