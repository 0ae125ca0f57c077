"""TensorBoard's events, encoded by its own protocol buffers, without any framework."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.tracking.values import Value


def write_events(path: Path, events: list[Any]) -> None:
    """Append events to an event file. They are on the disk, or at least with the system, on return."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    with path.open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


def version_event(seconds: float) -> Any:
    """The event that every file begins with."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=seconds, file_version="brain.Event:2")


class Moment:
    """Events at ``seconds`` since 1970 and a ``step``."""

    def __init__(self, seconds: float, step: int) -> None:
        self._seconds = seconds
        self._step = step

    def scalar(self, name: str, value: float) -> Any:
        """A point of a curve."""
        return self._event(tag=name, simple_value=value)

    def picture(self, name: str, path: Path) -> Any:
        """A PNG file."""
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
        """A text in Markdown."""
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text.metadata import create_summary_metadata

        tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()])
        return self._event(tag=name, tensor=tensor, metadata=create_summary_metadata(name, ""))

    def parameters(self, parameters: Mapping[str, Value]) -> Any:
        """The parameters of a run that starts."""
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2

        info = plugin_data_pb2.SessionStartInfo(start_time_secs=self._seconds)
        for name, value in parameters.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(info.hparams[name], kind, value)
        data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
        return self._metadata(metadata.SESSION_START_INFO_TAG, data)

    def end(self, *, succeeded: bool) -> Any:
        """The end of a run."""
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
