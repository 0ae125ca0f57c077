"""Runs in TensorBoard: a folder with an event file for each record, in the form that PyTorch writes.

Events are encoded by TensorBoard's own protocol buffers, without any framework.

TensorBoard's own writer is not used: it imports TensorFlow where that is installed, and its thread would work
while steps are timed.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.machine.description import this_host
from harness.core.machine.files import prove_writable
from harness.core.runs.record import Epoch, Record
from harness.errors import UsageError
from harness.tracking import values
from harness.tracking.tool import TrackedRun
from harness.tracking.values import Value


def write_events(path: Path, events: list[Any]) -> None:
    """Append events to an event file. They are on the disk, or at least handed to the system, on return."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    with path.open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


def version_event(seconds: float) -> Any:
    """Make the event that every file begins with."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=seconds, file_version="brain.Event:2")


class Moment:
    """Makes events at ``seconds`` since 1970 and a ``step``."""

    def __init__(self, seconds: float, step: int) -> None:
        self._seconds = seconds
        self._step = step

    def scalar(self, name: str, value: float) -> Any:
        """Make a point of a curve."""
        return self._event(tag=name, simple_value=value)

    def picture(self, name: str, path: Path) -> Any:
        """Make a picture of a PNG file."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        with Image.open(path) as opened:
            width, height = opened.size
        channels = 3
        encoded = Summary.Image(
            width=width, height=height, colorspace=channels, encoded_image_string=path.read_bytes()
        )
        return self._event(tag=name, image=encoded)

    def text(self, name: str, markdown: str) -> Any:
        """Make a text in Markdown."""
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text.metadata import create_summary_metadata

        tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()])
        return self._event(tag=name, tensor=tensor, metadata=create_summary_metadata(name, ""))

    def parameters(self, parameters: Mapping[str, Value]) -> Any:
        """Make the parameters of a run that starts."""
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2

        info = plugin_data_pb2.SessionStartInfo(start_time_secs=self._seconds)
        for name, value in parameters.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(info.hparams[name], kind, value)
        data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
        return self._metadata(metadata.SESSION_START_INFO_TAG, data)

    def end(self, *, succeeded: bool) -> Any:
        """Make the end of a run."""
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=self._seconds)
        data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
        return self._metadata(metadata.SESSION_END_INFO_TAG, data)

    def _metadata(self, tag: str, data: Any) -> Any:
        from tensorboard.plugins.hparams import metadata

        described = metadata.create_summary_metadata(data)
        return self._event(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)

    def _event(self, **value: Any) -> Any:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value)])
        return Event(wall_time=self._seconds, step=self._step, summary=summary)


_EVENT_FILES = "events.out.tfevents.*"
#: The folder of event files under the results.
_FOLDER = "tensorboard"


class TensorboardTool:
    """See :class:`harness.tracking.tool.Tool`. ``tensorboard --logdir`` reads ``folder``.

    An existing event file of the run is overwritten.
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
        """Make the folder, or raise HarnessError if it cannot be written."""
        prove_writable(self._folder)

    def run(self, record: Record, path: Path) -> TrackedRun:
        """See :class:`harness.tracking.tool.Tool`."""
        folder = self._folder / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(_EVENT_FILES):
            stale.unlink()
        return _TensorboardRun(folder, record, path)


def tool(results: Path) -> TensorboardTool:
    """Make the tool that writes to a folder of the results."""
    return TensorboardTool(results / _FOLDER)


class _TensorboardRun:
    """See :class:`harness.tracking.tool.TrackedRun`."""

    def __init__(self, folder: Path, record: Record, path: Path) -> None:
        self._start = values.started_at(record)
        self._judged = record.judged_seconds is not None
        self._path = path
        self._file = folder / f"events.out.tfevents.{int(self._start)}.{this_host()}.{os.getpid()}"
        parameters = Moment(self._start, 0).parameters(values.parameters(record))
        write_events(self._file, [version_event(self._start), parameters])

    def scored(self, epochs: Sequence[Epoch]) -> None:
        """See :class:`harness.tracking.tool.TrackedRun`."""
        write_events(
            self._file,
            [
                Moment(values.scored_at(self._start, epoch), epoch.epoch).scalar(*metric)
                for epoch in epochs
                for metric in values.epoch_values(epoch, judged=self._judged).items()
            ],
        )

    def ended(self, record: Record) -> None:
        """See :class:`harness.tracking.tool.TrackedRun`."""
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
