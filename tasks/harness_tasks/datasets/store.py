"""The storage of a fetched or imported data set: a folder of arrays, and a JSON file that names it.

Only replacing the JSON file changes what is loaded, and that is atomic: the data set is completely the old
one or the new one. Folders that the JSON file does not name are left-overs, which the next writer deletes.
Writers take turns by a lock that ends with their process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from harness import spec
from harness.errors import DataError, HarnessError
from harness.spec import Dataset, DatasetSummary, DownloadProgress
from harness_tasks.datasets.arrays import DamagedArray, Incoming, Split, map_arrays, write_arrays
from harness_tasks.datasets.files import read_up_to
from harness_tasks.datasets.fingerprint import fingerprint

if TYPE_CHECKING:
    from typing import IO

    from harness.spec import Samples

SCHEMA = 1
_MOST_BYTES = 2**16  # of the description


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``dataset.json``; ``arrays`` is the folder next to it that holds the rows."""

    schema: int
    name: str
    origin: str
    classes: tuple[str, ...]
    counts: Annotated[dict[Split, int], msgspec.Meta(min_length=2)]
    fingerprint: str
    arrays: Annotated[str, msgspec.Meta(pattern=r"^arrays-[0-9a-f]+$")]


def data_root() -> Path:
    """The folder of all data sets: ``HARNESS_DATA_DIR``, or the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("HARNESS_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dl-harness"))


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of one data set. ``remedy`` ends every error about its state."""

    folder: Path
    name: str
    classes: tuple[str, ...]
    remedy: str

    @property
    def _json(self) -> Path:
        return self.folder / "dataset.json"

    def is_present(self) -> bool:
        """Whether a data set is stored; only :meth:`load` checks that it is intact."""
        return self._json.is_file()

    def load(self, input_divisor: float) -> Dataset:
        """The data set, memory-mapped and read-only, after its fingerprint was verified.

        Raises:
            DataError: it is missing, or differs from what was stored.
        """
        description, train, test = self._mapped()
        if (counts := {"train": len(train), "test": len(test)}) != description.counts:
            raise self._damaged(f"dataset.json states {description.counts} rows, the arrays have {counts}")
        if (sha256 := fingerprint(train, test)) != description.fingerprint:
            expected = description.fingerprint
            raise self._damaged(f"dataset.json states sha256 {expected[:16]}, the arrays have {sha256[:16]}")
        return Dataset(
            self.name, sha256, description.origin, self.classes, train, test, input_divisor=input_divisor
        )

    def _mapped(self) -> tuple[Description, Samples, Samples]:
        """The description and its arrays; those of a new data set if one replaces the old one meanwhile."""
        description = self._describe()
        while True:
            try:
                return description, *map_arrays(self.folder / description.arrays)
            except DamagedArray as error:
                newer = self._describe()
                if newer == description:
                    raise self._damaged(f"an array cannot be read ({error})") from error
                description = newer

    def summarize(self) -> DatasetSummary:
        """The stored description; the arrays are not read.

        Raises:
            DataError: the data set is missing, or its description is broken.
        """
        description = self._describe()
        counts: dict[spec.Split, int] = {
            "train": description.counts["train"],
            "test": description.counts["test"],
        }
        return DatasetSummary(description.origin, counts, description.fingerprint)

    @contextlib.contextmanager
    def exclusive(self, progress: DownloadProgress) -> Iterator[None]:
        """Exclude other writers, and leave no unfinished folder behind, whatever happens inside.

        Raises:
            HarnessError: the folder cannot be written, or the disk is full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                _wait_for(lock, progress)
                self._sweep()
                try:
                    yield
                finally:
                    self._sweep()
        except OSError as error:
            raise HarnessError(f"{self.name} cannot be written to {self.folder}: {error}") from error

    def fresh_folder(self) -> Path:
        """A new folder, deleted when :meth:`exclusive` ends unless :meth:`save` has used it."""
        folder = self.folder / f"arrays-{secrets.token_hex(8)}"
        folder.mkdir()
        return folder

    def save(self, incoming: Incoming) -> None:
        """Write these rows and make them the data set; only inside :meth:`exclusive`."""
        folder = self.fresh_folder()
        write_arrays(folder, incoming)
        description = Description(
            schema=SCHEMA,
            name=self.name,
            origin=incoming.origin,
            classes=self.classes,
            counts=incoming.counts,
            fingerprint=fingerprint(*map_arrays(folder)),
            arrays=folder.name,
        )
        draft = folder / "dataset.json"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(description)) + b"\n")
        draft.replace(self._json)

    def _describe(self) -> Description:
        try:
            description = msgspec.json.decode(read_up_to(self._json, _MOST_BYTES), type=Description)
        except FileNotFoundError as error:
            raise DataError(f"{self.name} is not on this machine. {self.remedy}") from error
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._damaged(f"dataset.json cannot be read ({error})") from error
        fields = {"schema": SCHEMA, "name": self.name, "classes": self.classes}
        for field, expected in fields.items():
            if (value := getattr(description, field)) != expected:
                raise self._damaged(f"dataset.json has {field} {value!r}, expected {expected!r}")
        return description

    def _damaged(self, fault: str) -> DataError:
        return DataError(f"{self.name} in {self.folder} is damaged: {fault}. {self.remedy}")

    def _sweep(self) -> None:
        try:
            keep = self._describe().arrays
        except DataError:
            keep = None
        for folder in self.folder.glob("arrays-*"):
            if folder.name != keep:
                shutil.rmtree(folder, ignore_errors=True)


def _wait_for(lock: IO[str], progress: DownloadProgress) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress("waiting for another process that writes this data set", 0, 0)
        fcntl.flock(lock, fcntl.LOCK_EX)
