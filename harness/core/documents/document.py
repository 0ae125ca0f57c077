"""Documents as nodes. Each subject builds its own; renderers know nothing but nodes.

A text is a string, or a tuple of strings and spans. Builders escape nothing. Renderers escape every text,
print each sentence of a legend once in a document, and skip nodes without content.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from harness.core.documents.numbers import NOTHING

#: The colour of a text on a page: ``bad`` is a failure; ``unsure`` would be decided by more time.
Tone = Literal["", "good", "bad", "unsure", "muted"]
#: ``verbose`` is a terminal whose user asked for all details.
Medium = Literal["terminal", "verbose", "markdown", "page", "notebook"]


class Span(msgspec.Struct, frozen=True):
    """A part of a text. Formats without colours print ``sign`` before the text.

    On a page, a link leads to the part with the id ``target``, or to an address: see :class:`Cell`.
    """

    text: str
    mark: Literal["strong", "code", "link"] = "strong"
    tone: Tone = ""
    sign: str = ""
    target: str = ""


Text = str | tuple[str | Span, ...]


def plain(text: Text) -> str:
    """Return the text without its marks."""
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else part.text for part in text)


class Cell(NamedTuple):
    """A cell of a table; a page sorts rows by ``value``, or else by the number at the start of ``text``."""

    text: str
    tone: Tone = ""
    value: float | None = None
    sign: str = ""
    """See :class:`Span`."""
    address: str = ""
    """On a page, the text is a link to this address on the web, which begins with ``https://``.

    On a page of a site, it may be that of another page, such as ``runs/ID.html``."""


def text_of(cell: Cell | str) -> str:
    """Return the text of a cell."""
    return cell if isinstance(cell, str) else cell.text


class Table(NamedTuple):
    """A table; each row has a cell for each header. A cell without a tone may be a string.

    ``title`` names the rows: it is the caption on a page, and printed elsewhere if ``announced``.
    ``legend`` has sentences that explain the numbers.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    title: str = ""
    legend: tuple[str, ...] = ()
    announced: bool = False
    form: Literal["", "texts", "steps", "named"] = ""
    """``texts``: cells are texts, not numbers; ``steps``: texts, of which the last has several lines;
    ``named``: the second column names options."""


#: The cells of a row by their headers; None is a cell without a value.
Row = Mapping[str, Cell | str | None]


def table_of(rows: Iterable[Row], title: str = "", **options: Any) -> Table:
    """Make a table of ``rows`` with the same headers; ``options`` are further fields of :class:`Table`.

    Columns in which every cell is None are left out.
    """
    every = list(rows)
    headers = [name for name in (every or [{}])[0] if any(row[name] is not None for row in every)]
    cells = [[NOTHING if (cell := row[name]) is None else cell for name in headers] for row in every]
    return Table(headers, cells, title, **options)


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph. ``answer`` is the main result, ``legend`` explains numbers, ``lines`` keeps line ends."""

    text: Text
    role: Literal["", "answer", "legend", "small", "lines"] = ""


class Command(msgspec.Struct, frozen=True):
    """A command in a line of its own, to be copied; ``lead`` introduces it."""

    text: str
    lead: str = ""


class Item(msgspec.Struct, frozen=True):
    """An item of a list: a text, a ``note`` that may introduce a ``command``, and the bullet's colour."""

    text: Text
    note: str = ""
    command: str = ""
    tone: Tone = ""


class Items(msgspec.Struct, frozen=True):
    """A list. Renderers cut or fold long lists."""

    items: Sequence[Item | Text]
    title: str = ""
    ordered: bool = False
    id: str = ""

    @property
    def entries(self) -> list[Item]:
        """The items; a text becomes an :class:`Item`."""
        return [item if isinstance(item, Item) else Item(item) for item in self.items]


class Facts(msgspec.Struct, frozen=True):
    """Names with their values."""

    facts: Mapping[str, object]
    title: str = ""


class Figure(msgspec.Struct, frozen=True):
    """A chart in Vega-Lite; ``name`` is used for files and ids, ``caption`` explains the chart.

    Where drawing takes long, only ``chosen`` figures are drawn.
    """

    name: str
    caption: str
    chart: dict[str, Any]
    title: str = ""
    chosen: bool = False


class Picture(msgspec.Struct, frozen=True):
    """A PNG image; its other fields are those of :class:`Figure`."""

    name: str
    caption: str
    png: bytes
    title: str = ""


class Passage(msgspec.Struct, frozen=True):
    """Texts that a network generated; its other fields are those of :class:`Figure`."""

    name: str
    caption: str
    texts: Sequence[str]
    title: str = ""


class Figures(msgspec.Struct, frozen=True):
    """Charts, images and passages, made when a renderer asks for them; a terminal never does."""

    make: Callable[[], Sequence[Figure | Picture | Passage]]


class Folded(msgspec.Struct, frozen=True):
    """Details that a reader unfolds; ``count`` is their number. A terminal prints them if verbose."""

    title: str
    nodes: Sequence["Node"]
    id: str = ""
    count: int | None = None


class Section(msgspec.Struct, frozen=True):
    """A part of a document. Links lead to ``id``; ``label`` is the short title in the contents.

    A terminal prints the title if ``announced``.
    """

    title: str
    nodes: Sequence["Node"]
    id: str = ""
    label: str = ""
    announced: bool = False


class Only(msgspec.Struct, frozen=True):
    """Nodes for some media only, or a function that makes the nodes when such a medium is rendered."""

    media: tuple[Medium, ...]
    nodes: Sequence["Node"] | Callable[[], Sequence["Node"]]


class Card(msgspec.Struct, frozen=True):
    """A card on a page."""

    title: Text
    nodes: Sequence["Node"]
    tone: Tone = ""


class Cards(msgspec.Struct, frozen=True):
    """Cards side by side."""

    cards: Sequence[Card]


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
    | Cards
)


class Document(msgspec.Struct, frozen=True):
    """A document. Without a ``headline``, the title takes its place.

    With ``contents``, a page lists the sections beside the text.
    """

    kind: str
    title: str
    nodes: Sequence[Node]
    headline: Sequence[Text] = ()
    meta: Sequence[str] = ()
    contents: bool = False


def shown(nodes: Sequence[Node], medium: Medium) -> list[Node]:
    """Return the nodes for ``medium``, with the content of :class:`Only` in place; skip empty nodes."""
    chosen: list[Node] = []
    for node in nodes:
        if isinstance(node, Only):
            if medium in node.media:
                chosen += shown(node.nodes() if callable(node.nodes) else node.nodes, medium)
        elif not _is_empty(node):
            chosen.append(node)
    return chosen


def _is_empty(node: Node) -> bool:
    """Check that a reader would see at most a title of the node."""
    match node:
        case Paragraph(content) | Command(content) | Items(content) | Facts(content) | Cards(content):
            return not content
        case Table(rows=content):
            return not content
        case Section(nodes=nodes) | Folded(nodes=nodes) | Only(nodes=nodes):
            return not callable(nodes) and all(map(_is_empty, nodes))
        case _:
            return False
