"""A document as its structure: the parts and their texts, without the marks of any format."""

from harness.core.documents.document import (
    Cards,
    Cell,
    Command,
    Facts,
    Figure,
    Figures,
    Folded,
    Items,
    Paragraph,
    Passage,
    Section,
    Table,
    plain,
    shown,
)


def outline(document, medium="page"):
    """The parts of a document, what is below a part indented; of charts the titles and captions."""
    lines = [document.title, *map(plain, document.headline), *document.meta]
    return "\n".join([*lines, *_parts(document.nodes, medium)])


def charts_of(part, medium="page"):
    """The charts of a document or of a part of it."""
    for node in shown(part.nodes, medium):
        if isinstance(node, Figures):
            yield from (each for each in node.make() if isinstance(each, Figure))
        elif isinstance(node, Folded | Section):
            yield from charts_of(node, medium)


def _parts(nodes, medium):
    for node in shown(nodes, medium):
        title, *below = _TEXTS[type(node)](node, medium)
        yield f"{type(node).__name__.lower()}: {title}".rstrip()
        yield from (f"    {line}".rstrip() for text in below for line in text.splitlines())


def _paragraph(node, _):
    return [f"({node.role}) {plain(node.text)}" if node.role else plain(node.text)]


def _items(node, _):
    texts = [
        part
        for each in node.entries
        for part in (_toned(plain(each.text), each.tone), each.note, each.command)
    ]
    return [node.title, *filter(None, texts)]


def _table(node, _):
    rows = [[_toned(*cell[:2]) if isinstance(cell, Cell) else cell for cell in row] for row in node.rows]
    return [node.title, *(" | ".join(row) for row in (node.headers, *rows) if row), *node.legend]


def _cards(node, medium):
    return ["", *(line for card in node.cards for line in (plain(card.title), *_parts(card.nodes, medium)))]


def _figure(node, _):
    return [f"{node.name}: {node.title}", node.caption, *(node.texts if isinstance(node, Passage) else ())]


def _toned(text, tone):
    return f"{text} ({tone})" if tone else text


_TEXTS = {
    Paragraph: _paragraph,
    Command: lambda node, _: [node.lead, node.text],
    Items: _items,
    Facts: lambda node, _: [node.title, *(f"{name}: {value}" for name, value in node.facts.items())],
    Table: _table,
    Figures: lambda node, _: ["", *(text for each in node.make() for text in _figure(each, _))],
    Passage: _figure,
    Cards: _cards,
    Folded: lambda node, medium: [node.title, *_parts(node.nodes, medium)],
    Section: lambda node, medium: [node.title, *_parts(node.nodes, medium)],
}
