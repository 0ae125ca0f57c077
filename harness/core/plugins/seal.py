"""Checksums of the samples that a program was given, by which changes through pointers are found.

:class:`WatchedProgram` verifies them after each call. It is for certificates, whose data is small. The data
of a run is in memory that cannot be written; to verify it takes as long as a step.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from harness.core.machine.read_only import is_mapped
from harness.core.plugins.programs import CheckedProgram, build, data_changed, read_only
from harness.spec.backend import Backend, Plan
from harness.spec.data import Samples

_Name = TypeVar("_Name", bound=str)


class DataSeal:
    """The checksums of samples as they are now. A check reads all bytes of the samples, at about 4 GB/s."""

    def __init__(self, samples: Mapping[_Name, Samples]) -> None:
        """Compute the checksums of ``samples``, given by names such as ``training``."""
        self._samples: dict[str, Samples] = dict(samples.items())
        self._sums = {part: checksum(array) for part, array in self._arrays(self._samples)}

    def changed(self, *names: str) -> str | None:
        """Name the first part that has changed, such as ``training inputs``; None if none has.

        Without ``names``, all samples are checked.
        """
        for part, array in self._arrays(names or self._samples):
            if checksum(array) != self._sums[part]:
                return part
        return None

    @property
    def is_protected(self) -> bool:
        """True if all samples are in memory that the process cannot write, so that a check finds little."""
        return all(is_mapped(array) for _, array in self._arrays(self._samples))

    def _arrays(self, names: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        for name in names:
            yield f"{name} inputs", self._samples[name].inputs
            yield f"{name} targets", self._samples[name].targets


def checksum(array: np.ndarray) -> int:
    """Return the CRC-32 of the array's bytes in canonical order."""
    return zlib.crc32(np.ascontiguousarray(array).data)


class WatchedProgram(CheckedProgram):
    """A checked program that raises :class:`ContractBroken` for the call that changes its data."""

    def __init__(self, backend: Backend, plan: Plan, samples: Samples) -> None:
        """Build the program; raise the exceptions of the backend."""
        protected = read_only(samples)
        self._seal = DataSeal({"training": protected})
        self._given: tuple[np.ndarray, int] | None = None
        super().__init__(build(backend, plan, protected), backend.name, plan)
        self._made("build()")

    def _made(self, call: str) -> None:
        if part := self._seal.changed():
            raise data_changed(self._backend, call, part)
        given, self._given = self._given, None
        if given is not None and checksum(given[0]) != given[1]:
            raise data_changed(self._backend, call, "inputs that it was given")

    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        self._given = inputs, checksum(inputs)
        return super().predict(inputs, network)

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        self._given = inputs, checksum(inputs)
        return super().input_gradients(inputs, targets, network)
