"""Documents for a terminal: wrapped, but never within a word, a number or an interval."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import tabulate

from harness.core.documents.document import (
    Command,
    Document,
    Facts,
    Folded,
    Item,
    Items,
    Node,
    Paragraph,
    Passage,
    Section,
    Table,
    Text,
    plain,
    shown,
    text_of,
)
from harness.core.documents.escaping import visible, with_lines

# By default, a header is padded by two columns.
tabulate.MIN_PADDING = 0
_GAP = 2
#: Least width of a document, and of a column with broken words.
_NARROWEST, _NARROWEST_COLUMN = 60, 8
#: Longer words, such as paths and requirements, may be broken; numbers and most names are shorter.
_LONGEST_WORD = 26
_INTERVAL = re.compile(r"\[[^\[\]]{,26}\]")
_NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|ms|points?|seeds?|runs?|pairs?|epochs?|threads?)\b|%)")
_HARD_SPACE = "\N{NO-BREAK SPACE}"
_PIPED_WIDTH = 160
_MOST_ITEMS = 20


def terminal_width() -> int:
    """Return the terminal's width in columns; a fixed one if output is no terminal and COLUMNS is unset."""
    if (sys.stdout is None or not sys.stdout.isatty()) and "COLUMNS" not in os.environ:
        return _PIPED_WIDTH
    return shutil.get_terminal_size().columns


def terminal_text(document: Document, width: int | None = None, *, verbose: bool = False) -> str:
    """Render the document, as wide as the terminal; ``verbose`` adds nodes that are folded elsewhere."""
    return _Writer(max(width or terminal_width(), _NARROWEST), verbose=verbose).document(document)


class _Writer:
    """A writer of nodes as blocks of lines."""

    def __init__(self, width: int, *, verbose: bool) -> None:
        self._width = width
        self._verbose = verbose
        self._legends: dict[str, None] = {}

    def document(self, document: Document) -> str:
        headline = "\n".join(visible(plain(text)) for text in document.headline)
        nodes = document.nodes
        closing = (
            nodes[-1:] if nodes and isinstance(nodes[-1], Paragraph) and nodes[-1].role == "lines" else []
        )
        parts = [headline, *self._blocks(nodes[: len(nodes) - len(closing)])]
        parts += [self._filled(" ".join(self._legends)), *self._blocks(closing)]
        return "\n\n".join(filter(None, parts))

    def _blocks(self, nodes: Sequence[Node], depth: int = 0) -> Iterator[str]:
        for node in shown(nodes, "verbose" if self._verbose else "terminal"):
            yield from self._node(node, depth)

    def _node(self, node: Node, depth: int) -> Iterator[str]:  # noqa: C901  a case for each kind
        match node:
            case Paragraph(text, "legend"):
                self._legends[plain(text)] = None
            case Paragraph(text, "lines"):
                yield with_lines(plain(text))
            case Paragraph(text):
                yield self._filled(text)
            case Command():
                yield self._command(node)
            case Items():
                yield self._items(node)
            case Facts():
                yield self._facts(node)
            case Table():
                self._legends |= dict.fromkeys(node.legend)
                announced = [self._filled(node.title)] if node.announced else []
                yield "\n".join([*announced, terminal_table(node, self._width)])
            case Passage():
                caption = visible(f"{node.title}. {node.caption}")
                yield "\n\n".join([caption, *map(_quoted, node.texts)])
            case Folded() if self._verbose:
                first, *others = self._blocks(node.nodes, depth + 1)
                yield f"{self._filled(node.title)}\n{first}"
                yield from others
            case Section():
                if node.announced:
                    title = visible(node.title)
                    yield title if depth else f"{title}\n{'=' * len(title)}"
                yield from self._blocks(node.nodes, depth + 1)

    def _filled(self, text: Text, first_indent: str = "", indent: str = "") -> str:
        return filled(plain(text), self._width, first_indent, indent)

    def _command(self, node: Command) -> str:
        """Write a command on a line of its own, which is never wrapped."""
        lead = [self._filled(node.lead)] if node.lead else []
        return "\n".join([*lead, f"{'  ' * len(lead)}{visible(node.text)}"])

    def _items(self, items: Items) -> str:
        """Write a list, with bullets below a title; cut a long one."""
        bullet = "- " if items.title else ""
        lines = [visible(items.title)] if items.title else []
        for number, item in enumerate(items.entries[:_MOST_ITEMS], 1):
            lines += self._item(item, f"{number}. " if items.ordered else bullet)
        if (more := len(items.items) - _MOST_ITEMS) > 0:
            lines.append(f"{bullet}and {more} more")
        return "\n".join(lines)

    def _item(self, item: Item, bullet: str) -> Iterator[str]:
        yield self._filled(item.text, bullet, "  ")
        if item.note:
            yield self._filled(item.note, "  ", "  ")
        if item.command:
            yield f"    {visible(item.command)}"

    def _facts(self, facts: Facts) -> str:
        rows = [(visible(name), visible(str(value))) for name, value in facts.facts.items()]
        lines = tabulate.tabulate(rows, tablefmt="plain", disable_numparse=True)
        title = [visible(facts.title)] if facts.title else []
        return "\n".join([*title, *(f"  {line}".rstrip() for line in lines.splitlines())])


def _quoted(text: str) -> str:
    return "\n".join(f"  | {line}".rstrip() for line in with_lines(text).split("\n"))


def terminal_table(table: Table, width: int) -> str:
    """Render the table for a terminal of ``width`` columns; wrap the widest cells."""
    return fitted_table([[text_of(cell) for cell in row] for row in table.rows], width, table.headers)


def fitted_table(
    rows: Sequence[Sequence[str]], width: int, headers: Sequence[str] = (), tablefmt: str = "simple"
) -> str:
    """Render ``rows`` as a table of at most ``width`` columns; wrap wide cells.

    Words longer than 26 characters are broken last. The table is wider if other words, numbers and intervals
    need more columns.
    """
    rows = [list(map(visible, row)) for row in rows]
    columns = list(zip(*([*rows, headers] if headers else rows), strict=True))
    widths = _column_widths(columns, width)
    wrapped = [[_wrap(cell, limit) for cell, limit in zip(row, widths, strict=True)] for row in rows]
    names = [_wrap(visible(name), limit) for name, limit in zip(headers, widths, strict=False)]
    return tabulate.tabulate(wrapped, names, tablefmt=tablefmt, disable_numparse=True)


def filled(text: str, width: int, first_indent: str = "", indent: str = "") -> str:
    """Fill a paragraph of at most ``width`` columns; long words are not broken."""
    lines = textwrap.fill(
        _NUMBER_AND_UNIT.sub(_HARD_SPACE, _joined(visible(text))),
        width,
        initial_indent=first_indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines.replace(_HARD_SPACE, " ")


def _wrap(cell: str, width: int) -> str:
    """Wrap the cell's lines at spaces; tabulate's own wrapping splits ``False`` and ``1,000``."""
    wrapper = textwrap.TextWrapper(width, break_on_hyphens=False)
    lines = (part for line in _joined(cell).split("\n") for part in wrapper.wrap(line) or [""])
    return "\n".join(lines).replace(_HARD_SPACE, " ")


def _joined(cell: str) -> str:
    """Make intervals such as ``[1.2, 1.4]`` in a cell unbreakable."""
    return _INTERVAL.sub(lambda match: match[0].replace(" ", _HARD_SPACE), cell)


def _column_widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the width of each column; the widest are reduced until all fit, long words broken last."""
    widths = [max(_longest_line(cell) for cell in column) for column in columns]
    for floor in (len, _broken):
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
    """Split a cell into words; an interval is one word."""
    return re.split(r"[ \n]", _joined(cell))


def _broken(word: str) -> int:
    """Return the columns that a word needs if long words other than intervals may be broken."""
    return len(word) if len(word) <= _LONGEST_WORD or _HARD_SPACE in word else _NARROWEST_COLUMN
