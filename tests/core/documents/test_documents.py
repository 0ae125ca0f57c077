"""Every kind of node in every format: what is written, whether it fits, and that every text is escaped."""

import json
import re

import pytest

from harness.core.documents.charts import layer, layered
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
    Only,
    Paragraph,
    Passage,
    Section,
    Span,
    Table,
    shown,
    table_of,
)
from harness.core.documents.render.html import html_page
from harness.core.documents.render.markdown import markdown
from harness.core.documents.render.terminal import filled, fitted_table, terminal_text

#: Colours of a terminal, a bell, a reversal of direction, and the marks of every format.
HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202eevil\u2066 <b>bold</b> |`code`| </script>\x9b1m"
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def every_kind(text):
    """A document that has each kind of node, with the text wherever a text may be."""

    def figures():
        chart = layered([{"x": 1, "name": text}], layer("point", x="x:Q", y="name:N"))
        return [Figure("chart-1", text, chart, text, chosen=True), Passage("texts-1", text, [text], text)]

    cell = Cell(text, "bad", 1.0, "❌")
    table = Table([text, "b"], [[text, cell]], text, (f"{text} legend",), announced=True)
    parts = [
        Paragraph((Span(text), f" {text} ", Span(text, "code"), Span(text, "link", target="part")), "answer"),
        Paragraph(text),
        Paragraph(text, "legend"),
        Paragraph(f"{text}\n{text}", "lines"),
        Command(text, text),
        Items([text, Item((Span(text), f": {text}"), text, text, "bad")], text),
        Items([text], ordered=True),
        Facts({text: text}, text),
        table,
        Figures(figures),
        Passage("texts-2", text, [text], text),
        Folded(text, [table], "folded", 1),
        Cards([Card(text, [table], "bad")]),
        Only(("page",), lambda: [Paragraph(text)]),
    ]
    section = Section(text, parts, "part", text, announced=True)
    return Document(text, text, [section], [text], [text], contents=True)


FORMATS = {
    "terminal": terminal_text,
    "verbose": lambda document: terminal_text(document, verbose=True),
    "markdown": markdown,
    "page": html_page,
}


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_writes_a_text_as_it_is(form):
    written = FORMATS[form](every_kind(HOSTILE))
    if form == "page":
        written, specs = without_scripts(written)
        assert "<b>" not in written
        assert not UNSEEN.search(str(json.loads(specs)))
    assert "evil" in written
    assert not UNSEEN.search(written)


def without_scripts(page):
    """The page without its style and scripts, and the data of its charts."""
    specs = re.search(r'<script type="application/json" id="specs">(.*?)</script>', page, re.DOTALL)[1]
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL), specs


@pytest.mark.parametrize("form", ["verbose", "markdown", "page"])
def test_every_kind_of_node_is_written(form, snapshot, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    written = FORMATS[form](every_kind("text"))
    assert (without_scripts(written)[0] if form == "page" else written) == snapshot


@pytest.mark.parametrize(("form", "shown"), [("markdown", 40), ("page", 60)])
def test_a_long_list_is_cut_and_counted(form, shown):
    document = Document("a", "a", [Items([f"entry-{number}" for number in range(shown + 7)], "Items")])
    written = FORMATS[form](document)
    assert written.count("entry-") == shown
    assert "and 7 more" in written


def test_nodes_of_other_media_are_not_made():
    made = []
    nodes = [Only(("page",), lambda: made.append(1) or [Paragraph("a")]), Paragraph("b")]
    assert shown(nodes, "terminal") == [Paragraph("b")]
    assert not made
    assert shown(nodes, "page") == [Paragraph("a"), Paragraph("b")]


def test_nodes_without_content_are_left_out():
    empty = [Paragraph(""), Items([], "Notes"), Facts({}, "Facts"), Table(["a"], []), Cards([]), Command("")]
    hidden = Only(("page",), [Section("Part", [*empty, Folded("Folded", empty)])])
    assert shown([*empty, Section("Part", [*empty, hidden]), hidden, Paragraph("a")], "page") == [
        Paragraph("a")
    ]


def test_a_column_without_any_value_is_left_out_of_a_table():
    table = table_of([{"a": "1", "b": None, "c": None}, {"a": "2", "b": None, "c": Cell("x")}], "title")
    assert table == Table(["a", "c"], [["1", "–"], ["2", Cell("x")]], "title")
    assert not table_of([]).rows


def test_intervals_and_code_are_elements_and_nothing_is_escaped_twice():
    table = Table(["a", "step [b]"], [["first", "1.5 [1.2, <1.8>]"]])
    page = html_page(Document("run", "A", [Paragraph("run `x<y` [1, 2]"), table]))
    assert '<p>run <code>x&lt;y</code> <span class="unbroken">[1, 2]</span></p>' in page
    assert '1.5 <span class="unbroken">[1.2, &lt;1.8&gt;]</span>' in page
    assert "&lt;span" not in page
    assert "&amp;lt;" not in page


ROW = ["torch:eager", "+66.7 % [−86.9, > 999]", "a sentence of several words", "56.0 [37.5, 74.4]"]
HEADERS = ["configuration", "relative step time", "remark", "test accuracy (%)"]


@pytest.mark.parametrize("width", [120, 80, 66])
def test_a_table_fits_and_keeps_intervals_whole(width):
    lines = fitted_table([ROW], width, HEADERS).splitlines()
    assert max(map(len, lines)) <= width
    for interval in ("[−86.9, > 999]", "[37.5, 74.4]", "torch:eager"):
        assert any(interval in line for line in lines)


@pytest.mark.parametrize("width", [50, 30, 1])
def test_a_table_that_cannot_fit_is_wider_and_breaks_nothing(width):
    numbers = "1,234,567.25 keras-tensorflow:jit"
    lines = fitted_table([[*ROW, numbers]], width, [*HEADERS, "more"]).splitlines()
    for whole in ("torch:eager", "[−86.9, > 999]", "[37.5, 74.4]", "configuration", *numbers.split()):
        assert any(whole in line for line in lines)


@pytest.mark.parametrize(("width", "whole"), [(62, True), (61, False), (30, False)])
def test_a_path_is_broken_only_where_the_table_would_be_too_wide(width, whole):
    path = "a/path/that/is/as/long/as/the/terminal/is"
    lines = fitted_table([["where", path, "[1.25, 1.75]"]], width, ["", "file", "ratio"]).splitlines()
    assert any(path in line for line in lines) is whole
    assert any("[1.25, 1.75]" in line for line in lines)


def test_lines_of_a_cell_stay_lines():
    assert "keras 3.15" in fitted_table([["framework", "keras 3.15\ntensorflow 2.21"]], 60).splitlines()[1]


def test_text_is_not_broken_within_an_interval_or_before_a_unit():
    text = "The accuracy is −0.4 [−4.8, 4.1] points and drifts by up to 54 % in 12 runs."
    for width in range(30, 80):
        joined = filled(text, width)
        assert all(whole in joined for whole in ("[−4.8, 4.1]", "54 %", "12 runs"))
        assert max(map(len, joined.splitlines())) <= width
