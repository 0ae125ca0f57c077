"""Text and tables that fit the terminal: wrapped, but never within a word, a number or an interval."""

import re
import textwrap
from collections.abc import Sequence

import tabulate

# Otherwise a header is padded by two columns.
tabulate.MIN_PADDING = 0
_GAP = 2
#: Of a column with broken words.
_NARROWEST = 8
#: Longer ones, such as paths and requirements, may be broken; no number and no name is.
_LONGEST_WORD = 26
_INTERVAL = re.compile(r"\[[^\[\]]{,26}\]")
_NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|ms|points?|seeds?|runs?|pairs?|epochs?|threads?)\b|%)")
_HARD_SPACE = "\N{NO-BREAK SPACE}"


def fitted_table(
    rows: Sequence[Sequence[str]], width: int, headers: Sequence[str] = (), tablefmt: str = "simple"
) -> str:
    """The rows as a table of at most ``width`` columns; wide cells are wrapped.

    Words longer than 26 characters are broken last. The table is wider where other words, numbers and
    intervals need more columns.
    """
    columns = list(zip(*([*rows, headers] if headers else rows), strict=True))
    widths = _column_widths(columns, width)
    wrapped = [[_wrap(cell, limit) for cell, limit in zip(row, widths, strict=True)] for row in rows]
    names = [_wrap(name, limit) for name, limit in zip(headers, widths, strict=False)]
    return tabulate.tabulate(wrapped, names, tablefmt=tablefmt, disable_numparse=True)


def filled(text: str, width: int, first_indent: str = "", indent: str = "") -> str:
    """A paragraph of at most ``width`` columns; long words are not broken."""
    lines = textwrap.fill(
        _NUMBER_AND_UNIT.sub(_HARD_SPACE, _joined(text)),
        width,
        initial_indent=first_indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines.replace(_HARD_SPACE, " ")


def _wrap(cell: str, width: int) -> str:
    """The cell's lines, each broken at spaces; tabulate's own wrapping splits ``False`` and ``1,000``."""
    wrapper = textwrap.TextWrapper(width, break_on_hyphens=False)
    lines = (part for line in _joined(cell).split("\n") for part in wrapper.wrap(line) or [""])
    return "\n".join(lines).replace(_HARD_SPACE, " ")


def _joined(cell: str) -> str:
    """The cell with intervals such as ``[1.2, 1.4]`` made unbreakable."""
    return _INTERVAL.sub(lambda match: match[0].replace(" ", _HARD_SPACE), cell)


def _column_widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """The natural width of each column, the widest reduced until all fit; long words are broken last."""
    widths = [max(_longest_line(cell) for cell in column) for column in columns]
    for floor in (_whole, _broken):
        words = [max(floor(word) for cell in column for word in _words(cell)) for column in columns]
        _reduce(widths, words, width - _GAP * (len(widths) - 1))
    return widths


def _reduce(widths: list[int], floors: Sequence[int], total: int) -> None:
    """Reduce the widest columns until they sum up to ``total``, none below its floor."""
    while sum(widths) > total:
        reducible = [index for index, floor in enumerate(floors) if widths[index] > floor]
        if not reducible:
            return
        widths[max(reducible, key=lambda index: widths[index])] -= 1


def _longest_line(cell: str) -> int:
    return max(map(len, (cell or " ").split("\n")))


def _words(cell: str) -> list[str]:
    """The words of a cell; an interval is one."""
    return re.split(r"[ \n]", _joined(cell))


def _whole(word: str) -> int:
    """The columns that a word needs."""
    return len(word)


def _broken(word: str) -> int:
    """The columns that a word needs if it may be broken where it is long and no interval."""
    return len(word) if len(word) <= _LONGEST_WORD or _HARD_SPACE in word else _NARROWEST
