"""Documents as GitHub's Markdown, for pull requests."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.core.documents.document import (
    Cell,
    Command,
    Document,
    Facts,
    Figure,
    Figures,
    Folded,
    Item,
    Items,
    Node,
    Paragraph,
    Passage,
    Section,
    Span,
    Table,
    Text,
    plain,
    shown,
)
from harness.core.documents.escaping import for_markdown, one_line, visible, with_lines
from harness.core.documents.files import write_text

_MOST_ITEMS = 40
_PICTURE_WIDTH = 420


def markdown(document: Document, drawn: Mapping[str, str] | None = None) -> str:
    """Render the document; ``drawn`` has the addresses of drawn charts by name."""
    return "\n\n".join(_Writer(document, drawn or {}).blocks()) + "\n"


def write_markdown(document: Document, path: Path) -> None:
    """Write the document, and an SVG file beside it for each chosen chart."""
    from harness.core.documents.charts import svg

    drawn = {}
    for figure in (figure for figure in _figures(document.nodes) if figure.chosen):
        file = path.with_name(f"{path.stem}-{figure.name}.svg")
        write_text(file, svg(figure, _PICTURE_WIDTH), named=False)
        drawn[figure.name] = file.name.replace(" ", "%20")
    write_text(path, markdown(document, drawn))


def _figures(nodes: Sequence[Node]) -> Iterator[Figure]:
    for node in shown(nodes, "markdown"):
        if isinstance(node, Figures):
            yield from (figure for figure in node.make() if isinstance(figure, Figure))
        elif isinstance(node, Section | Folded):
            yield from _figures(node.nodes)


class _Writer:
    """A writer of a document as blocks."""

    def __init__(self, document: Document, drawn: Mapping[str, str]) -> None:
        self._document = document
        self._drawn = drawn
        self._legends: set[str] = set()

    def blocks(self) -> Iterator[str]:
        """Yield the headline, then the nodes."""
        document = self._document
        level = 1 if document.contents else 2
        first, *others = document.headline or [document.title]
        yield f"{'#' * level} {_text(first)}"
        yield from (f"**{for_markdown(plain(text))}**" for text in others)
        yield from self._nodes(document.nodes, level + 1)

    def _nodes(self, nodes: Sequence[Node], level: int) -> Iterator[str]:
        """Yield the blocks of ``nodes``, with headings of ``level``."""
        for node in shown(nodes, "markdown"):
            yield from self._node(node, level)

    def _node(self, node: Node, level: int) -> Iterator[str]:  # noqa: C901  a case for each kind
        match node:
            case Paragraph(text, "legend"):
                yield from self._legend((plain(text),))
            case Paragraph(text, "lines"):
                yield textwrap.indent(with_lines(plain(text)), "    ")
            case Paragraph(text, role):
                yield f"**{for_markdown(plain(text))}**" if role == "answer" else _text(text)
            case Command(text, lead):
                yield "\n\n".join([*[for_markdown(lead)] * bool(lead), _command_block(text)])
            case Items():
                yield from self._items(node)
            case Facts(facts, title):
                lines = [
                    f"- {for_markdown(name)}: {for_markdown(str(value))}" for name, value in facts.items()
                ]
                yield "\n\n".join([*[f"**{for_markdown(title)}**"] * bool(title), "\n".join(lines)])
            case Table():
                if node.announced:
                    yield f"**{for_markdown(node.title)}**"
                yield markdown_table(node)
                yield from self._legend(node.legend)
            case Passage():
                yield f"**{for_markdown(node.title)}.** {for_markdown(node.caption)}"
                yield from (textwrap.indent(with_lines(text), "    ") for text in node.texts)
            case Figures():
                yield from self._figures(node)
            case Folded():
                content = "\n\n".join(self._nodes(node.nodes, level))
                yield f"<details><summary>{for_markdown(node.title)}</summary>\n\n{content}\n\n</details>"
            case Section():
                blocks = list(self._nodes(node.nodes, level + 1))
                yield from [f"{'#' * level} {for_markdown(node.title)}"] * bool(blocks)
                yield from blocks

    def _legend(self, sentences: Sequence[str]) -> Iterator[str]:
        """Yield the sentences that are new in the document, in one block."""
        new = [sentence for sentence in sentences if sentence not in self._legends]
        self._legends.update(new)
        if new:
            yield for_markdown(" ".join(new))

    def _items(self, items: Items) -> Iterator[str]:
        if items.title:
            yield f"**{for_markdown(items.title)}**"
        lines = [_item(item, "1." if items.ordered else "-") for item in items.entries[:_MOST_ITEMS]]
        more = len(items.items) - _MOST_ITEMS
        yield "\n".join([*lines, *[f"- and {more} more"] * (more > 0)])

    def _figures(self, figures: Figures) -> Iterator[str]:
        """Yield the images of the charts that are drawn."""
        if not self._drawn:
            return
        drawn = [figure for figure in figures.make() if figure.name in self._drawn]
        if drawn:
            yield "\n".join(
                f"![{figure.name.rpartition('-')[2]}]({self._drawn[figure.name]})" for figure in drawn
            )


def markdown_table(table: Table) -> str:
    """Render the table; escape every cell."""
    lines = [list(table.headers), ["---"] * len(table.headers)]
    lines += [[_cell(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(map(for_markdown, line)) + " |" for line in lines)


def _cell(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else f"{cell.sign} {cell.text}".strip()


def _text(text: Text) -> str:
    if isinstance(text, str):
        return for_markdown(text)
    return "".join(_span(part) if isinstance(part, Span) else _keeping_ends(part) for part in text)


def _keeping_ends(text: str) -> str:
    """Escape the text; keep a blank at its beginning and at its end."""
    return f"{' ' * text.startswith(' ')}{for_markdown(text)}{' ' * text.endswith(' ')}"


def _span(span: Span) -> str:
    if span.mark == "code":
        return f"`{_code(span.text)}`"
    if span.mark == "link":
        return for_markdown(span.text)
    return f"{span.sign} {for_markdown(span.text)}" if span.sign else f"**{for_markdown(span.text)}**"


def _item(item: Item, bullet: str) -> str:
    line = f"{bullet} {_text(item.text)}" + (f" {for_markdown(item.note)}" if item.note else "")
    return line + textwrap.indent(f"\n{_command_block(item.command)}", "  ") if item.command else line


def _code(text: str) -> str:
    """Write text as code on one line, without backticks, which could end the code."""
    return visible(one_line(text)).replace("`", "")


def _command_block(command: str) -> str:
    return f"```sh\n{_code(command)}\n```"
