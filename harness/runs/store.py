"""The folder of records: each is one JSON file, written whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import HarnessError, UsageError, unknown_name
from harness.machine.files import prove_writable, replace_file
from harness.runs import record as records
from harness.runs.record import Record
from harness.runs.schemas import OtherSchema

RUNS = "runs"


class UnreadableRecord(UsageError):
    """A file that should hold a record and does not; the message names it and says why."""


def prepare_folder(folder: Path) -> None:
    """Make a folder of records and prove that it can be written, before anything is run.

    Raises:
        UsageError: it cannot.
    """
    try:
        prove_writable(folder)
    except OSError as error:
        raise UsageError(
            f"records cannot be written to {folder}: {error.strerror}. "
            "Name a folder of yours with --results DIR."
        ) from error


class Store:
    """Records under ``results/runs``."""

    def __init__(self, results: Path) -> None:
        self.folder = results / RUNS

    def prepare(self) -> None:
        """See :func:`prepare_folder`."""
        prepare_folder(self.folder)

    def save(self, record: Record) -> Path:
        """Write a record, atomically and through to the disk; its path.

        Raises:
            HarnessError: it cannot be written, as on a full disk.
        """
        path = self.folder / f"{record.id}.json"
        try:
            replace_file(path, records.encode(record))
        except OSError as error:
            raise HarnessError(f"the record {path} cannot be written: {error.strerror}") from error
        return path

    def save_samples(self, record: Record, png: bytes) -> str:
        """Write a grid of samples beside the record; its file name.

        Raises:
            HarnessError: it cannot be written.
        """
        path = self.folder / f"{record.id}.png"
        try:
            replace_file(path, png)
        except OSError as error:
            raise HarnessError(f"{path} cannot be written: {error.strerror}") from error
        return path.name

    def paths(self) -> list[Path]:
        """The records' files, oldest first (their names begin with the time)."""
        return sorted(self.folder.glob("*.json"))

    def last(self) -> tuple[Path, Record, list[UnreadableRecord]]:
        """The newest file that holds a record, the record, and what newer files hold in place of one.

        Raises:
            UsageError: there is no file.
            UnreadableRecord: none can be read; of the newest one.
        """
        unreadable: list[UnreadableRecord] = []
        for path in reversed(self._some_paths()):
            try:
                return path, read(path), unreadable
            except UnreadableRecord as error:
                unreadable.append(error)
        raise unreadable[0]

    def _some_paths(self) -> list[Path]:
        paths = self.paths()
        if not paths:
            raise UsageError(
                f"no records in {self.folder}; make one with: harness run --backend torch --task cnn"
            )
        return paths

    def find(self, name: str) -> Path:
        """The file of a record given by path, by id, or by the beginning of an id.

        Raises:
            UsageError: nothing or more than one fits.
        """
        if is_file(name):
            return Path(name)
        paths = self._some_paths()
        name = name.removesuffix(".json")
        fitting = [path for path in paths if path.stem.startswith(name)]
        if not fitting:
            raise unknown_name("record", name, [path.stem for path in paths[-10:]])
        exact = [path for path in fitting if path.stem == name]
        if len(fitting) > 1 and not exact:
            raise UsageError(
                f"{name!r} fits {len(fitting)} records; give more of the id, such as {fitting[-1].stem}"
            )
        return (exact or fitting)[0]


def is_file(name: str) -> bool:
    """Whether a name that a person gave is a file's; never an error."""
    try:
        return Path(name).is_file()
    except OSError:  # too long for a file name, say
        return False


def is_folder(name: str) -> bool:
    """The same of a folder."""
    try:
        return Path(name).is_dir()
    except OSError:
        return False


def read(path: Path) -> Record:
    """The record in a file.

    Raises:
        UnreadableRecord: it cannot be read, is no record, or a later harness wrote it.
    """
    try:
        return records.decode(path.read_bytes())
    except OSError as error:
        raise UnreadableRecord(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, OtherSchema, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRecord(f"{path} is not a readable record: {error}") from error


def read_all(paths: list[Path]) -> Iterator[Record | UnreadableRecord]:
    """Each record, or the error that stands in its place."""
    for path in paths:
        try:
            yield read(path)
        except UnreadableRecord as error:
            yield error
