"""The folder of records. Each is one JSON file, written completely or not at all."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import HarnessError, UsageError
from harness.machine.checksums import ContentChanged, verify_checksum, with_checksum
from harness.machine.files import prove_writable, replace_file
from harness.runs import record as records
from harness.runs.record import Record
from harness.runs.schemas import OtherSchema

RUNS = "runs"
#: The results folder of commands without ``--results``.
DEFAULT_RESULTS = Path("results")


class UnreadableRecord(UsageError):
    """A file without a readable record; the message names it and says why."""


def prepare_folder(folder: Path) -> None:
    """Make a folder for records and prove that it is writable, before anything runs.

    Raises:
        UsageError: it is not writable.
    """
    try:
        prove_writable(folder)
    except OSError as error:
        raise UsageError(
            f"records cannot be written to {folder}: {error.strerror}. Give another folder: --results DIR."
        ) from error


class Store:
    """Records under ``results/runs``."""

    def __init__(self, results: Path) -> None:
        self.folder = results / RUNS

    def prepare(self) -> None:
        """See :func:`prepare_folder`."""
        prepare_folder(self.folder)

    def save(self, record: Record) -> Path:
        """Write a record to the disk, atomically; returns its path.

        Raises:
            HarnessError: the file cannot be written, for example because the disk is full.
        """
        path = self.folder / f"{record.id}.json"
        try:
            replace_file(path, with_checksum(records.encode(record)))
        except OSError as error:
            raise HarnessError(f"the record {path} cannot be written: {error.strerror}") from error
        return path

    def save_samples(self, record: Record, png: bytes) -> str:
        """Write a grid of generated pictures next to the record; returns its file name.

        Raises:
            HarnessError: the file cannot be written.
        """
        path = self.folder / f"{record.id}.png"
        try:
            replace_file(path, png)
        except OSError as error:
            raise HarnessError(f"{path} cannot be written: {error.strerror}") from error
        return path.name

    def paths(self) -> list[Path]:
        """The files of the records, oldest first (their names begin with the time)."""
        return sorted(self.folder.glob("*.json"))

    def last(self) -> tuple[Path, Record, list[UnreadableRecord]]:
        """The newest readable file, its record, and the errors of newer files.

        Raises:
            UsageError: there is no file.
            UnreadableRecord: no file is readable; the error of the newest one.
        """
        unreadable: list[UnreadableRecord] = []
        for path in reversed(self._paths_or_error()):
            try:
                return path, read(path), unreadable
            except UnreadableRecord as error:
                unreadable.append(error)
        raise unreadable[0]

    def _paths_or_error(self) -> list[Path]:
        paths = self.paths()
        if not paths:
            raise UsageError(
                f"no records in {self.folder}; make one with: harness run --backend torch --task cnn"
            )
        return paths

    def find(self, name: str) -> Path:
        """The file of the record named by a path, an id or the beginning of an id.

        Raises:
            UsageError: no record matches, or more than one.
        """
        if is_file(name):
            return Path(name)
        paths = self._paths_or_error()
        name = name.removesuffix(".json")
        matches = [path for path in paths if path.stem.startswith(name)]
        if not matches:
            raise unknown_record(name, self.folder.parent)
        exact = [path for path in matches if path.stem == name]
        if len(matches) > 1 and not exact:
            raise UsageError(
                f"{name!r} matches {len(matches)} records; give more of the id, such as {matches[-1].stem}"
            )
        return (exact or matches)[0]


def results_option(results: Path) -> str:
    """`` --results DIR`` for commands that a message suggests; empty for the default folder."""
    return "" if results == DEFAULT_RESULTS else f" --results {shlex.quote(str(results))}"


def unknown_record(name: str, results: Path) -> UsageError:
    """The error for the name of a record that does not exist."""
    command = f"harness list results{results_option(results)}"
    return UsageError(f"unknown record {name!r}. List the records with: {command}")


def is_file(name: str) -> bool:
    """Whether a user's text is the path of a file; never raises."""
    try:
        return Path(name).is_file()
    except OSError:  # such as a name that is too long
        return False


def is_folder(name: str) -> bool:
    """Whether a user's text is the path of a folder; never raises."""
    try:
        return Path(name).is_dir()
    except OSError:
        return False


def read(path: Path) -> Record:
    """Read the record in a file.

    Raises:
        UnreadableRecord: the file cannot be read, holds no record, was changed after it was written, or a
            later version of harness wrote it.
    """
    try:
        content = path.read_bytes()
        verify_checksum(content)
        return records.decode(content)
    except ContentChanged as error:
        raise UnreadableRecord(f"{path} {error}") from error
    except OSError as error:
        raise UnreadableRecord(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if path.suffix != ".json":
            raise UnreadableRecord(f"{path} is not a JSON record") from error
        raise UnreadableRecord(f"{path} is not a readable record: {error}") from error
    except (msgspec.MsgspecError, OtherSchema, RecursionError) as error:
        raise UnreadableRecord(f"{path} is not a readable record: {error}") from error


def read_all(paths: list[Path]) -> Iterator[Record | UnreadableRecord]:
    """Each record, or the error in its place."""
    for path in paths:
        try:
            yield read(path)
        except UnreadableRecord as error:
            yield error
