"""The folder of records. Each is one JSON file, written completely or not at all."""

import glob
from pathlib import Path
from typing import Protocol

import msgspec

from harness.core.documents.contents import Needs
from harness.core.documents.kinds import RecordKind
from harness.core.documents.results import prepare_folder
from harness.core.machine.files import replace_result
from harness.core.plugins.sources import models_of
from harness.core.runs.claims import holds
from harness.core.runs.record import SCHEMA, Record
from harness.errors import HarnessError


def judged(record: Record, path: Path) -> Record:
    """Return the record of a file, with status ``lost`` instead of ``running`` if its process is gone.

    A process on another host is gone if its claim has no heartbeat. Records of earlier versions name no
    process.
    """
    if record.status != "running":
        return record
    process = record.process
    gone = True if process is None else process.has_ended()
    if gone is None and process is not None:
        gone = not holds(path.parent.parent, record.identity_key, process)
    return msgspec.structs.replace(record, status="lost") if gone else record


def needs(record: Record) -> Needs:
    """Return the user's own code and the backend that a run has used."""
    return Needs(models_of(record.task.description), [record.configuration.backend])


RUNS = RecordKind(
    name="run",
    folder="runs",
    type=Record,
    schema=SCHEMA,
    mark="epochs_asked",
    row="harness.core.runs.page:row",
    document="harness.core.shell.commands.show:run_document",
    numerous=True,
    judge=judged,
    needs=needs,
)


#: The suffix of files of weights.
WEIGHTS_SUFFIX = ".safetensors"


def files_of(record: Path) -> list[Path]:
    """Return the file of a record, and the images, losses and weights beside it that belong to it."""
    beginning = glob.escape(record.stem)
    return [
        record,
        *(
            path
            for suffix in (".png", ".npz", WEIGHTS_SUFFIX)
            for path in sorted(record.parent.glob(f"{beginning}*{suffix}"))
        ),
    ]


class RecordWriter(Protocol):
    """The storage of a run's record while the run is executed."""

    def save(self, record: Record) -> object:
        """See :meth:`Store.save`."""

    def save_beside(self, record: Record, content: bytes, ending: str) -> str:
        """See :meth:`Store.save_beside`."""


class Store:
    """Records under ``results/runs``."""

    def __init__(self, results: Path) -> None:
        self.folder = results / RUNS.folder

    def prepare(self) -> None:
        """See :func:`prepare_folder`."""
        prepare_folder(self.folder)

    def save(self, record: Record) -> Path:
        """See :meth:`RecordKind.save`."""
        return RUNS.save(record, self.folder)

    def save_beside(self, record: Record, content: bytes, ending: str) -> str:
        """Write images, losses or weights next to the record; return the file name: id and ``ending``."""
        path = self.folder / f"{record.id}{ending}"
        try:
            replace_result(path, content)
        except OSError as error:
            raise HarnessError(f"{path} cannot be written: {error.strerror}") from error
        return path.name

    def discard(self, record: Record) -> None:
        """Delete a record and the files next to it, because the run is executed again."""
        for path in files_of(self.folder / f"{record.id}.json"):
            path.unlink(missing_ok=True)

    def paths(self) -> list[Path]:
        """Return the files of the records, oldest first (their names begin with the time)."""
        return sorted(self.folder.glob("*.json"))
