"""The page of a history, in a real browser."""

import math

import pytest
from support.charts import valid
from support.in_browser import MARKS, TOO_WIDE, chromium, needs_chromium, opened
from support.made_gates import fixed_gates, made_benchmark
from support.rendered import history_page
from vl_convert import vegalite_to_svg

from harness.gate.history import gaps, read_history
from harness.report.charts.pairs import history_figures
from harness.report.history import HistoryFindings

pytestmark = needs_chromium
HOSTILE = """</script><img src=x onerror="document.title='had'">{{ 7*7 }}&amp;"""


def findings():
    """Two regressions of one benchmark, a gain of another, and a third that is no longer measured."""
    slower = fixed_gates([1.0] * 8 + [1.06] * 8 + [1.12] * 8)
    faster = fixed_gates([1.0] * 12 + [0.9] * 12, name=HOSTILE)
    for gate, other in zip(slower, faster, strict=True):
        gate.benchmarks += other.benchmarks
    slower[0].benchmarks.append(made_benchmark("gone"))
    return HistoryFindings(read_history(slower), gaps(slower), slower)


@pytest.fixture(scope="module")
def browser():
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "history.html"
    path.write_text(history_page(findings()), "utf-8")
    return path


def test_it_opens_offline_and_starts_with_what_changed(browser, page_file):
    with opened(browser, page_file) as page:
        assert page.said == []
        assert [url for url in page.asked if not url.startswith("data:")] == [page_file.as_uri()]
        assert page.title() == "History of gates"
        assert page.locator("h1").inner_text().startswith("2 of 9 series changed over 24 gates")
        rows = page.locator("#changed tbody tr").all()
        assert [row.locator("th").inner_text() for row in rows] == ["cnn, step", f"{HOSTILE}, step"]
        assert rows[0].locator("td").first.inner_text().startswith("+")
        assert rows[1].locator("td").first.inner_text().startswith("−")
        assert [row.locator("td").first.get_attribute("data-tone") for row in rows] == ["bad", "good"]
        (gap,) = page.locator("#not-measured li").all_inner_texts()
        assert gap.startswith("gone is not in the suite since 2026-01-02")
        assert page.locator("#same tbody tr").count() == 7


def test_every_chart_has_its_gates_level_and_steps(browser, page_file):
    with opened(browser, page_file) as page:
        marks = page.evaluate(MARKS)
        # Of 24 gates an interval and a dot each, a line, zero, and of two steps a triangle and a size each.
        assert marks["series-1"] == 2 * 24 + 1 + 1 + 2 * 2
        assert marks["series-2"] == 2 * 24 + 1 + 1 + 2
        assert len(marks) == 6  # that of one gate has no chart
        sizes = page.locator("#series-1 .role-mark.mark-text text").all_text_contents()
        assert len(sizes) == 2
        assert all(size.startswith("+") and size.endswith(" %") for size in sizes)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows(browser, page_file, width):
    with opened(browser, page_file, width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TOO_WIDE) == []


def test_charts_are_valid_vega_lite_and_draw_the_level():
    series = sorted(findings().history.series, key=lambda each: each.metric != "step")
    for figure in history_figures(series):
        valid(figure.chart)
        assert vegalite_to_svg(figure.chart | {"width": 400}).startswith("<svg")
    rows = history_figures(series)[0].chart["data"]["values"]
    level = 100 * math.expm1(series[0].trend.levels[-1])
    assert rows[-1]["level"] == pytest.approx(level, abs=1e-3)
    assert rows[-1]["low"] < rows[-1]["change"] < rows[-1]["high"]
