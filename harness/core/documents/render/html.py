"""Documents as HTML: a page that opens offline, with Vega and the data of its charts, and a fragment."""

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata, resources

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
    RangeChart,
    RangeRow,
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


def html_page(document: Document) -> str:
    """Render a document as a page; escape every text and replace its control characters."""
    writer = _Writer("page")
    nodes = _chosen(document.nodes)
    main = writer.all(nodes, 2)
    first, *others = document.headline or [document.title]
    kicker = [_element("p", f"dl-harness {document.kind}", class_="kicker")] if document.kind else []
    header = _element(
        "header",
        *kicker,
        _element("h1", _text(first)),
        *(_element("p", _text(text), class_="verdict-line") for text in others),
        _element("p", " · ".join(document.meta), class_="meta"),
    )
    content = _element("div", header, _element("main", main), class_="content")
    contents = [_contents(nodes)] if document.contents else []
    return str(
        _LAYOUT.format(
            title=visible(document.title),
            style=_asset("page.css"),
            page=_element("div", *contents, content, class_="page"),
            bundle=Markup(_bundle()),  # noqa: S704  Vega's own code
            specs=Markup(_specs(writer.drawn)),  # noqa: S704  safe in a script
            script=_asset("page.js"),
        )
    )


def html_fragment(nodes: Sequence[Node]) -> str:
    """Render nodes for the output of a notebook, with charts drawn as SVG."""
    return str(_Writer("notebook").all(nodes, 3))


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


def _text(text: Text) -> Markup:
    if isinstance(text, str):
        return _prose(text)
    return Markup("").join(_span(part) if isinstance(part, Span) else _prose(part) for part in text)


def _span(span: Span) -> Markup:
    if span.mark == "link":
        return _element("a", span.text, href=f"#{span.target}")
    name = "code" if span.mark == "code" else "strong"
    return _element(name, _prose(span.text), data_tone=span.tone)


def _chosen(nodes: Sequence[Node]) -> list[Node]:
    """Choose the nodes for a page, also within sections. Nodes that only a page has are made here, once."""
    return [
        msgspec.structs.replace(node, nodes=_chosen(node.nodes)) if isinstance(node, Section) else node
        for node in shown(nodes, "page")
    ]


def _contents(nodes: Sequence[Node]) -> Markup:
    """Make links to the sections, and to their subsections if there are several."""
    entries = [_entry(node) for node in nodes if isinstance(node, Section)]
    brand = _element("p", "dl-harness", class_="brand")
    return _element("nav", brand, _element("ul", *entries, class_="scroll"), aria_label="Contents")


def _entry(section: Section) -> Markup:
    parts = [node for node in section.nodes if isinstance(node, Section) and node.id]
    below = [_element("ul", *map(_entry, parts))] if len(parts) > 1 else []
    link = _element("a", section.label or section.title, href=f"#{section.id}")
    return _element("li", link, *below)


class _Writer:
    """A writer of nodes as elements. ``drawn`` are the charts that the page's script draws."""

    def __init__(self, medium: Medium) -> None:
        self.drawn: list[Figure] = []
        self._medium: Medium = medium
        self._legends: set[str] = set()

    def all(self, nodes: Sequence[Node], level: int) -> Markup:
        """Write the nodes, with headings of ``level``."""
        parts: list[Markup] = []
        for node in shown(nodes, self._medium):
            parts += self._node(node, level)
        return Markup("").join(parts)

    def _node(self, node: Node, level: int) -> Iterator[Markup]:  # noqa: C901, PLR0912  a case for each kind
        match node:
            case Paragraph(text, "legend"):
                yield from self._legend((plain(text),))
            case Paragraph(text, "lines"):
                yield _element("pre", "\n" + with_lines(plain(text)))
            case Paragraph(text, role):
                marked = _element("strong", _text(text)) if role == "answer" else _text(text)
                yield _element("small" if role == "small" else "p", marked)
            case Command(text, lead):
                code = _element("code", text, class_="command", tabindex="0")
                yield _element("p", lead, code, class_="legend")
            case Items():
                yield from _items(node, level)
            case Facts(facts, title):
                yield from [_element(f"h{level}", title)] * bool(title)
                yield _element("dl", *(_element("dt", k) + _element("dd", str(v)) for k, v in facts.items()))
            case Table():
                yield _table(node)
                yield from self._legend(node.legend)
            case Figure() | Picture() | Passage():
                yield self._figure(node)
            case Figures(make):
                figures = [self._figure(figure) for figure in make()]
                yield from [_element("div", *figures, class_="figures")] * bool(figures)
            case RangeChart():
                yield _range_chart(node)
            case Cards(cards, wide):
                names = "cards wide" if wide else "cards"
                yield _element("div", *(self._card(card, level) for card in cards), class_=names)
            case Folded(title, content, name, count):
                number = [] if count is None else [" ", _element("span", str(count), class_="count")]
                summary = _element("summary", title, *number)
                yield _element("details", summary, self.all(content, level), id=name)
            case Section():
                unseen = None if node.title else "unseen"
                heading = _element(f"h{min(level, 6)}", node.title or node.label, class_=unseen)
                yield _element("section", heading, self.all(node.nodes, level + 1), id=node.id)

    def _legend(self, sentences: Sequence[str]) -> Iterator[Markup]:
        """Write the sentences that the page does not have yet."""
        new = [sentence for sentence in sentences if sentence not in self._legends]
        self._legends.update(new)
        if new:
            yield _element("p", _prose(" ".join(new)), class_="legend")

    def _card(self, card: Card, level: int) -> Markup:
        title = _text(card.title)
        linked = _element("a", title, href=f"#{card.target}") if card.target else title
        return _element(
            "article", _element("h3", linked), self.all(card.nodes, level + 1), data_tone=card.tone
        )

    def _figure(self, figure: Figure | Picture | Passage) -> Markup:
        title = [_element("strong", figure.title), " "] if figure.title else []
        caption = _element("figcaption", *title, figure.caption)
        match figure:
            case Picture():
                url = "data:image/png;base64," + base64.b64encode(figure.png).decode()
                image = Markup('<img src="{}" alt="{}">').format(url, visible(figure.title))
                return _element("figure", caption, image, id=figure.name)
            case Passage():
                texts = [_element("pre", "\n" + with_lines(text)) for text in figure.texts]
                return _element("figure", caption, *texts, id=figure.name)
        if self._medium == "notebook":
            drawing = Markup(svg(figure, _FRAGMENT_WIDTH))  # noqa: S704  made by Vega, which escapes texts
            return _element("figure", drawing)
        self.drawn.append(figure)
        wide = "panels" if "facet" in figure.chart else None
        return _element("figure", caption, _element("div", class_="chart", id=figure.name), class_=wide)


def _items(items: Items, level: int) -> Iterator[Markup]:
    """Write a list; below a title, show the first few items and fold the others."""
    most = _MOST_OPEN if items.title else _MOST_ITEMS
    kept = items.entries[:_MOST_ITEMS]
    if (more := len(items.items) - _MOST_ITEMS) > 0:
        kept.append(Item(f"and {more} more"))
    parts = [_element(f"h{min(level, 6)}", items.title)] if items.title else []
    parts.append(_list(kept[:most], items))
    if folded := kept[most:]:
        count = _element("span", str(len(items.items) - most), class_="count")
        parts.append(_element("details", _element("summary", "More ", count), _list(folded, items)))
    yield from [_element("section", *parts, id=items.id)] if items.title else parts


def _list(items: Iterable[Item], of: Items) -> Markup:
    return _element("ol" if of.ordered else "ul", *map(_item, items), class_="said")


def _item(item: Item) -> Markup:
    note = [Markup("<br>"), _prose(item.note)] if item.note else []
    command = [_element("code", item.command, class_="command", tabindex="0")] if item.command else []
    return _element("li", _text(item.text), *note, *command, data_tone=item.tone)


def _table(table: Table) -> Markup:
    heads = [
        _element("th", _element("button", header, type="button"), scope="col") for header in table.headers
    ]
    rows = [_element("tr", *map(_cell, row, [True] + [False] * len(row))) for row in table.rows]
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


def _cell(cell: Cell | str, first: bool) -> Markup:
    cell = Cell(cell) if isinstance(cell, str) else cell
    if first:
        return _element("th", _unbroken(cell.text), scope="row")
    return _element("td", _unbroken(cell.text), data_tone=cell.tone, data_value=cell.value)


def _range_chart(chart: RangeChart) -> Markup:
    caption = f"{chart.column}: {chart.axis}, and how the {chart.measure} compares"
    heads = [
        _element("th", "configuration", scope="col"),
        _element("th", chart.axis, scope="col", class_="plot"),
        _element("th", chart.column, scope="col"),
        _element("th", chart.measure, scope="col"),
    ]
    grid = [
        _element("i", class_="grid one" if tick.one else "grid", style=f"--at: {tick.at}")
        for tick in chart.ticks
    ]
    labels = [_element("span", tick.label, style=f"--at: {tick.at}") for tick in chart.ticks]
    return _element(
        "table",
        _element("caption", caption, class_="unseen"),
        _element("thead", _element("tr", *heads)),
        _element("tbody", *(_range_row(row, grid) for row in chart.rows)),
        _element("tfoot", _element("tr", _element("td", *labels, class_="plot")), aria_hidden="true"),
        class_="relative",
    )


def _range_row(row: RangeRow, grid: Sequence[Markup]) -> Markup:
    colour = f"--colour: {row.colour}"
    drawn = list(grid)
    if row.mark is not None:
        if row.mark.low is not None:
            ends = f"--low: {row.mark.low}; --high: {row.mark.high}; {colour}"
            drawn.append(_element("i", class_="interval", style=ends))
        drawn.append(_element("i", class_="point", style=f"--at: {row.mark.at}; {colour}"))
    return _element(
        "tr",
        _element("th", _element("i", class_="swatch", style=colour), row.name, scope="row"),
        _element("td", *drawn, class_="plot", aria_hidden="true"),
        _element("td", row.text, class_="ratio"),
        _element("td", row.quality.text, class_="quality", data_tone=row.quality.tone),
    )


def _specs(figures: Iterable[Figure]) -> str:
    """Write the charts as JSON that cannot end the script element around it."""
    specs = (f"{json.dumps(figure.name)}:{specification(figure)}" for figure in figures)
    return f"{{{','.join(specs)}}}".replace("<", "\\u003c")


def _asset(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath(name).read_text("utf-8"))  # noqa: S704  ours


def _bundle() -> str:
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
