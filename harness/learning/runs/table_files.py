"""One row for each run as a file of comma-separated values, or in the format Parquet."""

import io
from pathlib import Path
from typing import Any

import pandas as pd

from harness.core.documents.escaping import visible
from harness.core.documents.files import write_bytes, write_text

#: By these a spreadsheet takes a text for a formula (OWASP, CSV Injection), which may run a program.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Parquet's integers have 64 bits.
_INTEGER_END = 2**63


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format of the suffix, ``.csv`` or ``.parquet``."""
    if path.suffix == ".csv":
        write_text(path, _without_formulas(frame).to_csv(index=False))
        return
    content = io.BytesIO()
    _one_type_a_column(frame).to_parquet(content, index=False)
    write_bytes(path, content.getvalue())


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before each text, names of columns included, that would be a formula."""
    return frame.map(_as_text).rename(columns=_as_text)


def _as_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value.replace("\r", " "))  # pandas does not quote it, and it ends a row
    return f"'{text}" if value.startswith(_FORMULA_STARTS) else text


def _one_type_a_column(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert columns of mixed types to text, such as an option whose type differs between tasks."""
    mixed = [str(name) for name in frame if frame[name].dtype == object and _is_mixed(frame[name])]
    return frame.assign(**{name: frame[name].map(_option_text, na_action="ignore") for name in mixed})


def _is_mixed(column: "pd.Series[Any]") -> bool:
    values = column.dropna()
    types = set(map(type, values))
    too_large = int in types and any(abs(value) >= _INTEGER_END for value in values if type(value) is int)
    return too_large or (len(types) > 1 and not types <= {int, float})


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
