"""Tables that fit the terminal: cells are wrapped where the whole is too wide."""

import textwrap
from collections.abc import Sequence

import tabulate

# Without this a header costs two columns more than it has letters.
tabulate.MIN_PADDING = 0
_GAP = 2
_NARROWEST = 8


def fitted_table(
    rows: Sequence[Sequence[str]], width: int, headers: Sequence[str] = (), tablefmt: str = "simple"
) -> str:
    """The rows as a table, the widest cells wrapped to fit ``width`` columns."""
    widths = _column_widths([*rows, headers] if headers else rows, width)
    wrapped = [[_wrap(cell, limit) for cell, limit in zip(row, widths, strict=True)] for row in rows]
    names = [_wrap(name, limit) for name, limit in zip(headers, widths, strict=False)]
    return tabulate.tabulate(wrapped, names, tablefmt=tablefmt, disable_numparse=True)


def _wrap(cell: str, width: int) -> str:
    """The cell's lines, each cut at spaces; tabulate's own wrapping takes ``False`` and ``1,000`` apart."""
    return "\n".join(part for line in cell.split("\n") for part in textwrap.wrap(line, width) or [""])


def _column_widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The natural width of each column, the widest cut down until all fit or none can give more."""
    widths = [
        max(len(line) for cell in column for line in (cell or " ").split("\n"))
        for column in zip(*rows, strict=True)
    ]
    while widths and sum(widths) + _GAP * (len(widths) - 1) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths
