"""Checksums of the samples that a program was given, by which changes through pointers are found."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from harness.machine.read_only_memory import is_mapped
from harness.spec.data import Samples

_Name = TypeVar("_Name", bound=str)


class DataSeal:
    """Remembers samples as they are now. A check reads all of their bytes, at about 4 GB/s."""

    def __init__(self, samples: Mapping[_Name, Samples]) -> None:
        """``samples`` by the words for them, such as ``training``."""
        self._samples: dict[str, Samples] = dict(samples.items())
        self._sums = {part: checksum(array) for part, array in self._arrays(self._samples)}

    def changed(self, *names: str) -> str | None:
        """The first part that is not as it was, such as ``training inputs``; None if all is.

        Without ``names``, everything is checked.
        """
        for part, array in self._arrays(names or self._samples):
            if checksum(array) != self._sums[part]:
                return part
        return None

    @property
    def is_protected(self) -> bool:
        """Whether all of it is in memory that the process cannot write, so that a check finds little."""
        return all(is_mapped(array) for _, array in self._arrays(self._samples))

    def _arrays(self, names: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        for name in names:
            yield f"{name} inputs", self._samples[name].inputs
            yield f"{name} targets", self._samples[name].targets


def checksum(array: np.ndarray) -> int:
    """The CRC-32 of the array's bytes in canonical order."""
    return zlib.crc32(np.ascontiguousarray(array).data)
