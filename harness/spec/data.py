"""Data sets in canonical form, and the sources that plugins provide."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

Split = Literal["train", "validation", "test"]

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Samples:
    """A row per sample: ``inputs (n, *shape)``; ``targets`` are classes ``(n, ...)`` or values ``(n, m)``."""

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class Series:
    """How the windows of a time series are drawn: targets are ``(value - offset) / scale``.

    ``quantity`` is what is forecast, with its unit; ``time`` the unit of its steps, such as ``year``.
    ``test_start`` is the time of the first value to be forecast in the test data; each window is one later.
    """

    quantity: str
    time: str
    scale: float
    offset: float
    test_start: float


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set in canonical form: its ``name`` on the command line, and the samples of each split.

    Pictures are uint8 ``(n, height, width, channels)``, sequences float ``(n, steps, features)``, texts
    integers ``(n, steps)``, the places of their tokens in ``classes``; targets are int64 classes ``(n,)``, or
    ``(n, steps)`` for a class at each position, or float values ``(n, outputs)``. ``train`` and ``test`` are
    always given. Where ``validation`` is None, the harness splits it off the training data. A time series
    provides its own, later than the training data, so that no window is in both.

    ``fingerprint`` is the sha256 of the canonical arrays as they are in memory; ``origin`` says in a few
    words where the data comes from. A network sees ``inputs / input_divisor``.
    ``series`` lets reports draw the forecasts of a time series in its own unit.
    """

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    input_divisor: float = 1.0
    validation: Samples | None = None
    series: Series | None = None


def fingerprint(train: Samples, test: Samples, validation: Samples | None = None) -> str:
    r"""Hash everything that a network sees, every row in order, to a hexadecimal sha256.

    The hash covers, in this order, ``train.inputs``, ``train.targets``, ``test.inputs`` and
    ``test.targets``, and ``validation.inputs`` and ``validation.targets`` if the data set provides them: for
    each the ASCII line ``"<name> <dtype> <shape>\n"``, such as ``train.inputs |u1 50000,32,32,3`` or
    ``test.targets <i8 10000``, then its bytes, little-endian, in C order. Names of classes, files and folders
    are not included. The formula must never change: runs of different versions of the harness are compared
    by it.

    Args:
        train: Inputs ``(n, *shape)`` and targets ``(n,)``; not copied if contiguous and little-endian.
        test: The same for the test rows.
        validation: The same for the validation rows, if the data set provides them.
    """
    digest = hashlib.sha256()
    splits = {"train": train, "test": test} | ({"validation": validation} if validation else {})
    for split, samples in splits.items():
        for part, array in (("inputs", samples.inputs), ("targets", samples.targets)):
            canonical = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            shape = ",".join(map(str, canonical.shape))
            digest.update(f"{split}.{part} {canonical.dtype.str} {shape}\n".encode("ascii"))
            digest.update(canonical.reshape(-1).data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What is known about a data set without reading its arrays.

    ``origin`` says in a few words where the data comes from.
    ``samples`` counts the rows of each split that it provides. ``fingerprint`` is None if computing it takes
    the arrays.
    """

    origin: str
    samples: Mapping[Split, int]
    fingerprint: str | None = None


class DownloadProgress(Protocol):
    """Called by a source while it works; ``done`` and ``total`` are in bytes, ``total`` is 0 if unknown."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


class DataSource(abc.ABC):
    """What a data plugin provides: where a data set comes from and how it is read.

    ``name`` is its name on the command line, ``summary`` one line of text. ``importable`` says what
    :meth:`import_from` accepts; empty if it is not implemented. ``downloads`` says whether :meth:`fetch`
    needs the network.
    """

    name: str
    summary: str
    importable: str = ""
    downloads: bool = False

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Check that :meth:`load` can succeed now. Cheap: must not read arrays."""

    @abc.abstractmethod
    def load(self) -> Dataset:
        """Load the data set from this machine, without the network.

        Raises:
            DataError: the data is not on this machine, or is damaged; the message names the fault and the
                remedy.
        """

    def summarize(self) -> DatasetSummary | None:
        """Summarize the data on this machine without reading arrays; None where only :meth:`load` can.

        Raises:
            DataError: the data is not on this machine, or its description is damaged.
        """
        return None

    def fetch(self, progress: DownloadProgress) -> None:
        """Download or create the data on this machine. Does nothing if the data is complete already.

        Raises:
            DataError: the data cannot be obtained; the message gives the reason.
        """

    def import_from(self, path: Path, progress: DownloadProgress) -> Dataset:
        """Import the data set from the user's files, completely or not at all.

        Raises:
            DataError: the files are not this data set; the message states what was expected and what was
                found.
        """
        raise NotImplementedError
