"""Data sets in the cache, kept by fingerprint: those made of files, and those that a driver has sent.

Workers find them by their names in an environment variable and read them like any other data set.
"""

import contextlib
import dataclasses
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.core.machine.cache import cache_folder
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.plugins.options import Value, value_text
from harness.errors import DataError
from harness.spec.data import Dataset, DatasetSummary, DataSource, Samples, Series, Split

if TYPE_CHECKING:
    import numpy as np

#: The announced data sets, as a JSON object by name. Workers inherit it.
KEPT_VARIABLE = "HARNESS_KEPT_DATA"
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class DataFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file or folder that a data set was made of, and how: ``settings`` are those of ``--set-data``."""

    path: str
    settings: dict[str, Value] = {}

    def options(self) -> dict[str, object]:
        """Return the options that name the data set on the command line, by name."""
        settings = [f"{name}={value_text(value)}" for name, value in self.settings.items()]
        return {"dataset": self.path, "set-data": settings}


class _Announced(msgspec.Struct, frozen=True, omit_defaults=True):
    fingerprint: str
    file: DataFile | None = None


class _Description(msgspec.Struct, frozen=True):
    """A data set without its arrays; ``sha256`` has the checksum of each file."""

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    input_divisor: float
    series: Series | None
    samples: dict[Split, int]
    sha256: dict[str, str]


#: The fields that a description shares with its data set.
_FACTS = ("name", "fingerprint", "origin", "classes", "input_divisor", "series")


def keep(dataset: Dataset) -> None:
    """Write a data set to this machine's cache, completely or not at all."""
    import numpy as np

    folder = _folder(dataset.fingerprint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with GuardedFolder("data", folder.parent) as partial:
        sha256 = {}
        for file, array in _arrays(dataset).items():
            np.save(partial.path / file, array, allow_pickle=False)
            sha256[file] = _sha256(partial.path / file)
        own = {name: getattr(dataset, name) for name in _FACTS}
        samples = {split: len(rows) for split in _SPLITS if (rows := getattr(dataset, split)) is not None}
        description = _Description(**own, samples=samples, sha256=sha256)
        (partial.path / "dataset.json").write_bytes(msgspec.json.encode(description))
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or its agent would not have asked for it
        with contextlib.suppress(FileExistsError):  # another agent of this machine was faster
            partial.path.rename(folder)


def read(fingerprint: str) -> Dataset:
    """Verify the files of the data set of this fingerprint, and return it memory-mapped."""
    import numpy as np

    folder, description = _folder(fingerprint), _describe(fingerprint)
    try:
        changed = [file for file, sha256 in description.sha256.items() if _sha256(folder / file) != sha256]
        arrays = {file: np.load(folder / file, mmap_mode="r") for file in description.sha256}
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    if changed:
        raise DataError(f"the data in {folder} is damaged; delete the folder, and it is written again")
    splits: dict[str, Any] = {
        split: Samples(arrays[f"{split}-inputs.npy"], arrays[f"{split}-targets.npy"])
        for split in description.samples
    }
    own: dict[str, Any] = {name: getattr(description, name) for name in _FACTS}
    return Dataset(**own | splits)


def is_kept(fingerprint: str) -> bool:
    """Check whether this machine's cache has the data of this fingerprint, undamaged."""
    try:
        read(fingerprint)
    except DataError:
        return False
    return True


def is_kept_as(dataset: Dataset) -> bool:
    """Check whether the cache has this data set, undamaged and with the same names of classes."""
    if not is_kept(dataset.fingerprint):
        return False
    description = _describe(dataset.fingerprint)
    return all(getattr(description, name) == getattr(dataset, name) for name in _FACTS if name != "name")


def announce(name: str, fingerprint: str, file: DataFile | None = None) -> None:
    """Have this process and its workers read ``name`` from the cache; it was made of ``file``."""
    announced = _announced() | {name: _Announced(fingerprint, file)}
    os.environ[KEPT_VARIABLE] = msgspec.json.encode(announced).decode()


def source(name: str) -> DataSource | None:
    """Return the source of the announced data set of this name; None for others."""
    fingerprint = fingerprint_of(name)
    return None if fingerprint is None else KeptData(name, fingerprint)


def fingerprint_of(name: str) -> str | None:
    """Return the fingerprint of the announced data set of this name; None for others."""
    known = _announced().get(name)
    return None if known is None else known.fingerprint


def file_of(name: str) -> DataFile | None:
    """Return the file that the announced data set of this name was made of; None for others."""
    known = _announced().get(name)
    return None if known is None else known.file


class KeptData(DataSource):
    """A data set in this machine's cache."""

    summary = "kept in the cache"

    def __init__(self, name: str, fingerprint: str) -> None:
        self.name = name
        self._fingerprint = fingerprint

    def is_ready(self) -> bool:
        return _folder(self._fingerprint).is_dir()

    def load(self) -> Dataset:
        return dataclasses.replace(read(self._fingerprint), name=self.name)

    def summarize(self) -> DatasetSummary:
        description = _describe(self._fingerprint)
        return DatasetSummary(description.origin, description.samples, self._fingerprint)


def _announced() -> dict[str, _Announced]:
    return msgspec.json.decode(os.environ.get(KEPT_VARIABLE, "{}"), type=dict[str, _Announced])


def _describe(fingerprint: str) -> _Description:
    folder = _folder(fingerprint)
    try:
        return msgspec.json.decode((folder / "dataset.json").read_bytes(), type=_Description)
    except (OSError, msgspec.MsgspecError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> DataError:
    return DataError(f"the data kept in {folder} cannot be read: {error}")


def _folder(fingerprint: str) -> Path:
    name = hashlib.sha256(fingerprint.encode()).hexdigest()[:32]  # a plugin's fingerprint may be any text
    return cache_folder() / "kept-data" / name


def _arrays(dataset: Dataset) -> "dict[str, np.ndarray]":
    import numpy as np

    return {
        f"{split}-{part}.npy": np.asarray(getattr(samples, part))
        for split in _SPLITS
        if (samples := getattr(dataset, split)) is not None
        for part in ("inputs", "targets")
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
