"""Runs whose process was killed before it could record their end."""

from pathlib import Path

import msgspec

from harness.runs.claims import holds
from harness.runs.record import Record


def judged(record: Record, path: Path) -> Record:
    """The record in a file, with status ``lost`` instead of ``running`` where its process is gone.

    A process on another host is gone if its claim has no heartbeat. Records of earlier versions name none.
    """
    if record.status != "running":
        return record
    process = record.process
    gone = True if process is None else process.has_ended()
    if gone is None and process is not None:
        gone = not holds(path.parent.parent, record.identity_key, process)
    return msgspec.structs.replace(record, status="lost") if gone else record
