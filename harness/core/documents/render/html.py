"""Documents as HTML: a page that opens offline, with Vega and the data of its charts, and a fragment."""

import base64
import contextlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata, resources
from typing import NamedTuple

import msgspec
import vl_convert
from markupsafe import Markup, escape

from harness.core.documents.charts import specification, svg
from harness.core.documents.document import (
    Card,
    Cards,
    Cell,
    Command,
    Document,
    Facts,
    Figure,
    Figures,
    Folded,
    Item,
    Items,
    Medium,
    Node,
    Paragraph,
    Passage,
    Picture,
    Section,
    Span,
    Table,
    Text,
    plain,
    shown,
)
from harness.core.documents.escaping import visible, with_lines
from harness.core.machine.cache import cache_folder
from harness.core.machine.files import replace_file

#: Most items of a list that are shown unfolded below a title, and that are shown at all.
_MOST_OPEN, _MOST_ITEMS = 6, 60
_FRAGMENT_WIDTH = 420
#: The address of a page of a site, from its top: no scheme, no host, nothing above.
_INSIDE = re.compile(r"(?!/)(?:(?!\.\./)[\w.%-]+/)*[\w.%-]+\.html(?:#[\w-]*)?")


class PageParts(NamedTuple):
    """The parts of a page: the title, and elements. ``drawn`` are the charts as JSON, by their ids."""

    title: str
    header: Markup
    contents: Markup
    main: Markup
    drawn: str
    """Empty without charts."""


def html_page(document: Document) -> str:
    """Render a document as a page; escape every text and replace its control characters."""
    parts = page_parts(document)
    content = _element("div", parts.header, _element("main", parts.main), class_="content")
    return str(
        _LAYOUT.format(
            title=parts.title,
            style=page_asset("page.css"),
            page=_element("div", parts.contents, content, class_="page"),
            bundle=Markup(charts_script()),  # noqa: S704  Vega's own code
            specs=Markup(parts.drawn or "{}"),  # noqa: S704  safe in a script
            script=page_asset("page.js"),
        )
    )


def page_parts(document: Document, top: str | None = None) -> PageParts:
    """Render the parts of a page, for a layout; escape every text and replace its control characters.

    A page of a site gives the address of the site's ``top``, such as ``../``: texts may then link to other
    pages, by their addresses from there. A page of its own has links to the web alone.
    """
    ids = _Ids()
    nodes = ids.placed(document.nodes)
    writer = _Writer(ids, top)
    main = writer.all(nodes, 2)
    first, *others = document.headline or [document.title]
    kicker = [_element("p", f"dl-harness {document.kind}", class_="kicker")] if document.kind else []
    header = _element(
        "header",
        *kicker,
        _element("h1", writer.text(first)),
        *(_element("p", writer.text(text), class_="verdict-line") for text in others),
        _element("p", " · ".join(document.meta), class_="meta"),
    )
    contents = _contents(nodes) if document.contents else Markup("")
    drawn = _specs(writer.drawn) if writer.drawn else ""
    return PageParts(visible(document.title), header, contents, main, drawn)


def html_fragment(nodes: Sequence[Node]) -> str:
    """Render nodes for the output of a notebook, with charts drawn as SVG."""
    return str(_Writer(None).all(nodes, 3))


_LAYOUT = Markup("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{page}
<script>{bundle}</script>
<script type="application/json" id="specs">{specs}</script>
<script>{script}</script>
</body>
</html>
""")


def _element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Make an element; children and attributes that are not markup are made visible and escaped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_safe(str(value))}"'
        for key, value in attributes.items()
        if value not in (None, "")
    )
    content = "".join(map(_safe, children))
    return Markup(f"<{name}{given}>{content}</{name}>")  # noqa: S704  names of ours, safe values


def _safe(text: str) -> Markup:
    return text if isinstance(text, Markup) else escape(visible(text))


def _prose(text: str) -> Markup:
    """Escape text as :func:`_unbroken`, and mark the parts between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(_unbroken(text))))  # noqa: S704  escaped before


def _unbroken(text: str) -> Markup:
    """Escape text, and prevent line breaks inside brackets, so that an interval stays together."""
    # As plain text: parts of Markup, joined by re.sub, would be escaped again.
    unbroken = re.sub(r"\[[^\[\]]*\]", r'<span class="unbroken">\g<0></span>', str(_safe(text)))
    return Markup(unbroken)  # noqa: S704  escaped before


class _Ids:
    """The ids of a page: :meth:`new` makes each of them, and none twice.

    Links lead to sections, folded parts and lists by name. Nodes and figures may have the same name.
    """

    def __init__(self) -> None:
        self._made = {"specs"}  # that of the layout
        self._places: dict[str, str] = {}

    def new(self, name: str) -> str:
        """Make an id of ASCII letters, digits and hyphens that resembles ``name``."""
        base = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "part"
        numbered = (f"{base}-{number}" for number in itertools.count(2))
        made = next(each for each in itertools.chain([base], numbered) if each not in self._made)
        self._made.add(made)
        return made

    def link(self, name: str) -> str | None:
        """Return the address of the first place with this name; None without one."""
        return f"#{self._places[name]}" if name in self._places else None

    def placed(self, nodes: Sequence[Node]) -> list[Node]:
        """Give each place an id of its own; nodes that only a page has are made here, once."""
        return [self._placed(node) for node in shown(nodes, "page")]

    def _placed(self, node: Node) -> Node:
        match node:
            case Section() | Folded():
                own = self._place(node.id, node.id or node.title)
                return msgspec.structs.replace(node, id=own, nodes=self.placed(node.nodes))
            case Items():
                return msgspec.structs.replace(node, id=self._place(node.id, node.id)) if node.id else node
            case Cards():
                cards = [msgspec.structs.replace(card, nodes=self.placed(card.nodes)) for card in node.cards]
                return msgspec.structs.replace(node, cards=cards)
            case _:
                return node

    def _place(self, name: str, words: str) -> str:
        made = self.new(words)
        if name:
            self._places.setdefault(name, made)
        return made


def _contents(nodes: Sequence[Node]) -> Markup:
    """Make links to the sections, and to their subsections if there are several."""
    entries = [_entry(node) for node in nodes if isinstance(node, Section)]
    brand = _element("p", "dl-harness", class_="brand")
    return _element("nav", brand, _element("ul", *entries, class_="scroll"), aria_label="Contents")


def _entry(section: Section) -> Markup:
    parts = [node for node in section.nodes if isinstance(node, Section)]
    below = [_element("ul", *map(_entry, parts))] if len(parts) > 1 else []
    link = _element("a", section.label or section.title, href=f"#{section.id}")
    return _element("li", link, *below)


class _Writer:
    """A writer of nodes as elements. ``drawn`` are the charts that the page's script draws, by their ids.

    Without ``ids``, it writes a fragment of a notebook, where another fragment may have the same: no element
    has an id, and links are plain text.
    """

    def __init__(self, ids: _Ids | None, top: str | None = None) -> None:
        self.drawn: dict[str, Figure] = {}
        self._top = top
        self._ids = ids
        self._medium: Medium = "page" if ids else "notebook"
        self._legends: set[str] = set()

    def all(self, nodes: Sequence[Node], level: int) -> Markup:
        """Write the nodes, with headings of ``level``."""
        parts: list[Markup] = []
        for node in shown(nodes, self._medium):
            parts += self._node(node, level)
        return Markup("").join(parts)

    def text(self, text: Text) -> Markup:
        """Write a text with its spans."""
        parts = [text] if isinstance(text, str) else text
        return Markup("").join(self._span(part) if isinstance(part, Span) else _prose(part) for part in parts)

    def _span(self, span: Span) -> Markup:
        if span.mark == "link":
            return self._linked(_safe(span.text), span.target)
        name = "code" if span.mark == "code" else "strong"
        return _element(name, _prose(span.text), data_tone=span.tone)

    def _linked(self, text: Markup, target: str) -> Markup:
        """Make the text a link to the place named ``target`` or to another page, if there is one."""
        address = (self._ids.link(target) if self._ids else None) or self._address(target)
        return _element("a", text, href=address) if address else text

    def _address(self, address: str) -> str | None:
        """Return the address of a page on the web or, from this page, of one of the same site."""
        if address.startswith("https://"):
            return address
        is_inside = self._top is not None and _INSIDE.fullmatch(address) is not None
        return f"{self._top}{address}" if is_inside else None

    def _node(self, node: Node, level: int) -> Iterator[Markup]:  # noqa: C901  a case for each kind
        match node:
            case Paragraph(text, "legend"):
                yield from self._legend((plain(text),))
            case Paragraph(text, "lines"):
                yield _element("pre", "\n" + with_lines(plain(text)), tabindex="0")
            case Paragraph(text, role):
                marked = self.text(text)
                marked = _element("strong", marked) if role == "answer" else marked
                yield _element("small" if role == "small" else "p", marked)
            case Command(text, lead):
                code = _element("code", text, class_="command", tabindex="0")
                yield _element("p", lead, code, class_="legend")
            case Items():
                yield from self._items(node, level)
            case Facts(facts, title):
                yield from [_element(f"h{level}", title)] * bool(title)
                yield _element("dl", *(_element("dt", k) + _element("dd", str(v)) for k, v in facts.items()))
            case Table():
                yield self._table(node)
                yield from self._legend(node.legend)
            case Figure() | Picture() | Passage():
                yield self._figure(node)
            case Figures(make):
                figures = [self._figure(figure) for figure in make()]
                yield from [_element("div", *figures, class_="figures")] * bool(figures)
            case Cards(cards):
                yield _element("div", *(self._card(card, level) for card in cards), class_="cards")
            case Folded(title, content, name, count):
                number = [] if count is None else [" ", _element("span", str(count), class_="count")]
                summary = _element("summary", title, *number)
                yield _element("details", summary, self.all(content, level), id=self._id(name))
            case Section():
                unseen = None if node.title else "unseen"
                heading = _element(f"h{min(level, 6)}", node.title or node.label, class_=unseen)
                yield _element("section", heading, self.all(node.nodes, level + 1), id=self._id(node.id))

    def _id(self, own: str) -> str | None:
        """Return the id of a node, which the page has given it; None in a fragment."""
        return own if self._ids else None

    def _items(self, items: Items, level: int) -> Iterator[Markup]:
        """Write a list; below a title, show the first few items and fold the others."""
        most = _MOST_OPEN if items.title else _MOST_ITEMS
        kept = items.entries[:_MOST_ITEMS]
        if (more := len(items.items) - _MOST_ITEMS) > 0:
            kept.append(Item(f"and {more} more"))
        parts = [_element(f"h{min(level, 6)}", items.title)] if items.title else []
        parts.append(self._list(kept[:most], items))
        if folded := kept[most:]:
            count = _element("span", str(len(items.items) - most), class_="count")
            parts.append(_element("details", _element("summary", "More ", count), self._list(folded, items)))
        name = "section" if items.title else "div"
        yield from [_element(name, *parts, id=self._id(items.id))] if items.title or items.id else parts

    def _list(self, items: Iterable[Item], of: Items) -> Markup:
        return _element("ol" if of.ordered else "ul", *map(self._item, items), class_="said")

    def _item(self, item: Item) -> Markup:
        note = [Markup("<br>"), _prose(item.note)] if item.note else []
        command = [_element("code", item.command, class_="command", tabindex="0")] if item.command else []
        return _element("li", self.text(item.text), *note, *command, data_tone=item.tone)

    def _legend(self, sentences: Sequence[str]) -> Iterator[Markup]:
        """Write the sentences that the page does not have yet."""
        new = [sentence for sentence in sentences if sentence not in self._legends]
        self._legends.update(new)
        if new:
            yield _element("p", _prose(" ".join(new)), class_="legend")

    def _card(self, card: Card, level: int) -> Markup:
        title = _element("h3", self.text(card.title))
        return _element("article", title, self.all(card.nodes, level + 1), data_tone=card.tone)

    def _figure(self, figure: Figure | Picture | Passage) -> Markup:
        title = [_element("strong", figure.title), " "] if figure.title else []
        caption = _element("figcaption", *title, figure.caption)
        own = self._ids.new(figure.name) if self._ids else None
        match figure:
            case Picture():
                url = "data:image/png;base64," + base64.b64encode(figure.png).decode()
                image = Markup('<img src="{}" alt="{}">').format(url, visible(figure.title))
                return _element("figure", caption, image, id=own)
            case Passage():
                texts = [_element("pre", "\n" + with_lines(text), tabindex="0") for text in figure.texts]
                return _element("figure", caption, *texts, id=own)
        if own is None:
            drawing = Markup(svg(figure, _FRAGMENT_WIDTH))  # noqa: S704  made by Vega, which escapes texts
            return _element("figure", drawing)
        self.drawn[own] = figure
        wide = "panels" if "facet" in figure.chart else None
        return _element("figure", caption, _element("div", class_="chart", id=own), class_=wide)

    def _table(self, table: Table) -> Markup:
        heads = [
            _element("th", _element("button", header, type="button"), scope="col") for header in table.headers
        ]
        rows = [_element("tr", *map(self._cell, row, [True] + [False] * len(row))) for row in table.rows]
        caption = [_element("caption", table.title)] if table.title else []
        content = _element(
            "table",
            *caption,
            _element("thead", _element("tr", *heads)),
            _element("tbody", *rows),
            class_=f"sortable {table.form}".strip(),
        )
        return _element(
            "div", content, class_="scroll", tabindex="0", role="region", aria_label=table.title or "Table"
        )

    def _cell(self, cell: Cell | str, first: bool) -> Markup:
        cell = Cell(cell) if isinstance(cell, str) else cell
        text = _unbroken(cell.text)
        if address := self._address(cell.address):
            is_outside = address.startswith("https://")
            text = _element("a", text, href=address, rel="noopener noreferrer" if is_outside else None)
        if first:
            return _element("th", text, scope="row")
        return _element("td", text, data_tone=cell.tone, data_value=cell.value)


def _specs(figures: Mapping[str, Figure]) -> str:
    """Write the charts as JSON that cannot end the script element around it."""
    specs = (f"{json.dumps(own)}:{specification(figure)}" for own, figure in figures.items())
    return f"{{{','.join(specs)}}}".replace("<", "\\u003c")


def page_asset(name: str) -> Markup:
    """Return the style or the script of every page: ``page.css`` or ``page.js``."""
    return Markup(resources.files(__package__).joinpath(name).read_text("utf-8"))  # noqa: S704  ours


def charts_script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, cached because building it takes two seconds."""
    path = cache_folder() / f"vega-{metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if cached := path.read_text("utf-8"):
            return cached
    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    script = script.replace("</script", "<\\/script")
    with contextlib.suppress(OSError):  # without the cache the next page takes longer
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, script.encode())
    return script
