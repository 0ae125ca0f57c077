"""Data sets in canonical form, and the sources that plugins hand over."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

Split = Literal["train", "validation", "test"]

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs ``(n, *shape)`` and targets, one row a sample: classes ``(n,)`` or values ``(n, outputs)``."""

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set in canonical form.

    Pictures are uint8 ``(n, height, width, channels)``, sequences float ``(n, steps, features)``;
    targets are int64 classes ``(n,)`` or float values ``(n, outputs)``. Where ``validation`` is None
    the harness splits it off the training data; a time series brings its own, later than the
    training data, so that no window is in both.

    ``fingerprint`` is the sha256 of the canonical arrays as they are in memory now; ``origin`` says in
    a few words where the bytes came from. A network sees ``inputs / input_divisor``.
    """

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    input_divisor: float = 1.0
    validation: Samples | None = None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What can be said of a data set without reading its arrays.

    ``samples`` counts the rows of each split that it brings; ``fingerprint`` is None where only the arrays
    tell it.
    """

    origin: str
    samples: Mapping[Split, int]
    fingerprint: str | None = None


class DownloadProgress(Protocol):
    """What a source tells while it works: ``total`` and ``done`` in bytes, ``total`` 0 when unknown."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


class DataSource(abc.ABC):
    """What a data plugin hands over: where one data set comes from and how it is read."""

    name: str
    summary: str
    #: What ``import_from`` accepts, in words; empty where there is nothing to import.
    importable: str = ""
    #: Whether ``fetch`` needs the network.
    downloads: bool = False

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Whether :meth:`load` needs nothing more. Cheap: reads no arrays."""

    @abc.abstractmethod
    def load(self) -> Dataset:
        """The data set, from this machine alone.

        Raises:
            DataError: it is not here, or what is here is broken; says which, and what would help.
        """

    def summarize(self) -> DatasetSummary | None:
        """What is here, at once: reads no arrays. None where only :meth:`load` can tell.

        Raises:
            DataError: it is not here, or its description is broken.
        """
        return None

    def fetch(self, progress: DownloadProgress) -> None:
        """Bring the data onto this machine. Does nothing where a whole copy is here.

        Raises:
            DataError: it cannot be had, with the reason.
        """

    def import_from(self, path: Path, progress: DownloadProgress) -> Dataset:
        """Take the data set from files that the user has; whole or not at all.

        Raises:
            DataError: the files are not this data set, with what was expected and what was found.
        """
        raise NotImplementedError
