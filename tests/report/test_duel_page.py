"""A duel as text, Markdown and page: what is mentioned, drawn and written where it ended early."""

import msgspec
import pytest
from support.made_duels import save_duel, stored_duel
from support.rendered import duel_markdown, duel_page, duel_text

from harness.report.charts.pairs import duel_figures


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
