"""Arrays in an ``.npz`` file of NumPy: ``x`` and ``y``, or those of each part."""

import zipfile
import zlib
from pathlib import Path

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
_EXPECTED = "x and y, or x_train, y_train, x_test and y_test (and x_validation, y_validation)"


def read_arrays(path: Path, _settings: FileSettings) -> Content:
    """Read the arrays of inputs and labels.

    Raises:
        UsageError: the file is broken, or other arrays are in it.
    """
    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"it is no readable .npz file ({error})") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UsageError(f"it holds one array without a name; save {_EXPECTED} with numpy.savez")
    with archive:
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


def _array(archive: "np.lib.npyio.NpzFile", name: str) -> np.ndarray:
    try:
        array: np.ndarray = archive[name]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            f"array {name} cannot be read ({error}); save a rectangular array of numbers or texts, not of "
            "Python objects"
        ) from error
    return array
