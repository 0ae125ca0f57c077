"""Tables in ``.csv`` and ``.parquet`` files: one column is predicted from the others."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.data_files.content import Content, Rows
from harness.core.data_files.settings import FileSettings
from harness.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

#: A column of texts becomes a column for each of its values, up to so many.
_MOST_VALUES = 50
_SHOWN = 20


def read_csv(path: Path, settings: FileSettings) -> Content:
    """Read a table whose first line has the names of the columns; raise as :func:`_content`."""
    import pandas as pd

    return _content(_frame(path, pd.read_csv), settings)


def read_parquet(path: Path, settings: FileSettings) -> Content:
    """Read a table of Apache Parquet; raise as :func:`_content`, or UsageError if pyarrow is missing."""
    import pandas as pd

    try:
        import pyarrow  # noqa: F401  which pandas would ask for in five lines
    except ImportError as error:
        raise UsageError(
            'reading it needs pyarrow, of the extra "report": pip install "dl-harness[report]"'
        ) from error
    return _content(_frame(path, pd.read_parquet), settings)


def _frame(path: Path, read: Callable[[Path], Any]) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame: pd.DataFrame = read(path)
    except Exception as error:  # pandas and pyarrow raise many kinds for a broken file
        reason = " ".join(str(error).split())
        raise UsageError(f"it is no readable {path.suffix} file ({reason})") from error
    if path.suffix == ".csv" and not isinstance(frame.index, pd.RangeIndex):
        raise UsageError("its rows have more fields than its first line has names of columns")
    return frame


def _content(frame: "pd.DataFrame", settings: FileSettings) -> Content:
    """Divide the columns into inputs and labels."""
    frame.columns = frame.columns.map(str)
    columns = [*frame.columns]
    if not settings.target:
        raise UsageError(f"give the column to predict with --target; the columns are {_listed(columns)}")
    dropped = [name.strip() for name in settings.drop.split(",") if name.strip()]
    for name in (settings.target, *dropped):
        if name not in columns:
            raise unknown_name("column", name, columns)
    used = [name for name in columns if name not in {settings.target, *dropped}]
    if not used or settings.target in dropped:
        raise UsageError(f"no column is left beside the target {settings.target}")
    for name in (settings.target, *used):
        _check_complete(name, frame[name])
    inputs = np.concatenate([_input_columns(name, frame[name]) for name in used], axis=1)
    labels = _labels(settings.target, frame[settings.target])
    return Content({"all": Rows(inputs, labels)}, ("the table", f"column {settings.target}"), is_table=True)


def _check_complete(name: str, column: "pd.Series[Any]") -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        raise UsageError(
            f"column {name} has no value in {missing.sum():,} of {len(column):,} rows, the first in row "
            f"{int(missing.argmax())} (counted from 0); fill them, or leave the column out"
        )


def _input_columns(name: str, column: "pd.Series[Any]") -> np.ndarray:
    """Return a column as numbers ``(n, 1)``, or of texts ``(n, values)``: 1 in the column of the value."""
    from pandas.api import types

    if types.is_numeric_dtype(column) and not types.is_complex_dtype(column):  # booleans, too
        return column.to_numpy(np.float64)[:, None]
    if types.is_datetime64_any_dtype(column) or types.is_timedelta64_dtype(column):
        raise UsageError(
            f"column {name} has times; make numbers of them, or leave the column out: --set-data drop={name}"
        )
    values, places = np.unique(column.astype(str).to_numpy(str), return_inverse=True)
    if len(values) > _MOST_VALUES:
        raise UsageError(
            f"column {name} has {len(values):,} different texts, such as {str(values[0])!r}; at most "
            f"{_MOST_VALUES} become columns of their own. Leave the column out: --set-data drop={name}"
        )
    return np.eye(len(values))[places]


def _labels(name: str, column: "pd.Series[Any]") -> np.ndarray:
    from pandas.api import types

    if types.is_bool_dtype(column):
        return column.to_numpy(np.bool_)
    if types.is_integer_dtype(column):
        return column.to_numpy(np.int64)
    if types.is_float_dtype(column):
        return column.to_numpy(np.float64)
    if types.is_datetime64_any_dtype(column) or types.is_timedelta64_dtype(column):
        raise UsageError(f"column {name} has times; a target is numbers or classes")
    return column.astype(str).to_numpy(str)


def _listed(columns: list[str]) -> str:
    more = f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
    return ", ".join(columns[:_SHOWN]) + more
