"""A document: what a report says, as nodes. Each subject builds one; renderers know these nodes alone.

A text is a string, or a tuple of strings and spans. Builders escape nothing: renderers escape every text.
Renderers print each sentence of a legend once in a document, and nothing of a node without content.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from harness.core.documents.numbers import NOTHING

#: How a page colours a text: ``bad`` is a failure, ``unsure`` what more time would decide.
Tone = Literal["", "good", "bad", "unsure", "muted"]
#: ``verbose`` is a terminal whose user asked for everything.
Medium = Literal["terminal", "verbose", "markdown", "page", "notebook"]


class Span(msgspec.Struct, frozen=True):
    """A part of a text. Formats without colours print ``sign`` before it.

    On a page a link leads to the part with the id ``target``.
    """

    text: str
    mark: Literal["strong", "code", "link"] = "strong"
    tone: Tone = ""
    sign: str = ""
    target: str = ""


Text = str | tuple[str | Span, ...]


def plain(text: Text) -> str:
    """The text without its marks."""
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else part.text for part in text)


class Cell(NamedTuple):
    """A cell of a table; a page sorts by ``value``, or else by the number that the text starts with."""

    text: str
    tone: Tone = ""
    value: float | None = None
    sign: str = ""
    """See :class:`Span`."""


def text_of(cell: Cell | str) -> str:
    """The text of a cell."""
    return cell if isinstance(cell, str) else cell.text


class Table(NamedTuple):
    """A header and rows; each row has a cell for each header. A cell without a tone may be plain text.

    ``title`` says what the rows are: the caption on a page, and printed elsewhere if ``announced``.
    ``legend`` has the sentences that say how the numbers are to be read.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    title: str = ""
    legend: tuple[str, ...] = ()
    announced: bool = False
    form: Literal["", "texts", "steps", "named", "columns"] = ""
    """``texts``: cells are texts, not numbers; ``steps``: so that the last has lines; ``named``: the second
    names options; ``columns``: a terminal sets columns that do not fit below the others."""


#: The cells of a row by their headers; None is a cell without a value.
Row = Mapping[str, Cell | str | None]


def table_of(rows: Iterable[Row], title: str = "", **options: Any) -> Table:
    """A table of rows that have the same headers; ``options`` are the other fields of the table.

    A column of which all cells are None is left out.
    """
    every = list(rows)
    headers = [name for name in (every or [{}])[0] if any(row[name] is not None for row in every)]
    cells = [[NOTHING if (cell := row[name]) is None else cell for name in headers] for row in every]
    return Table(headers, cells, title, **options)


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph: ``answer`` is what matters most, ``legend`` says how numbers are to be read.

    ``lines`` keeps its line ends.
    """

    text: Text
    role: Literal["", "answer", "legend", "small", "lines"] = ""


class Command(msgspec.Struct, frozen=True):
    """A command in a line of its own, to be copied; ``lead`` introduces it."""

    text: str
    lead: str = ""


class Item(msgspec.Struct, frozen=True):
    """An item of a list: its text, a further text that introduces ``command``, and the colour of its mark."""

    text: Text
    note: str = ""
    command: str = ""
    tone: Tone = ""


class Items(msgspec.Struct, frozen=True):
    """A list. Renderers cut or fold what is long."""

    items: Sequence[Item | Text]
    title: str = ""
    ordered: bool = False
    id: str = ""

    @property
    def entries(self) -> list[Item]:
        """The items, with texts as items that are nothing else."""
        return [item if isinstance(item, Item) else Item(item) for item in self.items]


class Facts(msgspec.Struct, frozen=True):
    """Names with their values."""

    facts: Mapping[str, object]
    title: str = ""


class Figure(msgspec.Struct, frozen=True):
    """A chart in Vega-Lite; ``name`` serves for files and ids, ``caption`` says how to read it.

    ``chosen`` are the few that are drawn where drawing takes long.
    """

    name: str
    caption: str
    chart: dict[str, Any]
    title: str = ""
    chosen: bool = False


class Picture(msgspec.Struct, frozen=True):
    """A picture as PNG, with the same fields."""

    name: str
    caption: str
    png: bytes
    title: str = ""


class Passage(msgspec.Struct, frozen=True):
    """Texts that a network wrote, with the same fields."""

    name: str
    caption: str
    texts: Sequence[str]
    title: str = ""


class Figures(msgspec.Struct, frozen=True):
    """Charts, pictures and passages, which are made when a renderer asks for them; a terminal never does."""

    make: Callable[[], Sequence[Figure | Picture | Passage]]


class Folded(msgspec.Struct, frozen=True):
    """What a reader unfolds; ``count`` is the number of things in it. A terminal prints it if verbose."""

    title: str
    nodes: Sequence["Node"]
    id: str = ""
    count: int | None = None


class Section(msgspec.Struct, frozen=True):
    """A part of a document, with an id that links lead to and its short title in the contents, ``label``.

    A terminal prints the title if ``announced``.
    """

    title: str
    nodes: Sequence["Node"]
    id: str = ""
    label: str = ""
    announced: bool = False


class Only(msgspec.Struct, frozen=True):
    """Nodes that are for some media alone, or what makes them when one of these is rendered."""

    media: tuple[Medium, ...]
    nodes: Sequence["Node"] | Callable[[], Sequence["Node"]]


class Tick(NamedTuple):
    """A mark of an axis, in per cent of its length; ``one`` marks the level of the reference."""

    at: float
    label: str
    one: bool = False


class Mark(NamedTuple):
    """A value and its interval, in per cent of the axis."""

    at: float
    low: float | None
    high: float | None


class RangeRow(NamedTuple):
    """A configuration: where its step time or score stands on the axis, that as text, and its quality."""

    name: str
    colour: str
    mark: Mark | None
    text: str
    quality: Cell


class RangeChart(msgspec.Struct, frozen=True):
    """Rows on an axis. ``axis`` says what it shows; ``column`` and ``measure`` head the texts of the rows."""

    axis: str
    column: str
    measure: str
    ticks: Sequence[Tick]
    rows: Sequence[RangeRow]


class Card(msgspec.Struct, frozen=True):
    """A card on a page; its title may lead to a part of the page."""

    title: Text
    nodes: Sequence["Node"]
    target: str = ""
    tone: Tone = ""


class Cards(msgspec.Struct, frozen=True):
    """Cards side by side; ``wide`` ones have charts."""

    cards: Sequence[Card]
    wide: bool = False


Node = (
    Paragraph
    | Command
    | Items
    | Facts
    | Table
    | Figure
    | Picture
    | Passage
    | Figures
    | Folded
    | Section
    | Only
    | RangeChart
    | Cards
)


class Document(msgspec.Struct, frozen=True):
    """What a report says: its first text is the headline; without one the title stands in its place.

    ``contents``: a page lists its sections beside the text.
    """

    kind: str
    title: str
    nodes: Sequence[Node]
    headline: Sequence[Text] = ()
    meta: Sequence[str] = ()
    contents: bool = False


def shown(nodes: Sequence[Node], medium: Medium) -> list[Node]:
    """The nodes for a medium, those of :class:`Only` in their places; nodes without content are left out."""
    chosen: list[Node] = []
    for node in nodes:
        if isinstance(node, Only):
            if medium in node.media:
                chosen += shown(node.nodes() if callable(node.nodes) else node.nodes, medium)
        elif not _is_empty(node):
            chosen.append(node)
    return chosen


def _is_empty(node: Node) -> bool:
    """Whether a reader would see a title at most."""
    match node:
        case Paragraph(content) | Command(content) | Items(content) | Facts(content) | Cards(content):
            return not content
        case Table(rows=content):
            return not content
        case Section(nodes=nodes) | Folded(nodes=nodes) | Only(nodes=nodes):
            return not callable(nodes) and all(map(_is_empty, nodes))
        case _:
            return False
