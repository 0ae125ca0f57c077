"""Views of a document's tables: the columns that a reader asked for, under the names that tables print.

What is left out is left out of tables alone; the records and their tables of runs hold everything.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from harness.core.documents.document import (
    Cards,
    Cell,
    Document,
    Folded,
    Medium,
    Node,
    Only,
    Section,
    Table,
    shown,
)
from harness.core.documents.numbers import BUSY_LEGEND
from harness.errors import unknown_name

#: Columns whose rows have no name without them; the first column is one, too.
_NAMES = {"conditions", "configuration"}
_UNIT = re.compile(r" \([^()]*\)$")


class View(msgspec.Struct, frozen=True):
    """The columns of tables to show, in this order, all if empty; and whether to show busy ones.

    A column is named as printed, or without its unit: ``step`` for ``step (ms)``. The columns that name the
    rows stay.
    """

    columns: tuple[str, ...] = ()
    hide_busy: bool = False

    def document(self, document: Document, medium: Medium) -> Document:
        """Return the document with the view of each table; those without a chosen column are left out."""
        if self == View():
            return document
        self.refuse_unknown(_tables(document.nodes, medium))
        return msgspec.structs.replace(document, nodes=self._mapped(document.nodes, set()))

    def tables(self, tables: Iterable[Table]) -> list[Table]:
        """Return the view of the tables of one subject: empty where it shows no column that is new there."""
        seen: set[str] = set()
        return [self._table(table, seen) for table in tables]

    def refuse_unknown(self, tables: Iterable[Table]) -> None:
        """Refuse the name of a column that no table has."""
        if not self.columns:
            return
        known = dict.fromkeys(name for table in tables for name in map(column_name, table.headers) if name)
        for column in self.columns:
            if column_name(column) not in known:
                raise unknown_name("column", column, known)

    def _table(self, table: Table, seen: set[str]) -> Table:
        """Return the view of a table, and add its columns to those ``seen``; empty if none of them is new."""
        places = self._places(table)
        if places == [*range(len(table.headers))]:
            return table
        headers = [table.headers[place] for place in places]
        rows = [[row[place] for place in places] for row in table.rows]
        if self.columns:
            new = {table.headers[place] for place in places if place not in _naming(table)} - seen
            seen |= new
            rows = rows if new else []
        is_busy = any(_is_busy(cell) for row in rows for cell in row)
        legend = [
            sentence
            for sentence in table.legend
            if (is_busy or sentence != BUSY_LEGEND) and table.explained.get(sentence, headers[0]) in headers
        ]
        return table._replace(headers=headers, rows=rows, legend=tuple(legend))

    def _places(self, table: Table) -> list[int]:
        """Return the columns to show, those that name the rows first."""
        names = list(map(column_name, table.headers))
        chosen = [*range(len(names))]
        if self.columns and table.form != "columns":
            wanted = [place for name in self.columns for place in chosen if names[place] == column_name(name)]
            chosen = list(dict.fromkeys([*_naming(table), *wanted]))
        if self.hide_busy:
            chosen = [place for place in chosen if not any(_is_busy(row[place]) for row in table.rows)]
        return chosen

    def _mapped(self, nodes: Sequence[Node], seen: set[str]) -> list[Node]:
        return [self._changed(node, seen) for node in nodes]

    def _changed(self, node: Node, seen: set[str]) -> Node:
        """Return the node with the view of its tables; a section is a subject of its own."""
        match node:
            case Table():
                return self._table(node, seen)
            case Section():
                return msgspec.structs.replace(node, nodes=self._mapped(node.nodes, set()))
            case Folded():
                return msgspec.structs.replace(node, nodes=self._mapped(node.nodes, seen))
            case Only(nodes=nodes):
                later = (
                    (lambda: self._mapped(nodes(), set())) if callable(nodes) else self._mapped(nodes, set())
                )
                return msgspec.structs.replace(node, nodes=later)
            case Cards():
                cards = [
                    msgspec.structs.replace(card, nodes=self._mapped(card.nodes, set()))
                    for card in node.cards
                ]
                return msgspec.structs.replace(node, cards=cards)
            case _:
                return node


def column_name(header: str) -> str:
    """Return the name of a column without its unit."""
    return _UNIT.sub("", header)


def _is_busy(cell: Cell | str) -> bool:
    return isinstance(cell, Cell) and cell.busy


def _naming(table: Table) -> list[int]:
    return [place for place, header in enumerate(table.headers) if place == 0 or header in _NAMES]


def _tables(nodes: Iterable[Node], medium: Medium) -> Iterator[Table]:
    """Yield every table of the nodes that ``medium`` shows."""
    for node in nodes:
        match node:
            case Table():
                yield node
            case Section() | Folded():
                yield from _tables(node.nodes, medium)
            case Only():
                yield from _tables(shown([node], medium), medium)
            case Cards():
                yield from (table for card in node.cards for table in _tables(card.nodes, medium))
            case _:
                pass
