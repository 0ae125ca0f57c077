"""The storage of data sets: files that are complete or absent, arrays, and fingerprints.

A fetched or imported data set is a folder of arrays, and a JSON file that names it. Only replacing the JSON
file changes what is loaded, and that is atomic: the data set is completely the old one or the new one.
Folders that the JSON file does not name are leftovers, which the next writer deletes. Writers take turns by
a lock that ends with their process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from harness import spec
from harness.errors import DataError, HarnessError
from harness.spec import Dataset, DatasetSummary, DataSource, DownloadProgress, Samples, fingerprint

if TYPE_CHECKING:
    from typing import IO

    import numpy as np

Split = Literal["train", "test"]
SCHEMA = 1
_MOST_BYTES = 2**16  # of the description
_DRAFT = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
#: A file is written in seconds: older drafts are those of killed writers.
_LONGEST_WRITE_SECONDS = 3600.0


def data_root() -> Path:
    """Return the folder of all data sets: ``HARNESS_DATA_DIR``, or the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("HARNESS_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dl-harness"))


def no_progress(what: str, done: int, total: int) -> None:
    """Show no progress of a download or an import."""


class LocalSource(DataSource):
    """A data set that is always present; ``origin`` and ``samples`` describe it without its arrays."""

    origin: str
    samples: ClassVar[Mapping[spec.Split, int]]

    def is_ready(self) -> bool:
        """Return True."""
        return True

    def summarize(self) -> DatasetSummary:
        """Return the origin and the counts; the fingerprint is left out, because it takes the arrays."""
        return DatasetSummary(self.origin, dict(self.samples))

    def dataset(self, classes: Sequence[str], train: Samples, test: Samples, **more: Any) -> Dataset:
        """Build the data set of these rows; ``more`` are further fields of the data set."""
        sha256 = fingerprint(train, test, more.get("validation"))
        return Dataset(self.name, sha256, self.origin, tuple(classes), train, test, **more)


class PublishedSource(DataSource):
    """A data set that is fetched from the internet or imported from the user's files."""

    downloads = True

    @property
    def remedy(self) -> str:
        """The commands that make the data set ready."""
        return f"Run: harness data fetch {self.name}, or: harness data import {self.name} PATH"

    def is_whole(self) -> bool:
        """Check that the data set is present and undamaged; reads its arrays."""
        try:
            self.load()
        except DataError:
            return False
        return True

    def download(self, url: str, known_hash: str, folder: Path, progress: DownloadProgress) -> Path:
        """Download a file into ``folder``; returns its path."""
        from harness_tasks.datasets.download import download

        try:
            return download(url, known_hash, folder, progress)
        except DataError as error:
            hint = f"If you have the data, run: harness data import {self.name} PATH"
            raise DataError(f"{error}\n{hint}") from error


# Files: read up to a size, and written completely or not at all.


def read_up_to(path: Path, most_bytes: int) -> bytes:
    """Read the first bytes of a file; all of them if there are fewer than ``most_bytes``."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    with path.open("rb") as file:
        return file.read(most_bytes)


def replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file completely or not at all, and delete drafts that killed writers left next to it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        for left in path.parent.iterdir():
            if _DRAFT.fullmatch(left.name) and time.time() - left.lstat().st_mtime > _LONGEST_WRITE_SECONDS:
                left.unlink()
        with draft.open("xb") as file:  # follows no link
            write(file)
        os.replace(draft, path)  # noqa: PTH105  atomic on every system
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


# The arrays of a stored data set: one ``.npy`` file per split for inputs and for targets.


@dataclass(frozen=True, slots=True)
class Incoming:
    """Pictures to be stored.

    ``blocks`` yields uint8 inputs ``(rows, *shape)`` and int64 targets ``(rows,)``: in all blocks of a split
    together ``counts`` rows, in their final order.
    """

    origin: str
    counts: dict[Split, int]
    shape: tuple[int, ...]
    blocks: Iterable[tuple[Split, Samples]]


def write_arrays(folder: Path, incoming: Incoming) -> None:
    """Write the arrays block by block; raises OSError."""
    # Plain writes: with a memory map a full disk would kill the process instead of raising.
    import numpy as np

    with contextlib.ExitStack() as stack:
        files: dict[tuple[Split, str], IO[bytes]] = {}
        for split, count in incoming.counts.items():
            for part, dtype, shape in (("inputs", "|u1", incoming.shape), ("targets", "<i8", ())):
                file = stack.enter_context((folder / f"{split}_{part}.npy").open("wb"))
                header = {"descr": dtype, "fortran_order": False, "shape": (count, *shape)}
                np.lib.format.write_array_header_1_0(file, header)
                files[split, part] = file
        for split, samples in incoming.blocks:
            files[split, "inputs"].write(np.ascontiguousarray(samples.inputs, "|u1").data)
            files[split, "targets"].write(np.ascontiguousarray(samples.targets, "<i8").data)


class DamagedArray(Exception):
    """An array that cannot be read; the message says why."""


def map_arrays(folder: Path) -> tuple[Samples, Samples]:
    """Map the training and test samples to memory; raises :class:`DamagedArray`."""
    import numpy as np

    def array(name: str) -> np.ndarray:
        try:
            mapped: np.ndarray = np.load(folder / f"{name}.npy", mmap_mode="r")
        except Exception as error:  # NumPy raises many kinds for a broken header, TokenError among them
            raise DamagedArray(f"{name}.npy: {error}") from error
        return mapped

    train = Samples(array("train_inputs"), array("train_targets"))
    return train, Samples(array("test_inputs"), array("test_targets"))


# The folder of a data set.


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``dataset.json``; ``arrays`` is the folder next to it that holds the rows."""

    schema: int
    name: str
    origin: str
    classes: tuple[str, ...]
    counts: Annotated[dict[Split, int], msgspec.Meta(min_length=2)]
    fingerprint: str
    arrays: Annotated[str, msgspec.Meta(pattern=r"^arrays-[0-9a-f]+$")]


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
        """Check that a data set is stored; only :meth:`load` checks that it is intact."""
        return self._json.is_file()

    def load(self, input_divisor: float) -> Dataset:
        """Load the data set, memory-mapped and read-only, after verifying its fingerprint."""
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
        """Map the description and its arrays; if a new data set has replaced the old one, map the new one."""
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
        """Return the stored description; the arrays are not read."""
        description = self._describe()
        counts: dict[spec.Split, int] = {
            "train": description.counts["train"],
            "test": description.counts["test"],
        }
        return DatasetSummary(description.origin, counts, description.fingerprint)

    @contextlib.contextmanager
    def exclusive(self, progress: DownloadProgress) -> Iterator[None]:
        """Exclude other writers, and remove unfinished folders in any case."""
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
        """Make a new folder, deleted when :meth:`exclusive` ends unless :meth:`save` has used it."""
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
