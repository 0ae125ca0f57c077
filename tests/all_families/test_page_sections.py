"""Pages of every kind of study and of record: each section shows its heading, its text and its charts."""

import itertools
import re

import pytest
from support import in_browser
from support.in_browser import HIDDEN, LOST_LINKS, SHARED_IDS
from support.made_bisections import made_bisection
from support.made_duels import made_time, stored_duel
from support.made_gates import fixed_gates, mixed_gate
from support.made_kinds import KINDS, made_kind
from support.made_ports import made_port
from support.made_study import STUDY, made_study_records, report_findings
from support.records import save_runs

from harness.core.documents.charts import layer, layered
from harness.core.documents.document import (
    Card,
    Cards,
    Document,
    Figure,
    Figures,
    Folded,
    Items,
    Paragraph,
    Section,
    Span,
)
from harness.core.documents.render.html import html_fragment, html_page
from harness.core.shell.features import records
from harness.learning.runs.page import findings_document
from harness.learning.study.page import study_document
from harness.learning.study.record import STUDIES
from harness.port.record import PORTS
from harness.timing.bisect.record import BISECTIONS
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES
from harness.timing.history.findings import find_history
from harness.timing.history.page import history_document
from harness.timing.time.record import TIMES

WIDTHS = (1440, 390)
ID = re.compile(r' id="([^"]*)"')


def _history(_folder):
    gates = fixed_gates([1.0] * 8 + [1.06] * 8)
    return html_page(history_document(find_history(gates)))


def _of_record(kind, make):
    def page(folder):
        path = kind.save(make(), folder / kind.folder)
        return kind.file_of(kind.read(path), path, ".html")

    return page


def _study_of_record(folder):
    save_runs(folder, *made_study_records())
    return _of_record(STUDIES, lambda: STUDY)(folder)


def _of_kind(name):
    return lambda folder: html_page(study_document([made_kind(name, folder)]))


#: Makes the page of each kind of record, and of what is made of several.
OF_RECORDS = {
    "run": lambda _: html_page(findings_document(report_findings())),
    DUELS.name: _of_record(DUELS, stored_duel),
    GATES.name: _of_record(GATES, mixed_gate),
    STUDIES.name: _study_of_record,
    PORTS.name: _of_record(PORTS, made_port),
    TIMES.name: _of_record(TIMES, made_time),
    BISECTIONS.name: _of_record(BISECTIONS, made_bisection),
}
PAGES = {
    **OF_RECORDS,
    "history": _history,
    **{f"study of {name}": _of_kind(name) for name in KINDS},
}


@pytest.fixture(scope="module")
def browser():
    with in_browser.chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser, tmp_path):
    """Write a page and open it at each width, with everything unfolded."""

    def at_each_width(content):
        path = tmp_path / "page.html"
        path.write_text(content, "utf-8")
        for width in WIDTHS:
            with in_browser.opened(browser, path, width=width) as page:
                page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
                yield page

    return at_each_width


def test_every_kind_of_record_has_a_page_here():
    assert {kind.name for kind in records().kinds} == set(OF_RECORDS)


def _is_complete(page):
    """Check that nothing of a section is hidden, and that ids are unique and links lead somewhere."""
    found = {script: page.evaluate(script) for script in (HIDDEN, SHARED_IDS, LOST_LINKS)}
    return page.said == [] and found == {HIDDEN: [], SHARED_IDS: [], LOST_LINKS: []}, found, page.said


@pytest.mark.parametrize("kind", PAGES)
def test_every_id_of_a_page_is_that_of_one_element(tmp_path, kind):
    ids = ID.findall(PAGES[kind](tmp_path / "results").partition("<script>")[0])
    assert len(ids) == len(set(ids)) > 0


@in_browser.needs_chromium
def test_every_section_shows_its_heading_its_text_and_its_charts(opened, tmp_path):
    nodes = [node for name in KINDS for node in study_document([made_kind(name, tmp_path / name)]).nodes]
    for page in opened(html_page(Document("study", "Every kind of study", nodes, contents=True))):
        complete, *found = _is_complete(page)
        assert complete, found
        for part in {part.replace(" ", "-") for kind in KINDS.values() for part in kind.sections}:
            assert page.locator(f"section#part-1-{part}").count() == 1
        assert page.locator("main .chart").count() > 3 * len(KINDS)


#: The sections of every kind of study are on one page above; the other pages are opened in test_pages.
IN_BROWSER = [STUDIES.name, PORTS.name, TIMES.name, BISECTIONS.name]


@pytest.mark.slow
@in_browser.needs_chromium
@pytest.mark.parametrize("kind", IN_BROWSER)
def test_every_page_shows_its_sections(opened, tmp_path, kind):
    for page in opened(PAGES[kind](tmp_path / "results")):
        complete, *found = _is_complete(page)
        assert complete, found
        assert page.locator("main section").count() > 0


def _alike():
    """Sections, lists, folded parts and charts that have the same names, or almost the same."""
    rows = [{"at": 1, "height": 2}, {"at": 2, "height": 3}]
    chart = layered(rows, layer("bar", x="at:O", y="height:Q"))

    def section(name, title, *nodes):
        drawn = Figures(lambda: [Figure(name, "caption", chart), Figure("a b", "caption", chart)])
        return Section(title, [Paragraph(f"Text of {title}."), drawn, *nodes], name)

    link = Paragraph((Span("there", "link", target="a/b"), Span("nowhere", "link", target="?")))
    inner = [section("a b", "inner"), Items(["item"], id="a b"), Folded("folded", [Paragraph("text")], "a b")]
    nodes = [
        Cards([Card("card", [section("a-b", "on a card")])]),
        link,
        section("a b", "first", *inner),
        section("a-b", "second"),
        section("a/b", "third"),
        section("", "specs"),
        section("<Ω>", "not ASCII"),
        section("1", "number"),
    ]
    return Document("test", "Names", [*nodes, *nodes], contents=True)


@in_browser.needs_chromium
def test_sections_and_charts_of_the_same_name_have_ids_of_their_own(opened):
    for page in opened(html_page(_alike())):
        complete, *found = _is_complete(page)
        assert complete, found
        assert page.locator("main svg.marks").count() == 2 * 2 * 8
        links = page.locator("nav a").all()
        titles = ["first", "second", "third", "specs", "not ASCII", "number"] * 2
        for title, link in zip(titles, [each for each in links if each.inner_text() != "inner"], strict=True):
            address = link.get_attribute("href")
            assert page.locator(f"[id='{address[1:]}'] > h2").inner_text() == title
        there = page.locator("a", has_text="there").first.get_attribute("href")
        assert page.locator(f"[id='{there[1:]}'] > h2").inner_text() == "third"
        assert page.locator("a", has_text="nowhere").count() == 0


def test_fragments_of_one_notebook_share_no_ids():
    nodes = [node for node in _alike().nodes if isinstance(node, Section)]
    written = html_fragment([*itertools.islice(nodes, 1), Items(["item"], "Titled", id="x")])
    assert " id=" not in written.replace("<svg", "").split("<svg")[0]
    assert "href=" not in written
