"""The pages of duels, gates and histories, most of them in a real browser; the report has its own tests."""

import math

import pytest
from support.charts import valid
from support.gate_formats import hostile_gate
from support.in_browser import LOW_CONTRAST, MARKS, TOO_WIDE, needs_chromium, opened
from support.made_duels import hostile_duel, stored_duel
from support.made_gates import fixed_gates, made_benchmark, mixed_gate
from support.rendered import duel_page, gate_page, history_page
from vl_convert import vegalite_to_svg

from harness.gate.history import gaps, read_history
from harness.report.charts.pairs import duel_figures, gate_figures, history_figures
from harness.report.document import Document, Paragraph, Table
from harness.report.duel import duel_document
from harness.report.gate import headline
from harness.report.history import HistoryFindings
from harness.report.render.html import html_page

#: What would run, load or name something if a page took it for more than text.
HOSTILE = """</script><img src=x onerror="document.title='had'">{{ 7*7 }}&amp;`x`"""


def changed_history():
    """Two regressions of one benchmark, a gain of another, and a third that is no longer measured."""
    slower = fixed_gates([1.0] * 8 + [1.06] * 8 + [1.12] * 8)
    faster = fixed_gates([1.0] * 12 + [0.9] * 12, name=HOSTILE)
    for gate, other in zip(slower, faster, strict=True):
        gate.benchmarks += other.benchmarks
    slower[0].benchmarks.append(made_benchmark("gone"))
    return HistoryFindings(read_history(slower), gaps(slower), slower)


PAGES = {
    "duel": lambda: duel_page(stored_duel()),
    "hostile duel": lambda: duel_page(hostile_duel(HOSTILE)),
    "gate": lambda: gate_page(mixed_gate()),
    "hostile gate": lambda: gate_page(hostile_gate(f"{HOSTILE}\x1b[31m")),
    "hostile history": lambda: history_page(changed_history()),
}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Writes a page once; its path."""
    folder = tmp_path_factory.mktemp("pages")

    def path(kind):
        file = folder / f"{kind}.html"
        if not file.exists():
            file.write_text(PAGES[kind](), "utf-8")
        return file

    return path


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_loads_nothing_fits_is_legible_and_takes_no_text_for_markup(
    browser, page_file, kind, width, scheme
):
    with opened(browser, page_file(kind), width=width, scheme=scheme) as page:
        assert page.said == []
        assert [url for url in page.asked if not url.startswith("data:")] == [page_file(kind).as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(LOW_CONTRAST) == []
        assert page.title() != "had"
        assert page.locator("img").count() == 0
        assert ("hostile" in kind) == (HOSTILE in page.locator("body").inner_text())


@needs_chromium
def test_the_page_of_a_gate(browser, page_file):
    with opened(browser, page_file("gate")) as page:
        assert page.locator("h1").inner_text() == f"FAIL: {headline(mixed_gate())}"
        explanations = page.locator("#explanations li").all_inner_texts()
        assert [text.partition(":")[0] for text in explanations] == ["rnn-compiled", "gan", "forecast", "mlp"]
        assert page.locator("#explanations").bounding_box()["y"] < 300
        # Four benchmarks: a limit, an interval and a point each, and the line at zero.
        assert page.evaluate(MARKS) == {
            "change-step": 13,
            "change-first-step": 13,
            "change-memory": 13,
            "pairs": 4 * 3 + 2 * 8 + 1,
        }


@needs_chromium
def test_the_page_of_a_duel(browser, page_file):
    with opened(browser, page_file("duel")) as page:
        assert page.locator("h1").inner_text() == duel_document(stored_duel()).headline[0]
        marks = page.evaluate(MARKS)
        assert list(marks) == ["pairs", "course", "turns"]
        assert marks["pairs"] == 10 + 4  # pairs, the line at zero, the band, the interval, the ratio
        assert marks["course"] == 10 + 2
        assert marks["turns"] >= 2 * 540 + 9


@needs_chromium
def test_the_page_of_a_history(browser, page_file):
    with opened(browser, page_file("hostile history")) as page:
        assert page.title() == "History of gates"
        rows = page.locator("#changed tbody tr").all()
        assert [row.locator("th").inner_text() for row in rows] == ["cnn, step", f"{HOSTILE}, step"]
        assert [row.locator("td").first.inner_text()[0] for row in rows] == ["+", "−"]
        assert [row.locator("td").first.get_attribute("data-tone") for row in rows] == ["bad", "good"]
        assert page.locator("#not-measured li").count() == 1
        assert page.locator("#same tbody tr").count() == 7
        marks = page.evaluate(MARKS)
        # Of 24 gates an interval and a dot each, a line, zero, and of two steps a triangle and a size each.
        assert marks["series-1"] == 2 * 24 + 1 + 1 + 2 * 2
        assert marks["series-2"] == 2 * 24 + 1 + 1 + 2
        assert len(marks) == 6  # that of one gate has no chart
        sizes = page.locator("#series-1 .role-mark.mark-text text").all_text_contents()
        assert len(sizes) == 2
        assert all(size.startswith("+") and size.endswith(" %") for size in sizes)


def test_intervals_and_code_are_elements_and_nothing_is_escaped_twice():
    table = Table(["a", "step [b]"], [["first", "1.5 [1.2, <1.8>]"]])
    page = html_page(Document("run", "A", [Paragraph("run `x<y` [1, 2]"), table]))
    assert '<p>run <code>x&lt;y</code> <span class="unbroken">[1, 2]</span></p>' in page
    assert '1.5 <span class="unbroken">[1.2, &lt;1.8&gt;]</span>' in page
    assert "&lt;span" not in page
    assert "&amp;lt;" not in page


# Their charts.


def series():
    return sorted(changed_history().history.series, key=lambda each: each.metric != "step")


@pytest.mark.parametrize(
    "figures",
    [
        lambda: duel_figures(stored_duel()),
        lambda: gate_figures(mixed_gate()),
        lambda: history_figures(series()),
    ],
    ids=["duel", "gate", "history"],
)
def test_charts_are_valid_vega_lite(figures):
    for figure in figures():
        valid(figure.chart)
        assert vegalite_to_svg(figure.chart | {"width": 400}).startswith("<svg")


def test_the_charts_of_a_duel_show_the_numbers_of_the_record():
    record = stored_duel()
    figures = {figure.name: figure for figure in duel_figures(record)}
    rows = figures["pairs"].chart["data"]["values"]
    changes = [row["change"] for row in rows if "change" in row]
    assert len(changes) == record.results[0].pairs
    centre = math.exp(sum(math.log1p(change / 100) for change in changes) / len(changes))
    assert centre == pytest.approx(record.results[0].ratio.value, abs=2e-3)
    (ratio,) = [row["ratio"] for row in rows if "ratio" in row]
    assert ratio == pytest.approx(100 * (record.results[0].ratio.value - 1), abs=1e-3)
    disturbed = [row for row in figures["turns"].chart["data"]["values"] if row["disturbed"]]
    assert len(disturbed) == sum(block.disturbed for pair in record.pairs for block in pair.blocks)


def test_the_charts_of_a_gate_show_the_numbers_of_the_record():
    record = mixed_gate()
    figures = {figure.name: figure.chart["data"]["values"] for figure in gate_figures(record)}
    result = record.benchmarks[1].metrics[0]
    (row,) = [row for row in figures["change-step"] if row["benchmark"] == "rnn-compiled"]
    ends = [row[name] for name in ("change", "low", "high", "limit")]
    ratios = [result.ratio.value, result.ratio.low, result.ratio.high, 1.05]
    assert ends == pytest.approx([100 * (ratio - 1) for ratio in ratios], abs=1e-3)
    confirmed = [
        row["change"]
        for row in figures["pairs"]
        if (row["benchmark"], row["stage"]) == ("rnn-compiled", "further pairs")
    ]
    logs = [math.log1p(change / 100) for change in confirmed]
    assert math.exp(sum(logs) / len(logs)) == pytest.approx(result.ratio.value, abs=1e-5)


def test_the_chart_of_a_history_draws_the_level():
    rows = history_figures(series())[0].chart["data"]["values"]
    level = 100 * math.expm1(series()[0].trend.levels[-1])
    assert rows[-1]["level"] == pytest.approx(level, abs=1e-3)
    assert rows[-1]["low"] < rows[-1]["change"] < rows[-1]["high"]
