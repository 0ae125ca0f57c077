"""Arrays in an ``.npz`` file of NumPy: ``x`` and ``y``, or those of each part."""

import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from harness.core.data_files.content import Content, Part, Rows
from harness.core.data_files.settings import FileSettings
from harness.errors import UsageError

#: The endings of the names of inputs and labels; names are in any case.
_PARTS: dict[str, Part] = {
    "": "all",
    "_train": "train",
    "_validation": "validation",
    "_val": "validation",
    "_test": "test",
}
_BROKEN = (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_EXPECTED = "x and y, or x_train, y_train, x_test and y_test (and x_validation, y_validation)"


def read_arrays(path: Path, _settings: FileSettings) -> Content:
    """Read the arrays of inputs and labels."""
    if not zipfile.is_zipfile(path):
        raise UsageError("it is no .npz file; numpy.savez writes one")
    with path.open("rb") as file, _opened(file) as archive:
        names = {name.lower(): name for name in archive.files}
        found = {
            part: (names[f"x{ending}"], names[f"y{ending}"])
            for ending, part in _PARTS.items()
            if f"x{ending}" in names and f"y{ending}" in names
        }
        if not (
            found.keys() == {"all"} or {"train", "test"} <= found.keys() <= {"train", "validation", "test"}
        ):
            listed = ", ".join(archive.files) or "no arrays"
            raise UsageError(f"it has the arrays {listed}; expected {_EXPECTED}")
        rows = {part: Rows(_array(archive, x), _array(archive, y)) for part, (x, y) in found.items()}
    return Content(rows, ("x", "y"))


def _opened(file: IO[bytes]) -> "np.lib.npyio.NpzFile":
    try:
        archive: np.lib.npyio.NpzFile = np.load(file, allow_pickle=False)
    except _BROKEN as error:
        raise UsageError(f"it is no readable .npz file ({error})") from error
    return archive


def _array(archive: "np.lib.npyio.NpzFile", name: str) -> np.ndarray:
    try:
        array: np.ndarray = archive[name]
    except ValueError as error:  # NumPy saves Python objects as a pickle, which is not read
        raise UsageError(
            f"array {name} is none of numbers or texts; rows of different lengths and other Python objects "
            "are not read"
        ) from error
    except _BROKEN as error:
        raise UsageError(f"array {name} cannot be read ({error})") from error
    return array
