"""The page of a duel in a real browser: verdicts first, every chart drawn, all text escaped; and Markdown."""

import math

import msgspec
import pytest
from support.charts import valid
from support.in_browser import DRAWN, MARKS, TOO_WIDE, chromium, needs_chromium, opened
from support.made_duels import save_duel, stored_duel
from support.rendered import duel_markdown, duel_page, duel_text

from harness.report.charts.pairs import duel_figures

HOSTILE = """</script><img src=x onerror="document.title='had'">{{ 7*7 }}`x`"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    def write(record):
        path = tmp_path_factory.mktemp("duel") / "duel.html"
        path.write_text(duel_page(record), "utf-8")
        return path

    return write


def hostile_duel():
    record = stored_duel(command=["duel", HOSTILE])
    configurations = [
        msgspec.structs.replace(each, label=f"{each.label}{HOSTILE}") for each in record.configurations
    ]
    results = [
        msgspec.structs.replace(each, configuration=configurations[1].label) for each in record.results
    ]
    return msgspec.structs.replace(record, configurations=configurations, results=results)


@needs_chromium
def test_the_verdict_comes_first_and_every_chart_is_drawn(browser, page_of):
    record = stored_duel()
    file = page_of(record)
    with opened(browser, file) as page:
        assert page.said == []
        assert [url for url in page.asked if not url.startswith("data:")] == [file.as_uri()]
        assert "b:torch:eager is as fast as a:torch:eager within 2 %" in page.locator("h1").inner_text()
        page.wait_for_function(DRAWN)
        marks = page.evaluate(MARKS)
        assert list(marks) == ["pairs", "course", "turns"]
        assert marks["pairs"] == 10 + 4  # pairs, the line at zero, the band, the interval, the ratio
        assert marks["course"] == 10 + 2
        assert marks["turns"] >= 2 * 540 + 9


@needs_chromium
@pytest.mark.parametrize("width", [400, 1280, 1920])
@pytest.mark.parametrize("made", [stored_duel, hostile_duel])
def test_nothing_overflows_and_all_text_is_escaped(browser, page_of, made, width):
    with opened(browser, page_of(made()), width=width) as page:
        assert page.said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TOO_WIDE) == []


def test_charts_are_valid_and_show_the_numbers_of_the_record():
    record = stored_duel()
    figures = {figure.name: figure for figure in duel_figures(record)}
    for figure in figures.values():
        valid(figure.chart)
    rows = figures["pairs"].chart["data"]["values"]
    changes = [row["change"] for row in rows if "change" in row]
    assert len(changes) == record.results[0].pairs
    centre = math.exp(sum(math.log1p(change / 100) for change in changes) / len(changes))
    assert centre == pytest.approx(record.results[0].ratio.value, abs=2e-3)
    (ratio,) = [row["ratio"] for row in rows if "ratio" in row]
    assert ratio == pytest.approx(100 * (record.results[0].ratio.value - 1), abs=1e-3)
    disturbed = [row for row in figures["turns"].chart["data"]["values"] if row["disturbed"]]
    assert len(disturbed) == sum(block.disturbed for pair in record.pairs for block in pair.blocks)


@pytest.mark.parametrize(
    ("count", "ticks"), [(1, [1]), (2, [1, 2]), (10, list(range(1, 11))), (25, range(1, 26, 3))]
)
def test_pairs_are_counted_in_whole_numbers(count, ticks):
    record = stored_duel()
    record = msgspec.structs.replace(record, pairs=(record.pairs * 3)[:count])
    course = duel_figures(record)[1].chart
    drawn = [layer["encoding"]["x"] for layer in course["layer"] if "x" in layer["encoding"]]
    assert [x["axis"]["values"] for x in drawn] == [list(ticks)] * len(drawn)
    assert drawn


def test_only_an_unusual_environment_of_processes_is_mentioned():
    assert "s; stopped because" in duel_text(stored_duel())
    assert "s, --process-environment plain; stopped" in duel_text(stored_duel(process_environment="plain"))


def test_the_turns_of_a_long_duel_are_drawn_together():
    short = stored_duel()
    long = msgspec.structs.replace(short, pairs=short.pairs * 10)
    rows = duel_figures(long)[-1].chart["data"]["values"]
    assert len(rows) <= 2 * 700
    assert {row["pair"] for row in rows} == set(range(1, 101))


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_duel_without_pairs_says_so(status):
    record = stored_duel(status=status, failure="interrupted", pairs=[], results=[])
    page = duel_page(record)
    assert 'class="chart"' not in page
    assert "<h1>The duel" in page or "<h1>Interrupted before the first pair" in page
    assert duel_markdown(record).startswith("## ")


def test_a_duel_that_ended_before_its_first_pair_was_judged_shows_that_pair():
    stored = stored_duel()
    record = msgspec.structs.replace(stored, status="failed", failure="x", pairs=stored.pairs[:1], results=[])
    assert "The duel failed: x" in duel_text(record)
    assert "<h1>The duel failed: x" in duel_page(record)
    assert "| steady step (ms) |" in duel_markdown(record)


def test_markdown_has_the_verdict_and_a_table():
    text = duel_markdown(stored_duel())
    assert text.startswith("## b:torch:eager is as fast as a:torch:eager within 2 %")
    assert "| steady step (ms) |" in text


def test_report_and_compare_take_a_duel(harness):
    path = save_duel(harness.folder / "results", stored_duel())
    done = harness("report", "last", "--to", "duel.html", "--to", "duel.md")
    assert (done.returncode, done.stdout, done.stderr) == (0, "duel.html\nduel.md\n", "")
    assert (harness.folder / "duel.md").read_text().startswith("## b:torch:eager is as fast")
    assert "Turns over time" in (harness.folder / "duel.html").read_text()
    done = harness("compare", path.stem[:15])
    assert "b:torch:eager is as fast as a:torch:eager within 2 %" in done.stdout
    done = harness("report", path.stem, "--to", "duel.csv")
    assert (done.returncode, done.stderr) == (
        2,
        "harness: --to duel.csv: a duel is written as .html or .md\n",
    )
    done = harness("report", path.stem, "task=mlp", "--to", "duel.html")
    assert done.returncode == 2
    assert "a report is of one duel, gate or study, or of any number of runs" in done.stderr
