"""Texts on pages: an interval stays together, and nothing is escaped twice."""

from harness.report.document import Document, Paragraph, Table
from harness.report.render.html import html_page


def test_intervals_and_code_are_marked_up_once():
    table = Table(["", "step"], [("a [b]", "1 [0.5, 2]")])
    page = html_page(Document("test", "title", [Paragraph("run `x<y` for +1 % [0, 2]"), table]))
    assert '<span class="unbroken">[0, 2]</span>' in page
    assert '<span class="unbroken">[0.5, 2]</span>' in page
    assert "<code>x&lt;y</code>" in page
    assert "&lt;span" not in page
    assert "&amp;lt;" not in page
