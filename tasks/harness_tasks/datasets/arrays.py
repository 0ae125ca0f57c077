"""The arrays of a stored data set: one ``.npy`` file per split for inputs and for targets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.spec import Samples

if TYPE_CHECKING:
    from typing import IO

    import numpy as np

Split = Literal["train", "test"]


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
    """The training and test samples, memory-mapped; raises :class:`DamagedArray`."""
    import numpy as np

    def array(name: str) -> np.ndarray:
        try:
            mapped: np.ndarray = np.load(folder / f"{name}.npy", mmap_mode="r")
        except Exception as error:  # NumPy raises many kinds for a broken header, TokenError among them
            raise DamagedArray(f"{name}.npy: {error}") from error
        return mapped

    train = Samples(array("train_inputs"), array("train_targets"))
    return train, Samples(array("test_inputs"), array("test_targets"))
