"""Where a data set that was brought here is kept: a folder of arrays, and one JSON that names it.

Replacing the JSON is the only step that changes what is loaded, and it is atomic: there is the old
data set or the new one, whole. Folders that the JSON does not name are left-overs, swept by the next
writer. Writers take turns by a lock that ends with their process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from harness import spec
from harness.errors import DataError, HarnessError
from harness.spec import Dataset, DatasetSummary, DownloadProgress, Samples
from harness_tasks.datasets.fingerprint import fingerprint

if TYPE_CHECKING:
    from typing import IO

SCHEMA = 1
Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """Pictures on their way into the store.

    ``blocks`` gives uint8 inputs ``(rows, *shape)`` and int64 targets ``(rows,)``, and over all blocks
    of a split as many rows as ``counts`` says, in their final order.
    """

    origin: str
    counts: dict[Split, int]
    shape: tuple[int, ...]
    blocks: Iterable[tuple[Split, Samples]]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``dataset.json``; ``arrays`` is the folder beside it that holds the rows."""

    schema: int
    name: str
    origin: str
    classes: tuple[str, ...]
    counts: dict[Split, int]
    fingerprint: str
    arrays: Annotated[str, msgspec.Meta(pattern=r"^arrays-[0-9a-f]+$")]


def data_root() -> Path:
    """The folder of all data sets: ``HARNESS_DATA_DIR``, or else the user's cache."""
    import platformdirs

    chosen = os.environ.get("HARNESS_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("dl-harness"))


@dataclass(frozen=True, slots=True)
class Store:
    """One data set's folder. ``remedy`` is the advice that ends every error about its state."""

    folder: Path
    name: str
    classes: tuple[str, ...]
    remedy: str

    @property
    def _json(self) -> Path:
        return self.folder / "dataset.json"

    def is_present(self) -> bool:
        """Whether a data set was stored here; whether it is still whole, only :meth:`load` tells."""
        return self._json.is_file()

    def load(self, input_divisor: float) -> Dataset:
        """The data set, memory-mapped and read-only, after its fingerprint was found to hold.

        Raises:
            DataError: it is not here, or it is not what was stored.
        """
        description = self._describe()
        try:
            train, test = _map(self.folder / description.arrays)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(f"an array cannot be read ({error})") from error
        if (counts := {"train": len(train), "test": len(test)}) != description.counts:
            raise self._damaged(f"dataset.json says {description.counts} rows, found {counts}")
        if (found := fingerprint(train, test)) != description.fingerprint:
            expected = description.fingerprint
            raise self._damaged(f"dataset.json says sha256 {expected[:16]}, the arrays have {found[:16]}")
        return Dataset(
            self.name, found, description.origin, self.classes, train, test, input_divisor=input_divisor
        )

    def summarize(self) -> DatasetSummary:
        """What the stored description says; the arrays are not read.

        Raises:
            DataError: it is not here, or the description is broken.
        """
        description = self._describe()
        counts: dict[spec.Split, int] = {
            "train": description.counts["train"],
            "test": description.counts["test"],
        }
        return DatasetSummary(description.origin, counts, description.fingerprint)

    @contextlib.contextmanager
    def exclusive(self, progress: DownloadProgress) -> Iterator[None]:
        """Hold off other writers, and leave no unfinished folder behind, whatever happens inside.

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
        """A new folder, swept when :meth:`exclusive` ends unless :meth:`save` made it the data set's."""
        folder = self.folder / f"arrays-{secrets.token_hex(8)}"
        folder.mkdir()
        return folder

    def save(self, incoming: Incoming) -> None:
        """Write these rows and make them the data set; call it inside :meth:`exclusive`."""
        folder = self.fresh_folder()
        _write(folder, incoming)
        description = Description(
            schema=SCHEMA,
            name=self.name,
            origin=incoming.origin,
            classes=self.classes,
            counts=incoming.counts,
            fingerprint=fingerprint(*_map(folder)),
            arrays=folder.name,
        )
        draft = folder / "dataset.json"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(description)) + b"\n")
        draft.replace(self._json)

    def _describe(self) -> Description:
        try:
            description = msgspec.json.decode(self._json.read_bytes(), type=Description)
        except FileNotFoundError as error:
            raise DataError(f"{self.name} is not on this machine. {self.remedy}") from error
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._damaged(f"dataset.json cannot be read ({error})") from error
        expected = (SCHEMA, self.name, self.classes)
        found = (description.schema, description.name, description.classes)
        for what, right, wrong in zip(("schema", "name", "classes"), expected, found, strict=True):
            if right != wrong:
                raise self._damaged(f"dataset.json has {what} {wrong!r}, expected {right!r}")
        return description

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self.name} in {self.folder} is damaged: {what}. {self.remedy}")

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


def _write(folder: Path, incoming: Incoming) -> None:
    # Plain writes: through a memory map a full disk would end the process instead of raising.
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


def _map(folder: Path) -> tuple[Samples, Samples]:
    import numpy as np

    def array(name: str) -> np.ndarray:
        mapped: np.ndarray = np.load(folder / f"{name}.npy", mmap_mode="r")
        return mapped

    train = Samples(array("train_inputs"), array("train_targets"))
    return train, Samples(array("test_inputs"), array("test_targets"))
