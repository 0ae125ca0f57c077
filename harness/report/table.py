"""The one table model: built once from findings, then written for a terminal, as Markdown, or into a page."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.report.fitting import fitted_table

Tone = Literal["", "good", "bad", "unsure", "muted"]


class Cell(NamedTuple):
    """Text, and how a page colours it: ``bad`` is a failure, ``unsure`` what more time would decide.

    A page sorts by ``value``; without one, by the number that the text starts with.
    """

    text: str
    tone: Tone = ""
    value: float | None = None


class Table(NamedTuple):
    """A header and rows; each row has a cell for each header. A cell without a tone may be plain text.

    ``title`` says what the rows are; ``legend`` says how the numbers are to be read.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    title: str = ""
    legend: str = ""


def text_of(cell: Cell | str) -> str:
    """The text of a cell."""
    return cell if isinstance(cell, str) else cell.text


def terminal_table(table: Table, width: int) -> str:
    """The table for a terminal of ``width`` columns: the widest cells are wrapped."""
    rows = [[text_of(cell) for cell in row] for row in table.rows]
    return fitted_table(rows, width, table.headers)


def markdown_table(table: Table) -> str:
    """The table in GitHub's Markdown, every cell escaped."""
    from harness.report.escaping import for_markdown  # its patterns take 10 ms to compile

    lines = [table.headers, ["---"] * len(table.headers)]
    lines += [[text_of(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(map(for_markdown, line)) + " |" for line in lines)
