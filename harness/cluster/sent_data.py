"""Data sets that the driver has sent to a node, kept there by fingerprint.

This file is also a plugin file: on a node it provides the data sets that the variable names, so that workers
read them like any other data set.
"""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import platformdirs

from harness.core.machine.guarded_folder import GuardedFolder
from harness.errors import DataError
from harness.hookspecs import hookimpl
from harness.spec.data import Dataset, DataSource, Samples, Series

#: The fingerprints of the data sets that were sent, as a JSON object by name.
SENT_VARIABLE = "HARNESS_SENT_DATA"
_SPLITS = ("train", "validation", "test")


class _Description(msgspec.Struct, frozen=True):
    """A data set without its arrays; ``sha256`` has the checksum of each file."""

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    input_divisor: float
    series: Series | None
    sha256: dict[str, str]


def keep(dataset: Dataset) -> None:
    """Write a data set to this node's cache, completely or not at all.

    Raises:
        OSError: the data set cannot be written.
    """
    folder = _folder(dataset.fingerprint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with GuardedFolder("data", folder.parent) as partial:
        sha256 = {}
        for file, array in _arrays(dataset).items():
            np.save(partial.path / file, array, allow_pickle=False)
            sha256[file] = _sha256(partial.path / file)
        own = {name: getattr(dataset, name) for name in _Description.__struct_fields__ if name != "sha256"}
        description = _Description(**own, sha256=sha256)
        (partial.path / "dataset.json").write_bytes(msgspec.json.encode(description))
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or its agent would not have asked for it
        with contextlib.suppress(FileExistsError):  # another agent of this machine was faster
            partial.path.rename(folder)


def read(fingerprint: str) -> Dataset:
    """Verify the files of the data set of this fingerprint, and return it memory-mapped.

    Raises:
        DataError: the data set is not in this node's cache, or is damaged.
    """
    folder = _folder(fingerprint)
    try:
        description = msgspec.json.decode((folder / "dataset.json").read_bytes(), type=_Description)
        changed = [file for file, sha256 in description.sha256.items() if _sha256(folder / file) != sha256]
        arrays = {file: np.load(folder / file, mmap_mode="r") for file in description.sha256}
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise DataError(f"the data that the driver sent cannot be read from {folder}: {error}") from error
    if changed:
        raise DataError(f"the data in {folder} is damaged; delete the folder and it is sent again")
    splits = {
        split: Samples(arrays[f"{split}-inputs.npy"], arrays[f"{split}-targets.npy"])
        for split in _SPLITS
        if f"{split}-inputs.npy" in arrays
    }
    own: dict[str, Any] = msgspec.structs.asdict(description)
    del own["sha256"]
    return Dataset(**own | splits)


def is_kept(fingerprint: str) -> bool:
    """Check whether this node's cache has the data of this fingerprint, undamaged."""
    try:
        read(fingerprint)
    except DataError:
        return False
    return True


def announce(name: str, fingerprint: str) -> None:
    """Have the workers that this process starts read the data set of this name from the cache."""
    os.environ[SENT_VARIABLE] = msgspec.json.encode(_sent() | {name: fingerprint}).decode()


class SentData(DataSource):
    """A data set in this node's cache."""

    summary = "sent by the driver"

    def __init__(self, name: str, fingerprint: str) -> None:
        self.name = name
        self._fingerprint = fingerprint

    def is_ready(self) -> bool:
        return _folder(self._fingerprint).is_dir()

    def load(self) -> Dataset:
        return read(self._fingerprint)


@hookimpl
def harness_dataset(name: str) -> DataSource | None:
    """Provide the data set of this name, if the driver has sent it."""
    fingerprint = _sent().get(name)
    return None if fingerprint is None else SentData(name, fingerprint)


def _sent() -> dict[str, str]:
    return msgspec.json.decode(os.environ.get(SENT_VARIABLE, "{}"), type=dict[str, str])


def _folder(fingerprint: str) -> Path:
    cache = os.environ.get("HARNESS_CACHE_DIR") or platformdirs.user_cache_dir("dl-harness")
    name = hashlib.sha256(fingerprint.encode()).hexdigest()[:32]  # a plugin's fingerprint may be any text
    return Path(cache) / "sent-data" / name


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    return {
        f"{split}-{part}.npy": np.asarray(getattr(samples, part))
        for split in _SPLITS
        if (samples := getattr(dataset, split)) is not None
        for part in ("inputs", "targets")
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
