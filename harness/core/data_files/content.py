"""The content of a data file before its labels are understood and its rows are split."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from harness.errors import UsageError

#: ``all``: the file leaves the split to the harness.
Part = Literal["all", "train", "validation", "test"]

_BYTE = np.uint8
_LARGEST_BYTE = 255.0


class Rows(NamedTuple):
    """Samples: ``inputs (n, *shape)`` and, in the same order, ``labels`` as they are in the file."""

    inputs: np.ndarray
    labels: np.ndarray


class Content(NamedTuple):
    """The rows of a file: ``all``, or the parts into which the file divides them.

    ``names`` are those of inputs and labels in errors; ``is_table`` says that each column has a unit of its
    own.
    """

    rows: Mapping[Part, Rows]
    names: tuple[str, str]
    is_table: bool = False


def checked(content: Content) -> Content:
    """Check that the parts have samples, of one shape, with a label each, all of them finite."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part, rows in content.rows.items():
        where = "" if part == "all" else f" of the {part} data"
        for name, array in zip(content.names, rows, strict=True):
            if not array.ndim or not len(array):
                raise UsageError(f"{name}{where} has no rows")
            _check_finite(f"{name}{where}", array)
            shapes.setdefault(name, array.shape[1:])
            if array.shape[1:] != shapes[name]:
                raise UsageError(
                    f"{name}{where} has rows of shape {array.shape[1:]}, and those of another part have "
                    f"{shapes[name]}"
                )
        if len(rows.inputs) != len(rows.labels):
            inputs, labels = content.names
            raise UsageError(
                f"{inputs}{where} has {len(rows.inputs):,} rows and {labels} {len(rows.labels):,}; expected "
                "equal numbers"
            )
    return content


def _check_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if wrong.any():
        raise UsageError(
            f"{name} has NaN or infinite values in {wrong.sum():,} of {len(array):,} rows, the first in row "
            f"{int(wrong.argmax())} (counted from 0); replace them or leave these rows out"
        )


def numbers(name: str, array: np.ndarray, wanted: str) -> np.ndarray:
    """Return inputs as a network takes them: floats, int64 tokens, or pictures of bytes.

    ``wanted`` is the setting ``inputs``. Bytes in one row per sample become floats from 0 to 1.
    """
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{name} has {type_text(array)}; expected numbers")
    is_row = array.ndim == 2  # noqa: PLR2004  samples, and a row for each
    wide = array.dtype.kind in "iu" and array.dtype.itemsize > 1
    if wanted == "tokens" or (wanted == "auto" and wide and is_row):
        if array.dtype.kind not in "iu" or not is_row or (array.size and array.min() < 0):
            raise UsageError(f"{name} is no array of tokens: integers from 0 of shape (samples, steps)")
        return array.astype(np.int64)
    if array.dtype == _BYTE:
        return array / np.float32(_LARGEST_BYTE) if is_row else array
    if array.dtype.kind == "f" and array.dtype.itemsize > 2:  # noqa: PLR2004  float32 and float64 stay
        return array
    return array.astype(np.float64 if wide else np.float32)


def type_text(array: np.ndarray) -> str:
    """Name the type of the values of ``array``: ``texts``, or that of NumPy."""
    return "texts" if array.dtype.kind in "US" else str(array.dtype)


def divisor(inputs: np.ndarray) -> float:
    """Return the number by which a network's inputs are divided: 255 for bytes."""
    return _LARGEST_BYTE if inputs.dtype == _BYTE else 1.0


def standardized(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Subtract the mean of ``train`` along all axes but the last, and divide by its deviation.

    Constant columns are only shifted.
    """
    axes = tuple(range(train.ndim - 1))
    deviation = train.std(axis=axes, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1.0)
    scaled = (values - train.mean(axis=axes, dtype=np.float64)) / deviation
    result: np.ndarray = scaled.astype(np.float32)
    return result
