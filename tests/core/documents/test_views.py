"""Views of tables: chosen columns, in any part of a document; busy ones left out."""

import pytest

from harness.core.documents.document import Document, Folded, Only, Paragraph, Section, Table, timed
from harness.core.documents.numbers import BUSY_LEGEND
from harness.core.documents.render.terminal import terminal_text
from harness.core.documents.views import View
from harness.errors import UsageError

TABLE = Table(
    ["configuration", "seeds", "step (ms)", "test accuracy (%)"],
    [["a", "3", timed("1.0", disturbed=True), "50"], ["b", "3", "2.0", "60"]],
    "Runs",
    ("Mean.", BUSY_LEGEND),
)


@pytest.mark.parametrize(
    ("view", "headers"),
    [
        (View(), list(TABLE.headers)),
        (View(("seeds",)), ["configuration", "seeds"]),
        (View(("test accuracy", "seeds")), ["configuration", "test accuracy (%)", "seeds"]),
        (View(("step (ms)", "step")), ["configuration", "step (ms)"]),
        (View(hide_busy=True), ["configuration", "seeds", "test accuracy (%)"]),
        (View(("seeds", "step"), hide_busy=True), ["configuration", "seeds"]),
    ],
)
def test_columns_are_chosen_by_name_in_the_order_asked_for(view, headers):
    (table,) = view.tables([TABLE])
    assert table.headers == headers
    assert [dict(zip(headers, row, strict=True))["configuration"] for row in table.rows] == ["a", "b"]
    assert (BUSY_LEGEND in table.legend) == ("step (ms)" in headers)
    assert "Mean." in table.legend


def test_a_table_without_a_chosen_column_is_left_out():
    assert View(("memory",)).tables([TABLE])[0].rows == []
    assert View(("configuration",)).tables([TABLE])[0].rows == []


def test_of_one_subject_a_table_is_shown_for_columns_that_are_new():
    other = Table(["configuration", "seeds", "memory"], [["a", "3", "1"]])
    assert [bool(table.rows) for table in View(("seeds",)).tables([TABLE, other])] == [True, False]
    assert [bool(table.rows) for table in View(("seeds", "memory")).tables([TABLE, other])] == [True, True]


def test_a_legend_goes_with_the_column_that_it_explains():
    table = TABLE._replace(legend=("All.", "Step."), explained={"Step.": "step (ms)"})
    assert View(("seeds",)).tables([table])[0].legend == ("All.",)
    assert View(("step",)).tables([table])[0].legend == ("All.", "Step.")


def _everywhere(table):
    return Document(
        "",
        "",
        [
            Paragraph("text"),
            Section("s", [table], announced=True),
            Section("t", [Folded("f", [table])], announced=True),
            Only(("terminal", "verbose"), lambda: [Section("", [table])]),
        ],
    )


def test_tables_are_found_wherever_they_are():
    text = terminal_text(View(("seeds",)).document(_everywhere(TABLE), "verbose"), 200, verbose=True)
    assert text.count("configuration  seeds\n") == 3
    assert "accuracy" not in text
    assert "text" in text


@pytest.mark.parametrize("place", range(1, 4))
def test_an_unknown_name_is_refused_with_the_nearest(place):
    document = _everywhere(TABLE)
    inside = Document("", "", [document.nodes[place]])
    with pytest.raises(UsageError, match=r"unknown column 'test acuracy'.* Did you mean 'test accuracy'\?"):
        View(("test acuracy",)).document(inside, "terminal")


def test_a_column_of_another_medium_is_unknown():
    document = Document("", "", [TABLE, Only(("page",), [Table(["run", "size"], [["x", "1"]])])])
    View(("size",)).document(document, "page")
    with pytest.raises(UsageError, match="unknown column 'size'"):
        View(("size",)).document(document, "terminal")
