"""The page of a gate in a real browser: the verdict first, every chart drawn, all text escaped."""

import math

import msgspec
import pytest
from support.charts import valid
from support.in_browser import MARKS, TOO_WIDE, chromium, needs_chromium, opened
from support.made_gates import made_benchmark, made_gate, mixed_gate
from support.rendered import gate_page
from vl_convert import vegalite_to_svg

from harness.gate.reasons import NotComparable
from harness.gate.record import QualityResult, SeedScores
from harness.report.charts.pairs import gate_figures

pytestmark = needs_chromium
HOSTILE = """</script><img src=x onerror="document.title='had'">{{ 7*7 }}&amp;`x`\x1b[31m"""
CHARTS = ["change-step", "change-first-step", "change-memory", "pairs"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Writes the page of a gate; its path."""

    def write(record):
        path = tmp_path_factory.mktemp("gate") / "gate.html"
        path.write_text(gate_page(record), "utf-8")
        return path

    return write


def hostile_gate():
    trained = QualityResult(
        verdict="FAIL",
        reasons=[NotComparable(message=HOSTILE)],
        measure=HOSTILE,
        seeds=[SeedScores(seed=0, base=0.5, head=0.4, base_steps_to_target=10, head_steps_to_target=None)],
    )
    benchmark = made_benchmark(
        HOSTILE, step=1.1, confirmed=8, verdicts={"step": "FAIL"}, quality=trained,
        reasons=[NotComparable(message=HOSTILE)],
        options={HOSTILE: HOSTILE}, task=HOSTILE, backend=HOSTILE, mode=HOSTILE,
    )  # fmt: skip
    gate = made_gate(benchmark, suite=HOSTILE, command=["gate", HOSTILE])
    return msgspec.structs.replace(
        gate, base=msgspec.structs.replace(gate.base, variables={HOSTILE: HOSTILE}, python=HOSTILE)
    )


def test_it_opens_offline_without_errors(browser, page_of):
    file = page_of(mixed_gate())
    with opened(browser, file) as page:
        assert page.said == []
        assert [url for url in page.asked if not url.startswith("data:")] == [file.as_uri()]


def test_the_first_screen_has_the_verdict_reasons_and_advice(browser, page_of):
    with opened(browser, page_of(mixed_gate())) as page:
        title = "FAIL: 3 of 5 benchmarks failed (rnn-compiled, gan, forecast), 1 inconclusive (mlp)"
        assert page.locator("h1").inner_text() == title
        explanations = page.locator("#explanations li").all_inner_texts()
        assert [text.partition(":")[0] for text in explanations] == ["rnn-compiled", "gan", "forecast", "mlp"]
        assert "limit 5 % (8 pairs" in explanations[0]
        assert "harness duel torch:compile torch:compile" in explanations[0]
        assert "raise max_slowdown" in explanations[0]
        assert "in float64 the loss of step 1 is 2.23 in head" in explanations[1]
        assert "[the last words]" in explanations[2]
        assert page.locator("#explanations").bounding_box()["y"] < 300


def test_the_table_has_each_metric_with_its_limit(browser, page_of):
    with opened(browser, page_of(mixed_gate())) as page:
        headers = page.locator(".texts thead th").all_inner_texts()
        assert headers[2:5] == ["step (≤ 5 %)", "first step (≤ 50 %)", "memory (≤ 10 %)"]
        rows = [row.split("\t") for row in page.locator(".texts tbody tr").all_inner_texts()]
        cells = {row[0].split()[0]: [" ".join(cell.split()) for cell in row[1:]] for row in rows}
        assert [cells[name][0] for name in cells] == ["PASS", "FAIL", "INCONCLUSIVE", "FAIL", "FAIL"]
        assert cells["rnn-compiled"][1].startswith("+7.")
        assert cells["rnn-compiled"][1].endswith("] FAIL")
        assert cells["forecast"][1:] == ["–"] * 4
        assert cells["gan"][4] == "different"
        failed = page.locator(".texts td[data-tone=bad]").all_inner_texts()
        assert len(failed) == 5  # three verdicts, a step, the losses


def test_every_chart_has_its_marks(browser, page_of):
    with opened(browser, page_of(mixed_gate())) as page:
        marks = page.evaluate(MARKS)
        assert list(marks) == CHARTS
        # Four benchmarks: a limit, an interval and a point each, and the line at zero.
        assert [marks[name] for name in CHARTS[:3]] == [13, 13, 13]
        assert marks["pairs"] == 4 * 3 + 2 * 8 + 1
        inks = page.evaluate("[...document.querySelectorAll('#change-step .mark-symbol path')].length")
        assert inks >= 4


def test_charts_are_valid_vega_lite():
    figures = gate_figures(mixed_gate())
    assert [figure.name for figure in figures] == CHARTS
    for figure in figures:
        valid(figure.chart)
        assert vegalite_to_svg(figure.chart | {"width": 400}).startswith("<svg")


def test_charts_show_the_numbers_of_the_record():
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


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("made", [mixed_gate, hostile_gate])
def test_nothing_overflows(browser, page_of, made, width):
    with opened(browser, page_of(made()), width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TOO_WIDE) == []


def test_all_text_is_escaped(browser, page_of):
    file = page_of(hostile_gate())
    with opened(browser, file) as page:
        assert page.said == []
        assert [url for url in page.asked if not url.startswith("data:")] == [file.as_uri()]
        assert page.title().startswith("FAIL: gate ")
        assert page.locator("img").count() == 0
        shown = HOSTILE.replace("\x1b[31m", "")
        assert shown in page.locator(".texts tbody th").inner_text()
        assert shown in page.locator("dl").inner_text()
        assert len(page.evaluate(MARKS)) == 4


def test_it_follows_the_reader_from_light_to_dark(browser, page_of):
    file = page_of(mixed_gate())
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('h1 strong')).color"
    with opened(browser, file) as light, opened(browser, file, scheme="dark") as dark:
        assert light.evaluate(ground) != dark.evaluate(ground)
        assert light.evaluate(ink) != dark.evaluate(ink)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (made_gate(), "INVALID: no benchmark ran"),
        (made_gate(made_benchmark()), "PASS: the benchmark is within its limits"),
        (made_gate(status="interrupted", failure="interrupted by the user"), "the gate did not end"),
    ],
)
def test_gates_without_explanations(browser, page_of, record, words):
    with opened(browser, page_of(record)) as page:
        assert page.said == []
        assert words in page.locator("h1").inner_text()
        assert page.locator("#explanations").count() == 0
